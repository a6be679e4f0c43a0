//! Resources: container state, CPU and memory of every node, read from the engine every two seconds.

use crate::recorder::Recorder;
use crate::stack::Stack;
use bollard::Docker;
use bollard::models::{ContainerStateStatusEnum, ContainerStatsResponse};
use bollard::query_parameters::StatsOptionsBuilder;
use firedrill_core::history::{At, Event, NodeState, Usage};
use firedrill_core::ids::NodeName;
use futures_util::StreamExt;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Often enough to see a node starve, rare enough that the engine does not: one reading of 20 nodes costs
/// it about 30 ms of a core.
const PERIOD: Duration = Duration::from_secs(2);

/// Samples a stack until it is dropped.
pub struct UsageSampler {
    _tasks: JoinSet<()>,
}

impl UsageSampler {
    /// Starts sampling.
    pub fn start(stack: &Stack, recorder: &Recorder) -> Self {
        let mut tasks = JoinSet::new();
        for node in &stack.nodes {
            let sampler = Sampler {
                docker: stack.engine.docker.clone(),
                node: node.name.clone(),
                container: node.container.clone(),
                before: None,
            };
            tasks.spawn(sample(sampler, recorder.clone()));
        }
        Self { _tasks: tasks }
    }
}

struct Sampler {
    docker: Docker,
    node: NodeName,
    container: String,
    before: Option<(At, u64)>,
}

async fn sample(mut sampler: Sampler, recorder: Recorder) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let usage = sampler.read(&recorder).await;
        let gone = usage.state == NodeState::Gone;
        recorder.record(Event::Usage(usage));
        if gone {
            return;
        }
    }
}

impl Sampler {
    async fn read(&mut self, recorder: &Recorder) -> Usage {
        let state = self.state().await;
        let stats = if state == NodeState::Running { self.stats().await } else { None };
        let at = recorder.now();
        let (mut cpu_percent, mut memory_bytes) = (0.0, 0);
        match stats {
            Some(stats) => {
                let total_ns = cpu_ns(&stats);
                if let Some((then, before_ns)) = self.before
                    && at > then
                {
                    cpu_percent = total_ns.saturating_sub(before_ns) as f64 / (at.0 - then.0) as f64 * 100.0;
                }
                self.before = Some((at, total_ns));
                memory_bytes = memory(&stats);
            }
            None => self.before = None,
        }
        Usage { at, node: self.node.clone(), state, cpu_percent, memory_bytes }
    }

    async fn state(&self) -> NodeState {
        let Ok(inspected) = self.docker.inspect_container(&self.container, None).await else {
            return NodeState::Gone;
        };
        match inspected.state.and_then(|state| state.status) {
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::RESTARTING) => NodeState::Running,
            Some(ContainerStateStatusEnum::PAUSED) => NodeState::Paused,
            _ => NodeState::Exited,
        }
    }

    async fn stats(&self) -> Option<ContainerStatsResponse> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut answers = std::pin::pin!(self.docker.stats(&self.container, Some(options)));
        answers.next().await?.ok()
    }
}

fn cpu_ns(stats: &ContainerStatsResponse) -> u64 {
    let usage = stats.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref());
    usage.and_then(|usage| usage.total_usage).unwrap_or(0)
}

/// What the engine's own tools show: usage without the inactive page cache, under its name in cgroup v1
/// or in v2.
fn memory(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let usage = memory.usage.unwrap_or(0);
    let detail = |key: &str| memory.stats.as_ref().and_then(|stats| stats.get(key)).and_then(number);
    let cache = detail("total_inactive_file").or_else(|| detail("inactive_file")).unwrap_or(0);
    usage.saturating_sub(cache)
}

fn number(value: &impl serde::Serialize) -> Option<u64> {
    serde_json::to_value(value).ok()?.as_u64()
}
