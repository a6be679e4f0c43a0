//! Attempts folded into operations.
//!
//! All attempts with the same token are one logical purchase, from the invocation of the first to the end
//! of the last. What the operation is known to have done is the strongest statement of its attempts.
//!
//! The token is the order code that the buyer chose. A buyer in the browser has none: there it is his
//! e-mail address, and the code is what the page of the order shows.

use super::{At, Attempt, AttemptKind, History, OrderAck, Outcome, RejectReason};
use crate::ids::{BuyerId, OpId};
use std::collections::BTreeMap;

/// What a purchase came to, as its buyer knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationOutcome {
    /// Confirmed, at this instant, as this order.
    Acknowledged {
        /// When the buyer knew.
        at: At,
        /// What was confirmed.
        order: Box<OrderAck>,
    },
    /// Refused for good and certainly not applied.
    Rejected(RejectReason),
    /// At least one attempt may have been applied, and no attempt or lookup said so.
    InDoubt,
    /// Certainly not applied: every attempt was either not sent or answered "too busy", or the buyer never
    /// came as far as to buy.
    NotApplied,
    /// Nothing was to be bought, and everything that was asked for came.
    Visited,
}

/// Whether a buyer gave his order back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum GivenBack {
    /// He never asked to, or was certainly refused.
    #[default]
    No,
    /// He asked, and it may have been done.
    Perhaps,
    /// It was confirmed to him.
    Yes,
}

impl GivenBack {
    /// What an attempt to give an order back may have done.
    pub(crate) fn by(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Yes,
            Outcome::InDoubt | Outcome::Pending => Self::Perhaps,
            _ => Self::No,
        }
    }
}

/// One logical purchase.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OpId,
    /// Who.
    pub buyer: BuyerId,
    /// Order code: the buyer's choice, or what the shop gave him; empty where there is neither.
    pub code: String,
    /// E-mail address sent.
    pub email: String,
    /// When it was due.
    pub intended: At,
    /// When it was due, moved on by the time for which the buyer himself waited: latency counts from here.
    pub due: At,
    /// When its first attempt began.
    pub invoked: At,
    /// When its last attempt ended.
    pub completed: At,
    /// Number of attempts, lookups included.
    pub attempts: u32,
    /// Attempts that did not go through: in doubt, not sent, too busy.
    pub errors: u32,
    /// What it came to.
    pub outcome: OperationOutcome,
    /// Whether the buyer gave his order back.
    pub given_back: GivenBack,
    /// Whether nothing speaks for "in doubt" but that the shop works in the background.
    pending: bool,
    own_code: bool,
}

impl Operation {
    /// Whether the buyer chose its code, so that retries and look-ups have a token that the shop enforces.
    pub fn has_own_code(&self) -> bool {
        self.own_code
    }

    /// The confirmed order, if the buyer has one.
    pub fn order(&self) -> Option<&OrderAck> {
        match &self.outcome {
            OperationOutcome::Acknowledged { order, .. } => Some(order),
            _ => None,
        }
    }

    /// When the buyer had the confirmation, if ever.
    pub fn acknowledged_at(&self) -> Option<At> {
        match &self.outcome {
            OperationOutcome::Acknowledged { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// When the buyer had an answer: the confirmation, or that it is sold out, or the last page.
    pub fn served_at(&self) -> Option<At> {
        match self.outcome {
            OperationOutcome::Rejected(reason) if reason.is_gone() => Some(self.completed),
            OperationOutcome::Visited => Some(self.completed),
            _ => self.acknowledged_at(),
        }
    }

    /// Milliseconds from the intended time to the confirmation, or to the end of the last attempt, without
    /// the time for which the buyer himself waited.
    pub fn latency_ms(&self) -> f64 {
        self.acknowledged_at().unwrap_or(self.completed).ms_since(self.due)
    }

    /// Whether the buyer has what he came for: an order, the answer "sold out", or his pages.
    pub fn is_served(&self) -> bool {
        self.served_at().is_some()
    }

    fn begin(attempt: &Attempt) -> Self {
        Self {
            id: attempt.op,
            buyer: attempt.buyer,
            code: attempt.code.clone(),
            email: attempt.email.clone(),
            intended: attempt.intended,
            due: attempt.intended,
            invoked: attempt.started,
            completed: attempt.ended,
            attempts: 0,
            errors: 0,
            outcome: OperationOutcome::NotApplied,
            given_back: GivenBack::No,
            pending: false,
            own_code: !attempt.code.is_empty(),
        }
    }

    fn fold(&mut self, attempt: &Attempt) {
        let confirmed = self.acknowledged_at();
        self.intended = self.intended.min(attempt.intended);
        self.invoked = self.invoked.min(attempt.started);
        self.completed = self.completed.max(attempt.ended);
        self.attempts += 1;
        if matches!(attempt.outcome, Outcome::InDoubt | Outcome::NotApplied | Outcome::NotSent) {
            self.errors += 1;
        }
        self.outcome = self.raised_by(attempt);
        if attempt.kind == AttemptKind::Cancel {
            self.given_back = self.given_back.max(GivenBack::by(attempt.outcome));
        }
        match &self.outcome {
            // What is done with an order after its confirmation does not make it late.
            OperationOutcome::Acknowledged { order, .. } if confirmed.is_none() => {
                self.due = attempt.intended;
                if !self.own_code {
                    self.code.clone_from(&order.code);
                }
            }
            OperationOutcome::Acknowledged { .. } => {}
            _ => self.due = self.due.max(attempt.intended),
        }
    }

    /// What the operation comes to with this attempt.
    fn raised_by(&mut self, attempt: &Attempt) -> OperationOutcome {
        let known = match &self.outcome {
            OperationOutcome::Acknowledged { .. } => Known::Acknowledged,
            OperationOutcome::Rejected(reason) => Known::Rejected(*reason),
            OperationOutcome::InDoubt => Known::InDoubt,
            OperationOutcome::NotApplied => Known::NotApplied,
            OperationOutcome::Visited => Known::Visited,
        };
        let raised = known.raised_by(&mut self.pending, attempt.kind, attempt.outcome, attempt.order.is_some());
        match (raised, &attempt.order) {
            (Known::Acknowledged, Some(order)) if known != Known::Acknowledged => {
                OperationOutcome::Acknowledged { at: attempt.ended, order: Box::new(order.clone()) }
            }
            (Known::Acknowledged, _) => self.outcome.clone(),
            (Known::Rejected(reason), _) => OperationOutcome::Rejected(reason),
            (Known::InDoubt, _) => OperationOutcome::InDoubt,
            (Known::NotApplied, _) => OperationOutcome::NotApplied,
            (Known::Visited, _) => OperationOutcome::Visited,
        }
    }
}

/// [`OperationOutcome`] without the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Acknowledged,
    Rejected(RejectReason),
    InDoubt,
    NotApplied,
    Visited,
}

impl Known {
    /// What an operation comes to with one more attempt. `pending` is whether nothing speaks for "in doubt" but
    /// that the shop works in the background.
    ///
    /// Order of strength: acknowledged, in doubt, rejected, not applied. A rejection says nothing about an
    /// earlier attempt in doubt, except that "code in use" confirms that one was applied; and a lookup that
    /// finds nothing while an attempt may still be under way at the server proves nothing either. A purchase
    /// on which the shop works in the background is in doubt until it says what became of it.
    pub(crate) fn raised_by(self, pending: &mut bool, kind: AttemptKind, outcome: Outcome, has_order: bool) -> Self {
        use AttemptKind::{Lookup, Prepare, Purchase, Redeem, Visit};
        let was_pending = *pending;
        match (self, kind, outcome) {
            (Self::Acknowledged, ..) => self,
            (_, Purchase | Lookup, Outcome::Acknowledged) if has_order => Self::Acknowledged,
            (_, Purchase | Lookup, Outcome::Acknowledged) => Self::InDoubt,
            // "No such order" is what a help desk says as long as the shop has not come to it.
            (Self::InDoubt, Lookup, Outcome::Rejected(reason)) if was_pending && reason != RejectReason::NotFound => {
                *pending = false;
                Self::Rejected(reason)
            }
            (Self::InDoubt, Lookup, Outcome::NotApplied) if was_pending => {
                *pending = false;
                Self::NotApplied
            }
            // With two of them under way, an answer to the later one says nothing about the earlier.
            (Self::InDoubt, Purchase, Outcome::InDoubt | Outcome::Pending) => {
                *pending = false;
                Self::InDoubt
            }
            (Self::InDoubt, ..) => Self::InDoubt,
            (_, Purchase, Outcome::Pending) => {
                *pending = true;
                Self::InDoubt
            }
            (_, Purchase, Outcome::InDoubt) => Self::InDoubt,
            (_, _, Outcome::Rejected(RejectReason::DuplicateCode)) => Self::InDoubt,
            (_, Purchase | Prepare, Outcome::Rejected(reason)) => Self::Rejected(reason),
            (Self::NotApplied | Self::Visited, Visit | Redeem, Outcome::Passed) => Self::Visited,
            (Self::Visited, Visit | Redeem, _) => Self::NotApplied,
            _ => self,
        }
    }
}

/// All operations of a history, by id.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    by_id: BTreeMap<OpId, Operation>,
}

impl Operations {
    /// Folds the attempts of a history.
    pub fn of(history: &History) -> Self {
        Self::fold(history.attempts())
    }

    /// Folds attempts, in the order in which they ended.
    pub fn fold<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Self {
        let mut by_id: BTreeMap<OpId, Operation> = BTreeMap::new();
        for attempt in attempts {
            by_id.entry(attempt.op).or_insert_with(|| Operation::begin(attempt)).fold(attempt);
        }
        Self { by_id }
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.by_id.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// One, by id.
    pub fn get(&self, id: OpId) -> Option<&Operation> {
        self.by_id.get(&id)
    }
}
