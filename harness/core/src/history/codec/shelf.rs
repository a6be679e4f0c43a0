//! Records put aside in memory for a second look, laid out as in a block: about a tenth of what they take one by one.

use super::wire::{Decoder, Encoder};
use crate::history::record::Record;

/// Attempts and rows, in the order in which they were put.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    block: Encoder,
    records: usize,
}

impl Shelf {
    /// Puts an exchange or a row of the final read behind the others. Anything else has no texts to be looked at, and
    /// is not kept.
    pub(crate) fn put(&mut self, record: &Record<'_>) {
        if !matches!(record, Record::Other(_)) {
            self.block.put_bulk(record);
            self.records += 1;
        }
    }

    /// Shows all of them.
    pub(crate) fn each(&self, mut look: impl FnMut(Record<'_>)) {
        let bytes = self.block.bytes();
        let mut decoder = Decoder::new(&bytes).unwrap_or_else(|error| unreachable!("laid out above: {error}"));
        for _ in 0..self.records {
            look(decoder.next().unwrap_or_else(|error| unreachable!("laid out above: {error}")));
        }
    }
}
