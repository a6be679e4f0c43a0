//! When buyers were served: outages and first sales around a fault.
//!
//! "Sold out" serves a buyer as well as a confirmation does: a shop without tickets is not a shop without
//! service. Whether it was true is the business of the checker `oversell`.

use super::Evidence;
use super::parts::Parts;
use crate::digest::Sale;
use crate::history::At;
use crate::verdict::Outage;
use std::collections::{BTreeMap, BTreeSet};

/// A gap is reported as an outage from this multiple of the mean gap on.
///
/// Arrivals come at a constant rate, so two confirmations are one mean gap apart, and one slow or failed
/// purchase between them makes it two. Above three, at least two purchases in a row went missing: that is
/// no jitter of a single one.
pub const GAPS_MIN: f64 = 3.0;

/// The confirmed purchases of a run, indexed by time.
#[derive(Debug)]
pub struct Sales {
    by_end: Vec<Sale>,
    /// For the instants that were asked for: the earliest confirmation of an operation begun then or later.
    first_after: BTreeMap<At, Option<At>>,
    mean_gap_ms: f64,
    begin: At,
    end: At,
}

impl Sales {
    /// Indexes the sales of a run in O(n log n). `instants` are those that [`Sales::first_sale_after`] will be
    /// asked for.
    pub fn of(evidence: &Evidence<'_>, instants: impl IntoIterator<Item = At>) -> Self {
        let by_end = evidence.history.sales();
        let first_after = first_after(evidence, instants.into_iter().collect());
        let mean_gap_ms = mean_steady_gap_ms(&by_end, evidence);
        Self { by_end, first_after, mean_gap_ms, begin: evidence.demand.begin, end: evidence.demand.end }
    }

    /// The first confirmation of a purchase that was begun at or after `at`.
    pub fn first_sale_after(&self, at: At) -> Option<At> {
        self.first_after.get(&at).copied().flatten()
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

/// For each of some instants the earliest confirmation of a purchase begun then or later, in one pass.
fn first_after(evidence: &Evidence<'_>, instants: BTreeSet<At>) -> BTreeMap<At, Option<At>> {
    if instants.is_empty() {
        return BTreeMap::new();
    }
    let mut parts = Parts::at(instants.iter().copied());
    let mut first: Vec<Option<At>> = vec![None; parts.count()];
    for (_, op) in evidence.history.operations.iter() {
        let Some(served) = op.served_at() else { continue };
        let first = &mut first[parts.of(op.invoked)];
        *first = Some(first.map_or(served, |first| first.min(served)));
    }
    let mut earliest = None;
    let since = first.into_iter().rev().map(|first| {
        earliest = earliest.into_iter().chain(first).min();
        earliest
    });
    // The last instant begins the last part; what was begun before the first one belongs to none.
    instants.into_iter().rev().zip(since).collect()
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
