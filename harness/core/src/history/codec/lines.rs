//! JSON lines: version 1 of the file inside zstd, and what is exported for other tools.

use super::{Frame, ReadError, Records};
use crate::history::{Event, HISTORY_VERSION};
use std::io::{self, BufRead, Write};

/// Writes a record as one line.
///
/// # Errors
/// Those of the output.
pub fn write_line(out: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// Reads lines one by one. One that is no record is damage, and so is a stream that breaks.
pub(super) fn scan(mut lines: impl BufRead, records: Records<'_>) -> Result<Vec<String>, ReadError> {
    let mut frame = Frame::new("line", records);
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                frame.damage.push(format!("line {number}: the compressed stream ends here: {error}"));
                break;
            }
        }
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) => event.show(|record| frame.take(record))?,
            Err(error) => {
                frame.damage.push(format!("line {number}: not a record of version {HISTORY_VERSION}: {error}"));
            }
        }
    }
    Ok(frame.end(None))
}
