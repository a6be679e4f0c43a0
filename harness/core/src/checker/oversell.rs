//! Oversell: no quota is sold beyond its size, neither in the database nor in the hands of buyers.
//!
//! Both ledgers are judged: when a failover loses k confirmed orders and the shop sells them again, the
//! database shows the size of the quota while buyers hold k tickets more.
//!
//! A "sold out" although there was room (false sold-out) is reported with its number and does not fail
//! the invariant: it costs sales, not trust. It is claimed only where room is certain at every instant of
//! the refused purchase: tickets of foreign writers (the final count without the load's own rows; nobody
//! cancels, so it never was more), plus every purchase of the load begun until its end that was not
//! definitely refused, one in doubt counting as the largest order of the run, plus that largest order once
//! more for the refused one, stay within every limited quota. The sums only rise, so the end of the
//! refused purchase is the instant with the least room: one binary search each.

use super::{Evidence, Question, ledger, numbers, step};
use crate::history::{At, LedgerRow, OperationOutcome, QuotaRow, RejectReason};
use crate::ids::OpId;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use std::collections::{BTreeMap, HashSet};

/// Name in the registry.
pub const NAME: &str = "oversell";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was no quota sold beyond its size, in the database and in the hands of buyers?",
    gate: Gate::Invariant,
};

/// A quota with all its readings.
struct Quota<'a> {
    rows: Vec<&'a QuotaRow>,
    /// Largest size read; none if it was ever unlimited.
    size: Option<u64>,
}

fn quotas<'a>(evidence: &Evidence<'a>) -> BTreeMap<u64, Quota<'a>> {
    let mut quotas: BTreeMap<u64, Quota<'a>> = BTreeMap::new();
    for row in evidence.history.quotas() {
        let quota = quotas.entry(row.id).or_insert(Quota { rows: Vec::new(), size: Some(0) });
        quota.size = quota.size.zip(row.size).map(|(a, b)| a.max(b));
        quota.rows.push(row);
    }
    quotas
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let quotas = quotas(evidence);
    if quotas.is_empty() {
        return QUESTION.unknown("no quota was read");
    }
    let limited = quotas.values().filter(|quota| quota.size.is_some()).count();
    let mut findings: Vec<Finding> = quotas.values().filter_map(in_database).collect();
    findings.extend(quotas.values().filter_map(|quota| in_hands(quota, evidence)));
    let oversold = findings.len();
    let false_sold_out = false_sold_out(&quotas, evidence);
    findings.extend(false_sold_out.as_ref().and_then(|ops| false_sold_out_finding(ops, evidence)));
    let mut numbers = numbers([
        ("quotas", quotas.len() as f64),
        ("limited_quotas", limited as f64),
        ("oversold", oversold as f64),
        ("sold_out_answers", sold_out(evidence).count() as f64),
    ]);
    if let Some(ops) = &false_sold_out {
        numbers.insert("false_sold_out_answers".to_owned(), ops.len() as f64);
    }
    let last_attempt = evidence.history.attempts().map(|attempt| attempt.ended).max().unwrap_or_default();
    let judged_late = evidence.history.quotas().any(|row| row.at >= last_attempt);
    let (judgement, reason) = if oversold > 0 {
        (Judgement::Fail, findings[0].summary.clone())
    } else if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else if !judged_late {
        (Judgement::Unknown, "no quota was read after the last purchase ended".to_owned())
    } else {
        (Judgement::Pass, format!("0 of {limited} limited quotas oversold, of {} in all", quotas.len()))
    };
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// The worst reading of a quota, if the database sold beyond its size.
fn in_database(quota: &Quota<'_>) -> Option<Finding> {
    let beyond = |row: &&QuotaRow| row.sold.saturating_sub(row.size.unwrap_or(u64::MAX));
    let worst = quota.rows.iter().copied().max_by_key(beyond).filter(|row| beyond(row) > 0)?;
    let size = worst.size.unwrap_or_default();
    let summary = format!("{} of {size} tickets of quota {} sold, as {} counts", worst.sold, worst.name, worst.source);
    let remedy = "read and lock quotas on the primary only: no statement load balancing for the shop's connection";
    Some(Finding::new(summary).with_at(worst.at).with_nodes([worst.source.clone()]).with_remedy(remedy))
}

/// Buyers' confirmations against a quota.
fn in_hands(quota: &Quota<'_>, evidence: &Evidence<'_>) -> Option<Finding> {
    let size = quota.size?;
    let items = items(quota);
    let mut holders: Vec<(At, OpId, u64)> = evidence
        .operations
        .iter()
        .filter_map(|op| {
            Some((op.acknowledged_at()?, op.id, tickets(op.order()?.positions.iter().map(|p| p.item), &items)))
        })
        .filter(|(_, _, count)| *count > 0)
        .collect();
    holders.sort_unstable();
    let held: u64 = holders.iter().map(|(_, _, count)| count).sum();
    if held <= size {
        return None;
    }
    let mut sum = 0;
    let beyond = holders.iter().filter(|(_, _, count)| {
        sum += count;
        sum > size
    });
    let beyond: Vec<(At, OpId)> = beyond.map(|(at, op, _)| (*at, *op)).collect();
    let name = &quota.rows[0].name;
    let first_at = beyond.first().map_or(At(0), |(at, _)| *at);
    let finding = Finding::new(format!("buyers hold {held} tickets of {size} of quota {name}"))
        .with_at(first_at)
        .with_step(step::step_at(&evidence.windows, first_at).map(|window| window.step))
        .with_ops(beyond.into_iter().map(|(_, op)| op));
    Some(finding.with_remedy("see conservation: orders that a failover lost were sold again"))
}

fn items(quota: &Quota<'_>) -> HashSet<u64> {
    quota.rows.iter().flat_map(|row| row.items.iter().copied()).collect()
}

fn tickets(positions: impl Iterator<Item = u64>, items: &HashSet<u64>) -> u64 {
    positions.filter(|item| items.contains(item)).count() as u64
}

fn sold_out<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = &'a crate::history::Operation> {
    let refused = OperationOutcome::Rejected(RejectReason::SoldOut);
    evidence.operations.iter().filter(move |op| op.outcome == refused)
}

/// Purchases that were refused as sold out although every limited quota certainly had room; none where
/// that cannot be judged.
fn false_sold_out(quotas: &BTreeMap<u64, Quota<'_>>, evidence: &Evidence<'_>) -> Option<Vec<OpId>> {
    if evidence.damage().is_some() {
        return None;
    }
    let authority = evidence.history.authority()?;
    let rows = ledger::rows(evidence.history, authority);
    let orders = evidence.operations.iter().filter_map(|op| op.order());
    let largest = orders.map(|order| order.positions.len() as u64).max()?.max(1);
    let mut rooms = Vec::new();
    for quota in quotas.values().filter(|quota| quota.size.is_some()) {
        rooms.push(room(quota, &rows, largest, evidence)?);
    }
    let has_room = |at: At| rooms.iter().all(|room| room.least_until(at) >= largest as i64);
    Some(sold_out(evidence).filter(|op| !rooms.is_empty() && has_room(op.completed)).map(|op| op.id).collect())
}

/// The least room that a quota had until an instant, by what certainly cannot have been sold.
struct Room {
    /// Begin of every purchase that may have been applied, with the tickets sold at most until then.
    sold_max: Vec<(At, i64)>,
    foreign: i64,
    size: i64,
}

impl Room {
    fn least_until(&self, at: At) -> i64 {
        let begun = self.sold_max.partition_point(|(invoked, _)| *invoked <= at);
        let sold = begun.checked_sub(1).map_or(0, |last| self.sold_max[last].1);
        self.size - self.foreign - sold
    }
}

fn room(quota: &Quota<'_>, rows: &[&LedgerRow], largest: u64, evidence: &Evidence<'_>) -> Option<Room> {
    let authority = evidence.history.authority()?;
    let last = quota.rows.iter().rev().find(|row| row.source == authority.source)?;
    let items = items(quota);
    let by_web = evidence.operations.iter().filter(|op| !op.has_own_code()).map(|op| op.email.as_str());
    let by_web: HashSet<&str> = by_web.collect();
    let is_ours =
        |row: &&&LedgerRow| row.token.as_deref() == Some(row.code.as_str()) || by_web.contains(row.email.as_str());
    let live =
        |row: &&LedgerRow| -> u64 { tickets(row.positions.iter().filter(|p| !p.canceled).map(|p| p.item), &items) };
    let ours: u64 = rows.iter().filter(is_ours).map(live).sum();
    let mut sold_max: Vec<(At, i64)> = evidence
        .operations
        .iter()
        .filter_map(|op| match &op.outcome {
            OperationOutcome::Acknowledged { order, .. } => {
                Some((op.invoked, tickets(order.positions.iter().map(|p| p.item), &items) as i64))
            }
            OperationOutcome::InDoubt => Some((op.invoked, largest as i64)),
            OperationOutcome::Rejected(_) | OperationOutcome::NotApplied | OperationOutcome::Visited => None,
        })
        .collect();
    sold_max.sort_unstable();
    let mut sum = 0;
    for (_, sold) in &mut sold_max {
        sum += *sold;
        *sold = sum;
    }
    let smallest = quota.rows.iter().filter_map(|row| row.size).min()?;
    Some(Room { sold_max, foreign: last.sold.saturating_sub(ours) as i64, size: smallest as i64 })
}

fn false_sold_out_finding(ops: &[OpId], evidence: &Evidence<'_>) -> Option<Finding> {
    let first = evidence.operations.get(*ops.first()?)?;
    let summary = format!("{} purchases refused as sold out although there was room", ops.len());
    let step = step::step_at(&evidence.windows, first.completed).map(|window| window.step);
    let finding = Finding::new(summary).with_at(first.completed).with_ops(ops.iter().copied()).with_step(step);
    Some(finding.with_remedy("look for a stale read of the quota: a lagging standby, an old cache"))
}
