//! `pool-detach`: a Pgpool holds a healthy database as down, as after a health check that was wrong.
//!
//! The Pgpool's watcher sees that the database is well and puts it back, within a second or so. So it is taken
//! out again, as long as the fault is in force and the harness lives. Each takes the Pgpool about a second: what
//! is tried is a Pgpool that wavers, with the backend out for half of the time.
//!
//! Proof of effect: `show pool_nodes` of this Pgpool says down. Undo: `pcp_attach_node`, where it is still out.

use super::support::background::Background;
use super::support::{inside, state};
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::docker::DockerError;
use crate::per_node::PerNode;
use crate::probe::{connect_postgres, describe_postgres};
use crate::stack::{Node, Stack};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::database::PoolDetach as Parameters;
use firedrill_core::ids::NodeName;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

/// See the module.
pub(super) struct PoolDetach {
    parameters: Parameters,
    keepers: PerNode<Background>,
}

const FAULT: &str = "pool-detach";
const PORT: u16 = 5432;

/// Shorter than the watcher's own period (200 ms), at a cost of one cheap question.
const KEEP_OUT_PERIOD: Duration = Duration::from_millis(100);

/// For one question, and for one order, of which a Pgpool carries out one at a time, in about a second.
const ASK_DEADLINE: Duration = Duration::from_secs(3);
const ORDER_DEADLINE: Duration = Duration::from_secs(10);

/// One line of `show pool_nodes`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Backend {
    /// Its number, which pcp wants.
    id: String,
    node: NodeName,
    up: bool,
    primary: bool,
}

/// The one that is taken out.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Out {
    id: String,
    backend: NodeName,
}

/// Opens a session at the Pgpool.
async fn open(stack: &Stack, node: &Node) -> Done<Client> {
    let failed = |error: String| InjectorError::failed(node, format!("no session: {error}"));
    let address = node.published(PORT).ok_or_else(|| failed(format!("port {PORT} is not published")))?;
    let opened = timeout(ASK_DEADLINE, connect_postgres(address, stack.secrets.get("POSTGRES_PASSWORD"), "postgres"));
    opened.await.unwrap_or_else(|_| Err("no answer".to_owned())).map_err(failed)
}

/// What the Pgpool holds of its backends.
async fn backends(stack: &Stack, node: &Node, client: &Client) -> Done<Vec<Backend>> {
    let failed = |error: String| InjectorError::failed(node, format!("show pool_nodes: {error}"));
    let answered = timeout(ASK_DEADLINE, client.simple_query("show pool_nodes")).await;
    let messages = answered.map_err(|_| failed("no answer".to_owned()))?;
    let messages = messages.map_err(|error| failed(describe_postgres(&error)))?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.filter_map(|row| backend(stack, row)).collect())
}

fn backend(stack: &Stack, row: &SimpleQueryRow) -> Option<Backend> {
    let field = |name: &str| row.try_get(name).ok().flatten();
    let host = field("hostname")?;
    // Backends are written as names or as addresses.
    let named = stack.nodes.iter().find(|node| node.addresses.iter().any(|ip| ip.to_string() == host));
    Some(Backend {
        id: field("node_id")?.to_owned(),
        node: named.map_or_else(|| host.into(), |node| node.name.clone()),
        up: matches!(field("status"), Some("up" | "waiting")),
        primary: field("role") == Some("primary"),
    })
}

/// Gives an order to the Pgpool as its own pcp user. The folders are those of the image.
async fn pcp(stack: &Stack, node: &Node, order: &str, out: &Out) -> Result<(), DockerError> {
    let command = [order, "-h", "/run/pgpool", "-p", "9898", "-U", "postgres", "-w", "-n", &out.id];
    let env = ["PCPPASSFILE=/cfg/.pcppass".to_owned()];
    stack.engine.exec_ok(&node.container, &command, &env, ORDER_DEADLINE).await.map(|_| ())
}

/// Whether the Pgpool holds it as up.
async fn is_up(stack: &Stack, node: &Node, out: &Out) -> Done<bool> {
    let client = open(stack, node).await?;
    holds_up(stack, node, &client, out).await
}

async fn holds_up(stack: &Stack, node: &Node, client: &Client, out: &Out) -> Done<bool> {
    Ok(backends(stack, node, client).await?.iter().any(|backend| backend.node == out.backend && backend.up))
}

/// Takes it out whenever it is back in, after the first order has been carried out.
async fn keep_out(stack: Stack, node: Node, out: Out, mut stop: oneshot::Receiver<()>) {
    let mut ticks = interval(KEEP_OUT_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = None;
    until_out(&stack, &node, &out, &mut client).await;
    loop {
        // Asked to stop here only: an order that is given is seen through, so that none is left for later.
        tokio::select! {
            _ = &mut stop => return,
            _ = ticks.tick() => {}
        }
        // What fails is tried again at the next look: Pgpool ends sessions whenever it takes one out or in.
        if let Ok(true) = look_again(&stack, &node, &out, &mut client).await
            && pcp(&stack, &node, "pcp_detach_node", &out).await.is_ok()
        {
            until_out(&stack, &node, &out, &mut client).await;
        }
    }
}

/// Pgpool says that an order is taken when it is queued: waits until it shows. Where it does not in time, the
/// next look decides.
async fn until_out(stack: &Stack, node: &Node, out: &Out, client: &mut Option<Client>) {
    let mut ticks = interval(KEEP_OUT_PERIOD);
    let shows = async {
        loop {
            ticks.tick().await;
            if let Ok(false) = look_again(stack, node, out, client).await {
                return;
            }
        }
    };
    let _ = timeout(ASK_DEADLINE, shows).await;
}

/// Whether it is up, by the session of the last look where it still stands.
async fn look_again(stack: &Stack, node: &Node, out: &Out, client: &mut Option<Client>) -> Done<bool> {
    let kept = match client.take() {
        Some(kept) => kept,
        None => open(stack, node).await?,
    };
    let up = holds_up(stack, node, &kept, out).await?;
    *client = Some(kept);
    Ok(up)
}

impl PoolDetach {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone(), keepers: PerNode::default() }
    }

    fn choose(&self, node: &Node, backends: &[Backend]) -> Done<Out> {
        let fits = |backend: &&Backend| match &self.parameters.backend {
            Some(name) => backend.node == *name,
            None => backend.up && !backend.primary,
        };
        let refused = |why: String| InjectorError::impossible(node, FAULT, why);
        let chosen = backends.iter().find(fits).ok_or_else(|| match &self.parameters.backend {
            Some(name) => refused(format!("it has no backend {name}")),
            None => refused("it holds no standby as up".to_owned()),
        })?;
        if !chosen.up {
            return Err(refused(format!("it holds {} as down already", chosen.node)));
        }
        Ok(Out { id: chosen.id.clone(), backend: chosen.node.clone() })
    }
}

#[async_trait]
impl Injector for PoolDetach {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, FAULT).await?;
        let client = open(site.stack, node).await?;
        let backends = backends(site.stack, node, &client).await?;
        Memo::of(node, &self.choose(node, &backends)?)
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let out: Out = memo.read(node)?;
        pcp(site.stack, node, "pcp_detach_node", &out).await?;
        let (stack, own) = (site.stack.clone(), node.clone());
        self.keepers.put(node, Background::start(|stop| keep_out(stack, own, out, stop)));
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let out: Out = memo.read(node)?;
        let down = !is_up(site.stack, node, &out).await?;
        Ok(down.then(|| format!("{}: holds {} as down", node.name, out.backend)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        if let Some(keeper) = self.keepers.take(node) {
            keeper.end().await;
        }
        let out: Out = memo.read(node)?;
        // A Pgpool that starts again asks its watcher who is up.
        if state::is_up(site.stack, node).await? && !is_up(site.stack, node, &out).await? {
            pcp(site.stack, node, "pcp_attach_node", &out).await?;
        }
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let out: Out = memo.read(node)?;
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, and holds nobody as down", node.name)));
        }
        // An order of a harness that died a moment ago may still be under way. One that Pgpool has queued shows
        // within a second, and the watcher undoes it in the next.
        if inside::has_command(site.stack, node, "pcp_detach_node").await? {
            return Ok(None);
        }
        let up = is_up(site.stack, node, &out).await?;
        Ok(up.then(|| format!("{}: holds {} as up", node.name, out.backend)))
    }
}
