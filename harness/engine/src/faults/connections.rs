//! `connections`: connections from outside, opened until the service takes no more, and held. They are a
//! client's real ones: PostgreSQL and Pgpool are logged in to as the shop's user, so that the slots that are
//! kept for the superuser stay; a Redis is asked for a PING. A slot that another client leaves while the fault is
//! in force is taken as well: whoever reconnects, as pools do, would find it else.
//!
//! Proof of effect: a further connection is refused, or not answered within a second. Undo: they are closed;
//! the kernel does so when firedrill dies, so somebody else has nothing to do.

use super::support::background::Background;
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::probe;
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource;
use firedrill_core::topology::NodeKind;
use futures_util::{StreamExt, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, timeout};

/// Opened at the same time: a PostgreSQL starts a process for each.
const AT_ONCE: usize = 8;

/// How long a connection may take that the service still has room for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A further connection counts as not answered after this.
const NOT_ANSWERED: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody has left a slot.
const REFILL_PERIOD: Duration = Duration::from_millis(50);

/// Files that this process needs besides the connections.
const OTHER_FILES: u64 = 256;

/// The shop's user and database.
const SHOP: &str = "pretix";

/// A connection that is held.
enum Held {
    Postgres { _client: tokio_postgres::Client },
    Redis { _stream: TcpStream },
}

/// See the module.
pub(super) struct Connections {
    left: usize,
    most: usize,
    held: PerNode<Storm>,
}

/// The connections of one node.
struct Storm {
    held: Arc<Mutex<Vec<Held>>>,
    /// What the first one met that the service had no room for.
    met: String,
    /// Takes what others leave.
    refill: Option<Background>,
}

impl Storm {
    fn count(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What connections are opened to.
#[derive(Clone)]
struct Service {
    kind: NodeKind,
    address: SocketAddr,
    password: String,
}

impl Connections {
    pub(super) fn new(parameters: &resource::Connections) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (left, most) = (count(parameters.left), count(parameters.most));
        Self { left, most, held: PerNode::default() }
    }

    /// Opens connections until one is refused or not answered; gives what it met.
    async fn fill(&self, service: &Service, node: &Node, held: &mut Vec<Held>) -> Done<String> {
        let room = self.most.saturating_sub(held.len());
        let mut opened = stream::iter((0..room).map(|_| service.open(PATIENCE))).buffer_unordered(AT_ONCE);
        while let Some(one) = opened.next().await {
            match one {
                Ok(one) => held.push(one),
                Err(answer) => return Ok(answer),
            }
        }
        let what = format!("it took all {} connections and would take more: give a larger `most`", self.most);
        Err(InjectorError::failed(node, what))
    }
}

fn address(node: &Node) -> Done<SocketAddr> {
    let port = node.kind.probe_port().and_then(|port| node.published(port));
    port.ok_or_else(|| InjectorError::impossible(node, "connections", "it has no published port"))
}

impl Service {
    fn of(site: &Site<'_>, node: &Node) -> Done<Self> {
        let password = site.stack.secrets.get("APP_PASSWORD").to_owned();
        Ok(Self { kind: node.kind, address: address(node)?, password })
    }

    /// One more connection, answered; the error is what the service said.
    async fn open(&self, patience: Duration) -> Result<Held, String> {
        let opened = async {
            match self.kind {
                NodeKind::Redis => open_redis(self.address).await,
                _ => open_postgres(self.address, &self.password).await,
            }
        };
        let none = || format!("no answer within {:.0} s", patience.as_secs_f64());
        timeout(patience, opened).await.unwrap_or_else(|_| Err(none()))
    }

    /// Takes what others leave, for as long as it is not stopped.
    async fn refill(self, held: Arc<Mutex<Vec<Held>>>, most: usize, mut stopped: oneshot::Receiver<()>) {
        let mut rounds = tokio::time::interval(REFILL_PERIOD);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                _ = rounds.tick() => {}
            }
            while let Ok(one) = self.open(NOT_ANSWERED).await {
                let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                held.push(one);
                if held.len() >= most {
                    return;
                }
            }
        }
    }
}

async fn open_redis(address: SocketAddr) -> Result<Held, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(told)?;
    stream.write_all(b"PING\r\n").await.map_err(told)?;
    let mut answer = [0; 128];
    let count = stream.read(&mut answer).await.map_err(told)?;
    let answer = String::from_utf8_lossy(&answer[..count]);
    if answer.starts_with("+PONG") {
        return Ok(Held::Redis { _stream: stream });
    }
    Err(answer.trim_start_matches('-').trim().to_owned())
}

async fn open_postgres(address: SocketAddr, password: &str) -> Result<Held, String> {
    let client = probe::connect_postgres_as(SHOP, address, password, SHOP).await?;
    Ok(Held::Postgres { _client: client })
}

/// Makes room for that many connections in this process's own limit of open files.
fn make_room(node: &Node, most: usize) -> Done<()> {
    let wanted = most as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        let why = format!("{most} connections need a limit of {wanted} open files: raise `ulimit -Hn` or give fewer");
        return Err(InjectorError::impossible(node, "connections", why));
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    raised.map_err(|error| InjectorError::failed(node, format!("the limit of open files: {error}")))
}

#[async_trait]
impl Injector for Connections {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "connections").await?;
        make_room(node, self.most)?;
        let opened = Service::of(site, node)?.open(PATIENCE).await;
        opened.map_err(|why| InjectorError::impossible(node, "connections", format!("not even one is open: {why}")))?;
        Ok(Memo::none())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let (service, mut held) = (Service::of(site, node)?, Vec::new());
        let met = self.fill(&service, node, &mut held).await?;
        held.truncate(held.len().saturating_sub(self.left));
        let held = Arc::new(Mutex::new(held));
        let refill = |stopped| service.refill(Arc::clone(&held), self.most, stopped);
        let refill = (self.left == 0).then(|| Background::start(refill));
        self.held.put(node, Storm { held, met, refill });
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let Some((count, before)) = self.held.with(node, |storm| (storm.count(), storm.met.clone())) else {
            return Ok(None);
        };
        let (left, name) = (self.left, &node.name);
        if left > 0 {
            let text = format!("{name}: {count} connections are held, {left} left; before, one more met {before:?}");
            return Ok(Some(text));
        }
        // Room that those who were on their way have left since is taken in the meantime.
        Ok(match Service::of(site, node)?.open(NOT_ANSWERED).await {
            Ok(_) => None,
            Err(answer) => Some(format!("{name}: {count} connections are held; a further one met {answer:?}")),
        })
    }

    async fn undo(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let Some(storm) = self.held.take(node) else { return Ok(()) };
        if let Some(refill) = storm.refill {
            refill.end().await;
        }
        // Nobody else has them any more: they are closed.
        drop(storm.held);
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        // What does not run has no connections, and will be there for others.
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run", node.name)));
        }
        match Service::of(site, node)?.open(PATIENCE).await {
            Ok(_) => Ok(Some(format!("{}: a new connection is answered", node.name))),
            Err(_) => Ok(None),
        }
    }
}
