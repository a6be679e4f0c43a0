//! `redis-sleep`: a Redis does nothing else for a while, as with a slow command: it accepts connections (the
//! kernel does) and answers nobody.
//!
//! `DEBUG` is allowed from inside only, so the command is run there, by the node's own `redis-cli`, and nobody
//! waits for it. Proof of effect: a PING from outside is not answered while the command is under way. Nothing can
//! end it early; it is undone when the command is over and PING is answered.

use super::support::cache::{self, Answer};
use super::support::{inside, state};
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::docker::DockerError;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::exec::{CreateExecOptions, StartExecOptions};
use firedrill_core::fault::catalogue::redis::RedisSleep as Parameters;

/// What the process list shows while it is under way.
const COMMAND: &str = "DEBUG SLEEP";

/// See the module.
pub(super) struct RedisSleep {
    sleep_ms: u64,
}

const FAULT: &str = "redis-sleep";

impl RedisSleep {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { sleep_ms: parameters.sleep_ms }
    }
}

#[async_trait]
impl Injector for RedisSleep {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, FAULT).await?;
        let mut connection = cache::connect(node, cache::REDIS).await?;
        let allowed = cache::setting(node, &mut connection, "enable-debug-command").await?;
        if matches!(allowed.as_str(), "local" | "yes") {
            return Ok(Memo::none());
        }
        let why =
            format!("enable-debug-command is {allowed:?}: write `enable-debug-command local` into its configuration");
        Err(InjectorError::impossible(node, FAULT, why))
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let seconds = format!("{}.{:03}", self.sleep_ms / 1000, self.sleep_ms % 1000);
        let command = ["redis-cli", "DEBUG", "SLEEP", &seconds];
        let what = || format!("{}: run `{}`", node.name, command.join(" "));
        let docker = &site.stack.engine.docker;
        let options = CreateExecOptions { cmd: Some(command.map(str::to_owned).to_vec()), ..Default::default() };
        let exec = docker.create_exec(&node.container, options).await.map_err(DockerError::call(what()))?;
        let detached = StartExecOptions { detach: true, ..Default::default() };
        docker.start_exec(&exec.id, Some(detached)).await.map_err(DockerError::call(what()))?;
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        // A Redis on a busy machine may be silent for a moment without any sleep.
        if cache::outsider(node, cache::PING).await? != Answer::Silence
            || !inside::has_command(site.stack, node, COMMAND).await?
        {
            return Ok(None);
        }
        Ok(Some(format!("{}: {COMMAND} is under way, PING is not answered in 200 ms", node.name)))
    }

    async fn undo(&self, _site: &Site<'_>, _node: &Node, _memo: &Memo) -> Done<()> {
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, and does not sleep", node.name)));
        }
        // It may have been started and not have reached the server yet.
        if inside::has_command(site.stack, node, COMMAND).await? {
            return Ok(None);
        }
        Ok(match cache::outsider(node, cache::PING).await? {
            Answer::Silence => None,
            Answer::Said(_) => Some(format!("{}: answers PING", node.name)),
        })
    }
}
