//! Oversell: no quota is sold beyond its size, neither in the database nor in the hands of buyers.
//!
//! Both ledgers are judged: when a failover loses k confirmed orders and the shop sells them again, the
//! database shows the size of the quota while buyers hold k tickets more.
//!
//! An order that its buyer gave back, or may have given back, is in nobody's hands. A "sold out" although there was
//! room costs sales, not trust: the checker [`sold_out`](super::sold_out) judges it.

use super::{Evidence, Question, numbers, step};
use crate::digest::Op;
use crate::history::{At, QuotaRow};
use crate::ids::{NodeName, OpId};
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
pub(super) struct Quota<'a> {
    pub(super) rows: Vec<&'a QuotaRow>,
    /// Largest size read; none if it was ever unlimited.
    pub(super) size: Option<u64>,
}

impl<'a> Quota<'a> {
    /// What a database counted last.
    pub(super) fn last_of(&self, source: &NodeName) -> Option<&'a QuotaRow> {
        self.rows.iter().rev().copied().find(|row| row.source == *source)
    }
}

/// All quotas that were read, by key.
pub(super) fn quotas<'a>(evidence: &'a Evidence<'_>) -> BTreeMap<u64, Quota<'a>> {
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
    let numbers =
        numbers([("quotas", quotas.len() as f64), ("limited_quotas", limited as f64), ("oversold", oversold as f64)]);
    let judged_late = evidence.history.quotas().any(|row| row.at >= evidence.history.last_attempt);
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
    let tickets = tickets(quota, evidence);
    let returns = &evidence.history.beside.returns;
    let count = |id: OpId, op: &Op| match op.is_acknowledged() && !returns.contains_key(&id) {
        true => tickets[op.basket.0 as usize],
        false => 0,
    };
    let held: u64 = evidence.history.operations.iter().map(|(id, op)| count(id, op)).sum();
    if held <= size {
        return None;
    }
    let holders = evidence.history.operations.iter().filter(|(id, op)| count(*id, op) > 0);
    let mut holders: Vec<(At, OpId, u64)> =
        holders.filter_map(|(id, op)| Some((op.acknowledged_at()?, id, count(id, op)))).collect();
    holders.sort_unstable();
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

/// How many tickets of every basket count against a quota.
pub(super) fn tickets(quota: &Quota<'_>, evidence: &Evidence<'_>) -> Vec<u64> {
    let items: HashSet<u64> = quota.rows.iter().flat_map(|row| row.items.iter().copied()).collect();
    evidence.history.baskets.map(|basket| basket.filter(|item| items.contains(item)).count() as u64)
}
