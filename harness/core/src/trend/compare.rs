//! Two groups of runs, cell by cell and measure by measure.

use super::flake::{Flake, flakes};
use super::hard::{self, Hard};
use super::multiple;
use super::rank::{self, RankTest};
use super::{Cell, Measure, Run};
use crate::verdict::Verdict;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the comparison's JSON form.
pub const COMPARISON_VERSION: u32 = 1;

/// How often a change may be found in a shop that has not changed: the level of all tests together.
pub const LEVEL: f64 = 0.05;

/// What became of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// No change was found that matters, with repeats enough to have found a clear one.
    Same,
    /// Less than before, by so much that it matters.
    Better,
    /// More than before, by so much that it matters.
    Worse,
    /// Not even the clearest change could have been told from chance.
    TooFewToTell,
}

/// A measure on one side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Summary {
    /// How many repeats have it.
    pub n: usize,
    /// In how many runs.
    pub runs: usize,
    /// Median of a duration, mean of a count or share. None where it is infinite: not before its deadline.
    pub centre: Option<f64>,
    /// The least; none as above.
    pub min: Option<f64>,
    /// The greatest; none as above.
    pub max: Option<f64>,
}

/// A measure of a cell on both sides. Numbers are in the unit at the end of the measure's name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// Which.
    pub measure: Measure,
    /// In one word.
    pub changed: Changed,
    /// What it was.
    pub baseline: Summary,
    /// What it is.
    pub candidate: Summary,
    /// By how much the candidate is greater. None where it is infinite.
    pub shift: Option<f64>,
    /// Between which numbers that lies with a confidence of 95 %, for this measure alone. None where there are too few
    /// repeats to bound it, where a bound is infinite, and of what is counted.
    pub shift_between: Option<(f64, f64)>,
    /// Two-sided probability of such a difference, or a greater one, by chance alone.
    pub p: f64,
    /// The same with the number of questions taken into account; none where it could not have been answered.
    pub p_adjusted: Option<f64>,
    /// How many repeats it takes on both sides, where there are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_needed: Option<usize>,
}

/// A cell that both sides have.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CellChange {
    /// Which.
    pub cell: Cell,
    /// Its measures, in the order of [`Measure::ALL`]; those that one side has not are left out.
    pub changes: Vec<Change>,
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing became worse that could be told.
    NoRegression,
    /// Something became worse.
    Regression,
    /// Not one measure of one cell could be told.
    NothingTold,
}

/// Runs of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Side {
    /// Their names.
    pub runs: Vec<String>,
    /// How many verdicts they brought.
    pub verdicts: usize,
}

/// Two groups of runs, compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// [`COMPARISON_VERSION`].
    pub version: u32,
    /// What it came to.
    pub outcome: Outcome,
    /// What is compared with.
    pub baseline: Side,
    /// What is compared.
    pub candidate: Side,
    /// [`LEVEL`].
    pub level: f64,
    /// How many questions the tests together have answered.
    pub tests: usize,
    /// Regressions at once.
    pub hard: Vec<Hard>,
    /// The cells of both sides, by name.
    pub cells: Vec<CellChange>,
    /// Cells that only the baseline has.
    pub only_in_baseline: Vec<Cell>,
    /// Cells that only the candidate has.
    pub only_in_candidate: Vec<Cell>,
    /// What the candidate judges now so, now otherwise.
    pub flakes: Vec<Flake>,
    /// What is to be known about the comparison itself.
    pub notes: Vec<String>,
}

impl Comparison {
    /// The JSON Schema of what `firedrill compare --format json` writes.
    pub fn json_schema() -> String {
        crate::schema::of::<Self>()
    }

    /// The measures with one answer, with their cells.
    pub fn changed(&self, wanted: Changed) -> impl Iterator<Item = (&Cell, &Change)> {
        let all = self.cells.iter().flat_map(|of| of.changes.iter().map(move |change| (&of.cell, change)));
        all.filter(move |(_, change)| change.changed == wanted)
    }
}

/// Compares runs with the ones before them.
pub fn compare(baseline: &[Run], candidate: &[Run]) -> Comparison {
    let (before, after) = (samples(baseline), samples(candidate));
    let mut questions: Vec<Question<'_>> = Vec::new();
    for (key, a) in &before {
        if let Some(b) = after.get(key)
            && let Some(test) = rank::mann_whitney(&a.values, &b.values)
        {
            questions.push(Question { cell: &key.0, measure: key.1, a, b, test });
        }
    }
    let family = Family::of(&questions);
    let mut cells: Vec<CellChange> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let change = family.answer(question, index);
        match cells.last_mut().filter(|of| of.cell == *question.cell) {
            Some(of) => of.changes.push(change),
            None => cells.push(CellChange { cell: question.cell.clone(), changes: vec![change] }),
        }
    }
    let names = |samples: &Samples| -> BTreeSet<Cell> { samples.keys().map(|(cell, _)| cell.clone()).collect() };
    let (a, b) = (names(&before), names(&after));
    let mut comparison = Comparison {
        version: COMPARISON_VERSION,
        outcome: Outcome::NoRegression,
        baseline: side(baseline),
        candidate: side(candidate),
        level: LEVEL,
        tests: family.adjusted.len(),
        hard: hard::regressions(baseline, candidate),
        cells,
        only_in_baseline: a.difference(&b).cloned().collect(),
        only_in_candidate: b.difference(&a).cloned().collect(),
        flakes: flakes(candidate.iter().flat_map(|run| &run.verdicts)),
        notes: notes(baseline, candidate),
    };
    comparison.flakes.retain(|flake| flake.differing > 0);
    comparison.outcome = outcome(&comparison);
    comparison
}

fn outcome(comparison: &Comparison) -> Outcome {
    let any = |wanted| comparison.changed(wanted).next().is_some();
    if !comparison.hard.is_empty() || any(Changed::Worse) {
        Outcome::Regression
    } else if any(Changed::Same) || any(Changed::Better) {
        Outcome::NoRegression
    } else {
        Outcome::NothingTold
    }
}

fn side(runs: &[Run]) -> Side {
    let names = runs.iter().map(|run| run.name.clone());
    Side { runs: names.collect(), verdicts: runs.iter().map(|run| run.verdicts.len()).sum() }
}

/// The repeats of a measure on one side.
#[derive(Debug, Default)]
struct Sample {
    values: Vec<f64>,
    runs: BTreeSet<usize>,
}

type Samples = BTreeMap<(Cell, Measure), Sample>;

fn samples(runs: &[Run]) -> Samples {
    let mut samples = Samples::new();
    for (index, run) in runs.iter().enumerate() {
        for step in run.verdicts.iter().flat_map(|verdict| &verdict.steps) {
            for measure in Measure::ALL {
                if let Some(value) = measure.of(step) {
                    let sample = samples.entry((Cell::of(step), measure)).or_default();
                    sample.values.push(value);
                    sample.runs.insert(index);
                }
            }
        }
    }
    samples
}

/// A measure of a cell that both sides have.
struct Question<'a> {
    cell: &'a Cell,
    measure: Measure,
    a: &'a Sample,
    b: &'a Sample,
    test: RankTest,
}

/// All questions of a comparison that could be answered.
struct Family {
    /// By the place of the question.
    adjusted: BTreeMap<usize, f64>,
    /// The level that a change of a single cell must reach.
    level: f64,
    /// The same, had every question repeats enough.
    level_of_all: f64,
}

impl Family {
    fn of(questions: &[Question<'_>]) -> Self {
        let numbered = questions.iter().enumerate();
        let answerable: Vec<(usize, f64)> =
            numbered.filter(|(_, q)| q.test.p_min <= LEVEL).map(|(index, q)| (index, q.test.p)).collect();
        let p: Vec<f64> = answerable.iter().map(|(_, p)| *p).collect();
        let adjusted = multiple::adjusted(&p);
        let varied = questions.iter().filter(|question| question.varies()).count();
        Self {
            level: LEVEL / answerable.len().max(1) as f64,
            level_of_all: LEVEL / varied.max(1) as f64,
            adjusted: answerable.into_iter().map(|(index, _)| index).zip(adjusted).collect(),
        }
    }

    fn answer(&self, question: &Question<'_>, index: usize) -> Change {
        let Question { measure, a, b, test, .. } = question;
        let shift = measure.shift(&a.values, &b.values);
        let p_adjusted = self.adjusted.get(&index).copied();
        let found = p_adjusted.is_some_and(|p| p <= LEVEL) && measure.matters(shift, measure.centre(&a.values));
        let seen = rank::smallest_p(a.values.len(), b.values.len()) <= self.level;
        let changed = match (found, test.p_greater < test.p_less) {
            // The mean may go one way and the ranks the other: then neither is told.
            (true, true) if shift > 0.0 => Changed::Worse,
            (true, false) if shift < 0.0 => Changed::Better,
            _ if seen => Changed::Same,
            _ => Changed::TooFewToTell,
        };
        let between = rank::shift_interval(&a.values, &b.values, LEVEL).filter(|_| measure.is_duration());
        Change {
            measure: *measure,
            changed,
            baseline: summary(*measure, a),
            candidate: summary(*measure, b),
            shift: finite(shift),
            shift_between: between.filter(|(low, high)| low.is_finite() && high.is_finite()),
            p: test.p,
            p_adjusted,
            n_needed: (changed == Changed::TooFewToTell).then(|| rank::repeats_needed(self.level_of_all)),
        }
    }
}

impl Question<'_> {
    /// Whether there is any difference at all between its values.
    fn varies(&self) -> bool {
        let mut all = self.a.values.iter().chain(&self.b.values);
        all.next().is_some_and(|first| all.any(|value| value != first))
    }
}

fn summary(measure: Measure, sample: &Sample) -> Summary {
    let fold = |pick: fn(f64, f64) -> f64| sample.values.iter().copied().reduce(pick).and_then(finite);
    Summary {
        n: sample.values.len(),
        runs: sample.runs.len(),
        centre: finite(measure.centre(&sample.values)),
        min: fold(f64::min),
        max: fold(f64::max),
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Loads that differ by less are the same: gaps drawn by chance make 6 % of a smoke's few hundred purchases.
const LOADS_ALIKE_PERCENT: f64 = 15.0;

/// What a verdict calls something by.
type NameOf = fn(&Verdict) -> &str;

fn notes(baseline: &[Run], candidate: &[Run]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, runs) in [("baseline", baseline), ("candidate", candidate)] {
        match runs.len() {
            0 => notes.push(format!("the {name} has no run that could be read")),
            1 => notes.push(format!(
                "the {name} is one run: what was different about its night looks as if the shop had changed; \
                 repeat it"
            )),
            _ => {}
        }
    }
    let sets: [(&str, NameOf); 2] = [("topology", |verdict| &verdict.topology), ("agreement", |verdict| &verdict.sla)];
    for (what, of) in sets {
        let names = |runs: &[Run]| -> BTreeSet<String> {
            runs.iter().flat_map(|run| &run.verdicts).map(|verdict| of(verdict).to_owned()).collect()
        };
        let (a, b) = (names(baseline), names(candidate));
        if a != b && !a.is_empty() && !b.is_empty() {
            let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!("the {what} is not the same: {} and {}", list(a), list(b)));
        }
    }
    notes.extend(other_parameters(baseline, candidate));
    if let (Some(a), Some(b)) = (purchases_per_min(baseline), purchases_per_min(candidate))
        && (a - b).abs() > a.min(b) * LOADS_ALIKE_PERCENT / 100.0
    {
        notes.push(format!(
            "the load is not the same: {a:.0} and {b:.0} purchases a minute (medians); what became slower or rarer may \
             be that"
        ));
    }
    notes
}

/// Cells whose faults were not the same: a longer delay is not a slower shop.
fn other_parameters(baseline: &[Run], candidate: &[Run]) -> Vec<String> {
    let of = |runs: &[Run]| {
        let mut cells: BTreeMap<Cell, BTreeSet<String>> = BTreeMap::new();
        for step in runs.iter().flat_map(|run| &run.verdicts).flat_map(|verdict| &verdict.steps) {
            cells.entry(Cell::of(step)).or_default().insert(step.parameters.clone());
        }
        cells
    };
    let after = of(candidate);
    let differing = of(baseline).into_iter().filter_map(|(cell, a)| {
        let b = after.get(&cell).filter(|b| **b != a)?;
        let said = |all: &BTreeSet<String>| {
            let words = all.iter().map(|one| if one.is_empty() { "none" } else { one });
            words.collect::<Vec<_>>().join("; ")
        };
        Some(format!("the parameters of {cell} are not the same: {} and {}", said(&a), said(b)))
    });
    differing.collect()
}

/// How many purchases were asked for in a minute: the median of all verdicts that had a load.
fn purchases_per_min(runs: &[Run]) -> Option<f64> {
    let totals = runs.iter().flat_map(|run| &run.verdicts).map(|verdict| &verdict.totals);
    let loaded = totals.filter(|totals| totals.operations + totals.refused > 0 && totals.load_ms > 0.0);
    let rates: Vec<f64> =
        loaded.map(|totals| (totals.operations + totals.refused) as f64 * 60e3 / totals.load_ms).collect();
    (!rates.is_empty()).then(|| rank::median(rates))
}
