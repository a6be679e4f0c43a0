//! When buyers were served: outages and first sales around a fault.
//!
//! "Sold out" serves a buyer as well as a confirmation does: a shop without tickets is not a shop without
//! service. Whether it was true is the business of the checker `oversell`.

use super::Evidence;
use crate::history::{At, Attempt, AttemptKind, Outcome, RejectReason};
use crate::verdict::Outage;

/// A gap is reported as an outage from this multiple of the mean gap on.
///
/// Arrivals come at a constant rate, so two confirmations are one mean gap apart, and one slow or failed
/// purchase between them makes it two. Above three, at least two purchases in a row went missing: that is
/// no jitter of a single one.
const GAPS_MIN: f64 = 3.0;

/// One confirmed purchase attempt. Lookups are left out: they prove a purchase, but not when it was made.
#[derive(Debug, Clone, Copy)]
struct Sale {
    started: At,
    ended: At,
}

/// The confirmed purchases of a run, indexed by time.
#[derive(Debug)]
pub struct Sales {
    by_end: Vec<Sale>,
    /// Per operation: begin of its first attempt, and the earliest confirmation of this or any operation
    /// that began later.
    first_ack: Vec<(At, At)>,
    mean_gap_ms: f64,
    begin: At,
    end: At,
}

impl Sales {
    /// Indexes the sales of a run in O(n log n).
    pub fn of(evidence: &Evidence<'_>) -> Self {
        // By the page of the order a buyer in the browser learns what he bought: his last look-up is his sale.
        let is_sale = |a: &Attempt| match a.kind {
            AttemptKind::Purchase => true,
            AttemptKind::Lookup => a.code.is_empty(),
            AttemptKind::Prepare => a.outcome != Outcome::Acknowledged,
            AttemptKind::Visit | AttemptKind::Redeem => false,
        };
        let served = |a: &&Attempt| {
            let sold_out = Outcome::Rejected(RejectReason::SoldOut);
            is_sale(a) && (a.outcome == Outcome::Acknowledged || a.outcome == sold_out)
        };
        let sales = evidence.history.attempts().filter(served);
        let mut by_end: Vec<Sale> = sales.map(|a| Sale { started: a.started, ended: a.ended }).collect();
        by_end.sort_unstable_by_key(|sale| (sale.ended, sale.started));
        let acks = evidence.operations.iter().filter_map(|op| Some((op.invoked, op.served_at()?)));
        let mut first_ack: Vec<(At, At)> = acks.collect();
        first_ack.sort_unstable();
        let mut earliest = At(u64::MAX);
        for (_, ack) in first_ack.iter_mut().rev() {
            earliest = earliest.min(*ack);
            *ack = earliest;
        }
        let mean_gap_ms = mean_steady_gap_ms(&by_end, evidence);
        Self { by_end, first_ack, mean_gap_ms, begin: evidence.demand.begin, end: evidence.demand.end }
    }

    /// The first confirmation of a purchase that was begun at or after `at`.
    pub fn first_sale_after(&self, at: At) -> Option<At> {
        let index = self.first_ack.partition_point(|(invoked, _)| *invoked < at);
        self.first_ack.get(index).map(|(_, ack)| *ack)
    }

    /// Whether a purchase was confirmed in a closed interval.
    pub fn any_between(&self, from: At, until: At) -> bool {
        let index = self.by_end.partition_point(|sale| sale.ended < from);
        self.by_end.get(index).is_some_and(|sale| sale.ended <= until)
    }

    /// The longest time without a confirmation that touches `[from, until]`, if it is longer than jitter.
    ///
    /// It is chosen by the time between two confirmations, which is what buyers see: when every request
    /// hangs until the failover is over and then succeeds, `min_ms` is 0 and nobody bought for its whole
    /// length. Begin and end of the load close a gap that no sale closes.
    pub fn outage(&self, from: At, until: At) -> Option<Outage> {
        let first = self.by_end.partition_point(|sale| sale.ended < from).saturating_sub(1);
        let last = (self.by_end.partition_point(|sale| sale.ended <= until) + 1).min(self.by_end.len());
        let mut points: Vec<Sale> = self.by_end[first..last.max(first)].to_vec();
        if points.first().is_none_or(|sale| sale.ended > from) && self.begin <= until {
            points.insert(0, Sale { started: self.begin, ended: self.begin });
        }
        if last == self.by_end.len() && points.last().is_none_or(|sale| sale.ended < self.end) {
            points.push(Sale { started: self.end, ended: self.end });
        }
        // Two faults in a row: the outage of the next one begins with the last sale before it, which may
        // still lie inside this window. What overlaps by no more than a usual gap is not this window's.
        let inside_ms = |pair: &[Sale]| pair[1].ended.min(until).ms_since(pair[0].ended.max(from));
        let gaps = points.windows(2).filter(|pair| inside_ms(pair) > self.mean_gap_ms);
        let longest = gaps.max_by_key(|pair| pair[1].ended.0.saturating_sub(pair[0].ended.0))?;
        let outage = Outage {
            from: longest[0].ended,
            until: longest[1].ended,
            min_ms: longest[1].started.ms_since(longest[0].ended),
            max_ms: longest[1].ended.ms_since(longest[0].started),
        };
        (outage.until.ms_since(outage.from) > GAPS_MIN * self.mean_gap_ms).then_some(outage)
    }
}

/// Mean time between confirmations outside of all fault windows, in milliseconds: the mean over faults
/// would hide short outages behind long ones. Where there is no such time, the mean over the run.
fn mean_steady_gap_ms(by_end: &[Sale], evidence: &Evidence<'_>) -> f64 {
    let mut windows = evidence.windows.iter().filter(|w| w.injected).peekable();
    let (mut sum_ms, mut count) = (0.0, 0u64);
    for pair in by_end.windows(2) {
        let (from, until) = (pair[0].ended, pair[1].ended);
        while windows.next_if(|window| window.until < from).is_some() {}
        if windows.peek().is_none_or(|window| window.from > until) {
            sum_ms += until.ms_since(from);
            count += 1;
        }
    }
    if count > 0 {
        return sum_ms / count as f64;
    }
    match by_end {
        [first, .., last] => last.ended.ms_since(first.ended) / (by_end.len() - 1) as f64,
        _ => 0.0,
    }
}
