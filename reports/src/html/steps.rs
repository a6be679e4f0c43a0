//! One section for every step.

use super::records::Records;
use super::view::{Badge, Fact, LogView, OpRef, maybe_instant};
use crate::plot::{self, Lane, Mark, Purchase, Span};
use crate::{ReportError, ReportInput, units};
use firedrill_core::history::{At, Operation, OperationOutcome, Operations};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::StepVerdict;

/// How many operations stand behind one number.
const RECORDS_MAX: usize = 8;
/// How many log lines a step shows.
const LOGS_MAX: usize = 40;
/// Log lines this long before and after a step's window belong to it, in seconds.
const LOGS_PAD_S: f64 = 5.0;
/// How many nodes the lanes of a step show.
const LANES_MAX: usize = 10;

/// A step.
#[derive(Debug)]
pub(super) struct StepView {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) tier: String,
    pub(super) nodes: String,
    pub(super) window: String,
    pub(super) badge: Badge,
    pub(super) reasons: Vec<String>,
    pub(super) parameters: String,
    pub(super) proof: String,
    pub(super) effective: Option<String>,
    pub(super) facts: Vec<Fact>,
    pub(super) milestones: Vec<Milestone>,
    pub(super) zoom: String,
    pub(super) lanes: Option<String>,
    pub(super) logs: Vec<LogView>,
    pub(super) more_logs: usize,
}

/// An instant of the recovery.
#[derive(Debug)]
pub(super) struct Milestone {
    /// As in the plot.
    pub(super) letter: char,
    pub(super) name: &'static str,
    pub(super) at: String,
    /// How long it took, and since when.
    pub(super) after: String,
    pub(super) since: &'static str,
    instant: Option<At>,
}

/// The sections of all steps.
pub(super) fn views(
    input: &ReportInput<'_>,
    operations: &Operations,
    records: &mut Records<'_>,
    points_max: usize,
) -> Result<Vec<StepView>, ReportError> {
    let Some(run) = Span::of(input.history, input.verdict) else {
        return Ok(Vec::new());
    };
    let purchases: Vec<Purchase> = operations.iter().filter_map(Purchase::of).collect();
    let lanes = plot::lanes(input.history, input.manifest);
    let limit_ms = input.manifest.sla.response_time.max_ms;
    let view = |step: &StepVerdict| {
        let window = Span { from: step.from.as_s(), to: step.until.as_s() };
        let span = window.padded((window.length() * 0.12).max(3.0), run);
        let milestones = milestones(step);
        let marks: Vec<Mark> =
            milestones.iter().filter_map(|m| Some(Mark { at_s: m.instant?.as_s(), letter: m.letter })).collect();
        let near = near_lanes(&lanes, step, span);
        let one = std::slice::from_ref(step);
        let (logs, more_logs) = logs(input, window);
        Ok(StepView {
            number: step.step.0 + 1,
            name: units::step_name(step),
            tier: units::clean(step.tier.as_str()),
            nodes: units::clean(&units::joined(&step.nodes)),
            window: format!("{} to {}", units::instant(step.from), units::instant(step.until)),
            badge: Badge::of(step.judgement),
            reasons: step.reasons.iter().map(|reason| units::clean(reason)).collect(),
            parameters: units::clean(&step.parameters),
            proof: units::clean(&step.proof),
            effective: step.effective.map(units::instant),
            facts: facts(step, operations, records),
            zoom: plot::zoom(&purchases, step, &marks, span, limit_ms, points_max)?,
            lanes: if near.is_empty() { None } else { Some(plot::roles(&near, one, span)?) },
            milestones,
            logs,
            more_logs,
        })
    };
    input.verdict.steps.iter().map(view).collect()
}

/// The nodes of the step's tier, and every other whose role changed in the window.
fn near_lanes(lanes: &[Lane], step: &StepVerdict, span: Span) -> Vec<Lane> {
    let changed = |lane: &Lane| lane.roles.iter().skip(1).any(|(s, _)| span.has(*s));
    let near = lanes.iter().filter(|lane| lane.tier == step.tier || changed(lane));
    near.take(LANES_MAX).cloned().collect()
}

fn milestones(step: &StepVerdict) -> Vec<Milestone> {
    let effect = step.effective.unwrap_or(step.from);
    let (injection, undo) = (Some(step.from), step.healed);
    let after = |base: Option<At>, ms: Option<f64>| {
        base.zip(ms.filter(|ms| ms.is_finite())).map(|(at, ms)| at.plus_ms(ms.max(0.0) as u64))
    };
    let recovery = &step.recovery;
    let detect_ms = step.effective.map(|at| at.ms_since(step.from));
    let held_ms = undo.map(|at| at.ms_since(step.from));
    let since_effect = |ms| (after(Some(effect), ms), ms);
    let (noticed, noticed_ms) = since_effect(recovery.detected_ms);
    let (promoted, promoted_ms) = since_effect(recovery.promoted_ms);
    let (rerouted, rerouted_ms) = since_effect(recovery.rerouted_ms);
    let (sale, sale_ms) = since_effect(recovery.first_sale_ms);
    let (restored, restored_ms) = since_effect(recovery.restored_ms);
    let whole = after(undo, recovery.whole_ms);
    let effect = "after the effect";
    [
        ('I', "fault injected", injection, None, ""),
        ('E', "effect seen", step.effective, detect_ms, "after the injection"),
        ('D', "noticed by another node", noticed, noticed_ms, effect),
        ('P', "role taken over", promoted, promoted_ms, effect),
        ('T', "proxies turned", rerouted, rerouted_ms, effect),
        ('S', "first sale", sale, sale_ms, effect),
        ('R', "served without errors", restored, restored_ms, effect),
        ('U', "undo begun", undo, held_ms, "after the injection"),
        ('W', "redundancy whole", whole, recovery.whole_ms, "after the undo"),
    ]
    .map(|(letter, name, instant, ms, since)| Milestone {
        letter,
        name,
        at: maybe_instant(instant),
        after: ms.map(units::duration).unwrap_or_default(),
        since: if ms.is_some() { since } else { "" },
        instant,
    })
    .into()
}

fn facts(step: &StepVerdict, operations: &Operations, records: &mut Records<'_>) -> Vec<Fact> {
    let inside = || operations.iter().filter(|o| (step.from..=step.until).contains(&o.intended));
    let acknowledged = |at: At| operations.iter().find(|o| o.acknowledged_at() == Some(at));
    let around = step.outage.iter().flat_map(|outage| [outage.from, outage.until]);
    let around: Vec<OpId> = around.filter_map(acknowledged).map(|o| o.id).collect();
    let failed = |o: &&Operation| matches!(o.outcome, OperationOutcome::InDoubt | OperationOutcome::NotApplied);
    let failed: Vec<OpId> = inside().filter(failed).map(|o| o.id).take(RECORDS_MAX).collect();
    let erring: Vec<OpId> = inside().filter(|o| o.errors > 0).map(|o| o.id).take(RECORDS_MAX).collect();
    let slowest = inside().filter(|o| o.order().is_some());
    let slowest = slowest.max_by(|a, b| a.latency_ms().total_cmp(&b.latency_ms())).map(|o| o.id);
    let mut refs = |ops: Vec<OpId>| -> Vec<OpRef> { records.name(ops) };
    vec![
        Fact::new("Lost", units::count(step.lost)).alarming_if(step.lost > 0),
        Fact::new("Longest time without a sale", units::maybe_bracket(step.outage.as_ref())).with_records(refs(around)),
        Fact::new("Purchases due", units::count(step.operations)),
        Fact::new("Confirmed", units::count(step.acknowledged)),
        Fact::new("Failed for the buyer", units::count(step.failed)).with_records(refs(failed)),
        Fact::new("Exchanges with an error", units::count(step.errors)).with_records(refs(erring)),
        Fact::new("Median purchase time", units::duration(step.p50_ms)),
        Fact::new("99th percentile", units::duration(step.p99_ms)),
        Fact::new("Longest purchase", units::duration(step.max_ms)).with_records(refs(slowest.into_iter().collect())),
    ]
}

fn logs(input: &ReportInput<'_>, window: Span) -> (Vec<LogView>, usize) {
    let near = |s: f64| s >= window.from - LOGS_PAD_S && s <= window.to + LOGS_PAD_S;
    let mut lines: Vec<_> = input.log_excerpts.iter().filter(|line| near(line.at.as_s())).collect();
    lines.sort_by_key(|line| line.at);
    let view = |line: &&crate::LogLine| LogView {
        at: units::instant(line.at),
        node: units::clean(line.node.as_str()),
        text: units::clean(&line.text),
    };
    let more = lines.len().saturating_sub(LOGS_MAX);
    (lines.iter().take(LOGS_MAX).map(view).collect(), more)
}
