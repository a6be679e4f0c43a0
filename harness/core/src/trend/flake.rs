//! How often a judgement is not what it is most of the time.

use super::Cell;
use crate::verdict::{Gate, Judgement, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Of how many standard deviations an interval of 95 % is.
const Z: f64 = 1.959_963_984_540_054;

/// What was judged again and again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeated {
    /// A checker, once a verdict.
    Checker(String),
    /// A cell, once a fault.
    Cell(Cell),
}

/// How steady the judgements of the same thing are.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Flake {
    /// Of what.
    pub what: Repeated,
    /// How often it was judged.
    pub repeats: usize,
    /// What it was judged most often; of two that are as frequent the graver one.
    pub majority: Judgement,
    /// How often it was judged otherwise.
    pub differing: usize,
    /// Their share in percent: the flake rate.
    pub rate_percent: f64,
    /// The share that may be behind it, at least, with a confidence of 95 %.
    pub low_percent: f64,
    /// The same, at most.
    pub high_percent: f64,
}

impl Flake {
    /// The flake rate of judgements of the same thing; none of nothing.
    pub fn of(what: Repeated, judgements: &[Judgement]) -> Option<Self> {
        let count = |wanted: Judgement| judgements.iter().filter(|judgement| **judgement == wanted).count();
        let majority = [Judgement::Pass, Judgement::Unknown, Judgement::Fail].into_iter().max_by_key(|j| count(*j))?;
        let repeats = judgements.len();
        let differing = repeats - count(majority);
        let (low, high) = wilson(differing, repeats)?;
        let rate_percent = differing as f64 * 100.0 / repeats as f64;
        let (low_percent, high_percent) = (low * 100.0, high * 100.0);
        Some(Self { what, repeats, majority, differing, rate_percent, low_percent, high_percent })
    }
}

/// The flake rates of all cells and of all checkers but preconditions, those that are not steady first, by their rate.
pub fn flakes<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Vec<Flake> {
    let mut judged: BTreeMap<Repeated, Vec<Judgement>> = BTreeMap::new();
    for verdict in verdicts {
        for step in &verdict.steps {
            judged.entry(Repeated::Cell(Cell::of(step))).or_default().push(step.judgement);
        }
        for check in verdict.checks.iter().filter(|check| check.gate != Gate::Precondition) {
            judged.entry(Repeated::Checker(check.checker.clone())).or_default().push(check.judgement);
        }
    }
    let mut flakes: Vec<Flake> =
        judged.into_iter().filter_map(|(what, judgements)| Flake::of(what, &judgements)).collect();
    flakes.sort_by(|a, b| b.rate_percent.total_cmp(&a.rate_percent).then_with(|| a.what.cmp(&b.what)));
    flakes
}

/// Between which shares the true one lies, with a confidence of 95 %, where `hits` of `n` were seen; none of nothing.
///
/// The score interval of Wilson (Probable inference, Journal of the American Statistical Association 22, 1927), which
/// is never outside of 0 to 1 and is right also for few and for none (Newcombe, Two-sided confidence intervals for the
/// single proportion, Statistics in Medicine 17, 1998).
pub fn wilson(hits: usize, n: usize) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (n, share) = (n as f64, hits as f64 / n as f64);
    let middle = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Some((((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0)))
}
