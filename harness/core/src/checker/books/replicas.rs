//! Two ledgers against each other, by prints.

use super::super::replicas::Difference;
use crate::digest::{Ledger, Row};
use crate::history::SourceRead;
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
    /// Codes whose texts have to be looked at, in chunks.
    pub(super) suspects: Vec<HashSet<u64>>,
}

/// How many codes are looked at in their texts at once.
const CHUNK: usize = 50_000;

impl Pair {
    /// Compares two ledgers whose rows are sorted by code.
    pub(super) fn of(authority: &[Row], mut other: Ledger) -> Self {
        let (mut missing, mut extra, mut suspects) = (HashSet::new(), HashSet::new(), Vec::new());
        let (mut left, mut right) = (authority, &other.rows[..]);
        while let Some(code) = [left.first(), right.first()].into_iter().flatten().map(|row| row.code).min() {
            let same = |rows: &[Row]| rows.iter().take_while(|row| row.code == code).count();
            let (here, there) = (same(left), same(right));
            match (&left[..here], &right[..there]) {
                ([one], [two]) if one.is_same(two) => {}
                ([_], []) => _ = missing.insert(code),
                ([], [_]) => _ = extra.insert(code),
                _ => suspects.push(code),
            }
            (left, right) = (&left[here..], &right[there..]);
        }
        other.rows = Vec::new();
        let suspects = suspects.chunks(CHUNK).map(|codes| codes.iter().copied().collect()).collect();
        Self { other, difference: Difference::default(), missing, extra, suspects }
    }

    /// The read of the other database.
    pub(super) fn read(&self) -> &SourceRead {
        &self.other.read
    }
}
