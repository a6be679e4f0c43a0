//! The queue in user space: its rules, its arguments, and what it counted.

use super::traffic::{self, Peers};
use crate::faults::{Done, InjectorError, Site};
use crate::stack::Node;
use crate::toolbox::{Counters, Daemon, Ruleset, Spec, Table};
use firedrill_core::fault::catalogue::network::Traffic;
use firedrill_core::ids::StepId;
use serde::Deserialize;

/// Queue numbers of steps begin here, far from those that others use.
const FIRST_QUEUE: u32 = 0xf000;

/// Steps whose queues differ; the number has 16 bits.
const QUEUES: u32 = 0x1000;

/// Marks of what the queue sends itself begin here: `fd`.
const FIRST_MARK: u32 = 0xfd00_0000;

/// What `fdqueue` counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Counted {
    /// Packets that came.
    pub(crate) packets: u64,
    /// Sent twice.
    pub(crate) duplicated: u64,
    /// Changed.
    pub(crate) corrupted: u64,
    /// Overtaken by a later one of the same flow.
    pub(crate) overtaken: u64,
    /// How long they were held.
    pub(crate) held_us: Times,
}

/// Times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Times {
    /// How many.
    pub(crate) count: u64,
    /// Their mean.
    pub(crate) mean: u64,
    /// The median.
    pub(crate) p50: u64,
    /// 99 of 100 are not longer.
    pub(crate) p99: u64,
}

fn number(step: StepId) -> u32 {
    FIRST_QUEUE + step.0 % QUEUES
}

fn mark(step: StepId) -> u32 {
    FIRST_MARK | (step.0 & 0x00ff_ffff)
}

/// What the toolbox does: the queue, and the rules that lead to it.
pub(super) fn spec(site: &Site<'_>, traffic: &Traffic, peers: &Peers, arguments: Vec<String>) -> Spec {
    let rules = rules(Ruleset::new(&site.stack.run, site.step), site.step, traffic, peers);
    let mut argv = vec!["fdqueue".to_owned()];
    let mut add = |name: &str, value: String| argv.extend([name.to_owned(), value]);
    add("--queue", number(site.step).to_string());
    add("--mark", mark(site.step).to_string());
    add("--seed", (site.seed ^ u64::from(site.step.0)).to_string());
    argv.extend(arguments);
    Spec::of_rules(&rules).with_daemon(Daemon { argv, ready: "fdqueue: ready".to_owned(), counts: true })
}

fn rules(mut rules: Ruleset, step: StepId, traffic: &Traffic, peers: &Peers) -> Ruleset {
    // What the queue sends itself has been there.
    let passed = format!("-m mark --mark {:#x} -j RETURN", mark(step));
    for hook in traffic::hooks(traffic.direction) {
        rules.add(Table::Mangle, *hook, [passed.clone()]);
    }
    traffic::add_rules(&mut rules, Table::Mangle, traffic, peers, |_| {
        vec![format!("-j NFQUEUE --queue-num {} --queue-bypass", number(step))]
    });
    rules
}

/// What the queue counted; an error where it does not run any more.
pub(super) fn read(node: &Node, counters: &Counters) -> Done<Counted> {
    let failed = |what: String| InjectorError::failed(node, format!("the queue {what}"));
    let daemon = counters.daemon.as_ref().ok_or_else(|| failed("was not started".to_owned()))?;
    if !daemon.alive {
        return Err(failed(format!("ended with code {:?}: {}", daemon.code, daemon.last.join(" / "))));
    }
    // It may be busy with packets just then.
    let Some(status) = daemon.status.clone() else { return Ok(Counted::default()) };
    serde_json::from_value(status).map_err(|error| failed(format!("counted in another form: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolbox::DaemonState;
    use firedrill_core::fault::catalogue::network::Direction;

    #[test]
    fn rules_lead_to_the_queue_and_spare_what_it_sends() {
        let peers = traffic::tests::peers_of(false);
        let traffic = Traffic { direction: Direction::Out, ..Traffic::default() };
        let rules = rules(Ruleset::new(&"r1".into(), StepId(3)), StepId(3), &traffic, &peers);
        let text = rules.apply()[0].stdin.clone().expect("rules");
        let comment = "-m comment --comment \"firedrill r1 step 3\"";
        assert_eq!(
            text,
            format!(
                "*mangle\n:FD-3-O - [0:0]\n-I OUTPUT 1 {comment} -j FD-3-O\n\
                 -A FD-3-O {comment} -m mark --mark 0xfd000003 -j RETURN\n\
                 -A FD-3-O {comment} -d 10.0.0.2 -j NFQUEUE --queue-num 61443 --queue-bypass\n\
                 COMMIT\n"
            )
        );
    }

    #[test]
    fn queues_of_steps_differ() {
        assert_eq!(number(StepId(0)), 0xf000);
        assert_eq!(number(StepId(0xfff)), 0xffff);
        assert_ne!(mark(StepId(1)), mark(StepId(2)));
    }

    #[test]
    fn counters_are_read_and_an_ended_queue_is_an_error() {
        let node = traffic::tests::node("a");
        let status = serde_json::json!({
            "packets": 7, "delayed": 7, "duplicated": 0, "corrupted": 1, "overtaken": 2, "unfit": 0, "waiting": 0,
            "passed_by": 0, "drops": 0,
            "held_us": {"count": 7, "mean": 50100, "min": 40000, "p50": 50432, "p99": 59648, "max": 60000},
            "late_us": {"count": 7, "mean": 60, "min": 2, "p50": 50, "p99": 120, "max": 150}
        });
        let daemon = DaemonState { alive: true, code: None, last: Vec::new(), status: Some(status) };
        let mut counters = Counters { rules: Vec::new(), queues: Vec::new(), daemon: Some(daemon) };
        let counted = read(&node, &counters).expect("counted");
        assert_eq!((counted.packets, counted.corrupted, counted.held_us.mean), (7, 1, 50_100));
        let last = vec!["fdqueue: no".to_owned()];
        counters.daemon = Some(DaemonState { alive: false, code: Some(1), last, status: None });
        let error = read(&node, &counters).expect_err("it ended").to_string();
        assert!(error.contains("fdqueue: no"), "{error}");
        counters.daemon = None;
        assert!(read(&node, &counters).is_err());
    }
}
