//! Exchanges that failed, by kind.

use crate::wire::TIMEOUT;
use firedrill_core::history::{Attempt, Outcome, RejectReason};

/// Counts of exchanges that failed, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Errors {
    /// No answer in time; in doubt.
    pub timeouts: u64,
    /// The connection broke after a byte had left; in doubt.
    pub broken: u64,
    /// An answer that does not say what happened (5xx, or unreadable); in doubt.
    pub unclear: u64,
    /// "Too busy": nothing was written.
    pub too_busy: u64,
    /// The entry point could not be reached, or its certificate not be trusted; nothing was sent.
    pub not_sent: u64,
    /// The shop refused for good, and neither because it was sold out nor because the same had been asked
    /// before.
    pub refused: u64,
}

impl Errors {
    /// Names and counts of the kinds of which there are any.
    pub fn counted(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("timed out", self.timeouts),
            ("broken off", self.broken),
            ("unclear answers", self.unclear),
            ("too busy", self.too_busy),
            ("not sent", self.not_sent),
            ("refused", self.refused),
        ];
        all.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Counts an exchange, where it failed.
    pub(super) fn add(&mut self, attempt: &Attempt) {
        match attempt.outcome {
            Outcome::InDoubt if attempt.status.is_some() => self.unclear += 1,
            Outcome::InDoubt if attempt.error.as_deref() == Some(TIMEOUT) => self.timeouts += 1,
            Outcome::InDoubt => self.broken += 1,
            Outcome::NotApplied => self.too_busy += 1,
            Outcome::NotSent => self.not_sent += 1,
            Outcome::Rejected(RejectReason::Unauthorized | RejectReason::Invalid) => self.refused += 1,
            // An answer that the buyer had to reckon with.
            Outcome::Rejected(_) | Outcome::Acknowledged | Outcome::Passed | Outcome::Pending => {}
        }
    }
}
