//! The records behind the numbers: the attempts of the operations that the page names.

use super::view::OpRef;
use crate::units;
use firedrill_core::history::{At, Attempt, AttemptKind, History, OperationOutcome, Operations, Outcome, RejectReason};
use firedrill_core::ids::OpId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many attempts of one operation are written out.
const ATTEMPTS_MAX: usize = 12;

/// Collects the operations that the page names while it is built.
#[derive(Debug)]
pub(super) struct Records<'a> {
    operations: &'a Operations,
    named: BTreeSet<OpId>,
    /// How many are written out; the history has them all.
    max: usize,
}

/// An operation with its attempts.
#[derive(Debug)]
pub(super) struct OperationView {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) code: String,
    pub(super) outcome: String,
    pub(super) due: String,
    pub(super) took: String,
    pub(super) ledger: String,
    pub(super) attempts: Vec<AttemptView>,
    pub(super) more: usize,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct AttemptView {
    pub(super) number: u32,
    pub(super) kind: String,
    pub(super) entry: String,
    pub(super) started: String,
    pub(super) took: String,
    pub(super) status: String,
    pub(super) outcome: String,
    pub(super) error: String,
}

impl<'a> Records<'a> {
    pub(super) fn new(operations: &'a Operations, max: usize) -> Self {
        Self { operations, named: BTreeSet::new(), max }
    }

    /// Names operations; the ones that get a record in the page become links.
    pub(super) fn name(&mut self, ops: impl IntoIterator<Item = OpId>) -> Vec<OpRef> {
        ops.into_iter().map(|op| self.name_one(op)).collect()
    }

    fn name_one(&mut self, op: OpId) -> OpRef {
        let known = self.operations.get(op).is_some();
        if known && self.named.len() < self.max {
            self.named.insert(op);
        }
        OpRef { name: op.to_string(), number: op.0, linked: self.named.contains(&op) }
    }

    /// The records of all that were named.
    pub(super) fn views(&self, history: &History) -> Vec<OperationView> {
        let mut attempts: BTreeMap<OpId, Vec<&Attempt>> = BTreeMap::new();
        for attempt in history.attempts().filter(|attempt| self.named.contains(&attempt.op)) {
            attempts.entry(attempt.op).or_default().push(attempt);
        }
        let ledger = Ledger::of(history);
        let view = |op: &OpId| {
            let operation = self.operations.get(*op)?;
            let all = attempts.get(op).map_or(&[][..], Vec::as_slice);
            Some(OperationView {
                number: op.0,
                name: op.to_string(),
                code: units::clean(&operation.code),
                outcome: outcome(&operation.outcome),
                due: units::instant(operation.intended),
                took: units::duration(operation.latency_ms()),
                ledger: ledger.say(if operation.code.is_empty() { &operation.email } else { &operation.code }),
                attempts: all.iter().take(ATTEMPTS_MAX).map(|a| attempt_view(a)).collect(),
                more: all.len().saturating_sub(ATTEMPTS_MAX),
            })
        };
        self.named.iter().filter_map(view).collect()
    }
}

/// The final read that counts, by order code and by token.
struct Ledger<'a> {
    source: Option<&'a str>,
    status: HashMap<&'a str, &'a str>,
}

impl<'a> Ledger<'a> {
    fn of(history: &'a History) -> Self {
        let authority = history.authority();
        let mut status = HashMap::new();
        for row in history.ledger().filter(|row| authority.is_some_and(|a| a.source == row.source)) {
            status.insert(row.code.as_str(), row.status.as_str());
            status.insert(row.email.as_str(), row.status.as_str());
            if let Some(token) = &row.token {
                status.insert(token.as_str(), row.status.as_str());
            }
        }
        Self { source: authority.map(|source| source.source.as_str()), status }
    }

    fn say(&self, code: &str) -> String {
        let Some(source) = self.source else {
            return "no complete final read of a primary".to_owned();
        };
        match self.status.get(code) {
            Some(status) => units::clean(&format!("in the final read of {source}, status {status}")),
            None => units::clean(&format!("not in the final read of {source}")),
        }
    }
}

fn attempt_view(attempt: &Attempt) -> AttemptView {
    AttemptView {
        number: attempt.number,
        kind: units::clean(match attempt.kind {
            AttemptKind::Purchase => "purchase",
            AttemptKind::Lookup => "look-up",
            AttemptKind::Prepare | AttemptKind::Visit if attempt.group.is_empty() => "page",
            AttemptKind::Prepare | AttemptKind::Visit => attempt.group.as_str(),
            AttemptKind::Redeem => "door",
            AttemptKind::Cancel => "cancel",
        }),
        entry: units::clean(attempt.entry.as_str()),
        started: units::instant(attempt.started),
        took: units::duration(attempt.service_ms()),
        status: attempt.status.map_or_else(|| units::NONE.to_owned(), |status| status.to_string()),
        outcome: match attempt.outcome {
            Outcome::Acknowledged => "confirmed".to_owned(),
            Outcome::Passed => "as it should be".to_owned(),
            Outcome::Pending => "taken, under way".to_owned(),
            Outcome::Rejected(reason) => reject(reason).to_owned(),
            Outcome::NotApplied => "too busy".to_owned(),
            Outcome::InDoubt => "in doubt".to_owned(),
            Outcome::NotSent => "not sent".to_owned(),
        },
        error: units::clean(attempt.error.as_deref().unwrap_or_default()),
    }
}

fn outcome(outcome: &OperationOutcome) -> String {
    match outcome {
        OperationOutcome::Acknowledged { at: At(_), order } => {
            format!("confirmed, {}", units::money(order.total_cents))
        }
        OperationOutcome::Rejected(reason) => reject(*reason).to_owned(),
        OperationOutcome::InDoubt => "in doubt".to_owned(),
        OperationOutcome::NotApplied => "not applied".to_owned(),
        OperationOutcome::Visited => "bought nothing, had its pages".to_owned(),
    }
}

fn reject(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::SoldOut => "sold out",
        RejectReason::DuplicateCode => "code in use",
        RejectReason::Unauthorized => "token refused",
        RejectReason::NotFound => "not found",
        RejectReason::AlreadyRedeemed => "redeemed before",
        RejectReason::Taken => "taken",
        RejectReason::Invalid => "refused as invalid",
    }
}
