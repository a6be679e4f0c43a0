//! Which reads of which databases are compared.

use crate::digest::Digest;
use crate::history::SourceRead;
use crate::ids::NodeName;
use std::collections::BTreeMap;

/// The last read of every database but the authority, by name.
pub(super) fn others<'a>(digest: &'a Digest, authority: &SourceRead) -> Vec<&'a SourceRead> {
    let mut last: BTreeMap<&NodeName, &SourceRead> = BTreeMap::new();
    for read in digest.sources() {
        last.insert(&read.source, read);
    }
    last.into_values().filter(|read| read.source != authority.source).collect()
}
