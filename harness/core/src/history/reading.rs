//! What was read, beside what buyers and faults did: databases, the shop's own answers, logs.

use super::event::{At, Role};
use crate::ids::NodeName;
use serde::{Deserialize, Serialize};

/// One order in one database, from the final read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The database that was asked.
    pub source: NodeName,
    /// Order code.
    pub code: String,
    /// The token (`api_meta.hid`) that the buyer sent, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Status letter: `n`, `p`, `e`, `c`.
    pub status: String,
    /// Total in cents.
    pub total_cents: i64,
    /// E-mail address.
    pub email: String,
    /// Its tickets, cancelled ones too.
    pub positions: Vec<LedgerPosition>,
    /// What other tables say of it, where they were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books: Option<RowBooks>,
}

/// What the tables around an order say of it (facts of Pretix 2026.8.0, "SQL", Q3 to Q8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowBooks {
    /// Tickets and fees that are not cancelled, in cents: the total has to be their sum.
    pub lines_cents: i64,
    /// Sum of the shop's append-only ledger of the order, in cents: the total of a pending or paid order, 0 of
    /// any other.
    pub ledger_cents: i64,
    /// Confirmed payments, in cents: a paid order has at least its total, a pending one less.
    pub paid_cents: i64,
    /// Entries "order placed" in the log, which are written in the transaction of the order: exactly one.
    pub placed: u32,
    /// Entries "order paid" in the log, which are written after it: one of a paid order.
    pub paid: u32,
}

/// One ticket in one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPosition {
    /// Primary key.
    pub id: u64,
    /// Item.
    pub item: u64,
    /// Price in cents.
    pub price_cents: i64,
    /// Ticket secret.
    pub secret: String,
    /// Whether it was cancelled.
    pub canceled: bool,
    /// How often somebody was admitted with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub entries: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A quota as one database counts it at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// When the answer came.
    pub at: At,
    /// When it was asked for, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<At>,
    /// The database that was asked.
    pub source: NodeName,
    /// Primary key of the quota.
    pub id: u64,
    /// Name, with its event: `rush/q`.
    pub name: String,
    /// Capacity; none is unlimited.
    pub size: Option<u64>,
    /// Tickets of pending and paid orders that count against it.
    pub sold: u64,
    /// The items that count against it, so that buyers' confirmations can be counted against it too.
    pub items: Vec<u64>,
}

/// The final read asked this database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRead {
    /// When it ended.
    pub at: At,
    /// The database.
    pub source: NodeName,
    /// What it said it was.
    pub role: Role,
    /// Whether every row was read.
    pub complete: bool,
    /// Rows read, or the error.
    pub detail: String,
}

/// What the shop itself says is left of a quota: its API, asked through an entry point as a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaSeen {
    /// When it was asked.
    pub asked: At,
    /// When the answer came.
    pub at: At,
    /// The entry point.
    pub entry: NodeName,
    /// Primary key of the quota.
    pub id: u64,
    /// Capacity; none is unlimited.
    pub size: Option<u64>,
    /// Tickets left; none is unlimited.
    pub left: Option<i64>,
}

/// An invoice as one database has it at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRow {
    /// When it was read.
    pub at: At,
    /// The database that was asked.
    pub source: NodeName,
    /// What its number begins with; numbers run on within a series.
    pub series: String,
    /// Its number in the series.
    pub number: u64,
    /// Code of the order that it is for.
    pub code: String,
    /// Its sum in cents.
    pub cents: i64,
}

impl InvoiceRow {
    /// Whether it cancels another: an invoice of its own, with a number of the same series and a sum below zero.
    pub fn cancels(&self) -> bool {
        self.cents < 0
    }
}

/// Work that was begun and not ended, of one kind, at the end of a run.
///
/// A kind of which nothing is left is written down too: "none" is not "nobody looked".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// When it was counted.
    pub at: At,
    /// Where: a database, a broker.
    pub node: NodeName,
    /// What, in words: `locked idempotency keys`.
    pub what: String,
    /// How many; none where it could not be counted.
    pub count: Option<u64>,
    /// The first of them, or why they could not be counted.
    pub detail: String,
}

/// Lines of a node's log that are alike (numbers and quoted texts aside) and speak of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// Whose log.
    pub node: NodeName,
    /// When the first line of this second was written, by the harness's clock.
    pub at: At,
    /// How many there are in this second.
    pub count: u64,
    /// The first of them, cut.
    pub line: String,
}
