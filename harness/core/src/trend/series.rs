//! Many runs in the order of time: what a history is drawn from.

use super::flake::{Flake, flakes};
use super::{Cell, Comparison, Measure, Run, compare};
use crate::verdict::{Conclusion, Judgement, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// At most so many runs are the newest ones that are compared with those before them: more, and what happened last
/// night would be lost among them.
const NEWEST_MAX: usize = 10;

/// A run on the axis of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunPoint {
    /// Name of its folder.
    pub run: String,
    /// Wall clock of the start, as the run wrote it.
    pub started: String,
    /// Name of the agreement.
    pub sla: String,
    /// What it came to.
    pub conclusion: Conclusion,
}

/// A fault of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// Place of its run in [`Series::runs`].
    pub run: usize,
    /// The judgement on it.
    pub judgement: Judgement,
    /// Its measures. One that is none did not come about before its deadline; one that was not seen is not there.
    pub values: BTreeMap<Measure, Option<f64>>,
}

/// A cell over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CellSeries {
    /// Which.
    pub cell: Cell,
    /// Its repeats, the oldest first.
    pub points: Vec<Point>,
}

/// One drill on one topology over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// Name of the topology.
    pub topology: String,
    /// Name of the drill or profile.
    pub drill: String,
    /// The runs, the oldest first.
    pub runs: Vec<RunPoint>,
    /// The cells, by name.
    pub cells: Vec<CellSeries>,
    /// How steady the judgements on cells and of checkers are, the least steady first.
    pub flakes: Vec<Flake>,
    /// How many of the runs are the newest ones.
    pub newest: usize,
    /// The newest runs against those before them; none where there is only one run.
    pub trend: Option<Comparison>,
}

/// Sorts runs by drill and topology and by time. The newest `newest` runs of each are compared with those before them;
/// without it a third of them, at least one and at most ten.
pub fn series(runs: &[Run], newest: Option<usize>) -> Vec<Series> {
    let mut groups: BTreeMap<(&str, &str), Vec<(&str, &Verdict)>> = BTreeMap::new();
    for run in runs {
        for verdict in &run.verdicts {
            groups.entry((&verdict.topology, &verdict.drill)).or_default().push((&run.name, verdict));
        }
    }
    groups
        .into_iter()
        .map(|((topology, drill), mut verdicts)| {
            // RFC 3339 in UTC sorts as text.
            verdicts.sort_by(|(a, x), (b, y)| (&x.started, a).cmp(&(&y.started, b)));
            one(topology, drill, &verdicts, newest)
        })
        .collect()
}

fn one(topology: &str, drill: &str, verdicts: &[(&str, &Verdict)], newest: Option<usize>) -> Series {
    let newest = newest.unwrap_or((verdicts.len() / 3).clamp(1, NEWEST_MAX)).clamp(1, verdicts.len());
    let run = |(name, verdict): &(&str, &Verdict)| Run { name: (*name).to_owned(), verdicts: vec![(*verdict).clone()] };
    let (before, after) = verdicts.split_at(verdicts.len() - newest);
    let side = |verdicts: &[(&str, &Verdict)]| verdicts.iter().map(run).collect::<Vec<Run>>();
    Series {
        topology: topology.to_owned(),
        drill: drill.to_owned(),
        runs: verdicts.iter().map(|(name, verdict)| run_point(name, verdict)).collect(),
        cells: cells(verdicts),
        flakes: flakes(verdicts.iter().map(|(_, verdict)| *verdict)),
        newest,
        trend: (!before.is_empty()).then(|| compare(&side(before), &side(after))),
    }
}

fn run_point(name: &str, verdict: &Verdict) -> RunPoint {
    RunPoint {
        run: name.to_owned(),
        started: verdict.started.clone(),
        sla: verdict.sla.clone(),
        conclusion: verdict.conclusion,
    }
}

fn cells(verdicts: &[(&str, &Verdict)]) -> Vec<CellSeries> {
    let mut cells: BTreeMap<Cell, Vec<Point>> = BTreeMap::new();
    for (run, (_, verdict)) in verdicts.iter().enumerate() {
        for step in &verdict.steps {
            let value = |measure: Measure| {
                let value = measure.of(step)?;
                Some((measure, value.is_finite().then_some(value)))
            };
            let values = Measure::ALL.into_iter().filter_map(value).collect();
            cells.entry(Cell::of(step)).or_default().push(Point { run, judgement: step.judgement, values });
        }
    }
    cells.into_iter().map(|(cell, points)| CellSeries { cell, points }).collect()
}
