//! `crash-loop`: the node is killed and started in turn as long as the fault is in force, by a task that
//! ends with the injector: whoever forgets it stops it.
//!
//! Proof of effect: the engine reports at least two later starts. Undo: end the task and start the node.
//! Whoever did not run the task has to see the node live for a while: a kill that was under way when the
//! harness died comes true later.

use super::support::orderly::Before;
use super::support::state;
use super::{Done, Injector, Memo, Site};
use crate::docker::DockerError;
use crate::per_node::PerNode;
use crate::stack::Node;
use crate::wait::{self, Look};
use async_trait::async_trait;
use bollard::Docker;
use bollard::query_parameters::KillContainerOptionsBuilder;
use firedrill_core::fault::catalogue::node::CrashLoop as Rhythm;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// See the module.
pub(super) struct CrashLoop {
    rhythm: Rhythm,
    /// What loops.
    loops: PerNode<Loop>,
    /// The later starts that the engine reported.
    starts: PerNode<BTreeSet<String>>,
}

/// A task that kills and starts a node. It is aborted when this is dropped.
struct Loop {
    end: watch::Sender<bool>,
    task: JoinSet<()>,
}

/// As many later starts prove that it is a loop.
const STARTS: usize = 2;

/// Who runs this long is killed by nobody any more: a kill of the engine that lost its caller is done by
/// then.
const STEADY: Duration = Duration::from_secs(1);

/// How long that may take.
const STEADY_DEADLINE: Duration = Duration::from_secs(15);

impl CrashLoop {
    pub(super) fn new(rhythm: &Rhythm) -> Self {
        Self { rhythm: rhythm.clone(), loops: PerNode::default(), starts: PerNode::default() }
    }
}

impl Loop {
    fn start(docker: Docker, container: String, rhythm: &Rhythm) -> Self {
        let (end, ended) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(kill_and_start(docker, container, rhythm.clone(), ended));
        Self { end, task }
    }

    /// Ends it and waits until no call is under way.
    async fn end(mut self) {
        self.end.send_replace(true);
        while self.task.join_next().await.is_some() {}
    }
}

/// From the moment after a kill on. A call that fails is made again in the next round: the engine may be
/// busy, the node may have ended by itself.
async fn kill_and_start(docker: Docker, container: String, rhythm: Rhythm, mut ended: watch::Receiver<bool>) {
    let (dead, alive) = (Duration::from_millis(rhythm.dead_ms), Duration::from_millis(rhythm.alive_ms));
    loop {
        if timeout(dead, ended.wait_for(|ended| *ended)).await.is_ok() {
            return;
        }
        if let Err(error) = docker.start_container(&container, None).await {
            tracing::debug!("{container}: start in a crash loop: {error}");
        }
        if timeout(alive, ended.wait_for(|ended| *ended)).await.is_ok() {
            return;
        }
        if let Err(error) = kill(&docker, &container).await {
            tracing::debug!("{container}: kill in a crash loop: {error}");
        }
    }
}

async fn kill(docker: &Docker, container: &str) -> Result<(), bollard::errors::Error> {
    let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
    docker.kill_container(container, Some(options)).await
}

#[async_trait]
impl Injector for CrashLoop {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        Memo::of(node, &Before::of(&state::must_run(site.stack, node, "crash-loop").await?))
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let docker = site.stack.engine.docker.clone();
        let killed = kill(&docker, &node.container).await;
        killed.map_err(DockerError::call(format!("{}: kill", node.name)))?;
        self.loops.put(node, Loop::start(docker, node.container.clone(), &self.rhythm));
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let before: Before = memo.read(node)?;
        let state = state::state(site.stack, node).await?;
        let later = before.later_start(node, &state)?;
        let mut starts = self.starts.take(node).unwrap_or_default();
        starts.extend(later);
        let (count, last) = (starts.len(), starts.last().cloned().unwrap_or_default());
        self.starts.put(node, starts);
        Ok((count >= STARTS).then(|| format!("{}: started anew {count} times, last at {last}", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        match self.loops.take(node) {
            Some(running) => {
                running.end().await;
                state::start(site.stack, node).await
            }
            None => start_to_stay(site, node).await,
        }
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        state::runs(site.stack, node).await
    }
}

/// Starts the node until one and the same life was seen for long enough.
async fn start_to_stay(site: &Site<'_>, node: &Node) -> Done<()> {
    let life: Mutex<Option<(Option<String>, Instant)>> = Mutex::default();
    let look = async || {
        state::start(site.stack, node).await?;
        let state = state::state(site.stack, node).await?;
        let mut life = life.lock().unwrap_or_else(PoisonError::into_inner);
        let same = life.as_ref().filter(|(at, _)| *at == state.started_at && state.running == Some(true));
        let lived = same.map_or(Duration::ZERO, |(_, since)| since.elapsed());
        if same.is_none() {
            *life = Some((state.started_at, Instant::now()));
        }
        Done::Ok(lived)
    };
    let what = format!("{}: it stays alive", node.name);
    let stays = wait::until(&what, STEADY_DEADLINE, Duration::from_millis(100), || async {
        match look().await {
            Ok(lived) if lived >= STEADY => Look::Ready(()),
            Ok(lived) => Look::NotYet(format!("alive for {:.1} s", lived.as_secs_f64())),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    Ok(stays.await?)
}
