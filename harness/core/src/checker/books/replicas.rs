//! Two ledgers against each other, by prints.

use super::super::replicas::Difference;
use super::shelves::Suspects;
use crate::digest::{Ledger, Row};
use crate::history::SourceRead;
use crate::history::codec::Shelf;
use crate::history::record::Record;
use std::collections::HashSet;

/// Another database beside the authority.
#[derive(Debug)]
pub(super) struct Pair {
    /// Its ledger; its rows are gone once they are compared.
    pub(super) other: Ledger,
    /// How it differs.
    pub(super) difference: Difference,
    /// Codes whose only row the other one does not have, and the other way round. No text can say otherwise.
    pub(super) missing: HashSet<u64>,
    pub(super) extra: HashSet<u64>,
    /// Codes whose texts have to be looked at.
    pub(super) suspects: Suspects,
}

impl Pair {
    /// Compares two ledgers whose rows are sorted by code.
    pub(super) fn of(authority: &[Row], mut other: Ledger) -> Self {
        let (mut missing, mut extra, mut suspects) = (HashSet::new(), HashSet::new(), Suspects::default());
        let (mut left, mut right) = (authority, &other.rows[..]);
        while let Some(code) = [left.first(), right.first()].into_iter().flatten().map(|row| row.code).min() {
            let same = |rows: &[Row]| rows.iter().take_while(|row| row.code == code).count();
            let (here, there) = (same(left), same(right));
            match (&left[..here], &right[..there]) {
                ([one], [two]) if one.is_same(two) => {}
                ([_], []) => _ = missing.insert(code),
                ([], [_]) => _ = extra.insert(code),
                _ => {
                    suspects.add_code(code);
                    suspects.expect(here + there);
                    suspects.part();
                }
            }
            (left, right) = (&left[here..], &right[there..]);
        }
        other.rows = Vec::new();
        Self { other, difference: Difference::default(), missing, extra, suspects }
    }

    /// Compares the texts that lie on a shelf.
    pub(super) fn compare(&mut self, shelf: &Shelf) {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        shelf.each(|record| {
            if let Record::Ledger(row) = record {
                let rows = if row.source == self.read().source.as_str() { &mut there } else { &mut here };
                rows.push(row.to_row());
            }
        });
        self.difference.compare(here, there);
    }

    /// The read of the other database.
    pub(super) fn read(&self) -> &SourceRead {
        &self.other.read
    }
}
