//! Blocks: the frames of a version 2 file, and how a reader finds its way through a damaged one.
//!
//! Every block stands alone: it begins with a magic, says which records it holds, and has checksums of its
//! header and of its payload. A torn tail or a flipped bit costs one block; the reader looks for the next
//! magic and says which records are missing.

use std::io::{self, Read, Write};
use xxhash_rust::xxh3::xxh3_64;

/// First bytes of every block. The fifth is the version of the file; the rest is such that a transfer as
/// text, or of seven bits, destroys it (after PNG's).
pub(super) const MAGIC: [u8; 8] = *b"\x89FDH2\r\n\x1a";

/// Length of a header in bytes.
pub(super) const HEADER: usize = 40;

/// No block is larger, packed or unpacked: a damaged length must not make a reader ask for all memory.
pub(super) const BLOCK_MAX: usize = 1 << 26;

/// zstd level 1: what the writer's thread can afford beside a load.
const ZSTD_LEVEL: i32 = 1;

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of its first record, from 1.
    pub(super) first: u64,
    /// How many records it holds.
    pub(super) records: u32,
    raw: u32,
    packed: u32,
    checksum: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.records.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.raw.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.packed.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.checksum.to_le_bytes());
        let check = xxh3_64(&bytes[..36]) as u32;
        bytes[36..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// The header in these bytes, if it is whole.
    fn of(bytes: &[u8]) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let whole = bytes.starts_with(&MAGIC) && u32_at(36)? == xxh3_64(bytes.get(..36)?) as u32;
        let header = Self {
            first: u64_at(8)?,
            records: u32_at(16)?,
            raw: u32_at(20)?,
            packed: u32_at(24)?,
            checksum: u64_at(28)?,
        };
        let small = header.raw as usize <= BLOCK_MAX && header.packed as usize <= BLOCK_MAX;
        (whole && small && header.first > 0).then_some(header)
    }

    /// Number of the first record after this block.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(u64::from(self.records))
    }
}

/// Packs blocks.
pub(super) struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?, packed: Vec::new() })
    }

    /// Writes one block.
    pub(super) fn write(&mut self, out: &mut impl Write, first: u64, records: u32, raw: &[u8]) -> io::Result<()> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        self.zstd.compress_to_buffer(raw, &mut self.packed)?;
        let too_large = || io::Error::other("a block of the history is too large");
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= BLOCK_MAX);
        let header = Header {
            first,
            records,
            raw: length(raw).ok_or_else(too_large)?,
            packed: length(&self.packed).ok_or_else(too_large)?,
            checksum: xxh3_64(&self.packed),
        };
        out.write_all(&header.to_bytes())?;
        out.write_all(&self.packed)
    }
}

/// What a reader comes across.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A block with its unpacked records.
    Block(Header, &'a [u8]),
    /// A block whose header is whole and whose records are not.
    Torn(Header, String),
    /// Bytes that no block begins with: how many, and from which byte of the file.
    Stray {
        /// First byte, from 0.
        from: u64,
        /// How many.
        bytes: u64,
    },
    /// The file cannot be read on.
    Failed(io::Error),
}

/// Finds the blocks of a file.
pub(super) struct Blocks<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where in `buffer` the reader is.
    at: usize,
    /// Bytes of the file before `buffer`.
    before: u64,
    ended: bool,
    failed: Option<io::Error>,
    zstd: zstd::bulk::Decompressor<'static>,
    raw: Vec<u8>,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(input: R) -> io::Result<Self> {
        Ok(Self {
            input,
            buffer: Vec::new(),
            at: 0,
            before: 0,
            ended: false,
            failed: None,
            zstd: zstd::bulk::Decompressor::new()?,
            raw: Vec::new(),
        })
    }

    /// What comes next; none at the end of the file.
    pub(super) fn next(&mut self) -> Option<Found<'_>> {
        if !self.fill(HEADER) && self.rest().is_empty() {
            return self.failed.take().map(Found::Failed);
        }
        let Some(header) = Header::of(self.rest()) else {
            return Some(self.skip());
        };
        let whole = self.fill(HEADER + header.packed as usize);
        let wrong = if !whole {
            Some("the file ends inside of it".to_owned())
        } else if xxh3_64(&self.rest()[HEADER..HEADER + header.packed as usize]) != header.checksum {
            Some("its checksum does not match".to_owned())
        } else {
            self.unpack(header).err().map(|error| format!("it cannot be unpacked: {error}"))
        };
        match wrong {
            None => {
                self.at += HEADER + header.packed as usize;
                Some(Found::Block(header, &self.raw))
            }
            Some(why) => {
                // Its length may be the lie: the next block is looked for right behind the header.
                self.at += HEADER;
                self.seek();
                Some(Found::Torn(header, why))
            }
        }
    }

    fn unpack(&mut self, header: Header) -> io::Result<()> {
        self.raw.clear();
        self.raw.reserve(header.raw as usize);
        let packed = &self.buffer[self.at + HEADER..self.at + HEADER + header.packed as usize];
        let length = self.zstd.decompress_to_buffer(packed, &mut self.raw)?;
        if length == header.raw as usize { Ok(()) } else { Err(io::Error::other("its length is another")) }
    }

    fn skip(&mut self) -> Found<'_> {
        let from = self.position();
        self.at += 1;
        self.seek();
        Found::Stray { from, bytes: self.position() - from }
    }

    /// Goes on to the next magic, or to the end.
    fn seek(&mut self) {
        loop {
            if let Some(found) = find(self.rest(), &MAGIC) {
                self.at += found;
                return;
            }
            // The last bytes may be the begin of a magic.
            self.at = self.buffer.len().saturating_sub(MAGIC.len() - 1).max(self.at);
            if !self.fill(self.rest().len() + 1) {
                self.at = self.buffer.len();
                return;
            }
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn position(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Makes `bytes` bytes available, if the file has them.
    fn fill(&mut self, bytes: usize) -> bool {
        const STEP: usize = 1 << 20;
        while self.rest().len() < bytes && !self.ended {
            self.before += self.at as u64;
            self.buffer.drain(..self.at);
            self.at = 0;
            let more = (bytes - self.buffer.len()).max(STEP) as u64;
            match self.input.by_ref().take(more).read_to_end(&mut self.buffer) {
                Ok(read) => self.ended = (read as u64) < more,
                Err(error) => (self.ended, self.failed) = (true, Some(error)),
            }
        }
        self.rest().len() >= bytes
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
