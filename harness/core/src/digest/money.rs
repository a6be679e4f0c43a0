//! What the tables around an order say of it, row by row: each row is right or wrong by itself.

use crate::history::record::RowRef;
use std::collections::BTreeMap;

/// How many order codes are kept of every kind.
const CODES_MAX: usize = 10;

/// What can be wrong with the books of an order, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Imbalance {
    /// Paid, and less was received than it costs.
    Unpaid,
    /// Received in full, and not paid.
    NotCredited,
    /// Tickets and fees are not what it costs.
    Lines,
    /// The ledger is not what it costs, or not 0 where nothing is owed.
    Ledger,
    /// Not exactly one entry "placed" in the log, which is of the order's own transaction.
    Placed,
    /// Paid, and what comes after the payment was never done.
    Orphaned,
}

impl Imbalance {
    /// All kinds, gravest first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Unpaid, Self::NotCredited, Self::Lines, Self::Ledger, Self::Placed, Self::Orphaned];
}

/// The books of all rows of one read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Money {
    /// Rows of which the books were read.
    pub(crate) rows: u64,
    /// How many are wrong, with the first codes in the order of the read.
    pub(crate) wrong: BTreeMap<Imbalance, (u64, Vec<String>)>,
}

impl Money {
    pub(super) fn take(&mut self, row: &RowRef<'_>) {
        let Some(books) = row.books else { return };
        self.rows += 1;
        let total = row.total_cents;
        let is_live = matches!(row.status, "n" | "p");
        let is_paid = row.status == "p";
        // A cancelled order keeps its tickets as they were.
        let has_lines = is_live || row.status == "e";
        let found = |kind: Imbalance| match kind {
            Imbalance::Unpaid => is_paid && books.paid_cents < total,
            Imbalance::NotCredited => matches!(row.status, "n" | "e") && total > 0 && books.paid_cents >= total,
            Imbalance::Lines => has_lines && books.lines_cents != total,
            Imbalance::Ledger => books.ledger_cents != if is_live { total } else { 0 },
            Imbalance::Placed => books.placed != 1,
            Imbalance::Orphaned => is_paid && books.paid == 0,
        };
        for kind in Imbalance::ALL.into_iter().filter(|kind| found(*kind)) {
            let (count, codes) = self.wrong.entry(kind).or_default();
            *count += 1;
            if codes.len() < CODES_MAX {
                codes.push(row.code.to_owned());
            }
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        for (kind, (count, codes)) in other.wrong {
            let (sum, all) = self.wrong.entry(kind).or_default();
            *sum += count;
            all.extend(codes);
            all.truncate(CODES_MAX);
        }
    }
}
