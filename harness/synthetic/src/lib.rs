//! Histories that no stack has written: of any length, correct, and with anomalies exactly where they are asked
//! for. The checkers are tested and measured with them.
//!
//! Everything is a function of the plan: the same plan gives the same records on every machine, one after the
//! other, so that a history of ten million purchases needs no more memory than one of ten.
//!
//! It is a ticket rush: purchases come at an even rate until the end, the quota is full after a share of them,
//! and who comes later is told "sold out". A primary is killed every few minutes.

mod purchase;
mod run;

use firedrill_core::history::Event;
use firedrill_core::sla::{Availability, Logs, RecoveryObjective, ResponseTime, Sla};
use std::io;
use std::num::NonZeroU64;

pub use purchase::code;

/// What is to be generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of everything random.
    pub seed: u64,
    /// How many purchases are due.
    pub operations: u64,
    /// How many purchases are due a second.
    pub rate_per_s: u64,
    /// Share of the purchases that come before the quota is full, in percent.
    pub sold_percent: u64,
    /// Share of the buyers that buy in the browser, in percent: without a code of their own, page by page.
    pub browser_percent: u64,
    /// Names of the databases; the last is the primary at the end.
    pub databases: Vec<String>,
    /// Kills of the primary, evenly over the load.
    pub faults: u32,
    /// What is to be wrong, and with which purchase; it has to be one that comes before the quota is full.
    pub planted: Vec<(Anomaly, u64)>,
    /// What is to be wrong with every so many-th of those, besides: a defect that many buyers meet.
    pub every: Option<(Anomaly, NonZeroU64)>,
}

/// Something that a checker must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// Confirmed, and no database has it.
    Lost,
    /// Every database has it twice.
    RowTwice,
    /// Every database has it under a second code too.
    TwoCodes,
    /// Every database has an order of the load that nobody sent.
    Phantom,
    /// Refused, and every database has it.
    Resurrected,
    /// Another total in every database.
    Altered,
    /// The secret of the ticket of the purchase before was confirmed for it too.
    SecretTwice,
    /// The first database has an order that the primary does not have.
    OnlyOnStandby,
    /// The first database does not have it.
    MissingOnStandby,
    /// The first database has another e-mail address.
    OtherOnStandby,
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Lost,
        Self::RowTwice,
        Self::TwoCodes,
        Self::Phantom,
        Self::Resurrected,
        Self::Altered,
        Self::SecretTwice,
        Self::OnlyOnStandby,
        Self::MissingOnStandby,
        Self::OtherOnStandby,
    ];

    /// The checker that must find it, and no other.
    pub fn checker(self) -> &'static str {
        match self {
            Self::OnlyOnStandby | Self::MissingOnStandby | Self::OtherOnStandby => "replicas",
            Self::TwoCodes => "exactly_once",
            Self::SecretTwice => "unique",
            _ => "conservation",
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 1,
            operations: 1_000,
            rate_per_s: 1_000,
            sold_percent: 50,
            browser_percent: 0,
            databases: ["pg1", "pg2"].map(str::to_owned).to_vec(),
            faults: 4,
            planted: Vec::new(),
            every: None,
        }
    }
}

impl Plan {
    /// Generates the records in the order in which a run writes them.
    ///
    /// # Errors
    /// Those of `put`.
    pub fn records(&self, mut put: impl FnMut(Event) -> io::Result<()>) -> io::Result<()> {
        run::records(self, &mut put)
    }

    /// All records at once, for histories that fit into memory.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let never = self.records(|event| {
            events.push(event);
            Ok(())
        });
        debug_assert!(never.is_ok(), "a list takes every record");
        events
    }

    /// How many purchases come before the quota is full.
    pub fn sold(&self) -> u64 {
        self.operations * self.sold_percent / 100
    }

    /// What is to be wrong with a purchase.
    fn anomaly(&self, op: u64) -> Option<Anomaly> {
        let planted = self.planted.iter().find(|(_, victim)| *victim == op).map(|(anomaly, _)| *anomaly);
        planted.or_else(|| {
            self.every
                .filter(|(_, nth)| (1..self.sold()).contains(&op) && op % nth.get() == nth.get() - 1)
                .map(|(anomaly, _)| anomaly)
        })
    }
}

/// The agreement that a history without anomalies keeps.
pub fn sla() -> Sla {
    Sla {
        name: "synthetic".to_owned(),
        source: "none".to_owned(),
        availability: Availability { normal_percent: 90.0, peak_percent: 90.0, peak_above_per_min: 50.0 },
        response_time: ResponseTime { max_ms: 50_000.0, steady_p99_ms: Some(2_000.0) },
        recovery: RecoveryObjective { outage_max_ms: Some(15_000.0), whole_max_ms: Some(60_000.0) },
        logs: Logs::default(),
    }
}
