//! What a page says of one run: its steps, its timeline, its checks, and the records behind them.

use super::checks::{self, CheckView};
use super::matrix::{self, MatrixView};
use super::records::{OperationView, Records};
use super::steps::{self, StepView};
use super::timeline::{self, TimelineView};
use crate::{ReportError, ReportInput, units};
use askama::Template;
use firedrill_core::history::Operations;

/// How many operations of one run are written out at most; its history has them all.
const RECORDS_MAX: usize = 400;
/// How many operations a page writes out at most, all its runs together.
const RECORDS_PAGE_MAX: usize = 2_000;
/// How many purchases the plot of a step shows at most.
const POINTS_MAX: usize = 700;
/// How many it shows at least, however many steps there are.
const POINTS_MIN: usize = 200;
/// How many purchases all plots of a page show, before they show fewer each.
const POINTS_PAGE_MAX: usize = 24 * POINTS_MAX;

/// Where a run stands on a page, and how much room it has there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// What its anchors begin with, so that two runs on a page have none in common.
    prefix: String,
    /// Operations that it writes out at most.
    pub(super) records_max: usize,
    /// Purchases that each of its steps shows at most.
    pub(super) points_max: usize,
}

impl Place {
    /// A page of its own.
    pub(super) fn alone(steps: usize) -> Self {
        Self { prefix: String::new(), ..Self::among(1, 1, steps) }
    }

    /// The page of a certificate, as the drill of this number, with as many drills and steps on the page.
    pub(crate) fn among(number: usize, runs: usize, steps: usize) -> Self {
        Self {
            prefix: anchor(number),
            records_max: (RECORDS_PAGE_MAX / runs.max(1)).min(RECORDS_MAX),
            points_max: (POINTS_PAGE_MAX / steps.max(1)).clamp(POINTS_MIN, POINTS_MAX),
        }
    }
}

/// What the anchors of a certificate's drill begin with. Drills are counted from 1.
pub(crate) fn anchor(number: usize) -> String {
    format!("d{number}-")
}

/// A run as a part of a page.
#[derive(Debug, Template)]
#[template(path = "run.html")]
pub(crate) struct RunView {
    /// See [`Place::prefix`].
    prefix: String,
    /// Id of the heading that all of it stands under, with a space; it tells the regions of several runs apart.
    within: String,
    /// Level of its headings where they are not what their elements say.
    h2: &'static str,
    h3: &'static str,
    matrix: MatrixView,
    timeline: Option<TimelineView>,
    steps: Vec<StepView>,
    checks: Vec<CheckView>,
    operations: Vec<OperationView>,
}

impl RunView {
    /// Builds it.
    pub(crate) fn of(input: &ReportInput<'_>, place: Place) -> Result<Self, ReportError> {
        let operations = Operations::of(input.history);
        let mut records = Records::new(&operations, place.records_max);
        let timeline = timeline::view(input, &operations)?;
        let steps = steps::views(input, &operations, &mut records, place.points_max)?;
        let checks = checks::views(input.verdict, &mut records);
        let alone = place.prefix.is_empty();
        Ok(Self {
            within: if alone { String::new() } else { format!("{}title ", place.prefix) },
            h2: if alone { "" } else { " aria-level=\"3\"" },
            h3: if alone { "" } else { " aria-level=\"4\"" },
            prefix: place.prefix,
            matrix: matrix::view(input.verdict),
            timeline,
            steps,
            checks,
            operations: records.views(input.history),
        })
    }
}

/// What the plots of a run leave out, where they do.
pub(crate) fn excerpt(input: &ReportInput<'_>) -> Option<String> {
    let what = "The plots of this report are drawn from one purchase in";
    let rest = "and from those that findings name; the verdict and its numbers are of all.";
    (input.one_in > 1).then(|| format!("{what} {}, {rest}", units::count(input.one_in)))
}

/// The page as it is stored: lines of the templates' own logic leave empty lines behind.
pub(crate) fn tidied(html: &str) -> String {
    let lines = html.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}
