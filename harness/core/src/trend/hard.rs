//! Regressions that need no statistics: what never was, and now is.

use super::{Cell, Run};
use crate::verdict::{Conclusion, Gate, Judgement, Verdict};
use crate::words::counted;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What kind of thing was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HardKind {
    /// Confirmed orders are gone.
    LostOrder,
    /// An invariant is broken.
    Invariant,
    /// A conclusion is graver than any of the baseline's.
    Conclusion,
}

/// A regression at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hard {
    /// Of which kind.
    pub kind: HardKind,
    /// Where: a cell, a checker or a drill.
    pub what: String,
    /// What the baseline has.
    pub baseline: String,
    /// What the candidate has.
    pub candidate: String,
    /// Runs of the candidate that have it.
    pub runs: Vec<String>,
}

/// All of them, gravest first. Conclusions of two agreements are not compared: another promise is not another shop.
pub(super) fn regressions(baseline: &[Run], candidate: &[Run]) -> Vec<Hard> {
    let mut found = lost(baseline, candidate);
    found.extend(invariants(baseline, candidate));
    found.extend(conclusions(baseline, candidate));
    found
}

fn verdicts(runs: &[Run]) -> impl Iterator<Item = (&Run, &Verdict)> {
    runs.iter().flat_map(|run| run.verdicts.iter().map(move |verdict| (run, verdict)))
}

/// The runs for which something holds, each once and in their order.
fn runs_with(runs: &[Run], holds: impl Fn(&Verdict) -> bool) -> Vec<String> {
    runs.iter().filter(|run| run.verdicts.iter().any(&holds)).map(|run| run.name.clone()).collect()
}

/// Orders lost in a cell that had lost none; and those of no cell's window, where the baseline had lost none at all.
fn lost(baseline: &[Run], candidate: &[Run]) -> Vec<Hard> {
    let by_cell = |runs: &[Run]| {
        let mut cells: BTreeMap<Cell, u64> = BTreeMap::new();
        for step in verdicts(runs).flat_map(|(_, verdict)| &verdict.steps) {
            *cells.entry(Cell::of(step)).or_default() += step.lost;
        }
        cells
    };
    let before = by_cell(baseline);
    let fresh = by_cell(candidate).into_iter().filter(|(cell, lost)| *lost > 0 && before.get(cell) == Some(&0));
    let mut found: Vec<Hard> = fresh
        .map(|(cell, lost)| Hard {
            kind: HardKind::LostOrder,
            baseline: "no lost order".to_owned(),
            candidate: counted(lost, "lost order"),
            runs: runs_with(candidate, |v| v.steps.iter().any(|step| step.lost > 0 && Cell::of(step) == cell)),
            what: cell.to_string(),
        })
        .collect();
    let all = |runs: &[Run]| verdicts(runs).map(|(_, verdict)| verdict.totals.lost).sum::<u64>();
    if found.is_empty() && !baseline.is_empty() && all(baseline) == 0 && all(candidate) > 0 {
        found.push(Hard {
            kind: HardKind::LostOrder,
            what: "the whole run".to_owned(),
            baseline: "no lost order".to_owned(),
            candidate: counted(all(candidate), "lost order"),
            runs: runs_with(candidate, |verdict| verdict.totals.lost > 0),
        });
    }
    found
}

/// Invariants that failed, and that held before and never failed.
fn invariants(baseline: &[Run], candidate: &[Run]) -> Vec<Hard> {
    let judged = |runs: &[Run], wanted: Judgement| -> BTreeSet<String> {
        let checks = verdicts(runs).flat_map(|(_, verdict)| &verdict.checks);
        let matching = checks.filter(|check| check.gate == Gate::Invariant && check.judgement == wanted);
        matching.map(|check| check.checker.clone()).collect()
    };
    let (held, broken) = (judged(baseline, Judgement::Pass), judged(baseline, Judgement::Fail));
    let fresh = judged(candidate, Judgement::Fail).into_iter();
    fresh
        .filter(|checker| held.contains(checker) && !broken.contains(checker))
        .map(|checker| {
            let fails = |verdict: &&Verdict| {
                verdict.checks.iter().any(|check| check.checker == checker && check.judgement == Judgement::Fail)
            };
            Hard {
                kind: HardKind::Invariant,
                baseline: "held".to_owned(),
                candidate: format!("broken in {} of {}", count(candidate, fails), count(candidate, |_| true)),
                runs: runs_with(candidate, |verdict| fails(&verdict)),
                what: checker.clone(),
            }
        })
        .collect()
}

fn count(runs: &[Run], holds: impl Fn(&&Verdict) -> bool) -> usize {
    verdicts(runs).map(|(_, verdict)| verdict).filter(holds).count()
}

/// Drills whose gravest conclusion is graver than the gravest that the baseline has of it.
fn conclusions(baseline: &[Run], candidate: &[Run]) -> Vec<Hard> {
    let gravest = |runs: &[Run]| {
        let mut drills: BTreeMap<(String, String, String), Conclusion> = BTreeMap::new();
        for (_, verdict) in verdicts(runs) {
            let key = (verdict.topology.clone(), verdict.drill.clone(), verdict.sla.clone());
            let known = drills.entry(key).or_insert(verdict.conclusion);
            if verdict.conclusion.judgement() > known.judgement() {
                *known = verdict.conclusion;
            }
        }
        drills
    };
    let before = gravest(baseline);
    let after = gravest(candidate).into_iter();
    after
        .filter_map(|(key, conclusion)| Some((before.get(&key)?, key, conclusion)))
        .filter(|(before, _, conclusion)| conclusion.judgement() > before.judgement())
        .map(|(before, (topology, drill, sla), conclusion)| Hard {
            kind: HardKind::Conclusion,
            baseline: format!("{before} at worst"),
            candidate: conclusion.to_string(),
            runs: runs_with(candidate, |verdict| {
                let same = (&verdict.topology, &verdict.drill, &verdict.sla) == (&topology, &drill, &sla);
                same && verdict.conclusion == conclusion
            }),
            what: drill,
        })
        .collect()
}
