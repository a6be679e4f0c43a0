//! Histories as bytes: JSON lines inside zstd frames.
//!
//! The writer flushes a block whenever it is asked to, so that a crash of the harness leaves a file whose
//! tail is torn but whose every flushed record is readable. The reader returns what is whole and says
//! what is not, with the line.

use super::{Event, HISTORY_VERSION, History};
use std::io::{self, BufRead, BufReader, Read, Write};
use thiserror::Error;

/// zstd level 1: about a tenth of the size of the plain text at 1 to 2 microseconds a record (measured
/// with the load generators' records, see the load documentation).
const ZSTD_LEVEL: i32 = 1;

/// A history cannot be used at all.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The bytes are no zstd stream, or could not be read.
    #[error("the history is not a readable zstd stream: {0}; check that the path names a history.jsonl.zst")]
    Stream(#[from] io::Error),
    /// Another version.
    #[error(
        "line 1: the history has version {found}, this firedrill reads version {HISTORY_VERSION}; use the firedrill that wrote it"
    )]
    Version {
        /// The version found.
        found: u32,
    },
}

/// Writes records to a compressed stream.
pub struct Writer<W: Write> {
    encoder: zstd::Encoder<'static, W>,
    line: Vec<u8>,
    records: u64,
}

impl<W: Write> Writer<W> {
    /// Starts a stream. It ends with a checksum, or a flipped bit could change a digit unseen.
    pub fn new(out: W) -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self { encoder, line: Vec::with_capacity(512), records: 0 })
    }

    /// Appends a record. It is safe on disk only after [`Writer::flush`].
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, event)?;
        self.line.push(b'\n');
        self.encoder.write_all(&self.line)?;
        self.records += 1;
        Ok(())
    }

    /// Completes the current block, so that everything written so far can be decoded.
    pub fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }

    /// Records written so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Completes the stream and gives the output back.
    pub fn finish(self) -> io::Result<W> {
        self.encoder.finish()
    }
}

/// Reads a whole history. Damage (a torn tail, an unreadable line, a missing trailer) does not fail: it is
/// listed in [`History::damage`], and what is whole is returned.
pub fn read(input: impl Read) -> Result<History, ReadError> {
    let mut lines = BufReader::with_capacity(1 << 20, zstd::Decoder::new(input)?);
    let mut history = History::default();
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                history.damage.push(format!("line {number}: the compressed stream ends here: {error}"));
                break;
            }
        }
        match serde_json::from_slice::<Event>(&line) {
            Ok(Event::Run(header)) if header.version != HISTORY_VERSION => {
                return Err(ReadError::Version { found: header.version });
            }
            Ok(event) => history.events.push(event),
            Err(error) => {
                history.damage.push(format!("line {number}: not a record of version {HISTORY_VERSION}: {error}"))
            }
        }
    }
    check_frame(&mut history);
    Ok(history)
}

/// A whole history begins with its header and ends with a trailer that knows how many records came before.
fn check_frame(history: &mut History) {
    if !matches!(history.events.first(), Some(Event::Run(_))) {
        history.damage.push("line 1: the header of the run is missing".to_owned());
    }
    match history.events.last() {
        Some(Event::End(trailer)) => {
            let before = history.events.len() as u64 - 1;
            if trailer.records != before {
                let text = format!("the trailer counts {} records before it, {before} are there", trailer.records);
                history.damage.push(text);
            }
        }
        _ => history.damage.push(format!(
            "line {}: the history ends without its trailer: the run was cut off",
            history.events.len() + 1
        )),
    }
}
