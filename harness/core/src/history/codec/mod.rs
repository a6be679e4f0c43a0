//! Histories as bytes.
//!
//! A file of version 2 is a row of self-contained blocks ([`block`]) of records in a compact layout
//! ([`wire`]); `docs/history-format.md` is its written form. The writer completes a block whenever it is asked
//! to, so that a crash of the harness leaves a file whose every flushed record is readable. A file of version 1
//! is JSON lines inside zstd ([`lines`]); it is still read, and what [`write_line`] writes is one when it is
//! compressed.
//!
//! The reader shows what is whole, record by record, and says what is not, with the number of the record.

mod block;
mod lines;
mod numbers;
mod shelf;
mod wire;

pub use lines::write_line;
pub(crate) use shelf::Shelf;

use super::record::Record;
use super::{Event, HISTORY_VERSION, History};
use block::{BLOCK_MAX, Blocks, Found, MAGIC, Packer};
use std::io::{self, BufRead, BufReader, Read, Write};
use thiserror::Error;
use wire::{Decoder, Encoder};

/// Version of the file that [`Writer`] writes. [`HISTORY_VERSION`] is that of the records in it.
pub const FILE_VERSION: u32 = 2;

/// A block is completed from this many bytes on: large enough to be packed well, small enough for the caches of
/// a processor.
const BLOCK_BYTES: usize = 1 << 18;

/// Magic of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A history cannot be used at all.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The bytes are no history of any version, or could not be read.
    #[error("the history is not readable: {0}; check that the path names the history of a run")]
    Stream(#[from] io::Error),
    /// Another version.
    #[error(
        "record {record}: the history has version {found}, this firedrill reads version {HISTORY_VERSION}; use the firedrill that wrote it"
    )]
    Version {
        /// Number of the record that says so, from 1.
        record: u64,
        /// The version found.
        found: u32,
    },
}

/// Who looks at the records of a history: the place of a record among those that could be read, from 0, and the
/// record.
pub type Records<'v> = &'v mut dyn FnMut(u64, Record<'_>);

/// Writes records as blocks.
pub struct Writer<W: Write> {
    out: W,
    packer: Packer,
    block: Encoder,
    in_block: u32,
    records: u64,
}

impl<W: Write> Writer<W> {
    /// Starts a file.
    pub fn new(out: W) -> io::Result<Self> {
        Ok(Self { out, packer: Packer::new()?, block: Encoder::default(), in_block: 0, records: 0 })
    }

    /// Appends a record. It is safe on disk only after [`Writer::flush`].
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.block.put(event)?;
        self.in_block += 1;
        self.records += 1;
        if self.block.len() >= BLOCK_BYTES { self.complete() } else { Ok(()) }
    }

    /// Completes the current block, so that everything written so far can be decoded.
    pub fn flush(&mut self) -> io::Result<()> {
        self.complete()?;
        self.out.flush()
    }

    /// Records written so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Completes the file and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.out)
    }

    fn complete(&mut self) -> io::Result<()> {
        if self.in_block > 0 {
            let first = self.records + 1 - u64::from(self.in_block);
            self.packer.write(&mut self.out, first, self.in_block, &self.block.bytes())?;
            self.block.clear();
            self.in_block = 0;
        }
        Ok(())
    }
}

/// Shows every record of a history of any version, one after the other, in bounded memory.
///
/// Gives back what is damaged: a torn tail, an unreadable record, a missing trailer. Damage does not fail, what
/// is whole is shown.
///
/// # Errors
/// Where the bytes are no history at all, or records of another version.
pub fn scan(input: impl Read, records: Records<'_>) -> Result<Vec<String>, ReadError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let begin = input.fill_buf()?;
    if begin.starts_with(&ZSTD_MAGIC) {
        return lines::scan(BufReader::with_capacity(1 << 20, zstd::Decoder::with_buffer(input)?), records);
    }
    if begin.starts_with(b"{") {
        return lines::scan(input, records);
    }
    // A file that was torn in its first header is one of ours still, and an empty one is what a crash leaves.
    let ours = begin.is_empty() || begin.starts_with(&MAGIC[..4]);
    if let Some(found) = other_version(begin) {
        return Err(ReadError::Version { record: 1, found });
    }
    let (damage, blocks) = scan_blocks(input, records)?;
    if blocks == 0 && !ours {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no block of a history begins in it").into());
    }
    Ok(damage)
}

/// The version of a file of blocks that this reader does not know.
fn other_version(begin: &[u8]) -> Option<u32> {
    let mut magic = MAGIC;
    magic[4] = *begin.get(4).filter(|byte| byte.is_ascii_digit() && **byte != MAGIC[4])?;
    begin.starts_with(&magic).then(|| u32::from(magic[4] - b'0'))
}

/// Reads a whole history into memory. See [`scan`].
///
/// # Errors
/// As those of [`scan`].
pub fn read(input: impl Read) -> Result<History, ReadError> {
    let mut events = Vec::new();
    let damage = scan(input, &mut |_, record| events.push(record.to_event()))?;
    Ok(History { events, damage })
}

/// Damage, and how many blocks were seen, damaged ones too.
fn scan_blocks(input: impl Read, records: Records<'_>) -> Result<(Vec<String>, u64), ReadError> {
    let mut frame = Frame::new("record", records);
    let mut blocks = Blocks::new(input)?;
    let (mut count, mut expected) = (0, 1);
    while let Some(found) = blocks.next() {
        let (header, raw) = match found {
            Found::Block(header, raw) => (header, Ok(raw)),
            Found::Torn(header, why) => (header, Err(why)),
            Found::Stray { from, bytes } => {
                let text = format!("record {expected}: {bytes} bytes from byte {from} on are no block of the history");
                frame.damage.push(text);
                // A damaged magic or header: the block that it was of is counted as seen.
                continue;
            }
            Found::Failed(error) => {
                frame.damage.push(format!("record {expected}: the file cannot be read on: {error}"));
                break;
            }
        };
        count += 1;
        let (first, last) = (header.first, header.next().saturating_sub(1));
        if first > expected {
            frame.damage.push(format!("record {expected}: records {expected} to {} are missing", first - 1));
        } else if first < expected {
            let text = format!("record {expected}: the numbers begin again at {first}: another history is appended");
            frame.damage.push(text);
        }
        expected = header.next();
        match raw {
            Ok(raw) => block_records(raw, first, last, &mut frame)?,
            Err(why) => {
                frame.damage.push(format!("record {first}: the block of records {first} to {last} is lost: {why}"));
            }
        }
    }
    Ok((frame.end(Some(expected)), count))
}

/// The records of one block.
fn block_records(raw: &[u8], first: u64, last: u64, frame: &mut Frame<'_>) -> Result<(), ReadError> {
    let mut decoder = match Decoder::new(raw) {
        Ok(decoder) => decoder,
        Err(error) => {
            frame.damage.push(format!("record {first}: the block of records {first} to {last} is lost: {error}"));
            return Ok(());
        }
    };
    for number in first..=last {
        match decoder.next() {
            Ok(record) => frame.take(record)?,
            Err(error) => {
                // What comes after it is coded by its differences to it.
                let text = format!("record {number}: not a record of version {HISTORY_VERSION}: {error}");
                frame.damage.push(if number == last { text } else { format!("{text}; lost are all to {last}") });
                return Ok(());
            }
        }
    }
    if !decoder.is_done() {
        frame.damage.push(format!("record {last}: its block holds more than it says"));
    }
    Ok(())
}

/// A whole history begins with its header and ends with a trailer that knows how many records came before.
struct Frame<'v> {
    /// What a record is called in a file of this version.
    unit: &'static str,
    records: Records<'v>,
    damage: Vec<String>,
    count: u64,
    begins: bool,
    /// What the trailer counts, if it is the last record so far.
    counted: Option<u64>,
}

impl<'v> Frame<'v> {
    fn new(unit: &'static str, records: Records<'v>) -> Self {
        Self { unit, records, damage: Vec::new(), count: 0, begins: false, counted: None }
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), ReadError> {
        self.counted = None;
        match record {
            Record::Other(Event::Run(header)) => {
                if header.version != HISTORY_VERSION {
                    return Err(ReadError::Version { record: self.count + 1, found: header.version });
                }
                self.begins |= self.count == 0;
            }
            Record::Other(Event::End(trailer)) => self.counted = Some(trailer.records),
            _ => {}
        }
        (self.records)(self.count, record);
        self.count += 1;
        Ok(())
    }

    /// The damage. `next` is the number of the record that would come next, where records have numbers.
    fn end(mut self, next: Option<u64>) -> Vec<String> {
        if !self.begins {
            self.damage.push(format!("{} 1: the header of the run is missing", self.unit));
        }
        let before = self.count.saturating_sub(1);
        match self.counted {
            Some(records) if records == before => {}
            Some(records) => {
                self.damage.push(format!("the trailer counts {records} records before it, {before} are there"));
            }
            None => self.damage.push(format!(
                "{} {}: the history ends without its trailer: the run was cut off",
                self.unit,
                next.unwrap_or(self.count + 1)
            )),
        }
        self.damage
    }
}

/// The writer completes blocks long before a reader refuses them.
const _: () = assert!(BLOCK_BYTES < BLOCK_MAX && MAGIC[4] == b'0' + FILE_VERSION as u8);
