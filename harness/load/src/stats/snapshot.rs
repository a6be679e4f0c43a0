//! What the figures of a load look like from outside.

use super::errors::Errors;
use super::timing::Figures;
use firedrill_core::history::At;
use std::collections::BTreeMap;

/// The last purchase that the shop answered: confirmed, or "sold out".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When the exchange began.
    pub began: At,
    /// When the buyer had the answer.
    pub ended: At,
}

/// Figures of a load at one instant. Totals are since its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When it was taken.
    pub at: At,
    /// When the first purchase was due.
    pub started: At,
    /// Purchases that were due, refused ones included.
    pub arrivals: u64,
    /// Arrivals that found no free buyer.
    pub refused: u64,
    /// Arrivals that a buyer began more than [`LATE_MS`](crate::LATE_MS) after they were due.
    pub late: u64,
    /// Operations under way.
    pub in_flight: u64,
    /// Virtual users at work: busy buyers of an open model, users of a closed one who have begun and have
    /// rounds left.
    pub users_active: u64,
    /// Whether no more purchases will begin: the load was stopped, its rate fell to 0 for good, its users
    /// are through, or it is void. Operations may still be under way.
    pub over: bool,
    /// Operations that were confirmed.
    pub acknowledged: u64,
    /// Operations that ended because there was nothing left: sold out, or somebody else has the seat or voucher.
    pub sold_out: u64,
    /// Operations that were refused for good for another reason (token, invalid).
    pub rejected: u64,
    /// Operations that ended without an answer: patience was over, or the load was.
    pub gave_up: u64,
    /// Exchanges.
    pub attempts: u64,
    /// What a customer would have noticed: exchanges in doubt or too busy, no entry point that lets anybody in
    /// ([`Access`](crate::operation::Access)), refused for good although something was left, patience over. Refused
    /// arrivals are counted in [`Snapshot::refused`].
    pub errors: u64,
    /// Exchanges that failed, by kind.
    pub by_kind: Errors,
    /// Exchanges of which not one byte was sent; with another entry point at hand the customer sees none
    /// of them.
    pub not_sent: u64,
    /// Confirmations in the last second.
    pub acks_last_s: u64,
    /// Errors in the last second, as in [`Snapshot::errors`].
    pub errors_last_s: u64,
    /// The answer (a confirmation, or "sold out") whose exchange began last.
    pub last_answer: Option<Answer>,
    /// When the last error, or the last refused arrival, was seen.
    pub last_error: Option<At>,
    /// Median latency of the operations that ended in the last 10 s, from their intended start, in
    /// milliseconds. As in the history, the time for which a buyer himself waited is not in it.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub latency_p99_ms: Option<f64>,
    /// Start lag of the whole run: from the instant at which a purchase was due to the instant at which
    /// its buyer began.
    pub start_lag: Lag,
    /// Records that could not be handed over. Above 0 the history is not whole and the run is void.
    pub records_lost: u64,
}

/// Percentiles of a lag, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Number of values.
    pub count: u64,
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Largest.
    pub max_us: u64,
}

/// How long everything took: costs more than a [`Snapshot`], meant for once a second at most.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Breakdown {
    /// Whole operations.
    pub operations: Figures,
    /// Exchanges, by the group that the journey names them by. Exchanges without a group are under the
    /// name of what they asked for.
    pub groups: BTreeMap<String, GroupFigures>,
}

/// Figures of the exchanges of one group.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GroupFigures {
    /// How long they took. Latency is from the instant at which the *operation* was due, as in the history:
    /// for a later step of a journey it has the earlier ones in it.
    pub figures: Figures,
    /// Those that failed, by kind.
    pub errors: Errors,
}

impl Snapshot {
    /// Whether sales have gone well for the last `for_ms` milliseconds: the load ran all that time, there
    /// was no error and no refused arrival, and something was sold.
    pub fn serves_cleanly_for(&self, for_ms: u64) -> bool {
        let since = At(self.at.0.saturating_sub(for_ms.saturating_mul(1_000_000)));
        self.started <= since
            && self.last_error.is_none_or(|error| error < since)
            && self.last_answer.is_some_and(|answer| answer.ended >= since)
    }

    /// Whether a purchase that was sent at `instant` or later was confirmed. One that was sent before and
    /// confirmed after proves nothing about the time after.
    pub fn served_since(&self, instant: At) -> bool {
        self.last_answer.is_some_and(|answer| answer.began >= instant)
    }
}
