//! The demand: every purchase that was due, and what became of it for its buyer.
//!
//! Retries of one purchase are one purchase. "Sold out" is an answer. An arrival that found no free buyer
//! is a failure: a real buyer would have come.

use super::first_stage;
use crate::digest::{Digest, Op, Place};
use crate::history::ops::Known;
use crate::history::{At, Stage};
use crate::ids::OpId;
use crate::sla::Sla;

/// Peaks are told apart minute by minute, because the agreement counts purchases a minute.
const MINUTE_NS: u64 = 60_000_000_000;

/// A load shorter than this is treated as this long when its rate is extrapolated to a minute.
const SHORTEST_NS: u64 = 1_000_000_000;

/// What became of a due purchase for its buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// He has a confirmation.
    Sold,
    /// He was told that it is sold out, or that somebody else has it.
    SoldOut,
    /// He bought nothing and had what he came for.
    Visited,
    /// Neither: in doubt, too busy, never served, wrongly refused.
    Failed,
}

/// One due purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due.
    pub at: At,
    /// Which: the place of an operation, or behind all of these that of a refusal.
    place: u32,
    /// What became of it.
    pub service: Service,
    /// Whether its minute was a peak as the agreement defines it.
    pub peak: bool,
}

impl Due {
    /// The purchase that it is, which a refused arrival never became.
    pub fn op(&self, history: &Digest) -> OpId {
        let places = history.operations.places();
        match (self.place as usize).checked_sub(places) {
            None => history.operations.id(Place(self.place)),
            Some(refusal) => history.refusals[refusal].op,
        }
    }

    /// The operation, unless the arrival was refused.
    pub(crate) fn operation<'d>(&self, history: &'d Digest) -> Option<&'d Op> {
        let place = Place(self.place);
        ((self.place as usize) < history.operations.places()).then(|| history.operations.at(place))
    }
}

/// Counts of one class of due purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All.
    pub due: u64,
    /// Confirmed, or answered "sold out".
    pub served: u64,
}

impl Tally {
    /// Share that was served, if there was anything to serve.
    pub fn percent(self) -> Option<f64> {
        (self.due > 0).then(|| 100.0 * self.served as f64 / self.due as f64)
    }

    /// Not served.
    pub fn failed(self) -> u64 {
        self.due - self.served
    }

    /// Counts one more.
    pub(super) fn add(&mut self, service: Service) {
        self.due += 1;
        self.served += u64::from(service != Service::Failed);
    }
}

/// Counts split by class; the classes are never added up, because they were promised different shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shares {
    /// Minutes that are no peak.
    pub normal: Tally,
    /// Peak minutes.
    pub peak: Tally,
}

impl Shares {
    /// Counts.
    pub fn of(dues: &[Due]) -> Self {
        let mut shares = Self::default();
        for due in dues {
            if due.peak { shares.peak.add(due.service) } else { shares.normal.add(due.service) }
        }
        shares
    }

    /// The classes that were served less than was promised, in words.
    pub fn shortfalls(self, sla: &Sla) -> Vec<String> {
        let promised = &sla.availability;
        let classes =
            [("in normal use", self.normal, promised.normal_percent), ("in peaks", self.peak, promised.peak_percent)];
        let short = classes.into_iter().filter(|(_, tally, wanted)| tally.percent().is_some_and(|p| p < *wanted));
        short
            .map(|(name, tally, wanted)| {
                let percent = tally.percent().unwrap_or(0.0);
                format!("{percent:.2} % of {} purchases served {name}, promised {wanted} %", tally.due)
            })
            .collect()
    }
}

/// All due purchases of a run.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// Begin of the load.
    pub begin: At,
    /// End of the load.
    pub end: At,
    /// Sorted by due time, then by id.
    pub dues: Vec<Due>,
    /// Arrivals that found no free buyer.
    pub refused: u64,
}

impl Demand {
    /// Collects the due purchases of a history. Where the stages are missing, the load is taken to last
    /// from the first due time to the last.
    pub fn of(history: &Digest, sla: &Sla) -> Self {
        let operations = &history.operations;
        let refused = (operations.places()..).zip(&history.refusals).map(|(place, refusal)| Due {
            at: refusal.intended,
            place: place as u32,
            service: Service::Failed,
            peak: false,
        });
        let mut dues: Vec<Due> = Vec::with_capacity(operations.len() + history.refusals.len());
        dues.extend(operations.placed().map(|(Place(place), op)| Due {
            at: op.intended,
            place,
            service: service(op.known),
            peak: false,
        }));
        dues.extend(refused);
        let order = |a: &Due, b: &Due| a.at.cmp(&b.at).then_with(|| a.op(history).cmp(&b.op(history)));
        if !dues.is_sorted_by(|a, b| order(a, b).is_le()) {
            dues.sort_unstable_by(order);
        }
        let first = dues.first().map_or(At(0), |due| due.at);
        let last = dues.last().map_or(first, |due| due.at);
        let begin = first_stage(history, Stage::LoadStarted).unwrap_or(first);
        let end = first_stage(history, Stage::LoadStopped).unwrap_or(last).max(begin);
        let refused = history.refusals.len() as u64;
        let mut demand = Self { begin, end, dues, refused };
        demand.mark_peaks(sla.availability.peak_above_per_min);
        demand
    }

    /// The purchases due in a closed interval.
    pub fn between(&self, from: At, until: At) -> &[Due] {
        let first = self.dues.partition_point(|due| due.at < from);
        let last = self.dues.partition_point(|due| due.at <= until);
        &self.dues[first..last.max(first)]
    }

    /// Marks the minutes, counted from the begin of the load, with more than `above_per_min` due
    /// purchases. A last minute that is not whole belongs to the one before, and a load of less than a
    /// minute is extrapolated, so that no purchase escapes its class.
    fn mark_peaks(&mut self, above_per_min: f64) {
        let length_ns = (self.end.0 - self.begin.0).max(SHORTEST_NS);
        let minutes = (length_ns / MINUTE_NS).max(1);
        let begin_ns = self.begin.0;
        let minute_of = |at: At| ((at.0.saturating_sub(begin_ns) / MINUTE_NS).min(minutes - 1)) as usize;
        let mut counts = vec![0u64; minutes as usize];
        for due in &self.dues {
            counts[minute_of(due.at)] += 1;
        }
        let last_ns = length_ns - (minutes - 1) * MINUTE_NS;
        let is_peak = |minute: usize| {
            let minute_ns = if minute as u64 == minutes - 1 { last_ns } else { MINUTE_NS };
            counts[minute] as f64 * MINUTE_NS as f64 / minute_ns as f64 > above_per_min
        };
        for due in &mut self.dues {
            due.peak = is_peak(minute_of(due.at));
        }
    }
}

fn service(known: Known) -> Service {
    match known {
        Known::Acknowledged => Service::Sold,
        Known::Rejected(reason) if reason.is_gone() => Service::SoldOut,
        Known::Visited => Service::Visited,
        Known::Rejected(_) | Known::InDoubt | Known::NotApplied => Service::Failed,
    }
}
