//! Checkers: pure functions of a history.
//!
//! One checker is one file with one function of type [`Check`]; [`REGISTRY`] is the one line that adds
//! it. A checker answers one question with pass, fail or unknown, and names what it found: operations,
//! times, nodes and the fault window. Every checker is O(n log n) or better in the records.

pub mod availability;
pub mod books;
pub mod claims;
pub mod conservation;
pub mod demand;
pub mod door;
pub mod exactly_once;
mod ledger;
pub mod leftovers;
pub mod logs;
pub mod money;
pub mod oversell;
mod parts;
pub mod phases;
pub mod preconditions;
pub mod primaries;
pub mod quota_reads;
pub mod reads;
pub mod replicas;
pub mod response_time;
pub mod sales;
pub mod sold_out;
pub mod stats;
pub mod step;
pub mod unique;

use crate::digest::{Digest, Recorded, prints};
use crate::history::ops::Known;
use crate::history::{At, History, Stage};
use crate::ids::OpId;
use crate::sla::Sla;
use crate::verdict::{CheckResult, Finding, Gate, Judgement, Totals, VERDICT_VERSION, Verdict, conclude};
use std::collections::{BTreeMap, BTreeSet};

/// What every checker gets: the digest of a history, and what is made of it once for all of them.
pub struct Evidence<'a> {
    /// The history, digested.
    pub history: Digest,
    /// The executed steps with their windows, not yet judged.
    pub windows: Vec<step::Window>,
    /// Every purchase that was due, with what became of it for the buyer.
    pub demand: demand::Demand,
    /// Buyers' confirmations against the database, and the databases against each other.
    pub books: books::Books,
    /// What was promised.
    pub sla: &'a Sla,
}

impl<'a> Evidence<'a> {
    /// Gathers the evidence of a history in memory.
    pub fn of(mut history: &History, sla: &'a Sla) -> Self {
        match Self::gather(&mut history, sla) {
            Ok(evidence) => evidence,
            Err(never) => match never {},
        }
    }

    /// Gathers the evidence of a history, wherever it is.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn gather<R: Recorded>(history: &mut R, sla: &'a Sla) -> Result<Self, R::Error> {
        let digest = Digest::of(history)?;
        Self::weigh(history, digest, sla)
    }

    /// Gathers the evidence of a history that is digested already; it is read again only for the texts of what
    /// is wrong.
    ///
    /// # Errors
    /// Where it cannot be read again.
    pub fn weigh<R: Recorded>(history: &mut R, mut digest: Digest, sla: &'a Sla) -> Result<Self, R::Error> {
        let windows = step::windows(&digest);
        // In this order: the rows, which the books need, are gone when the demand is collected.
        let books = books::Books::draw(history, &mut digest, &windows)?;
        let demand = demand::Demand::of(&digest, sla);
        Ok(Self { history: digest, windows, demand, books, sla })
    }

    /// What has to be said before anything else: a damaged history leaves the question open, and the first finding
    /// answers it.
    pub(crate) fn decided_by(&self, findings: &[Finding]) -> Option<(Judgement, String)> {
        let damage = self.damage().map(|damage| (Judgement::Unknown, damage));
        damage.or_else(|| findings.first().map(|first| (Judgement::Fail, first.summary.clone())))
    }

    /// Names the purchases behind order codes, and the fault window in which the first of them was answered. A code
    /// that nobody was told has none.
    pub(crate) fn with_orders<'c>(&self, finding: Finding, codes: impl IntoIterator<Item = &'c str>) -> Finding {
        let codes: BTreeSet<u64> = codes.into_iter().map(prints::code).collect();
        let ops = self.history.operations.iter().filter(|(_, op)| codes.contains(&op.code));
        let mut ops: Vec<(At, OpId)> = ops.map(|(id, op)| (op.completed, id)).collect();
        ops.sort_unstable();
        let answered = ops.first().map(|(at, _)| *at);
        let window = answered.and_then(|at| step::step_at(&self.windows, at)).map(|window| window.step);
        let (at, step) = (finding.at.or(answered), finding.step.or(window));
        Finding { at, step, ..finding }.with_ops(ops.into_iter().map(|(_, op)| op))
    }

    /// Why the history cannot carry a pass, where it cannot: what is missing from it might be what was
    /// looked for.
    pub fn damage(&self) -> Option<String> {
        let first = self.history.damage.first()?;
        Some(match self.history.damage.len() {
            1 => format!("the history is damaged: {first}"),
            more => format!("the history is damaged in {more} places, first {first}"),
        })
    }
}

/// A checker.
pub type Check = fn(&Evidence<'_>) -> CheckResult;

/// All checkers: invariants first, then objectives, then preconditions.
pub const REGISTRY: &[(&str, Check)] = &[
    (conservation::NAME, conservation::check),
    (oversell::NAME, oversell::check),
    (exactly_once::NAME, exactly_once::check),
    (unique::NAME, unique::check),
    (reads::NAME, reads::check),
    (quota_reads::NAME, quota_reads::check),
    (claims::NAME, claims::check),
    (door::NAME, door::check),
    (money::NAME, money::check),
    (replicas::NAME, replicas::check),
    (primaries::NAME, primaries::check),
    (availability::NAME, availability::check),
    (response_time::NAME, response_time::check),
    (sold_out::NAME, sold_out::check),
    (leftovers::NAME, leftovers::check),
    (logs::NAME, logs::check),
    (preconditions::NAME, preconditions::check),
];

/// Named numbers of a checker, units at the end of the names.
pub type Numbers = BTreeMap<String, f64>;

/// Numbers from pairs.
pub(crate) fn numbers<const N: usize>(pairs: [(&str, f64); N]) -> Numbers {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The question of a checker, to which its file gives the answer.
pub(crate) struct Question {
    pub(crate) checker: &'static str,
    pub(crate) question: &'static str,
    pub(crate) gate: Gate,
}

impl Question {
    pub(crate) fn answer(
        &self,
        judgement: Judgement,
        reason: impl Into<String>,
        findings: Vec<Finding>,
        numbers: Numbers,
    ) -> CheckResult {
        CheckResult {
            checker: self.checker.to_owned(),
            question: self.question.to_owned(),
            gate: self.gate,
            judgement,
            reason: reason.into(),
            findings,
            numbers,
        }
    }

    pub(crate) fn unknown(&self, reason: impl Into<String>) -> CheckResult {
        self.answer(Judgement::Unknown, reason, Vec::new(), Numbers::new())
    }
}

/// When the first stage of this kind was entered.
pub(crate) fn first_stage(history: &Digest, wanted: Stage) -> Option<At> {
    history.stages().find(|stage| stage.stage == wanted).map(|stage| stage.at)
}

/// Judges a history in memory against an agreement: the verdict, byte for byte the same for the same input.
pub fn judge(history: &History, sla: &Sla) -> Verdict {
    verdict(&Evidence::of(history, sla))
}

/// Judges a history against an agreement, wherever it is, in bounded memory: about 64 bytes an operation and 32 a
/// row of the final read.
///
/// # Errors
/// Where it cannot be read at all.
pub fn judge_stored<R: Recorded>(history: &mut R, sla: &Sla) -> Result<Verdict, R::Error> {
    Ok(verdict(&Evidence::gather(history, sla)?))
}

/// What the evidence comes to.
pub fn verdict(evidence: &Evidence<'_>) -> Verdict {
    let checks: Vec<CheckResult> = REGISTRY.iter().map(|(_, check)| check(evidence)).collect();
    let steps = step::judge(evidence);
    let (conclusion, reasons) = conclude(&checks, &steps);
    let header = evidence.history.header();
    Verdict {
        version: VERDICT_VERSION,
        run: header.map_or_else(|| "unknown".into(), |h| h.run.clone()),
        topology: header.map_or_else(String::new, |h| h.topology.clone()),
        drill: header.map_or_else(String::new, |h| h.drill.clone()),
        seed: header.map_or(0, |h| h.seed),
        started: header.map_or_else(String::new, |h| h.started.clone()),
        sla: evidence.sla.name.clone(),
        conclusion,
        reasons,
        totals: totals(evidence),
        steps,
        checks,
    }
}

/// Totals of a run.
fn totals(evidence: &Evidence<'_>) -> Totals {
    let account = &evidence.books.account;
    let mut totals = Totals {
        operations: evidence.history.operations.len() as u64,
        attempts: evidence.history.attempts,
        refused: evidence.demand.refused,
        recovered: account.recovered,
        lost: account.count(conservation::Kind::Lost),
        lost_cents: account.lost_cents(),
        load_ms: evidence.demand.end.ms_since(evidence.demand.begin),
        ..Totals::default()
    };
    for (_, op) in evidence.history.operations.iter() {
        match op.known {
            Known::Acknowledged => totals.acknowledged += 1,
            Known::Rejected(_) => totals.rejected += 1,
            Known::InDoubt => totals.in_doubt += 1,
            Known::NotApplied => totals.not_applied += 1,
            Known::Visited => {}
        }
    }
    totals
}
