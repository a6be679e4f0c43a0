//! The rows of one final read.

use crate::history::{Event, History, LedgerRow, SourceRead};

/// The rows that belong to `read`, in the order in which they were written.
///
/// A read writes its rows and then its [`SourceRead`]. Where one database was read more than once, only
/// the rows after its read before count.
pub fn rows<'a>(history: &'a History, read: &SourceRead) -> Vec<&'a LedgerRow> {
    let reads = history.sources().filter(|other| other.source == read.source).count();
    let mut rows = Vec::new();
    for event in &history.events {
        match event {
            Event::Ledger(row) if row.source == read.source => rows.push(row),
            Event::Source(other) if reads > 1 && other.source == read.source => {
                if other == read {
                    return rows;
                }
                rows.clear();
            }
            _ => {}
        }
    }
    rows
}
