//! Sold out: nobody is told so while there is room, and no ticket is left over for whom somebody was sent away.
//!
//! It costs sales, not trust. A false "sold out" is claimed only where room is certain at every instant of the
//! refused purchase: tickets of foreign writers (the final count without the load's own rows), plus every purchase
//! of the load begun until its end that was not definitely refused, one in doubt counting as the largest order of
//! the run, plus that largest order once more for the refused one, stay within every limited quota. The sums only
//! rise (what is given back is not taken off), so the end of the refused purchase is the instant with the least
//! room, and every quota has one instant from which on it may have been full.
//!
//! How many tickets a refused buyer wanted is not in the history. He is taken to have wanted at most the largest order
//! that was confirmed in the run; every buyer of a journey wants the same, so this says too much only of a mix of
//! journeys of which those with the largest orders never bought.
//!
//! Stranded are tickets that every limited quota has left at the end, as many as the largest order, although
//! somebody was refused. What was given back may have come too late for him and is taken off, and where buyers had
//! carts nothing is claimed: a cart holds its tickets until it expires.

use super::oversell::{Quota, quotas, tickets};
use super::{Evidence, Question, numbers, step};
use crate::digest::{BasketId, Op};
use crate::history::ops::Known;
use crate::history::{At, RejectReason};
use crate::ids::OpId;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;
use std::collections::BTreeMap;

/// Name in the registry.
pub const NAME: &str = "sold_out";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was nobody told \"sold out\" while there was room, and was no ticket left over in the end?",
    gate: Gate::Objective,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let quotas = quotas(evidence);
    let refused = sold_out(evidence).count();
    // Nobody was refused, or nobody knows how large an order was: then there is nothing to compare.
    let largest = if refused > 0 { largest(evidence) } else { None };
    let false_answers = largest.and_then(|largest| false_sold_out(&quotas, largest, evidence));
    let stranded = largest.and_then(|largest| stranded(&quotas, largest, evidence));
    let mut numbers = numbers([("sold_out_answers", refused as f64)]);
    if let Some(ops) = &false_answers {
        numbers.insert("false_sold_out_answers".to_owned(), ops.len() as f64);
    }
    if let Some(tickets) = stranded {
        numbers.insert("stranded_tickets".to_owned(), tickets as f64);
    }
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(false_answers.as_ref().and_then(|ops| false_finding(ops, evidence)));
    findings.extend(stranded.filter(|left| *left > 0).map(|left| {
        let text =
            format!("{} left over, with {} refused as sold out", counted(left, "ticket"), counted(refused, "purchase"));
        let remedy = "look for holds of purchases that failed, and for refusals that nothing was sold for";
        Finding::new(text).with_ops(sold_out(evidence).map(|(id, _)| id)).with_remedy(remedy)
    }));
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if refused == 0 {
            (Judgement::Pass, "nobody was told \"sold out\"".to_owned())
        } else if false_answers.is_none() {
            (Judgement::Unknown, format!("{}, and no quota to compare with", counted(refused, "\"sold out\" answer")))
        } else {
            (Judgement::Pass, format!("0 of {} certainly false", counted(refused, "\"sold out\" answer")))
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

fn sold_out<'a>(evidence: &'a Evidence<'_>) -> impl Iterator<Item = (OpId, &'a Op)> {
    let refused = Known::Rejected(RejectReason::SoldOut);
    evidence.history.operations.iter().filter(move |(_, op)| op.known == refused)
}

/// Purchases that were refused as sold out although every limited quota certainly had room; none where
/// that cannot be judged.
fn false_sold_out(quotas: &BTreeMap<u64, Quota<'_>>, largest: u64, evidence: &Evidence<'_>) -> Option<Vec<OpId>> {
    if evidence.damage().is_some() {
        return None;
    }
    evidence.history.authority()?;
    let limited: Vec<&Quota<'_>> = quotas.values().filter(|quota| quota.size.is_some()).collect();
    let rooms = limited.into_iter().map(|quota| room(quota, largest, evidence)).collect::<Option<Vec<Room>>>()?;
    if rooms.is_empty() {
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

/// Tickets that every limited quota has left in the end, although somebody was refused; none where that cannot be
/// judged.
fn stranded(quotas: &BTreeMap<u64, Quota<'_>>, largest: u64, evidence: &Evidence<'_>) -> Option<u64> {
    if evidence.damage().is_some() || evidence.history.has_web() {
        return None;
    }
    let authority = evidence.history.authority()?;
    let limited = quotas.values().filter(|quota| quota.size.is_some());
    let left = limited.map(|quota| {
        let last = quota.last_of(&authority.source)?;
        let tickets = tickets(quota, evidence);
        let returns = evidence.history.beside.returns.keys();
        let returned = returns.filter_map(|op| evidence.history.operations.get(*op));
        let given_back: u64 = returned.map(|op| tickets[op.basket.0 as usize]).sum();
        Some(last.size?.saturating_sub(last.sold).saturating_sub(given_back))
    });
    let left = left.collect::<Option<Vec<u64>>>()?.into_iter().min()?;
    Some(if left >= largest { left } else { 0 })
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
    let last = quota.last_of(&authority.source)?;
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

fn false_finding(ops: &[OpId], evidence: &Evidence<'_>) -> Option<Finding> {
    let first = evidence.history.operations.get(*ops.first()?)?;
    let summary = format!("{} refused as sold out although there was room", counted(ops.len(), "purchase"));
    let step = step::step_at(&evidence.windows, first.completed).map(|window| window.step);
    let finding = Finding::new(summary).with_at(first.completed).with_ops(ops.iter().copied()).with_step(step);
    Some(finding.with_remedy("look for a stale read of the quota: a lagging standby, an old cache"))
}
