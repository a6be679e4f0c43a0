//! The house: a PostgreSQL and its standbys, booted by whoever needs them first, and removed when the process ends.

use crate::guards;
use firedrill_boxoffice::{Bug, Databases, Node as Web, Shop, Sink, Stock, create};
use firedrill_core::history::Role;
use firedrill_engine::boot::{Plan, boot};
use firedrill_engine::docker::Engine;
use firedrill_engine::guard::{Guard, Watch};
use firedrill_engine::labels;
use firedrill_engine::ledger;
use firedrill_engine::observe::Observer;
use firedrill_engine::probe::connect_postgres;
use firedrill_engine::progress::Silent;
use firedrill_engine::recorder::Recorder;
use firedrill_engine::stack::{Node, Stack};
use firedrill_runner::rundir::new_run_id;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

/// How long the databases may take to be whole again after an evening: a node may be cloned anew.
const WHOLE_DEADLINE: Duration = Duration::from_secs(90);

/// The database of the shop, in every topology.
const SHOP: &str = "pretix";

/// Web nodes that serve the shop side by side.
const WEB_NODES: usize = 2;

static HOUSE: LazyLock<Mutex<House>> = LazyLock::new(|| Mutex::new(House::boot()));

/// The databases, and the runtime on which everything happens.
pub(crate) struct House {
    pub(crate) runtime: Runtime,
    pub(crate) stack: Stack,
    observer: Observer,
}

/// The house, for one evening at a time.
pub(crate) fn house() -> MutexGuard<'static, House> {
    // A failed test leaves the house usable: each evening begins when it is whole.
    HOUSE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Who the shop is for the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The application: what it commits is on a standby too.
    Application,
    /// The superuser, who waits for no standby.
    Superuser,
}

impl House {
    fn boot() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let run = new_run_id();
        let watch = Watch { run: run.clone(), stacks: std::env::temp_dir().join("firedrill-labs"), keep: false };
        let guard = Guard::start(env!("CARGO_BIN_EXE_firedrill").as_ref(), &watch).expect("a guard");
        guards::keep(guard);
        let plan = Plan {
            run,
            owner: labels::this_process(),
            topology_folder: root().join("fixtures/topologies/boxoffice"),
            events: root().join("fixtures/events/pretix-ha.yaml"),
        };
        let booted = runtime.block_on(async {
            let engine = Engine::connect().await.expect("an engine");
            boot(&engine, &plan, &Recorder::discard(), &Silent).await
        });
        let booted = booted.unwrap_or_else(|error| panic!("the databases cannot be booted: {error}"));
        Self { runtime, stack: booted.stack, observer: booted.observer }
    }

    /// Waits until there is a primary and its standbys stream.
    pub(crate) async fn whole(&self) {
        let whole = self.observer.wait_whole(WHOLE_DEADLINE).await;
        whole.unwrap_or_else(|expired| panic!("the databases are not whole: {expired}"));
    }

    /// The first node that has a role now; the house must be whole.
    pub(crate) fn node(&self, role: Role) -> &Node {
        self.nodes(role).first().unwrap_or_else(|| panic!("no node is {role}"))
    }

    /// All nodes that have a role now.
    pub(crate) fn nodes(&self, role: Role) -> Vec<&Node> {
        let candidates = self.observer.candidates();
        let such = candidates.iter().filter(|candidate| candidate.role == role);
        such.filter_map(|candidate| self.stack.node(&candidate.node)).collect()
    }

    /// A session of the superuser in the shop's database of a node.
    pub(crate) async fn superuser(&self, node: &Node) -> Client {
        let address = node.published(5432).expect("its port is published");
        let client = connect_postgres(address, self.stack.secrets.get("POSTGRES_PASSWORD"), SHOP).await;
        client.unwrap_or_else(|error| panic!("{}: {error}", node.name))
    }

    /// How the shop's database of a node is reached.
    fn config(&self, node: &Node, who: Account) -> Config {
        let (user, secret) = match who {
            Account::Application => ("pretix", "APP_PASSWORD"),
            Account::Superuser => ("postgres", "POSTGRES_PASSWORD"),
        };
        let address = node.published(5432).expect("its port is published");
        let mut config = Config::new();
        config.host(address.ip().to_string()).port(address.port()).user(user);
        config.password(self.stack.secrets.get(secret)).dbname(SHOP).application_name("boxoffice");
        config
    }

    /// Creates the shop's tables anew on all databases, and opens it with its web nodes.
    pub(crate) async fn open(&self, stock: &Stock, bug: Option<Bug>, who: Account, log: Sink) -> (Shop, Vec<Web>) {
        self.whole().await;
        let (primary, standby) = (self.node(Role::Primary), self.node(Role::Standby));
        let (mut client, connection) =
            self.config(primary, Account::Application).connect(NoTls).await.expect("a session of the shop");
        tokio::spawn(connection);
        create(&mut client, stock, bug).await.expect("the shop's tables");
        ledger::wait_caught_up(&self.stack, WHOLE_DEADLINE).await.expect("the standby has the tables");
        let databases = Databases {
            primary: self.config(primary, who),
            standby: Some(self.config(standby, who)),
            elsewhere: Some(self.config(standby, who)),
        };
        let shop = Shop::open(databases, stock.fee_cents, bug, log).await.expect("a shop");
        let mut nodes = Vec::new();
        for _ in 0..WEB_NODES {
            nodes.push(shop.serve(0).await.expect("a free port"));
        }
        (shop, nodes)
    }
}
