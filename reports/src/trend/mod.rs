//! A comparison of runs: for a terminal, for a pull request, and for programs.

mod markdown;
mod text;

pub use markdown::markdown;
pub use text::text;

use crate::{ReportError, units};
use firedrill_core::trend::{Cell, Change, Changed, Comparison, Flake, HardKind, Measure, Outcome, Repeated, Summary};

/// The comparison as indented JSON with a final newline.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn json(comparison: &Comparison) -> Result<String, ReportError> {
    Ok(serde_json::to_string_pretty(comparison)? + "\n")
}

/// The comparison in one sentence.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let worse = comparison.changed(Changed::Worse).count() as u64;
    let better = comparison.changed(Changed::Better).count() as u64;
    let too_few = comparison.changed(Changed::TooFewToTell).count() as u64;
    let hard = comparison.hard.len() as u64;
    let told = worse + better + comparison.changed(Changed::Same).count() as u64;
    match comparison.outcome {
        Outcome::Regression => {
            let at_once = units::plural(hard, "thing that was never seen before", "things that were never seen before");
            let worse = units::plural(worse, "measure became worse", "measures became worse");
            format!("{at_once}, {worse}, {} better", units::count(better))
        }
        Outcome::NoRegression => {
            let told = units::plural(told, "measure could be told", "measures could be told");
            format!(
                "{told}, none became worse, {} better; {} too few to tell",
                units::count(better),
                units::count(too_few)
            )
        }
        Outcome::NothingTold if comparison.cells.is_empty() => "the two sides have no cell in common".to_owned(),
        Outcome::NothingTold => {
            let needed = comparison.changed(Changed::TooFewToTell).filter_map(|(_, change)| change.n_needed).max();
            let needed = needed.map_or_else(String::new, |n| format!(": {n} repeats on both sides are needed"));
            format!("too few repeats to tell anything{needed}")
        }
    }
}

/// The same as a sentence of its own.
pub(crate) fn sentence(comparison: &Comparison) -> String {
    let text = headline(comparison);
    let mut rest = text.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).chain(['.']).collect()
}

/// The outcome in capitals, as the last line of a terminal and the heading of a summary have it.
pub(crate) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NoRegression => "NO REGRESSION",
        Outcome::Regression => "REGRESSION",
        Outcome::NothingTold => "NOTHING CAN BE TOLD",
    }
}

/// What could not be told and is not the same number on both sides, and how many are.
pub(crate) fn differing(comparison: &Comparison) -> (Vec<(&Cell, &Change)>, u64) {
    let all = comparison.changed(Changed::TooFewToTell);
    let (alike, differing): (Vec<_>, Vec<_>) = all.partition(|(_, change)| change.shift == Some(0.0));
    (differing, alike.len() as u64)
}

/// What became of a measure, in words.
pub(crate) fn changed(changed: Changed) -> &'static str {
    match changed {
        Changed::Same => "same",
        Changed::Better => "better",
        Changed::Worse => "worse",
        Changed::TooFewToTell => "too few to tell",
    }
}

/// A regression at once, in words.
pub(crate) fn hard_kind(kind: HardKind) -> &'static str {
    match kind {
        HardKind::LostOrder => "order lost",
        HardKind::Invariant => "invariant broken",
        HardKind::Conclusion => "conclusion graver",
    }
}

/// A number of a measure with its unit; one that is none never came about in its window.
pub(crate) fn value(measure: Measure, value: Option<f64>) -> String {
    match (measure, value) {
        (_, None) => "never".to_owned(),
        (measure, Some(ms)) if measure.is_duration() => units::duration(ms),
        (Measure::FailedPercent | Measure::NotPassedPercent, Some(percent)) => format!("{} %", short(percent)),
        (_, Some(number)) => short(number),
    }
}

/// One decimal is as much as a mean of some counts has to say; of very little two.
fn short(number: f64) -> String {
    let scale = if number.abs() < 1.0 { 100.0 } else { 10.0 };
    units::number((number * scale).round() / scale)
}

/// By how much, with its sign.
pub(crate) fn shift(measure: Measure, shift: Option<f64>) -> String {
    match shift {
        None => "without bound".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(by) => format!("{}{}", if by > 0.0 { "+" } else { "−" }, value(measure, Some(by.abs()))),
    }
}

/// The centre of a side with its number of repeats.
pub(crate) fn side(measure: Measure, summary: &Summary) -> String {
    format!("{} (n {})", value(measure, summary.centre), summary.n)
}

/// What is to be said beside a change: how sure, or how many it takes.
pub(crate) fn beside(change: &Change) -> String {
    if let Some(n) = change.n_needed {
        return format!("n {n} on both sides needed");
    }
    let between = change.shift_between.map(|(low, high)| {
        format!(", between {} and {}", shift(change.measure, Some(low)), shift(change.measure, Some(high)))
    });
    let p = change.p_adjusted.map_or_else(String::new, |p| format!(", p {}", probability(p)));
    format!("{}{}{p}", shift(change.measure, change.shift), between.unwrap_or_default())
}

/// A probability with as many digits as mean something.
pub(crate) fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// A flake rate: `kill one(web): 3 of 12 not pass (25 %, 9 to 53 % with 95 % confidence)`.
pub(crate) fn flake(flake: &Flake) -> String {
    let what = match &flake.what {
        Repeated::Cell(cell) => cell_name(cell),
        Repeated::Checker(name) => units::clean(name),
    };
    format!(
        "{what}: {} of {} not {} ({:.0} %, {:.0} to {:.0} % with 95 % confidence)",
        flake.differing, flake.repeats, flake.majority, flake.rate_percent, flake.low_percent, flake.high_percent
    )
}

/// `kill primary(postgres)`.
pub(crate) fn cell_name(cell: &Cell) -> String {
    units::clean(&cell.to_string())
}
