//! What is rare beside purchases: looks at confirmed orders, tickets at the door, fights for single things, orders
//! given back. Each is kept with its times, because its judges ask what came before what.

use super::prints;
use crate::history::ops::{GivenBack, Known};
use crate::history::record::AttemptRef;
use crate::history::{At, AttemptKind, Outcome, RejectReason};
use crate::ids::OpId;
use std::collections::{BTreeMap, HashSet};

/// What somebody saw who looked at an order that had been confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    /// It is there.
    Present,
    /// There is no such order.
    Absent,
    /// Another order was shown.
    Another,
}

/// Somebody looked at an order after it had been confirmed to him.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Look {
    pub(crate) op: OpId,
    pub(crate) started: At,
    pub(crate) ended: At,
    pub(crate) sight: Sight,
}

/// A ticket was shown at the door.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scan {
    /// Print of its secret.
    pub(crate) ticket: u64,
    pub(crate) started: At,
    pub(crate) ended: At,
    pub(crate) op: OpId,
    pub(crate) seen: AtDoor,
    /// Its secret.
    pub(crate) secret: String,
    /// Whether the ticket was confirmed to a buyer who did not ask to give it back.
    pub(crate) valid: bool,
}

/// What the door said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AtDoor {
    Admitted,
    /// Somebody was admitted with it before.
    UsedBefore,
    /// Refused for another reason.
    Refused,
    /// It may have been admitted or not.
    Open,
}

/// What a buyer wanted with something that there is only one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Take,
    GiveBack,
}

/// What he was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is done.
    Done,
    /// Somebody else has it.
    Taken,
    /// It may have been done, then or at any time later.
    Open,
}

/// One operation on something that there is only one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) op: OpId,
    pub(crate) wish: Wish,
    pub(crate) invoked: At,
    /// When the answer came that says so.
    pub(crate) completed: At,
    pub(crate) told: Told,
}

/// An order was to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) invoked: At,
    /// When it was known to be done, if it ever was.
    pub(crate) done: Option<At>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) looks: Vec<Look>,
    pub(crate) scans: Vec<Scan>,
    /// By the name of the thing.
    pub(crate) claims: BTreeMap<String, Vec<Claim>>,
    pub(crate) returns: BTreeMap<OpId, Return>,
}

impl Beside {
    /// Takes an attempt; `was` is what was known of its operation before, `known` what is now.
    pub(super) fn take(&mut self, attempt: &AttemptRef<'_>, was: Known, known: Known, code: u64) {
        if was == Known::Acknowledged && attempt.kind == AttemptKind::Lookup {
            self.looks.extend(sight(attempt, code).map(|sight| Look {
                op: attempt.op,
                started: attempt.started,
                ended: attempt.ended,
                sight,
            }));
        }
        if let (AttemptKind::Redeem, Some(secret)) = (attempt.kind, attempt.ticket) {
            self.scans.extend(at_door(attempt.outcome).map(|seen| Scan {
                ticket: prints::ticket_secret(secret),
                started: attempt.started,
                ended: attempt.ended,
                op: attempt.op,
                seen,
                secret: secret.to_owned(),
                valid: false,
            }));
        }
        if attempt.kind == AttemptKind::Cancel {
            self.give_back(attempt);
        }
        if let Some(name) = attempt.claim {
            self.claim(name, attempt, known);
        }
    }

    fn give_back(&mut self, attempt: &AttemptRef<'_>) {
        let given_back = GivenBack::by(attempt.outcome);
        if given_back == GivenBack::No {
            return;
        }
        let returned = self.returns.entry(attempt.op).or_insert(Return { invoked: attempt.started, done: None });
        if given_back == GivenBack::Yes {
            returned.done.get_or_insert(attempt.ended);
        }
    }

    /// All attempts of one operation with one wish are one claim: from the first of them to the one that says what
    /// became of it.
    fn claim(&mut self, name: &str, attempt: &AttemptRef<'_>, known: Known) {
        let (wish, told) = match (attempt.kind, attempt.outcome, known) {
            (AttemptKind::Cancel, Outcome::Passed, _) => (Wish::GiveBack, Told::Done),
            (AttemptKind::Cancel, Outcome::InDoubt | Outcome::Pending, _) => (Wish::GiveBack, Told::Open),
            (AttemptKind::Purchase | AttemptKind::Lookup, _, Known::Acknowledged) => (Wish::Take, Told::Done),
            (AttemptKind::Purchase, _, Known::Rejected(RejectReason::Taken)) => (Wish::Take, Told::Taken),
            (AttemptKind::Purchase | AttemptKind::Lookup, _, Known::InDoubt) => (Wish::Take, Told::Open),
            _ => return,
        };
        let claims = match self.claims.get_mut(name) {
            Some(claims) => claims,
            None => self.claims.entry(name.to_owned()).or_default(),
        };
        let same = claims.iter_mut().rev().find(|claim| claim.op == attempt.op && claim.wish == wish);
        match same {
            // What is known to be done stays done.
            Some(claim) if claim.told != Told::Open => {}
            Some(claim) => (claim.told, claim.completed) = (told, attempt.ended),
            None => {
                claims.push(Claim { op: attempt.op, wish, invoked: attempt.started, completed: attempt.ended, told })
            }
        }
    }

    /// No more attempts come: which of the tickets at the door were confirmed is known now.
    pub(super) fn close(&mut self, confirmed: &[u64]) {
        if self.scans.is_empty() {
            return;
        }
        let shown: HashSet<u64> = self.scans.iter().map(|scan| scan.ticket).collect();
        let known: HashSet<u64> = confirmed.iter().copied().filter(|ticket| shown.contains(ticket)).collect();
        let returned = &self.returns;
        let given_back: HashSet<u64> =
            self.scans.iter().filter(|scan| returned.contains_key(&scan.op)).map(|scan| scan.ticket).collect();
        for scan in &mut self.scans {
            scan.valid = known.contains(&scan.ticket) && !given_back.contains(&scan.ticket);
        }
        self.scans.sort_unstable();
        self.looks.sort_unstable();
    }
}

/// What a look shows, where it shows anything.
fn sight(attempt: &AttemptRef<'_>, code: u64) -> Option<Sight> {
    match (attempt.outcome, &attempt.order) {
        (Outcome::Acknowledged, Some(order)) if prints::code(order.code) != code || order.email != attempt.email => {
            Some(Sight::Another)
        }
        (Outcome::Acknowledged, Some(_)) => Some(Sight::Present),
        (Outcome::Rejected(RejectReason::NotFound), _) => Some(Sight::Absent),
        _ => None,
    }
}

/// What the door said; nothing where the ticket never came before it.
fn at_door(outcome: Outcome) -> Option<AtDoor> {
    match outcome {
        Outcome::Passed => Some(AtDoor::Admitted),
        Outcome::Rejected(RejectReason::AlreadyRedeemed) => Some(AtDoor::UsedBefore),
        Outcome::Rejected(RejectReason::NotFound | RejectReason::Invalid) => Some(AtDoor::Refused),
        Outcome::InDoubt => Some(AtDoor::Open),
        _ => None,
    }
}
