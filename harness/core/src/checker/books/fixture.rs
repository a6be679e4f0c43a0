//! Records for the tests of this folder.

use crate::history::{At, Attempt, AttemptKind, Event, Outcome, Role, SourceRead};
use crate::ids::{BuyerId, OpId};

/// The first exchange of a purchase, confirmed, without an order; it begins when its number says.
pub(super) fn attempt(op: u64) -> Attempt {
    Attempt {
        op: OpId(op),
        buyer: BuyerId(0),
        number: 1,
        kind: AttemptKind::Purchase,
        entry: "n".into(),
        intended: At(op),
        started: At(op),
        ended: At(op + 1),
        status: None,
        outcome: Outcome::Acknowledged,
        group: String::new(),
        code: String::new(),
        email: String::new(),
        order: None,
        ticket: None,
        claim: None,
        error: None,
    }
}

/// A database was read to the end.
pub(super) fn read(source: &str, role: Role) -> Event {
    Event::Source(SourceRead { at: At(9), source: source.into(), role, complete: true, detail: String::new() })
}
