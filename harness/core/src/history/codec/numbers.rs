//! Numbers and texts as they lie in a block, written and read.

use thiserror::Error;

/// Bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Malformed {
    /// They end too early.
    #[error("it ends too early")]
    Short,
    /// A number is too large for its field.
    #[error("a number is too large")]
    Number,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A kind, an outcome, a bit or the number of a text that this version does not know.
    #[error("unknown {what} {found}")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// Which.
        found: u64,
    },
    /// A rare record is not the JSON of one.
    #[error("{0}")]
    Json(String),
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

pub(super) fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

pub(super) fn difference(bytes: &mut Vec<u8>, value: u64, from: u64) {
    number(bytes, zigzag(value.wrapping_sub(from) as i64));
}

/// What is left of a block.
#[derive(Debug)]
pub(super) struct Cursor<'b> {
    pub(super) rest: &'b [u8],
    pub(super) texts: &'b str,
}

impl<'b> Cursor<'b> {
    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Malformed::Number);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed::Number)
    }

    pub(super) fn difference(&mut self, from: u64) -> Result<u64, Malformed> {
        Ok(from.wrapping_add(unzigzag(self.number()?) as u64))
    }

    pub(super) fn bits(&mut self, what: &'static str, known: u64) -> Result<u64, Malformed> {
        let bits = self.number()?;
        if bits & !known == 0 { Ok(bits) } else { Err(Malformed::Unknown { what, found: bits & !known }) }
    }

    pub(super) fn one_of<T: Copy>(&mut self, what: &'static str, all: &[T]) -> Result<T, Malformed> {
        let byte = self.byte()?;
        all.get(usize::from(byte)).copied().ok_or(Malformed::Unknown { what, found: u64::from(byte) })
    }

    pub(super) fn text(&mut self) -> Result<&'b str, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed::Short)?;
        let (text, rest) = self.texts.split_at_checked(length).ok_or(Malformed::Short)?;
        self.texts = rest;
        Ok(text)
    }
}
