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
//! refused purchase is the instant with the least room, and every quota has one instant from which on it may have
//! been full.

use super::{Evidence, Question, numbers, step};
use crate::digest::{BasketId, Op};
use crate::history::ops::Known;
use crate::history::{At, QuotaRow, RejectReason};
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

fn quotas<'a>(evidence: &'a Evidence<'_>) -> BTreeMap<u64, Quota<'a>> {
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
    let count = |op: &Op| if op.is_acknowledged() { tickets[op.basket.0 as usize] } else { 0 };
    let held: u64 = evidence.history.operations.iter().map(|(_, op)| count(op)).sum();
    if held <= size {
        return None;
    }
    let holders = evidence.history.operations.iter().filter(|(_, op)| count(op) > 0);
    let mut holders: Vec<(At, OpId, u64)> =
        holders.filter_map(|(id, op)| Some((op.acknowledged_at()?, id, count(op)))).collect();
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
fn tickets(quota: &Quota<'_>, evidence: &Evidence<'_>) -> Vec<u64> {
    let items: HashSet<u64> = quota.rows.iter().flat_map(|row| row.items.iter().copied()).collect();
    evidence.history.baskets.map(|basket| basket.filter(|item| items.contains(item)).count() as u64)
}

fn sold_out<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = (OpId, &'a Op)> {
    let refused = Known::Rejected(RejectReason::SoldOut);
    evidence.history.operations.iter().filter(move |(_, op)| op.known == refused)
}

/// Purchases that were refused as sold out although every limited quota certainly had room; none where
/// that cannot be judged.
fn false_sold_out(quotas: &BTreeMap<u64, Quota<'_>>, evidence: &Evidence<'_>) -> Option<Vec<OpId>> {
    if evidence.damage().is_some() {
        return None;
    }
    evidence.history.authority()?;
    let largest = largest(evidence)?;
    let limited: Vec<&Quota<'_>> = quotas.values().filter(|quota| quota.size.is_some()).collect();
    let rooms = limited.into_iter().map(|quota| room(quota, largest, evidence)).collect::<Option<Vec<Room>>>()?;
    if rooms.is_empty() || sold_out(evidence).next().is_none() {
        return Some(Vec::new());
    }
    let full = full(&rooms, evidence);
    let had_room = sold_out(evidence).filter(|(_, op)| full.is_none_or(|full| op.completed < full));
    Some(had_room.map(|(id, _)| id).collect())
}

/// Tickets of the largest order of the run, at least one.
fn largest(evidence: &Evidence<'_>) -> Option<u64> {
    let sizes = evidence.history.baskets.map(|basket| basket.count() as u64);
    let confirmed = evidence.history.operations.iter().filter(|(_, op)| op.is_acknowledged());
    confirmed.map(|(_, op)| sizes[op.basket.0 as usize]).max().map(|largest| largest.max(1))
}

/// The room of a quota, by what certainly cannot have been sold.
struct Room {
    /// Tickets of every basket that count against it.
    tickets: Vec<u64>,
    /// Tickets of an order in doubt, at most.
    in_doubt: u64,
    /// What the load may sell before there may be no room for one more order.
    left: i64,
}

fn room(quota: &Quota<'_>, largest: u64, evidence: &Evidence<'_>) -> Option<Room> {
    let authority = evidence.history.authority()?;
    let last = quota.rows.iter().rev().find(|row| row.source == authority.source)?;
    let tickets = tickets(quota, evidence);
    let live = |(basket, rows): &(BasketId, u64)| tickets[basket.0 as usize] * rows;
    let ours: u64 = evidence.books.ours.iter().map(live).sum();
    let smallest = quota.rows.iter().filter_map(|row| row.size).min()?;
    let foreign = last.sold.saturating_sub(ours) as i64;
    Some(Room { tickets, in_doubt: largest, left: smallest as i64 - foreign - largest as i64 })
}

/// When the first of the quotas may have been full: from the begin of the purchase on with which that may have
/// been sold which one more order needs.
fn full(rooms: &[Room], evidence: &Evidence<'_>) -> Option<At> {
    if rooms.iter().any(|room| room.left < 0) {
        return Some(At(0));
    }
    let bought = evidence.history.operations.iter().filter_map(|(_, op)| match op.known {
        Known::Acknowledged => Some((op.invoked, Some(op.basket))),
        Known::InDoubt => Some((op.invoked, None)),
        Known::Rejected(_) | Known::NotApplied | Known::Visited => None,
    });
    let mut bought: Vec<(At, Option<BasketId>)> = bought.collect();
    if !bought.is_sorted_by_key(|(invoked, _)| *invoked) {
        bought.sort_unstable_by_key(|(invoked, _)| *invoked);
    }
    let of_room = |room: &Room| {
        let mut left = room.left;
        let full = bought.iter().find(|(_, basket)| {
            left -= basket.map_or(room.in_doubt, |basket| room.tickets[basket.0 as usize]) as i64;
            left < 0
        });
        full.map(|(invoked, _)| *invoked)
    };
    rooms.iter().filter_map(of_room).min()
}

fn false_sold_out_finding(ops: &[OpId], evidence: &Evidence<'_>) -> Option<Finding> {
    let first = evidence.history.operations.get(*ops.first()?)?;
    let summary = format!("{} purchases refused as sold out although there was room", ops.len());
    let step = step::step_at(&evidence.windows, first.completed).map(|window| window.step);
    let finding = Finding::new(summary).with_at(first.completed).with_ops(ops.iter().copied()).with_step(step);
    Some(finding.with_remedy("look for a stale read of the quota: a lagging standby, an old cache"))
}
