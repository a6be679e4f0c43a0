//! Preconditions: without them the run says nothing. Everything that is missing makes it unknown, nothing
//! makes it fail.

use super::parts::{Parts, after};
use super::{Evidence, Question, first_stage, numbers};
use crate::digest::Op;
use crate::history::{At, Stage};
use crate::ids::NodeName;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use std::collections::{BTreeMap, BTreeSet};

/// Name in the registry.
pub const NAME: &str = "preconditions";

/// Share of the planned arrivals that must have arrived: less, and the load generator was the bottleneck.
const ARRIVED_SHARE_MIN: f64 = 0.9;

/// A purchase must have been confirmed in this time before a fault, in milliseconds, or there was nothing
/// to be lost. Slow loads get three mean gaps instead.
const ALIVE_MS: f64 = 5_000.0;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Did the load flow, did every fault bite, did somebody look, and is the history whole?",
    gate: Gate::Precondition,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let mut missing: Vec<Finding> = Vec::new();
    missing.extend(whole(evidence));
    missing.extend(void(evidence));
    missing.extend(load(evidence));
    missing.extend(alive(evidence));
    missing.extend(proofs(evidence));
    missing.extend(observers(evidence));
    missing.extend(final_read(evidence));
    let injected = evidence.windows.iter().filter(|window| window.effective.is_some()).count();
    let (judgement, reason) = match missing.first() {
        None => (
            Judgement::Pass,
            format!(
                "{injected} of {} faults proven, {} purchases made",
                evidence.windows.len(),
                evidence.history.operations.len()
            ),
        ),
        Some(first) if missing.len() == 1 => (Judgement::Unknown, first.summary.clone()),
        Some(first) => (Judgement::Unknown, format!("{} (and {} more)", first.summary, missing.len() - 1)),
    };
    let planned = planned_arrivals(evidence).unwrap_or(0.0);
    let numbers = numbers([
        ("steps", evidence.windows.len() as f64),
        ("proven_steps", injected as f64),
        ("planned_arrivals", planned),
        ("arrivals", evidence.demand.dues.len() as f64),
        ("missing", missing.len() as f64),
    ]);
    QUESTION.answer(judgement, reason, missing, numbers)
}

/// The history has its header and its trailer, is not damaged, and was not interrupted.
fn whole(evidence: &Evidence<'_>) -> Vec<Finding> {
    let history = &evidence.history;
    let mut missing: Vec<Finding> = evidence.damage().map(Finding::new).into_iter().collect();
    if history.header().is_none() {
        missing.push(Finding::new("the history has no header"));
    }
    match history.trailer() {
        None => missing.push(Finding::new("the history has no trailer: the run did not come to its planned end")),
        Some(trailer) => {
            let before = history.records;
            if trailer.records != before {
                let text = format!("{before} of {} records are in the history", trailer.records);
                missing.push(Finding::new(text));
            }
        }
    }
    if let Some(at) = first_stage(history, Stage::Interrupted) {
        missing.push(Finding::new("the run was interrupted").with_at(at));
    }
    missing
}

/// Arrivals that were planned; a closed model plans none, and none is too few for it.
fn planned_arrivals(evidence: &Evidence<'_>) -> Option<f64> {
    let begin = first_stage(&evidence.history, Stage::LoadStarted)?;
    let end = first_stage(&evidence.history, Stage::LoadStopped)?;
    let (header, length_s) = (evidence.history.header()?, end.ms_since(begin) / 1e3);
    Some(match &header.load {
        Some(load) => load.planned_in(length_s).unwrap_or(1.0),
        None => header.rate_per_s * length_s,
    })
}

/// The load generator did what was planned.
fn void(evidence: &Evidence<'_>) -> Option<Finding> {
    let void = evidence.history.stages().find(|stage| stage.stage == Stage::LoadVoid)?;
    let finding = Finding::new(format!("the load is void: {}", void.detail)).with_at(void.at);
    Some(finding.with_remedy("give the load generator more cores, or lower the rate"))
}

/// As many purchases arrived as were planned, and some were confirmed.
fn load(evidence: &Evidence<'_>) -> Option<Finding> {
    let Some(planned) = planned_arrivals(evidence) else {
        return Some(Finding::new("begin or end of the load is not in the history"));
    };
    let arrived = evidence.demand.dues.len() as f64;
    if planned <= 0.0 || arrived < ARRIVED_SHARE_MIN * planned {
        let text = format!(
            "{arrived} of {planned:.0} planned purchases arrived, {:.0} % are needed",
            100.0 * ARRIVED_SHARE_MIN
        );
        return Some(Finding::new(text).with_remedy("give the load generator more cores, or lower the rate"));
    }
    if evidence.books.account.acknowledged == 0 {
        return Some(Finding::new("0 purchases were acknowledged: there was nothing to lose"));
    }
    None
}

/// Purchases were confirmed, or answered "sold out", right before every fault and after the last one.
fn alive(evidence: &Evidence<'_>) -> Vec<Finding> {
    let last_before = last_before(evidence);
    let rate_per_s = evidence.history.header().map_or(0.0, |header| header.rate_per_s);
    let alive_ms = if rate_per_s > 0.0 { ALIVE_MS.max(3_000.0 / rate_per_s) } else { ALIVE_MS };
    let injected = || evidence.windows.iter().filter(|window| window.injected);
    let quiet = injected().filter(|window| {
        let last = last_before.get(&window.from).copied().flatten();
        last.is_none_or(|last| window.from.ms_since(last) > alive_ms)
    });
    let mut missing: Vec<Finding> = quiet
        .map(|window| {
            let text =
                format!("{}: no purchase was acknowledged in the {:.0} s before it", window.step, alive_ms / 1e3);
            Finding::new(text).with_at(window.from).with_step(Some(window.step))
        })
        .collect();
    let healed = injected().filter_map(|window| window.recovered).max();
    if let Some(healed) = healed {
        let bought = |op: &Op| op.invoked >= healed && op.served_at().is_some();
        if !evidence.history.operations.iter().any(|(_, op)| bought(op)) {
            let text = "no purchase begun after the last recovery was acknowledged";
            missing.push(Finding::new(text).with_at(healed));
        }
    }
    missing
}

/// For the begin of every window the last time before it at which a buyer was served, in one pass.
fn last_before(evidence: &Evidence<'_>) -> BTreeMap<At, Option<At>> {
    let begins: BTreeSet<At> = evidence.windows.iter().map(|window| window.from).collect();
    if begins.is_empty() {
        return BTreeMap::new();
    }
    // Who was served in the instant of a begin was served before it.
    let mut parts = Parts::at(begins.iter().map(|from| after(*from)));
    let mut last: Vec<Option<At>> = vec![None; parts.count()];
    for served in evidence.history.operations.iter().filter_map(|(_, op)| op.served_at()) {
        let last = &mut last[parts.of(served)];
        *last = (*last).max(Some(served));
    }
    let mut latest = None;
    let until = last.into_iter().map(|last| {
        latest = latest.max(last);
        latest
    });
    begins.into_iter().zip(until).collect()
}

/// Every step came to its trigger, has a proof of its effect, and was undone.
fn proofs(evidence: &Evidence<'_>) -> Vec<Finding> {
    let untriggered = evidence.history.stages().filter(|stage| stage.stage == Stage::Untriggered);
    let mut missing: Vec<Finding> = untriggered
        .map(|stage| {
            let step = stage.step.map_or_else(|| "a step".to_owned(), |step| step.to_string());
            let text = format!("{step}: its trigger never came, nothing was injected: {}", stage.detail);
            Finding::new(text).with_at(stage.at).with_step(stage.step)
        })
        .collect();
    for window in &evidence.windows {
        let finding = |text: String| {
            let named = format!("{}, {} {}: {text}", window.step, window.fault, window.target);
            Finding::new(named)
                .with_at(window.from)
                .with_step(Some(window.step))
                .with_nodes(window.nodes.iter().cloned())
        };
        if let Some(void) = &window.void {
            missing.push(finding(format!("void: {void}")));
        }
        if window.injected && window.recovered.is_none() {
            missing.push(finding("it is not in the history that the fault was undone".to_owned()));
        }
    }
    missing
}

/// Every node that matters was asked at least once: "nothing changed" is not "nobody looked".
fn observers(evidence: &Evidence<'_>) -> Option<Finding> {
    let trailer = evidence.history.trailer()?;
    let samples: BTreeMap<&NodeName, u64> = trailer.samples.iter().map(|(node, count)| (node, *count)).collect();
    let hit = evidence.windows.iter().flat_map(|window| &window.nodes);
    let nodes: BTreeSet<&NodeName> = samples.keys().copied().chain(hit).collect();
    if nodes.is_empty() {
        return Some(Finding::new("0 nodes were observed"));
    }
    let unseen: Vec<NodeName> =
        nodes.into_iter().filter(|node| samples.get(node).copied().unwrap_or(0) == 0).cloned().collect();
    let names = unseen.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
    (!unseen.is_empty()).then(|| Finding::new(format!("0 observations of {names}")).with_nodes(unseen))
}

/// A primary was read completely after the last purchase had ended.
fn final_read(evidence: &Evidence<'_>) -> Option<Finding> {
    let Some(authority) = evidence.history.authority() else {
        return Some(Finding::new("no database that said it was the primary was read completely"));
    };
    let Some(drained) = evidence.history.stages().filter(|stage| stage.stage == Stage::Drained).last() else {
        return Some(Finding::new("it is not in the history that the last purchase had ended"));
    };
    if authority.at < drained.at.max(evidence.history.last_attempt) {
        let text = format!("the final read of {} ended before the last purchase did", authority.source);
        return Some(Finding::new(text).with_at(authority.at));
    }
    None
}
