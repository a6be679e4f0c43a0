//! What prints cannot decide, in portions: which texts have to be looked at together, and in which pass over the history
//! they are collected.
//!
//! A pass fills many shelves, packed, and then they are looked at one after the other. So the texts of one shelf are in
//! memory at a time, and a history in which everything is wrong is read a few times and not once for every shelf.

use crate::history::codec::Shelf;
use crate::history::record::Record;
use crate::ids::OpId;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// About how many records are looked at in their texts at once, at about a kilobyte each. Small histories fill several
/// in tests of their own.
const SHELF_RECORDS: usize = if cfg!(test) { 3 } else { 100_000 };

/// How many shelves a pass fills: two million records, packed at about 110 bytes each.
const PASS_SHELVES: u32 = if cfg!(test) { 2 } else { 20 };

/// Whose texts have to be looked at, and on which shelf. Shelves are numbered from 0.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    ops: HashMap<OpId, u32>,
    codes: HashMap<u64, u32>,
    /// The shelf that is filled.
    open: u32,
    /// How many records are about to come to it.
    on_open: usize,
}

impl Suspects {
    /// Adds the rows with a code; whether that is new.
    pub(super) fn add_code(&mut self, code: u64) -> bool {
        let Entry::Vacant(new) = self.codes.entry(code) else { return false };
        new.insert(self.open);
        true
    }

    /// Adds a purchase.
    pub(super) fn add_op(&mut self, op: OpId) {
        self.ops.insert(op, self.open);
    }

    /// So many records are what was added last.
    pub(super) fn expect(&mut self, records: usize) {
        self.on_open += records;
    }

    /// What comes next need not be looked at together with what was added before.
    pub(super) fn part(&mut self) {
        if self.on_open >= SHELF_RECORDS {
            (self.open, self.on_open) = (self.open + 1, 0);
        }
    }

    /// How many passes over the history it takes to collect the texts.
    pub(super) fn passes(&self) -> u32 {
        (self.open + u32::from(self.on_open > 0)).div_ceil(PASS_SHELVES)
    }

    /// The shelf of a purchase, if it is filled in a pass.
    pub(super) fn of_op(&self, op: OpId, pass: u32) -> Option<u32> {
        self.ops.get(&op).copied().filter(|shelf| shelf / PASS_SHELVES == pass)
    }

    /// The shelf of a code, if it is filled in a pass.
    pub(super) fn of_code(&self, code: u64, pass: u32) -> Option<u32> {
        self.codes.get(&code).copied().filter(|shelf| shelf / PASS_SHELVES == pass)
    }
}

/// The shelves of one pass.
#[derive(Debug, Default)]
pub(super) struct Shelves(BTreeMap<u32, Shelf>);

impl Shelves {
    /// Puts a record on a shelf, behind what is there.
    pub(super) fn put(&mut self, shelf: u32, record: &Record<'_>) {
        self.0.entry(shelf).or_default().put(record);
    }

    /// Empties them one after the other.
    pub(super) fn empty(self) -> impl Iterator<Item = Shelf> {
        self.0.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve codes with a record each fill four shelves of three, in two passes of two.
    #[test]
    fn shelves_are_filled_in_their_order() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.passes(), 0);
        for number in 0..12 {
            assert!(suspects.add_code(number) && !suspects.add_code(number), "code {number} is new once");
            suspects.add_op(OpId(number));
            suspects.expect(1);
            suspects.part();
        }
        assert_eq!(suspects.passes(), 2);
        for number in 0..12 {
            let shelf = number as u32 / 3;
            for pass in 0..3 {
                let expected = (pass == shelf / 2).then_some(shelf);
                assert_eq!(suspects.of_code(number, pass), expected, "code {number} in pass {pass}");
                assert_eq!(suspects.of_op(OpId(number), pass), expected, "op{number} in pass {pass}");
            }
        }
    }

    #[test]
    fn what_is_not_parted_stays_together() {
        let mut suspects = Suspects::default();
        for number in 0..12 {
            suspects.add_code(number);
            suspects.expect(1);
        }
        suspects.part();
        suspects.add_code(12);
        assert_eq!(
            (0..=12).filter_map(|code| suspects.of_code(code, 0)).collect::<Vec<_>>(),
            [vec![0; 12], vec![1]].concat()
        );
    }
}
