//! `connections`: connections from outside, opened until the service takes no more, and held. They are a
//! client's real ones: PostgreSQL and Pgpool are logged in to as the shop's user, so that the slots that are
//! kept for the superuser stay; a Redis is asked for a PING.
//!
//! Proof of effect: a further connection is refused, or not answered within a second. Undo: they are closed;
//! the kernel does so when firedrill dies, so somebody else has nothing to do.

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
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Opened at the same time: a PostgreSQL starts a process for each.
const AT_ONCE: usize = 8;

/// How long a connection may take that the service still has room for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A further connection counts as not answered after this.
const NOT_ANSWERED: Duration = Duration::from_secs(1);

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
    /// With what the first one met that the service had no room for.
    held: PerNode<(Vec<Held>, String)>,
}

impl Connections {
    pub(super) fn new(parameters: &resource::Connections) -> Self {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (left, most) = (count(parameters.left), count(parameters.most));
        Self { left, most, held: PerNode::default() }
    }

    /// Opens connections until one is refused or not answered; gives what it met.
    async fn fill(&self, site: &Site<'_>, node: &Node, held: &mut Vec<Held>, at_once: usize) -> Done<String> {
        let patience = if at_once > 1 { PATIENCE } else { NOT_ANSWERED };
        let room = self.most.saturating_sub(held.len());
        let mut opened = stream::iter((0..room).map(|_| open(site, node, patience))).buffer_unordered(at_once);
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

/// One more connection, answered; the error is what the service said.
async fn open(site: &Site<'_>, node: &Node, patience: Duration) -> Result<Held, String> {
    let address = address(node).map_err(|error| error.to_string())?;
    let opened = async {
        match node.kind {
            NodeKind::Redis => open_redis(address).await,
            _ => open_postgres(address, site.stack.secrets.get("APP_PASSWORD")).await,
        }
    };
    let none = || format!("no answer within {:.0} s", patience.as_secs_f64());
    timeout(patience, opened).await.unwrap_or_else(|_| Err(none()))
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
        let opened = open(site, node, PATIENCE).await;
        opened.map_err(|why| InjectorError::impossible(node, "connections", format!("not even one is open: {why}")))?;
        Ok(Memo::none())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let mut held = Vec::new();
        let answer = self.fill(site, node, &mut held, AT_ONCE).await?;
        held.truncate(held.len().saturating_sub(self.left));
        self.held.put(node, (held, answer));
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let Some((mut held, before)) = self.held.take(node) else { return Ok(None) };
        let filled = match self.left {
            // Room that others, or those that were on their way, have left since is taken again.
            0 => self.fill(site, node, &mut held, 1).await,
            _ => Ok(before.clone()),
        };
        let (count, left) = (held.len(), self.left);
        self.held.put(node, (held, before));
        let answer = filled?;
        let name = &node.name;
        Ok(Some(match left {
            0 => format!("{name}: {count} connections are held; a further one met {answer:?}"),
            _ => format!("{name}: {count} connections are held, {left} left; before, one more met {answer:?}"),
        }))
    }

    async fn undo(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        drop(self.held.take(node));
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        // What does not run has no connections, and will be there for others.
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run", node.name)));
        }
        match open(site, node, PATIENCE).await {
            Ok(_) => Ok(Some(format!("{}: a new connection is answered", node.name))),
            Err(_) => Ok(None),
        }
    }
}
