//! Steps: the time window of every fault, and the judgement on each alone.

use super::conservation::Kind;
use super::demand::{Due, Service, Shares};
use super::sales::Sales;
use super::stats::{Durations, SECONDS_MAX, worst_second};
use super::{Evidence, first_stage};
use crate::digest::Digest;
use crate::fault::Phase;
use crate::history::{At, FaultEvent, Observation, Role, RunHeader, Stage, StageEvent};
use crate::ids::{NodeName, StepId, TierName};
use crate::verdict::{Finding, Judgement, Recovery, StepVerdict};
use crate::words::counted;
use std::collections::BTreeMap;

/// Fewer purchases than this in a window say nothing about it.
pub const OPERATIONS_MIN: usize = 3;

/// An executed step with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Its place in the schedule.
    pub step: StepId,
    /// Name of the fault.
    pub fault: String,
    /// Its parameters as in a drill file; empty where it has none.
    pub parameters: String,
    /// The target as asked.
    pub target: String,
    /// Its tier.
    pub tier: TierName,
    /// The nodes that it was resolved to.
    pub nodes: Vec<NodeName>,
    /// Whether the injection was begun, so that the fault may have been in force.
    pub injected: bool,
    /// When the injection began; for a step that was never injected, its first phase.
    pub from: At,
    /// When the effect was proven.
    pub effective: Option<At>,
    /// When buyers were served again.
    pub restored: Option<At>,
    /// When the undo began.
    pub healed: Option<At>,
    /// When the undo was done and seen.
    pub recovered: Option<At>,
    /// When redundancy was whole again.
    pub whole: Option<At>,
    /// When the deadline for that had passed.
    pub not_whole: Option<At>,
    /// End: whole, not whole, or else the next step, or else the end of the load. A step that was never
    /// injected ends with its last phase.
    pub until: At,
    /// What proved the effect; empty without proof.
    pub proof: String,
    /// Why the step proves nothing, where it does not.
    pub void: Option<String>,
}

impl Window {
    /// Whether an instant lies inside.
    pub fn contains(&self, at: At) -> bool {
        self.from <= at && at <= self.until
    }

    /// Whether the whole tier was hit on purpose. N+1 promises nothing then while the fault is in force.
    fn takes_whole_tier(&self) -> bool {
        self.target.starts_with("all(")
    }
}

/// The executed steps of a history, in the order of the schedule.
pub fn windows(history: &Digest) -> Vec<Window> {
    let mut phases: BTreeMap<StepId, Vec<&FaultEvent>> = BTreeMap::new();
    for event in history.faults() {
        phases.entry(event.step).or_default().push(event);
    }
    let mut of_step: BTreeMap<StepId, Vec<&StageEvent>> = BTreeMap::new();
    for event in history.stages() {
        if let Some(step) = event.step {
            of_step.entry(step).or_default().push(event);
        }
    }
    let none = Vec::new();
    let mut windows: Vec<Window> =
        phases.iter().filter_map(|(step, events)| window(events, of_step.get(step).unwrap_or(&none))).collect();
    let mut next = first_stage(history, Stage::LoadStopped).unwrap_or(history.last_attempt);
    for window in windows.iter_mut().rev() {
        let end = window.whole.or(window.not_whole);
        window.until = if window.injected { end.unwrap_or(next).max(window.from) } else { window.until };
        next = window.from;
    }
    windows
}

fn window(events: &[&FaultEvent], stages: &[&StageEvent]) -> Option<Window> {
    let (first, last) = (events.first()?, events.last()?);
    let phase = |wanted: Phase| events.iter().find(|event| event.phase == wanted);
    let stage = |wanted: Stage| stages.iter().find(|event| event.stage == wanted).map(|event| event.at);
    let injecting = phase(Phase::Injecting);
    let effective = phase(Phase::Effective);
    let resolved = events.iter().rev().find(|event| !event.nodes.is_empty());
    let void = match (injecting, effective) {
        (_, Some(_)) => None,
        (Some(_), None) => Some(format!("injected, but its effect was never proven: {}", last.detail)),
        (None, None) => Some(format!("never injected, last {}: {}", last.phase, last.detail)),
    };
    Some(Window {
        step: first.step,
        fault: first.fault.clone(),
        parameters: first.parameters.clone(),
        target: first.target.clone(),
        tier: last.tier.clone(),
        nodes: resolved.map(|event| event.nodes.clone()).unwrap_or_default(),
        injected: injecting.is_some() || effective.is_some(),
        from: injecting.unwrap_or(first).at,
        effective: effective.map(|event| event.at),
        restored: stage(Stage::ServiceRestored),
        healed: phase(Phase::Recovering).map(|event| event.at),
        recovered: phase(Phase::Recovered).map(|event| event.at),
        whole: stage(Stage::Whole),
        not_whole: stage(Stage::NotWhole),
        until: last.at,
        proof: effective.map(|event| event.detail.clone()).unwrap_or_default(),
        void,
    })
}

impl Finding {
    /// Names the step of a window and the nodes that were hit in it, if it falls into one.
    pub(super) fn in_window(self, window: Option<&Window>) -> Self {
        let nodes = window.map(|window| window.nodes.clone()).unwrap_or_default();
        self.with_step(window.map(|window| window.step)).with_nodes(nodes)
    }
}

/// The step whose window contains an instant.
pub fn step_at(windows: &[Window], at: At) -> Option<&Window> {
    windows.iter().filter(|window| window.injected).find(|window| window.contains(at))
}

/// The step that is to blame for the loss of an order confirmed at `at`: the one whose window contains the
/// confirmation, or else the next one, because what was written before a fault is what the fault loses.
pub fn step_of_loss(windows: &[Window], at: At) -> Option<&Window> {
    windows.iter().filter(|window| window.injected).find(|window| window.until >= at)
}

/// Judges every step alone.
pub fn judge(evidence: &Evidence<'_>) -> Vec<StepVerdict> {
    let index = Index::of(evidence);
    evidence.windows.iter().map(|window| verdict(window, evidence, &index)).collect()
}

/// What the steps look up by time, sorted once.
struct Index {
    sales: Sales,
    error_ends: Vec<At>,
    /// How many orders, and their money in cents.
    lost: BTreeMap<StepId, (u64, i64)>,
}

impl Index {
    fn of(evidence: &Evidence<'_>) -> Self {
        let mut error_ends = evidence.history.error_ends.clone();
        error_ends.sort_unstable();
        let groups = evidence.books.account.groups.iter();
        let lost = groups
            .filter(|((kind, _), _)| *kind == Kind::Lost)
            .filter_map(|((_, step), group)| Some(((*step)?, (group.count, group.cents))));
        let effects = evidence.windows.iter().filter_map(|window| window.effective);
        Self { sales: Sales::of(evidence, effects), error_ends, lost: lost.collect() }
    }

    fn errors(&self, window: &Window) -> u64 {
        let first = self.error_ends.partition_point(|at| *at < window.from);
        let last = self.error_ends.partition_point(|at| *at <= window.until);
        last.saturating_sub(first) as u64
    }
}

fn verdict(window: &Window, evidence: &Evidence<'_>, index: &Index) -> StepVerdict {
    let dues = evidence.demand.between(window.from, window.until);
    let operations = dues.iter().filter_map(|due| due.operation(&evidence.history));
    let mut times = Durations::of(operations.map(|op| op.latency_ms()));
    let (lost, lost_cents) = index.lost.get(&window.step).copied().unwrap_or_default();
    let count = |wanted: Service| dues.iter().filter(|due| due.service == wanted).count() as u64;
    let mut step = StepVerdict {
        step: window.step,
        fault: window.fault.clone(),
        parameters: window.parameters.clone(),
        target: window.target.clone(),
        tier: window.tier.clone(),
        nodes: window.nodes.clone(),
        from: window.from,
        effective: window.effective,
        healed: window.healed,
        until: window.until,
        proof: window.proof.clone(),
        operations: dues.len() as u64,
        acknowledged: count(Service::Sold),
        failed: count(Service::Failed),
        errors: index.errors(window),
        lost,
        lost_cents,
        p50_ms: times.percentile_ms(50.0),
        p99_ms: times.percentile_ms(99.0),
        max_ms: times.max_ms(),
        worst_second_ms: worst_second(seconds(dues, window, &evidence.history)).map(|(_, mean_ms)| mean_ms),
        outage: (window.injected && buys(evidence)).then(|| index.sales.outage(window.from, window.until)).flatten(),
        recovery: recovery(window, evidence, index),
        judgement: Judgement::Pass,
        reasons: Vec::new(),
    };
    let mut reasons = reasons(window, &step, evidence);
    reasons.sort_by_key(|(judgement, _)| std::cmp::Reverse(*judgement));
    step.judgement = reasons.first().map_or(Judgement::Pass, |(judgement, _)| *judgement);
    step.reasons = reasons.into_iter().map(|(_, reason)| reason).collect();
    step
}

/// How long the purchases of a window took, by the second since its begin in which they were due: the sum, and how many.
fn seconds(dues: &[Due], window: &Window, history: &Digest) -> Vec<(f64, u32)> {
    let mut seconds = Vec::new();
    for op in dues.iter().filter_map(|due| due.operation(history)) {
        let place = (op.intended.ms_since(window.from) / 1e3) as usize;
        if place >= seconds.len() && place < SECONDS_MAX {
            seconds.resize(place + 1, (0.0, 0));
        }
        if let Some((sum_ms, count)) = seconds.get_mut(place) {
            *sum_ms += op.latency_ms();
            *count += 1;
        }
    }
    seconds
}

fn recovery(window: &Window, evidence: &Evidence<'_>, index: &Index) -> Recovery {
    let Some(effective) = window.effective else {
        return Recovery::default();
    };
    let since = |at: At| at.ms_since(effective);
    let promoted = promoted(window, &evidence.history);
    Recovery {
        detected_ms: changed(window, &evidence.history, effective, |_| true).map(since),
        promoted_ms: promoted.map(since),
        rerouted_ms: promoted
            .and_then(|promoted| changed(window, &evidence.history, promoted, |seen| seen.tier != window.tier))
            .map(since),
        first_sale_ms: index.sales.first_sale_after(effective).map(since),
        restored_ms: window.restored.map(since),
        whole_ms: window.whole.zip(window.healed).map(|(whole, healed)| whole.ms_since(healed)),
    }
}

/// When a node that was not hit, and that `counts`, first said something else than before, from an instant on.
fn changed(window: &Window, history: &Digest, from: At, counts: impl Fn(&Observation) -> bool) -> Option<At> {
    let spared = |seen: &&Observation| !window.nodes.contains(&seen.node);
    let inside = history.observations().skip_while(|seen| seen.at < from).take_while(|seen| seen.at <= window.until);
    inside.filter(spared).find(|seen| counts(seen)).map(|seen| seen.at)
}

/// When a node that was not hit became primary of the tier, if the fault hit the primary.
fn promoted(window: &Window, history: &Digest) -> Option<At> {
    let mut roles: BTreeMap<&NodeName, Role> = BTreeMap::new();
    let mut hit_primary = None;
    for seen in history.observations().filter(|seen| seen.tier == window.tier) {
        if seen.at > window.until {
            break;
        }
        if seen.at >= window.from {
            let hit = *hit_primary
                .get_or_insert_with(|| window.nodes.iter().any(|node| roles.get(node) == Some(&Role::Primary)));
            let rose = seen.role == Role::Primary && roles.get(&seen.node) != Some(&Role::Primary);
            if hit && rose && !window.nodes.contains(&seen.node) {
                return Some(seen.at);
            }
        }
        roles.insert(&seen.node, seen.role);
    }
    None
}

type Reasons = Vec<(Judgement, String)>;

fn reasons(window: &Window, step: &StepVerdict, evidence: &Evidence<'_>) -> Reasons {
    let mut reasons = Reasons::new();
    if let Some(void) = &window.void {
        reasons.push((Judgement::Unknown, format!("void: {void}")));
    }
    if step.lost > 0 {
        let text = format!("lost: {} confirmed in or before it", counted(step.lost, "acknowledged order"));
        reasons.push((Judgement::Fail, text));
    }
    if window.injected {
        if !evidence.books.account.read {
            reasons.push((Judgement::Unknown, "no complete final read: losses cannot be counted".to_owned()));
        }
        reasons.extend(redundancy(window, evidence));
        if buys(evidence) {
            reasons.extend(service(window, evidence));
            reasons.extend(sales(window, step, evidence));
        } else {
            reasons.push((Judgement::Unknown, "nobody bought: nothing can be said about sales".to_owned()));
        }
    }
    reasons
}

/// Whether anybody was meant to buy. A history without a header is judged as if so.
fn buys(evidence: &Evidence<'_>) -> bool {
    evidence.history.header().is_none_or(RunHeader::has_load)
}

/// N+1: buyers must be served again while the fault is still in force.
fn service(window: &Window, evidence: &Evidence<'_>) -> Option<(Judgement, String)> {
    if window.effective.is_none() || window.takes_whole_tier() {
        return None;
    }
    match (window.restored, window.healed) {
        (Some(restored), Some(healed)) if restored <= healed => None,
        (Some(_), None) => None,
        // An operator's interrupt undoes the last fault early: the stack was not given its time.
        (None, Some(_)) if is_cut_short(window, evidence) => {
            Some((Judgement::Unknown, "interrupted before buyers were served again".to_owned()))
        }
        (_, Some(healed)) => {
            let after_s = healed.ms_since(window.from) / 1e3;
            let text = format!("N+1 broken: no steady sales in {after_s:.1} s, until the fault was undone");
            Some((Judgement::Fail, text))
        }
        (None, None) => Some((Judgement::Unknown, "it was not seen that buyers were served again".to_owned())),
    }
}

/// Whether the run was interrupted in this step.
fn is_cut_short(window: &Window, evidence: &Evidence<'_>) -> bool {
    let is_last = evidence.windows.last().is_some_and(|last| last.step == window.step);
    is_last && first_stage(&evidence.history, Stage::Interrupted).is_some()
}

/// Redundancy must be whole again after the undo.
fn redundancy(window: &Window, evidence: &Evidence<'_>) -> Option<(Judgement, String)> {
    let since_s = |at: At| at.ms_since(window.healed.unwrap_or(window.from)) / 1e3;
    match (window.whole, window.not_whole) {
        (_, Some(deadline)) => {
            Some((Judgement::Fail, format!("not whole again {:.1} s after the undo", since_s(deadline))))
        }
        (None, None) => Some((Judgement::Unknown, "it was not seen whether redundancy became whole again".to_owned())),
        (Some(whole), None) => {
            let limit_s = evidence.sla.recovery.whole_max_ms? / 1e3;
            let took_s = since_s(whole);
            let text = format!("whole again after {took_s:.1} s, promised within {limit_s:.1} s");
            (took_s > limit_s).then_some((Judgement::Fail, text))
        }
    }
}

/// What buyers saw: outage and availability. An outage is judged by the time between two confirmations.
fn sales(window: &Window, step: &StepVerdict, evidence: &Evidence<'_>) -> Reasons {
    let mut reasons = Reasons::new();
    if let (Some(outage), Some(limit_ms)) = (step.outage, evidence.sla.recovery.outage_max_ms) {
        let took_ms = outage.until.ms_since(outage.from);
        if took_ms > limit_ms {
            let text = format!("no sale for {:.1} s, promised at most {:.1} s", took_ms / 1e3, limit_ms / 1e3);
            reasons.push((Judgement::Fail, text));
        }
    }
    let dues = evidence.demand.between(window.from, window.until);
    if dues.len() < OPERATIONS_MIN {
        let text = format!("only {} due in its window, {OPERATIONS_MIN} are needed", counted(dues.len(), "purchase"));
        reasons.push((Judgement::Unknown, text));
        return reasons;
    }
    let short = Shares::of(dues).shortfalls(evidence.sla);
    reasons.extend(short.into_iter().map(|text| (Judgement::Fail, text)));
    reasons
}
