//! Attempts folded into operations.
//!
//! All attempts with the same token are one logical purchase, from the invocation of the first to the end
//! of the last. What the operation is known to have done is the strongest statement of its attempts.

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
    /// Certainly not applied: every attempt was either not sent or answered "too busy".
    NotApplied,
}

/// One logical purchase.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OpId,
    /// Who.
    pub buyer: BuyerId,
    /// Client-chosen order code.
    pub code: String,
    /// E-mail address sent.
    pub email: String,
    /// When it was due.
    pub intended: At,
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
}

impl Operation {
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

    /// When the buyer had an answer: the confirmation, or that it is sold out.
    pub fn served_at(&self) -> Option<At> {
        match self.outcome {
            OperationOutcome::Rejected(RejectReason::SoldOut) => Some(self.completed),
            _ => self.acknowledged_at(),
        }
    }

    /// Milliseconds from the intended time to the confirmation, or to the end of the last attempt.
    pub fn latency_ms(&self) -> f64 {
        self.acknowledged_at().unwrap_or(self.completed).ms_since(self.intended)
    }

    fn begin(attempt: &Attempt) -> Self {
        Self {
            id: attempt.op,
            buyer: attempt.buyer,
            code: attempt.code.clone(),
            email: attempt.email.clone(),
            intended: attempt.intended,
            invoked: attempt.started,
            completed: attempt.ended,
            attempts: 0,
            errors: 0,
            outcome: OperationOutcome::NotApplied,
        }
    }

    fn fold(&mut self, attempt: &Attempt) {
        self.invoked = self.invoked.min(attempt.started);
        self.completed = self.completed.max(attempt.ended);
        self.attempts += 1;
        if matches!(attempt.outcome, Outcome::InDoubt | Outcome::NotApplied | Outcome::NotSent) {
            self.errors += 1;
        }
        let next = stronger(&self.outcome, attempt);
        if let Some(next) = next {
            self.outcome = next;
        }
    }
}

/// The outcome that `attempt` raises an operation to, if it raises it.
///
/// Order of strength: acknowledged, in doubt, rejected, not applied. A rejection says nothing about an
/// earlier attempt in doubt, except that "code in use" confirms that one was applied; and a lookup that
/// finds nothing while an attempt may still be under way at the server proves nothing either.
fn stronger(current: &OperationOutcome, attempt: &Attempt) -> Option<OperationOutcome> {
    let at = attempt.ended;
    match (current, attempt.outcome) {
        (OperationOutcome::Acknowledged { .. }, _) => None,
        (_, Outcome::Acknowledged) => match &attempt.order {
            Some(order) => Some(OperationOutcome::Acknowledged { at, order: Box::new(order.clone()) }),
            None => Some(OperationOutcome::InDoubt),
        },
        (_, Outcome::InDoubt) if attempt.kind == AttemptKind::Purchase => Some(OperationOutcome::InDoubt),
        (OperationOutcome::InDoubt, _) => None,
        (_, Outcome::Rejected(RejectReason::DuplicateCode)) => Some(OperationOutcome::InDoubt),
        (_, Outcome::Rejected(reason)) if attempt.kind == AttemptKind::Purchase => {
            Some(OperationOutcome::Rejected(reason))
        }
        _ => None,
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
        let mut by_id: BTreeMap<OpId, Operation> = BTreeMap::new();
        for attempt in history.attempts() {
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
