//! A short summary for a pull request.

use crate::units;
use firedrill_core::verdict::{Gate, Judgement, StepVerdict, Verdict};
use std::fmt::Write as _;

/// How many reasons are written out; the report has them all.
const REASONS_MAX: usize = 12;

/// The verdict as Markdown: conclusion, reasons, the steps as a table, totals.
pub fn render(verdict: &Verdict) -> String {
    let mut out = String::new();
    push(&mut out, format_args!("## firedrill: {}\n\n", verdict.conclusion));
    let what = format_args!(
        "Drill **{}** on topology **{}**, judged against **{}**. Started {}, {} of load, seed {}.\n\n",
        text(&verdict.drill),
        text(&verdict.topology),
        text(&verdict.sla),
        text(&units::wall_clock(&verdict.started)),
        units::duration(verdict.totals.load_ms),
        verdict.seed,
    )
    .to_string();
    out.push_str(&what);
    for reason in verdict.reasons.iter().take(REASONS_MAX) {
        push(&mut out, format_args!("- {}\n", text(reason)));
    }
    if let Some(more) = verdict.reasons.len().checked_sub(REASONS_MAX).filter(|more| *more > 0) {
        push(&mut out, format_args!("- … and {more} more in the report\n"));
    }
    if !verdict.reasons.is_empty() {
        out.push('\n');
    }
    steps(&mut out, &verdict.steps);
    checks(&mut out, verdict);
    totals(&mut out, verdict);
    out
}

fn steps(out: &mut String, steps: &[StepVerdict]) {
    if steps.is_empty() {
        out.push_str("No step was executed.\n\n");
        return;
    }
    out.push_str("| # | Tier | Fault | Nodes | Outage | Recovery | Errors | p99 | Lost | Judgement |\n");
    out.push_str("|--:|:-----|:------|:------|-------:|---------:|-------:|----:|-----:|:----------|\n");
    for step in steps {
        let row = format_args!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            step.step.0 + 1,
            text(step.tier.as_str()),
            text(&units::step_name(step)),
            text(&units::joined(&step.nodes)),
            units::maybe_bracket(step.outage.as_ref()),
            units::recovery_time(&step.recovery),
            units::count(step.errors),
            units::duration(step.p99_ms),
            units::count(step.lost),
            judgement(step.judgement),
        )
        .to_string();
        out.push_str(&row);
    }
    out.push('\n');
}

fn checks(out: &mut String, verdict: &Verdict) {
    if verdict.checks.is_empty() {
        return;
    }
    out.push_str("| Check | Kind | Judgement | |\n|:------|:-----|:----------|:--|\n");
    for check in &verdict.checks {
        let kind = match check.gate {
            Gate::Invariant => "invariant",
            Gate::Objective => "objective",
            Gate::Precondition => "precondition",
        };
        let (name, reason) = (text(&check.checker), text(&check.reason));
        push(out, format_args!("| {name} | {kind} | {} | {reason} |\n", judgement(check.judgement)));
    }
    out.push('\n');
}

fn totals(out: &mut String, verdict: &Verdict) {
    let t = &verdict.totals;
    let line = format_args!(
        "{} in {}: {} acknowledged, {} rejected, {} in doubt ({} found applied), {} not applied. \
         **{} lost**, {} in money. Run `{}`.\n",
        units::plural(t.operations, "purchase", "purchases"),
        units::plural(t.attempts, "exchange", "exchanges"),
        units::count(t.acknowledged),
        units::count(t.rejected),
        units::count(t.in_doubt),
        units::count(t.recovered),
        units::count(t.not_applied),
        units::count(t.lost),
        units::money(t.lost_cents),
        units::clean(verdict.run.as_str()).replace('`', "'"),
    )
    .to_string();
    out.push_str(&line);
}

/// A judgement; what is not good stands out.
pub(crate) fn judgement(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Pass => "pass",
        Judgement::Unknown => "**unknown**",
        Judgement::Fail => "**FAIL**",
    }
}

/// Writing to a string cannot fail; the one place that says so.
pub(crate) fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(args);
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// Foreign text in a cell or a line: nothing in it is markup.
pub(crate) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in units::clean(raw).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A mention or a reference to an issue out of a node's log would notify people.
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '|' | '`' | '*' | '[' | ']' | '\\' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // Only as emphasis; inside of a word (`pg_1`) it is literal in every dialect that matters.
            '_' => out.push_str("\\_"),
            c => out.push(c),
        }
    }
    out
}
