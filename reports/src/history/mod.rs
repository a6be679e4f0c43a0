//! Many runs on one page: what became of every drill and every cell over time, and whether the newest runs are worse
//! than those before them. One HTML file that needs nothing else, and the same as JSON.

mod view;

use crate::json::pretty;
use crate::{ReportError, units};
use askama::Template;
use firedrill_core::trend::{Outcome, Series};
use schemars::JsonSchema;
use serde::Serialize;
use view::{GroupView, Sign};

/// The style sheets, which go into the file: that of a run's report, and what only this page has.
const STYLES: [&str; 2] = [include_str!("../../templates/report.css"), include_str!("../../templates/history.css")];

/// Version of the history's JSON form.
pub const HISTORY_VERSION: u32 = 1;

/// A folder that is not in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeftOut {
    /// Which.
    pub folder: String,
    /// Why.
    pub why: String,
}

/// What a history is made of.
#[derive(Debug, Clone, Copy)]
pub struct HistoryInput<'a> {
    /// Drills on topologies over time.
    pub series: &'a [Series],
    /// Folders that could not be read.
    pub left_out: &'a [LeftOut],
}

/// Renders the page. The same input gives the same bytes; of very many runs the newest ones are drawn.
///
/// # Errors
/// Where the template or a plot fails, which is a defect.
pub fn render(input: HistoryInput<'_>) -> Result<String, ReportError> {
    let groups = input.series.iter().enumerate().map(|(place, series)| view::group(place + 1, series));
    let outcomes = || input.series.iter().filter_map(|series| series.trend.as_ref()).map(|trend| trend.outcome);
    let outcome =
        [Outcome::Regression, Outcome::NoRegression].into_iter().find(|wanted| outcomes().any(|o| o == *wanted));
    let runs: usize = input.series.iter().map(|series| series.runs.len()).sum();
    let left_out = |of: &LeftOut| LeftOut { folder: units::clean(&of.folder), why: units::clean(&of.why) };
    let page = Page {
        styles: STYLES,
        sign: Sign::of_outcome(outcome.unwrap_or(Outcome::NothingTold)),
        lead: format!(
            "{} of {}.",
            units::plural(runs as u64, "verdict", "verdicts"),
            units::plural(input.series.len() as u64, "drill", "drills")
        ),
        groups: groups.collect::<Result<_, _>>()?,
        left_out: input.left_out.iter().map(left_out).collect(),
    };
    let html = page.render()?;
    // Lines of the template's own logic leave empty lines behind.
    let lines = html.lines().map(str::trim_end).filter(|line| !line.is_empty());
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// The same data as JSON: every run, every cell, every repeat, and the comparisons.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn json(input: HistoryInput<'_>) -> Result<String, ReportError> {
    pretty(&History { version: HISTORY_VERSION, series: input.series, left_out: input.left_out })
}

/// The JSON Schema of what [`json`] writes.
pub fn json_schema() -> String {
    firedrill_core::schema::of::<History<'static>>()
}

/// Runs over time, drill by drill.
#[derive(Serialize, JsonSchema)]
struct History<'a> {
    /// [`HISTORY_VERSION`].
    version: u32,
    /// Drills on topologies over time.
    series: &'a [Series],
    /// Folders that could not be read.
    left_out: &'a [LeftOut],
}

#[derive(Template)]
#[template(path = "history.html")]
struct Page {
    styles: [&'static str; 2],
    sign: Sign,
    lead: String,
    groups: Vec<GroupView>,
    left_out: Vec<LeftOut>,
}
