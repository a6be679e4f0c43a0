//! One drill on one topology, as the page shows it.

use crate::plot::{self, Repeat, Small};
use crate::{ReportError, trend, units};
use firedrill_core::trend::{CellSeries, Change, Changed, Comparison, Measure, Outcome, Point, RunPoint, Series};
use firedrill_core::verdict::{Conclusion, Judgement};

/// How many runs are drawn, the newest ones: more points than this cannot be told apart in a small plot.
const RUNS_MAX: usize = 100;
/// How many flaky judgements are named.
const FLAKES_MAX: usize = 12;
/// What is drawn of a cell.
const DRAWN: [Measure; 3] = [Measure::OutageMs, Measure::ErrorsPercent, Measure::P99Ms];

/// A judgement as colour, sign and word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) class: &'static str,
    pub(super) mark: &'static str,
    pub(super) word: &'static str,
}

impl Sign {
    pub(super) fn of_outcome(outcome: Outcome) -> Self {
        let (class, mark, word) = match outcome {
            Outcome::NoRegression => ("pass", "✓", "No regression"),
            Outcome::Regression => ("fail", "✗", "Regression"),
            Outcome::NothingTold => ("unknown", "?", "Nothing can be told"),
        };
        Self { class, mark, word }
    }

    fn of_conclusion(conclusion: Conclusion) -> Self {
        let (class, mark, word) = match conclusion {
            Conclusion::Certified => ("pass", "✓", "certified"),
            Conclusion::Violated => ("fail", "✗", "violated"),
            Conclusion::Inconclusive => ("unknown", "?", "inconclusive"),
        };
        Self { class, mark, word }
    }

    fn of_judgement(judgement: Judgement) -> Self {
        let (class, mark, word) = match judgement {
            Judgement::Pass => ("pass", "✓", "pass"),
            Judgement::Unknown => ("unknown", "?", "unknown"),
            Judgement::Fail => ("fail", "✗", "fail"),
        };
        Self { class, mark, word }
    }
}

/// A drill on a topology.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) anchor: usize,
    pub(super) name: String,
    pub(super) topology: String,
    pub(super) about: String,
    /// The runs, the oldest first.
    pub(super) strip: Vec<RunView>,
    /// How many older ones are not shown.
    pub(super) older: usize,
    /// The newest runs against those before; none where there is only one.
    pub(super) trend: Option<TrendView>,
    pub(super) cells: Vec<CellView>,
    pub(super) flakes: Vec<String>,
}

/// A run in the strip.
#[derive(Debug)]
pub(super) struct RunView {
    pub(super) name: String,
    pub(super) started: String,
    pub(super) sla: String,
    pub(super) sign: Sign,
    pub(super) newest: bool,
}

/// The newest runs against those before.
#[derive(Debug)]
pub(super) struct TrendView {
    pub(super) sign: Sign,
    pub(super) headline: String,
    pub(super) between: String,
    pub(super) notes: Vec<String>,
    /// What was never seen before: kind, where, what.
    pub(super) hard: Vec<[String; 3]>,
}

/// A cell.
#[derive(Debug)]
pub(super) struct CellView {
    pub(super) anchor: usize,
    pub(super) name: String,
    pub(super) tier: String,
    pub(super) repeats: String,
    pub(super) last: Sign,
    pub(super) changes: Vec<ChangeView>,
    pub(super) plots: Vec<PlotView>,
}

/// A measure that changed.
#[derive(Debug)]
pub(super) struct ChangeView {
    pub(super) class: &'static str,
    pub(super) mark: &'static str,
    pub(super) word: &'static str,
    pub(super) text: String,
}

/// A small plot with its name.
#[derive(Debug)]
pub(super) struct PlotView {
    pub(super) name: &'static str,
    pub(super) last: String,
    pub(super) svg: String,
}

/// The view of a series; `anchor` is its place on the page, from 1.
pub(super) fn group(anchor: usize, series: &Series) -> Result<GroupView, ReportError> {
    let older = series.runs.len().saturating_sub(RUNS_MAX);
    let shown = &series.runs[older..];
    let newest_from = series.runs.len() - series.newest;
    let runs = shown.iter().enumerate().map(|(place, run)| run_view(run, place + older >= newest_from));
    let window = Window { older, shown, newest_from };
    let cells = series.cells.iter().enumerate();
    let cells = cells.map(|(place, cell)| cell_view(place + 1, cell, &window, series.trend.as_ref()));
    let certified = series.runs.iter().filter(|run| run.conclusion == Conclusion::Certified).count() as u64;
    Ok(GroupView {
        anchor,
        name: units::clean(&series.drill),
        topology: units::clean(&series.topology),
        about: format!(
            "{}, {} of them certified; from {} to {}.",
            units::plural(series.runs.len() as u64, "run", "runs"),
            units::count(certified),
            date(series.runs.first()),
            date(series.runs.last()),
        ),
        strip: runs.collect(),
        older,
        trend: series.trend.as_ref().map(|trend| trend_view(trend, series.newest)),
        cells: cells.collect::<Result<_, _>>()?,
        flakes: series.flakes.iter().filter(|of| of.differing > 0).take(FLAKES_MAX).map(trend::flake).collect(),
    })
}

fn run_view(run: &RunPoint, newest: bool) -> RunView {
    RunView {
        name: units::clean(&run.run),
        started: units::clean(&units::wall_clock(&run.started)),
        sla: units::clean(&run.sla),
        sign: Sign::of_conclusion(run.conclusion),
        newest,
    }
}

fn trend_view(trend: &Comparison, newest: usize) -> TrendView {
    let before = trend.baseline.runs.len() as u64;
    TrendView {
        sign: Sign::of_outcome(trend.outcome),
        headline: trend::sentence(trend),
        between: format!(
            "The newest {} against the {} before.",
            units::plural(newest as u64, "run", "runs"),
            units::count(before)
        ),
        notes: trend.notes.iter().map(|note| units::clean(note)).collect(),
        hard: trend
            .hard
            .iter()
            .map(|hard| {
                let sides = units::clean(&format!("{} → {}", hard.baseline, hard.candidate));
                [trend::hard_kind(hard.kind).to_owned(), units::clean(&hard.what), sides]
            })
            .collect(),
    }
}

/// What is drawn of the runs.
struct Window<'a> {
    /// So many are left out at the old end.
    older: usize,
    shown: &'a [RunPoint],
    /// Place among all of the first of the newest.
    newest_from: usize,
}

fn cell_view(
    anchor: usize,
    series: &CellSeries,
    window: &Window<'_>,
    trend: Option<&Comparison>,
) -> Result<CellView, ReportError> {
    let name = trend::cell_name(&series.cell);
    let points: Vec<&Point> = series.points.iter().filter(|point| point.run >= window.older).collect();
    let passed = points.iter().filter(|point| point.judgement == Judgement::Pass).count() as u64;
    let plots = DRAWN.into_iter().map(|measure| plot_view(measure, &name, &points, window));
    let changes = trend.iter().flat_map(|trend| &trend.cells).filter(|of| of.cell == series.cell);
    let telling = |change: &&Change| matches!(change.changed, Changed::Worse | Changed::Better);
    Ok(CellView {
        anchor,
        tier: units::clean(series.cell.tier.as_str()),
        repeats: format!("{} of {} passed", units::count(passed), units::count(points.len() as u64)),
        last: points.last().map_or(Sign::of_judgement(Judgement::Unknown), |point| Sign::of_judgement(point.judgement)),
        changes: changes.flat_map(|of| &of.changes).filter(telling).map(change_view).collect(),
        plots: plots.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        name,
    })
}

fn change_view(change: &Change) -> ChangeView {
    let [before, after] = [&change.baseline, &change.candidate].map(|summary| trend::side(change.measure, summary));
    let worse = change.changed == Changed::Worse;
    let label = change.measure.label();
    ChangeView {
        class: if worse { "fail" } else { "pass" },
        mark: if worse { "▲" } else { "▼" },
        word: trend::changed(change.changed),
        text: format!("{label}: {before} → {after}; {}", trend::beside(change)),
    }
}

/// A plot; none where the measure was never seen.
fn plot_view(
    measure: Measure,
    name: &str,
    points: &[&Point],
    window: &Window<'_>,
) -> Result<Option<PlotView>, ReportError> {
    let repeat = |point: &&Point| {
        let value = *point.values.get(&measure)?;
        Some(Repeat { run: point.run - window.older, value, judgement: point.judgement })
    };
    let repeats: Vec<Repeat> = points.iter().filter_map(repeat).collect();
    let Some(last) = repeats.last() else { return Ok(None) };
    let dates = [date(window.shown.first()), date(window.shown.last())];
    let svg = plot::small(Small {
        measure,
        of: name,
        repeats: &repeats,
        dates: [&dates[0], &dates[1]],
        runs: window.shown.len(),
        newest_from: window.newest_from.saturating_sub(window.older),
    })?;
    Ok(Some(PlotView { name: measure.label(), last: trend::value(measure, last.value), svg }))
}

/// The day of a run.
fn date(run: Option<&RunPoint>) -> String {
    let day = |run: &RunPoint| run.started.split('T').next().map(|day| day.chars().take(10).collect::<String>());
    run.and_then(day).map_or_else(|| units::NONE.to_owned(), |day| units::clean(&day))
}
