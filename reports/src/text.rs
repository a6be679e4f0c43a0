//! The verdict for a terminal: plain text, no boxes, no colours (the caller colours).

use crate::layout::{aligned, columns, wrap};
use crate::units;
use firedrill_core::verdict::{Conclusion, Judgement, StepVerdict, Verdict};

/// Narrower than this, and text is laid out as if it were this wide.
pub(crate) const WIDTH_MIN: usize = 40;
/// Below this the table of steps does not fit and becomes a list.
const TABLE_WIDTH: usize = 90;

/// The verdict in at most `width` columns (long words stay whole); the last line is the verdict.
pub fn summary(verdict: &Verdict, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let mut lines = Vec::new();
    let head = format!(
        "{} on {}, {} of load, seed {}, run {}",
        verdict.drill,
        verdict.topology,
        units::duration(verdict.totals.load_ms),
        verdict.seed,
        verdict.run
    );
    wrap(&mut lines, "", &units::clean(&head), width);
    lines.push(String::new());
    if verdict.steps.is_empty() {
        lines.push("No step was executed.".to_owned());
    } else if width >= TABLE_WIDTH && table(&verdict.steps).iter().all(|l| columns(l) <= width) {
        lines.extend(table(&verdict.steps));
    } else {
        list(&mut lines, &verdict.steps, width);
    }
    lines.push(String::new());
    checks(&mut lines, verdict, width);
    wrap(&mut lines, "", &totals(verdict), width);
    if !verdict.reasons.is_empty() {
        lines.push(String::new());
    }
    for reason in &verdict.reasons {
        wrap(&mut lines, "- ", &units::clean(reason), width);
    }
    lines.push(String::new());
    lines.push(last_line(verdict));
    lines.push(String::new());
    lines.join("\n")
}

fn last_line(verdict: &Verdict) -> String {
    let against = units::clean(&verdict.sla);
    match verdict.conclusion {
        Conclusion::Certified => format!("CERTIFIED: it held against {against}."),
        Conclusion::Violated => format!("VIOLATED: it did not hold against {against}."),
        Conclusion::Inconclusive => format!("INCONCLUSIVE: it cannot be said against {against}."),
    }
}

fn totals(verdict: &Verdict) -> String {
    let t = &verdict.totals;
    format!(
        "{} in {}: {} acknowledged, {} rejected, {} in doubt ({} found applied), {} not applied, {} lost.",
        units::plural(t.operations, "purchase", "purchases"),
        units::plural(t.attempts, "exchange", "exchanges"),
        units::count(t.acknowledged),
        units::count(t.rejected),
        units::count(t.in_doubt),
        units::count(t.recovered),
        units::count(t.not_applied),
        units::count(t.lost)
    )
}

fn checks(lines: &mut Vec<String>, verdict: &Verdict, width: usize) {
    for check in &verdict.checks {
        let prefix = format!("{:<8}", word(check.judgement));
        wrap(lines, &prefix, &units::clean(&format!("{}: {}", check.checker, check.reason)), width);
    }
    if !verdict.checks.is_empty() {
        lines.push(String::new());
    }
}

pub(crate) fn word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Pass => "pass",
        Judgement::Unknown => "UNKNOWN",
        Judgement::Fail => "FAIL",
    }
}

fn row(step: &StepVerdict) -> [String; 9] {
    [
        (step.step.0 + 1).to_string(),
        units::step_name(step),
        units::clean(&units::joined(&step.nodes)),
        units::maybe_bracket(step.outage.as_ref()),
        units::recovery_time(&step.recovery),
        units::count(step.errors),
        units::duration(step.p99_ms),
        units::count(step.lost),
        word(step.judgement).to_owned(),
    ]
}

/// Whether a column is of numbers, which are aligned to the right.
const RIGHT: [bool; 9] = [true, false, false, true, true, true, true, true, false];

fn table(steps: &[StepVerdict]) -> Vec<String> {
    let head = ["#", "step", "nodes", "outage", "recovery", "errors", "p99", "lost", "judgement"];
    let rows: Vec<[String; 9]> = std::iter::once(head.map(str::to_owned)).chain(steps.iter().map(row)).collect();
    aligned(&rows, RIGHT)
}

fn list(lines: &mut Vec<String>, steps: &[StepVerdict], width: usize) {
    for step in steps {
        let [number, name, nodes, outage, recovery, errors, p99, lost, judgement] = row(step);
        wrap(lines, &format!("{number}. "), &format!("{judgement}: {name} ({nodes})"), width);
        let numbers = format!("outage {outage}, recovery {recovery}, {errors} errors, p99 {p99}, {lost} lost");
        wrap(lines, "   ", &numbers, width);
    }
}
