//! Observers: every node is asked all the time, and what changes is written down.

use crate::probe::NodeProbe;
use crate::recorder::Recorder;
use crate::stack::Stack;
use crate::wait::{self, Expired, Look};
use firedrill_core::cluster::{self, NodeReport};
use firedrill_core::fault::target::Candidate;
use firedrill_core::history::{At, Event, Observation};
use firedrill_core::ids::{HostName, NodeName};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// A report older than this says nothing about now: the slowest kind is asked every second and may take
/// up to the probe's deadline.
const FRESH_MS: f64 = 2_500.0;

/// The latest answer of every node.
#[derive(Default)]
struct Latest {
    reports: BTreeMap<NodeName, (At, NodeReport)>,
    samples: BTreeMap<NodeName, u64>,
}

/// Watches a stack until it is dropped.
pub struct Observer {
    latest: Arc<Mutex<Latest>>,
    recorder: Recorder,
    nodes: Vec<NodeName>,
    hosts: BTreeMap<NodeName, HostName>,
    _tasks: JoinSet<()>,
}

impl Observer {
    /// Starts asking all nodes of a stack.
    pub fn start(stack: &Stack, recorder: Recorder) -> Self {
        let latest = Arc::new(Mutex::new(Latest::default()));
        let mut tasks = JoinSet::new();
        for probe in NodeProbe::all(stack) {
            tasks.spawn(watch(probe, Arc::clone(&latest), recorder.clone()));
        }
        let nodes: Vec<NodeName> = stack.nodes.iter().map(|node| node.name.clone()).collect();
        let hosts = nodes.iter().filter_map(|node| Some((node.clone(), stack.topology.host_of(node)?))).collect();
        Self { latest, recorder, nodes, hosts, _tasks: tasks }
    }

    /// The latest report of every node that was asked at all, in the order of the topology.
    pub fn reports(&self) -> Vec<NodeReport> {
        let latest = lock(&self.latest);
        let report = |node| latest.reports.get(node).map(|(_, report)| report.clone());
        self.nodes.iter().filter_map(report).collect()
    }

    /// What is missing for the stack to be whole, by reports that are fresh.
    pub fn missing(&self) -> Vec<String> {
        let now = self.recorder.now();
        let stale: Vec<String> = {
            let latest = lock(&self.latest);
            let fresh =
                |node: &&NodeName| latest.reports.get(*node).is_some_and(|(at, _)| now.ms_since(*at) <= FRESH_MS);
            self.nodes.iter().filter(|node| !fresh(node)).map(|node| format!("{node}: no fresh answer")).collect()
        };
        let mut missing = cluster::missing(&self.reports());
        missing.extend(stale);
        missing
    }

    /// Whether the stack is whole, or what is missing.
    pub fn look_whole(&self) -> Look<()> {
        let missing = self.missing();
        if missing.is_empty() { Look::Ready(()) } else { Look::NotYet(missing.join("; ")) }
    }

    /// Waits until the stack is whole. The error has what was missing last.
    pub async fn wait_whole(&self, deadline: Duration) -> Result<(), Expired> {
        wait::until("the stack is whole", deadline, LOOK_PERIOD, || async { self.look_whole() }).await
    }

    /// Every node with what it says it is, for the resolution of targets.
    pub fn candidates(&self) -> Vec<Candidate> {
        cluster::candidates(&self.reports(), |node| self.hosts.get(node).cloned())
    }

    /// How often each node was asked.
    pub fn samples(&self) -> Vec<(NodeName, u64)> {
        lock(&self.latest).samples.iter().map(|(node, count)| (node.clone(), *count)).collect()
    }
}

fn lock(latest: &Mutex<Latest>) -> std::sync::MutexGuard<'_, Latest> {
    // Whoever panicked while holding it left at worst one old report.
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(mut probe: NodeProbe, latest: Arc<Mutex<Latest>>, recorder: Recorder) {
    let mut ticks = interval(probe.period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Observation> = None;
    loop {
        ticks.tick().await;
        let report = probe.ask().await;
        let at = recorder.now();
        let observation = Observation {
            at,
            node: report.node.clone(),
            tier: report.tier.clone(),
            role: report.role(),
            epoch: report.epoch(),
            view: report.view(),
        };
        {
            let mut latest = lock(&latest);
            *latest.samples.entry(report.node.clone()).or_default() += 1;
            latest.reports.insert(report.node.clone(), (at, report));
        }
        let changed = last.as_ref().is_none_or(|last| Observation { at: last.at, ..observation.clone() } != *last);
        if changed {
            recorder.record(Event::Observed(observation.clone()));
            last = Some(observation);
        }
    }
}

/// The period in which whoever waits on an observer should look again.
pub const LOOK_PERIOD: Duration = Duration::from_millis(100);
