//! Quota reads: whatever anybody read about a quota, at some instant of his reading it was true.
//!
//! Between question and answer at least what had been confirmed before the question was sold (less what may have
//! been given back), and at most all that had been begun before the answer and was not certainly refused, with
//! what foreign writers have in the end. The database's count has to lie between the two at every reading while
//! the load runs. What the shop itself says is left may be less, because carts and vouchers hold tickets; it is
//! never more than what was certainly left.
//!
//! A count that is too small is how oversell begins: somebody read an old state. Counts that were asked for directly,
//! of a database whose tier a fault was on, are left out: a primary that was cut off counts what it has, and it is the
//! business of [`primaries`](super::primaries) whether it took writes. What the shop says is judged always.

use super::oversell::{Quota, quotas, tickets};
use super::{Evidence, Question, numbers, step};
use crate::digest::Op;
use crate::history::ops::Known;
use crate::history::{At, QuotaRow, QuotaSeen};
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;

/// Name in the registry.
pub const NAME: &str = "quota_reads";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was everything that was read about a quota true at some instant of the reading?",
    gate: Gate::Invariant,
};

/// Something that was read, and is not possible.
struct Illegal {
    at: At,
    text: String,
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let quotas = quotas(evidence);
    let mut illegal: Vec<Illegal> = Vec::new();
    let mut readings = 0u64;
    for (id, quota) in &quotas {
        let is_judged = |row: &&QuotaRow| row.asked.is_some() && !is_cut_off(row, evidence);
        let rows: Vec<&QuotaRow> = quota.rows.iter().copied().filter(is_judged).collect();
        let seen: Vec<&QuotaSeen> =
            evidence.history.read.quotas_seen.iter().filter(|seen| seen.id == *id && seen.left.is_some()).collect();
        if rows.is_empty() && seen.is_empty() {
            continue;
        }
        readings += (rows.len() + seen.len()) as u64;
        let sold = Sold::of(quota, evidence);
        illegal.extend(rows.iter().filter_map(|row| sold.judge_count(row)));
        illegal.extend(seen.iter().filter_map(|seen| sold.judge_left(seen, &quota.rows[0].name)));
    }
    illegal.sort_by_key(|illegal| illegal.at);
    let numbers = numbers([("readings", readings as f64), ("impossible", illegal.len() as f64)]);
    let remedy = "somebody read an old state: read quotas on the primary only, and not from a cache";
    let finding = illegal.first().map(|first| {
        let more = if illegal.len() == 1 { String::new() } else { format!(" (and {} more)", illegal.len() - 1) };
        let step = step::step_at(&evidence.windows, first.at).map(|window| window.step);
        Finding::new(format!("{}{more}", first.text)).with_at(first.at).with_step(step).with_remedy(remedy)
    });
    let (judgement, reason) = if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else if let Some(finding) = &finding {
        (Judgement::Fail, finding.summary.clone())
    } else if readings == 0 {
        (Judgement::Pass, "no quota was read while the load ran".to_owned())
    } else {
        (Judgement::Pass, format!("{} of quotas, all possible", counted(readings, "reading")))
    };
    QUESTION.answer(judgement, reason, finding.into_iter().collect(), numbers)
}

/// Whether a fault was on the tier of the database when it counted.
fn is_cut_off(row: &QuotaRow, evidence: &Evidence<'_>) -> bool {
    let tier = evidence.history.observations().find(|seen| seen.node == row.source).map(|seen| &seen.tier);
    let covers = |window: &step::Window| window.injected && window.contains(row.at) && Some(&window.tier) == tier;
    evidence.windows.iter().any(covers)
}

/// How many tickets of a quota were sold at an instant, at least and at most.
struct Sold {
    /// Sums of what was confirmed, by the time of the confirmation.
    confirmed: Vec<(At, u64)>,
    /// Sums of what may have been sold, by the time at which it was begun.
    begun: Vec<(At, u64)>,
    /// Sums of what may have been given back, by the time at which that was begun.
    returning: Vec<(At, u64)>,
    /// Sums of what was given back, by the time at which that was known.
    returned: Vec<(At, u64)>,
    /// What others have, at least and at most.
    foreign: (u64, u64),
}

impl Sold {
    fn of(quota: &Quota<'_>, evidence: &Evidence<'_>) -> Self {
        let history = &evidence.history;
        let tickets = tickets(quota, evidence);
        let of = |op: &Op| tickets[op.basket.0 as usize];
        let largest = tickets.iter().copied().max().unwrap_or(0).max(1);
        let confirmed = history.operations.iter().filter_map(|(_, op)| Some((op.acknowledged_at()?, of(op))));
        let begun = history.operations.iter().filter_map(|(_, op)| match op.known {
            Known::Acknowledged => Some((op.invoked, of(op))),
            Known::InDoubt => Some((op.invoked, largest)),
            Known::Rejected(_) | Known::NotApplied | Known::Visited => None,
        });
        let returns = || {
            let of_op = |op| history.operations.get(op).map_or(0, &of);
            history.beside.returns.iter().map(move |(op, given)| (given, of_op(*op)))
        };
        Self {
            confirmed: sums(confirmed.collect()),
            begun: sums(begun.collect()),
            returning: sums(returns().map(|(given, tickets)| (given.invoked, tickets)).collect()),
            returned: sums(returns().filter_map(|(given, tickets)| Some((given.done?, tickets))).collect()),
            foreign: foreign(quota, evidence, &tickets),
        }
    }

    /// At least so many had been sold, whatever the instant between question and answer.
    fn at_least(&self, asked: At, answered: At) -> u64 {
        let certain = until(&self.confirmed, asked).saturating_sub(until(&self.returning, answered));
        certain + self.foreign.0
    }

    /// At most so many.
    fn at_most(&self, asked: At, answered: At) -> u64 {
        until(&self.begun, answered).saturating_sub(until(&self.returned, asked)) + self.foreign.1
    }

    fn judge_count(&self, row: &QuotaRow) -> Option<Illegal> {
        let asked = row.asked?;
        let (least, most) = (self.at_least(asked, row.at), self.at_most(asked, row.at));
        if (least..=most).contains(&row.sold) {
            return None;
        }
        let QuotaRow { source, name, sold, .. } = row;
        let text = format!(
            "{source} counted {} sold of quota {name}, possible were {least} to {most}",
            counted(*sold, "ticket")
        );
        Some(Illegal { at: row.at, text })
    }

    fn judge_left(&self, seen: &QuotaSeen, name: &str) -> Option<Illegal> {
        let (size, left) = (i64::try_from(seen.size?).ok()?, seen.left?);
        let most = size - i64::try_from(self.at_least(seen.asked, seen.at)).ok()?;
        // What is sold beyond a quota leaves nothing.
        if left <= most.max(0) {
            return None;
        }
        let entry = &seen.entry;
        let text =
            format!("{entry} offered {} of quota {name}, possible were {}", counted(left, "ticket"), most.max(0));
        Some(Illegal { at: seen.at, text })
    }
}

/// What others have of a quota, at least and at most. In the end it is what the load has not; before the run it is not
/// known, and nothing.
fn foreign(quota: &Quota<'_>, evidence: &Evidence<'_>, tickets: &[u64]) -> (u64, u64) {
    let first = quota.rows.iter().find(|row| row.at <= evidence.demand.begin).map(|row| row.sold);
    let authority = evidence.history.authority();
    let last = authority.and_then(|authority| quota.last_of(&authority.source));
    let ours: u64 = evidence.books.ours.iter().map(|(basket, rows)| tickets[basket.0 as usize] * rows).sum();
    let in_the_end = last.map_or(u64::MAX / 4, |row| row.sold.saturating_sub(ours));
    (first.unwrap_or(0).min(in_the_end), in_the_end)
}

/// Sorted by time, with the sum up to each.
fn sums(mut all: Vec<(At, u64)>) -> Vec<(At, u64)> {
    if !all.is_sorted() {
        all.sort_unstable();
    }
    let mut sum = 0;
    for (_, count) in &mut all {
        sum += *count;
        *count = sum;
    }
    all
}

/// The sum up to an instant, with it.
fn until(sums: &[(At, u64)], at: At) -> u64 {
    let after = sums.partition_point(|(other, _)| *other <= at);
    after.checked_sub(1).map_or(0, |last| sums[last].1)
}
