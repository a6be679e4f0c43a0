//! The history of a run: what was observed, in the order in which it was written down.
//!
//! The history is the only input of the checkers. It is written as it happens (see [`codec`]), so that a
//! crash of the harness loses at most the last fraction of a second, and every time in it is read from
//! one monotonic clock that starts at 0 with the run.

pub mod codec;
pub mod event;
pub mod ops;
pub mod reading;
pub mod record;

pub use event::{
    At, Attempt, AttemptKind, Event, FaultEvent, NodeState, Observation, OrderAck, Outcome, PositionAck, Refusal,
    RejectReason, Role, RunHeader, RunTrailer, Stage, StageEvent, Subject, Usage,
};
pub use ops::{Operation, OperationOutcome, Operations};
pub use reading::{
    InvoiceRow, LedgerPosition, LedgerRow, Leftover, LogLines, QuotaRow, QuotaSeen, RowBooks, SourceRead,
};

/// Version of the record format; written in the first record and checked by every reader.
///
/// A reader accepts exactly the versions it names. Adding an optional field keeps the version; changing
/// the meaning of a field raises it.
pub const HISTORY_VERSION: u32 = 1;

/// A whole history in memory, as the checkers see it.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The records in the order in which they were written.
    pub events: Vec<Event>,
    /// Why the history is not whole, where it is not: a torn tail, an unreadable line. The checkers judge
    /// what is there; the verdict can then no longer be better than unknown.
    pub damage: Vec<String>,
}

impl History {
    /// A whole history made of these records, as tests and generators build it.
    pub fn from_events(events: Vec<Event>) -> Self {
        Self { events, damage: Vec::new() }
    }

    /// The header, if the history has one.
    pub fn header(&self) -> Option<&RunHeader> {
        self.events.iter().find_map(|event| match event {
            Event::Run(header) => Some(header),
            _ => None,
        })
    }

    /// The trailer, which is there only if the run came to its planned end.
    pub fn trailer(&self) -> Option<&RunTrailer> {
        self.events.iter().rev().find_map(|event| match event {
            Event::End(trailer) => Some(trailer),
            _ => None,
        })
    }

    /// All attempts, in the order in which they ended.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.events.iter().filter_map(|event| match event {
            Event::Attempt(attempt) => Some(attempt),
            _ => None,
        })
    }

    /// All phases of all faults, in order.
    pub fn faults(&self) -> impl Iterator<Item = &FaultEvent> {
        self.events.iter().filter_map(|event| match event {
            Event::Fault(fault) => Some(fault),
            _ => None,
        })
    }

    /// All changes of role, in order.
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.events.iter().filter_map(|event| match event {
            Event::Observed(observation) => Some(observation),
            _ => None,
        })
    }

    /// All rows of the final read, of every source.
    pub fn ledger(&self) -> impl Iterator<Item = &LedgerRow> {
        self.events.iter().filter_map(|event| match event {
            Event::Ledger(row) => Some(row),
            _ => None,
        })
    }

    /// All quota counts that were read, of every source.
    pub fn quotas(&self) -> impl Iterator<Item = &QuotaRow> {
        self.events.iter().filter_map(|event| match event {
            Event::Quota(row) => Some(row),
            _ => None,
        })
    }

    /// The databases that the final read asked, with what they answered as.
    pub fn sources(&self) -> impl Iterator<Item = &SourceRead> {
        self.events.iter().filter_map(|event| match event {
            Event::Source(source) => Some(source),
            _ => None,
        })
    }

    /// The last final read from a node that said it was the primary and that was read completely: the
    /// ledger that counts.
    pub fn authority(&self) -> Option<&SourceRead> {
        self.sources().filter(|source| source.complete && source.role == Role::Primary).last()
    }
}
