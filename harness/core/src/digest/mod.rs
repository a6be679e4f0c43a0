//! The digest of a history: all that the checkers need of it, folded in one pass.
//!
//! Attempts become operations of 64 bytes, rows of the final read 32 bytes each, with prints ([`prints`]) where
//! there were texts; the few other records are kept as they are. Ten million operations with as many rows fit
//! into about a gigabyte. Texts are read again from the history, for those few operations that something is
//! wrong with.

mod baskets;
pub(crate) mod beside;
mod fold;
pub(crate) mod money;
mod ops;
pub(crate) mod prints;
mod rows;

pub use baskets::{BasketId, Baskets};
pub(crate) use beside::Beside;
pub(crate) use ops::{NO_CODE, Place};
pub use ops::{Op, Ops};
pub(crate) use rows::{Ledger, Row, Token};

use crate::history::codec::{self, ReadError};
use crate::history::record::Record;
use crate::history::{
    At, FaultEvent, History, InvoiceRow, Leftover, LogLines, Observation, QuotaRow, QuotaSeen, Refusal, Role,
    RunHeader, RunTrailer, SourceRead, StageEvent, Subject,
};
use std::convert::Infallible;
use std::io::{Seek, SeekFrom};

/// A history that can be gone through more than once, record by record.
pub trait Recorded {
    /// Why it cannot be read at all.
    type Error;

    /// Shows all records in order, each with its place among them, and gives back what is damaged (see
    /// [`History::damage`]).
    ///
    /// # Errors
    /// Where it cannot be read at all.
    fn scan(&mut self, look: codec::Records<'_>) -> Result<Vec<String>, Self::Error>;
}

impl Recorded for &History {
    type Error = Infallible;

    fn scan(&mut self, look: codec::Records<'_>) -> Result<Vec<String>, Infallible> {
        for (place, event) in (0..).zip(&self.events) {
            event.show(|record| look(place, record));
        }
        Ok(self.damage.clone())
    }
}

/// A history as a file of any version.
#[derive(Debug)]
pub struct Stored<R> {
    /// The file.
    pub input: R,
    /// What is known to be wrong with it beyond what its bytes say.
    pub damage: Vec<String>,
}

impl<R: std::io::Read + Seek> Stored<R> {
    /// A file that nothing is known about.
    pub fn new(input: R) -> Self {
        Self { input, damage: Vec::new() }
    }
}

impl<R: std::io::Read + Seek> Recorded for Stored<R> {
    type Error = ReadError;

    fn scan(&mut self, look: codec::Records<'_>) -> Result<Vec<String>, ReadError> {
        self.input.seek(SeekFrom::Start(0))?;
        let mut damage = codec::scan(&mut self.input, look)?;
        damage.extend(self.damage.iter().cloned());
        Ok(damage)
    }
}

/// A served purchase attempt, see `checker/sales`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sale {
    pub(crate) ended: At,
    pub(crate) started: At,
}

/// What the checkers see of a history.
#[derive(Debug, Default)]
pub struct Digest {
    /// Why the history is not whole, where it is not.
    pub damage: Vec<String>,
    /// All logical purchases.
    pub operations: Ops,
    /// What orders consist of.
    pub baskets: Baskets,
    /// How many attempts there are.
    pub attempts: u64,
    /// How many records there are besides trailers.
    pub records: u64,
    /// When the last attempt ended; 0 without one.
    pub last_attempt: At,
    /// Arrivals that found no free buyer.
    pub refusals: Vec<Refusal>,
    pub(crate) error_ends: Vec<At>,
    sales: Vec<Sale>,
    purchases_ms: Vec<f64>,
    /// Prints of the keys and secrets of all tickets that were confirmed.
    pub(crate) tickets: Vec<u64>,
    /// Confirmed operations without a code of their own, with the print of their e-mail address.
    web: Vec<(crate::ids::OpId, u64)>,
    has_web: bool,
    ledgers: rows::Ledgers,
    header: Option<RunHeader>,
    trailer: Option<RunTrailer>,
    faults: Vec<FaultEvent>,
    stages: Vec<StageEvent>,
    observations: Vec<Observation>,
    quotas: Vec<QuotaRow>,
    sources: Vec<SourceRead>,
    /// What is rare beside purchases.
    pub(crate) beside: Beside,
    /// What was read beside orders and quotas.
    pub(crate) read: Read,
}

/// What was read beside orders and quotas.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) quotas_seen: Vec<QuotaSeen>,
    pub(crate) invoices: Vec<InvoiceRow>,
    pub(crate) leftovers: Vec<Leftover>,
    pub(crate) logs: Vec<LogLines>,
}

impl Digest {
    /// Digests a history in one pass.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub fn of<R: Recorded>(history: &mut R) -> Result<Self, R::Error> {
        let mut folding = fold::Folding::default();
        let damage = history.scan(&mut |place, record: Record<'_>| folding.take(place, &record))?;
        let mut digest = folding.digest;
        digest.operations.close();
        digest.beside.close(&digest.tickets);
        digest.damage = damage;
        Ok(digest)
    }

    /// See [`History::header`].
    pub fn header(&self) -> Option<&RunHeader> {
        self.header.as_ref()
    }

    /// Whether the run undertook to look at something.
    pub fn observes(&self, subject: Subject) -> bool {
        self.header.as_ref().is_some_and(|header| header.observes.contains(&subject))
    }

    /// See [`History::trailer`].
    pub fn trailer(&self) -> Option<&RunTrailer> {
        self.trailer.as_ref()
    }

    /// See [`History::faults`].
    pub fn faults(&self) -> impl Iterator<Item = &FaultEvent> {
        self.faults.iter()
    }

    /// All stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &StageEvent> {
        self.stages.iter()
    }

    /// See [`History::observations`].
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.observations.iter()
    }

    /// See [`History::quotas`].
    pub fn quotas(&self) -> impl Iterator<Item = &QuotaRow> {
        self.quotas.iter()
    }

    /// See [`History::sources`].
    pub fn sources(&self) -> impl Iterator<Item = &SourceRead> {
        self.sources.iter()
    }

    /// See [`History::authority`].
    pub fn authority(&self) -> Option<&SourceRead> {
        self.sources().filter(|source| source.complete && source.role == Role::Primary).last()
    }

    /// Gives away the rows of a read.
    pub(crate) fn take_ledger(&mut self, read: &SourceRead) -> Ledger {
        self.ledgers.take(read)
    }

    /// Forgets all rows that nobody took.
    pub(crate) fn drop_ledgers(&mut self) {
        self.ledgers = rows::Ledgers::default();
    }

    /// Whether anybody bought without a code of his own: in the browser.
    pub(crate) fn has_web(&self) -> bool {
        self.has_web
    }

    /// Operations without a code of their own, with the prints of their e-mail addresses, by print.
    pub(crate) fn by_email(&self) -> Vec<(u64, Place)> {
        if !self.has_web {
            return Vec::new();
        }
        let confirmed = self.web.iter().filter_map(|(id, email)| Some((*email, self.operations.place(*id)?)));
        let open = self.operations.placed().filter(|(_, op)| !op.has_own_code() && !op.is_acknowledged());
        let mut all: Vec<(u64, Place)> = confirmed.chain(open.map(|(place, op)| (op.order, place))).collect();
        all.sort_unstable();
        all
    }

    /// All sales by their ends.
    pub(crate) fn sales(&self) -> Vec<Sale> {
        let single = self.operations.iter().filter_map(|(_, op)| op.one_sale());
        let mut all: Vec<Sale> = single.map(|(started, ended)| Sale { ended, started }).collect();
        all.extend_from_slice(&self.sales);
        if !all.is_sorted() {
            all.sort_unstable();
        }
        all
    }

    /// Milliseconds of every purchase attempt, in no order.
    pub(crate) fn purchases_ms(&self) -> impl Iterator<Item = f64> {
        let single = self.operations.iter().filter_map(|(_, op)| op.one_purchase_ms());
        single.chain(self.purchases_ms.iter().copied())
    }
}
