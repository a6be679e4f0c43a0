//! Records as bytes inside a block: a hand-laid layout of variable-length integers, decoded without allocation.
//!
//! `docs/history-format.md` is the written form of this file. Whole numbers are LEB128; signed ones and
//! differences are zigzag-coded first. Texts that repeat (nodes, groups, status letters, errors) are written
//! once a block and then named by their number. What a confirmation repeats of its request is a bit.

use crate::history::record::{AttemptRef, OrderRef, Record, RowRef, TicketRef};
use crate::history::{At, AttemptKind, Event, Outcome, Refusal, RejectReason};
use crate::ids::{BuyerId, OpId};
use std::collections::HashMap;
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
    /// There is more than the record.
    #[error("{0} bytes are left over")]
    Left(usize),
}

const JSON: u8 = 0;
const ATTEMPT: u8 = 1;
const ROW: u8 = 2;
const REFUSAL: u8 = 3;

const KINDS: [AttemptKind; 5] =
    [AttemptKind::Purchase, AttemptKind::Lookup, AttemptKind::Prepare, AttemptKind::Visit, AttemptKind::Redeem];

const OUTCOMES: [Outcome; 12] = [
    Outcome::Acknowledged,
    Outcome::Passed,
    Outcome::Pending,
    Outcome::NotApplied,
    Outcome::InDoubt,
    Outcome::NotSent,
    Outcome::Rejected(RejectReason::SoldOut),
    Outcome::Rejected(RejectReason::DuplicateCode),
    Outcome::Rejected(RejectReason::Unauthorized),
    Outcome::Rejected(RejectReason::NotFound),
    Outcome::Rejected(RejectReason::AlreadyRedeemed),
    Outcome::Rejected(RejectReason::Invalid),
];

/// Bits of an attempt.
const HAS_STATUS: u64 = 1;
const HAS_ORDER: u64 = 2;
const HAS_TICKET: u64 = 4;
const HAS_ERROR: u64 = 8;
const SAME_CODE: u64 = 16;
const SAME_EMAIL: u64 = 32;
const ATTEMPT_BITS: u64 = 63;

/// Bits of a row.
const HAS_TOKEN: u64 = 1;
const TOKEN_IS_CODE: u64 = 2;
const ROW_BITS: u64 = 3;

/// Bits of a ticket.
const HAS_ID: u64 = 1;
const HAS_SECRET: u64 = 2;
const CANCELED: u64 = 4;
const TICKET_BITS: u64 = 7;

/// What differences are taken from; both sides begin a block with zeros.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    op: u64,
    intended: u64,
    ticket: u64,
}

/// Lays out the records of one block.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// The block so far.
    pub(super) bytes: Vec<u8>,
    body: Vec<u8>,
    texts: HashMap<String, u64>,
    last: Last,
}

impl Encoder {
    /// Forgets everything: the next record begins a block.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.texts.clear();
        self.last = Last::default();
    }

    /// Appends a record.
    pub(super) fn put(&mut self, event: &Event) -> Result<(), serde_json::Error> {
        self.body.clear();
        let kind = match event {
            Event::Attempt(_) | Event::Ledger(_) | Event::Refused(_) => event.show(|record| self.put_bulk(&record)),
            rare => {
                serde_json::to_writer(&mut self.body, rare)?;
                JSON
            }
        };
        self.bytes.push(kind);
        number(&mut self.bytes, self.body.len() as u64);
        self.bytes.extend_from_slice(&self.body);
        Ok(())
    }

    fn put_bulk(&mut self, record: &Record<'_>) -> u8 {
        match record {
            Record::Attempt(attempt) => {
                self.attempt(attempt);
                ATTEMPT
            }
            Record::Ledger(row) => {
                self.row(row);
                ROW
            }
            Record::Refused(refusal) => {
                self.op(refusal.op, refusal.intended);
                REFUSAL
            }
            Record::Other(_) => JSON,
        }
    }

    fn op(&mut self, op: OpId, intended: At) {
        difference(&mut self.body, op.0, self.last.op);
        difference(&mut self.body, intended.0, self.last.intended);
        (self.last.op, self.last.intended) = (op.0, intended.0);
    }

    fn attempt(&mut self, a: &AttemptRef<'_>) {
        let bit = |is: bool, bit: u64| if is { bit } else { 0 };
        let bits = bit(a.status.is_some(), HAS_STATUS)
            | bit(a.order.is_some(), HAS_ORDER)
            | bit(a.ticket.is_some(), HAS_TICKET)
            | bit(a.error.is_some(), HAS_ERROR)
            | bit(a.order.is_some_and(|order| order.code == a.code), SAME_CODE)
            | bit(a.order.is_some_and(|order| order.email == a.email), SAME_EMAIL);
        number(&mut self.body, bits);
        self.op(a.op, a.intended);
        number(&mut self.body, u64::from(a.buyer.0));
        number(&mut self.body, u64::from(a.number));
        self.body.push(KINDS.iter().position(|kind| *kind == a.kind).unwrap_or_default() as u8);
        self.body.push(OUTCOMES.iter().position(|outcome| *outcome == a.outcome).unwrap_or_default() as u8);
        difference(&mut self.body, a.started.0, a.intended.0);
        difference(&mut self.body, a.ended.0, a.started.0);
        if let Some(status) = a.status {
            number(&mut self.body, u64::from(status));
        }
        self.known(a.entry);
        self.known(a.group);
        text(&mut self.body, a.code);
        text(&mut self.body, a.email);
        if let Some(order) = &a.order {
            self.order(order, bits);
        }
        if let Some(ticket) = a.ticket {
            text(&mut self.body, ticket);
        }
        if let Some(error) = a.error {
            self.known(error);
        }
    }

    fn order(&mut self, order: &OrderRef<'_>, bits: u64) {
        if bits & SAME_CODE == 0 {
            text(&mut self.body, order.code);
        }
        if bits & SAME_EMAIL == 0 {
            text(&mut self.body, order.email);
        }
        text(&mut self.body, order.secret);
        self.known(order.status);
        number(&mut self.body, zigzag(order.total_cents));
        self.tickets(order.positions);
    }

    fn row(&mut self, row: &RowRef<'_>) {
        let is_code = row.token == Some(row.code);
        let bits = match row.token {
            None => 0,
            Some(_) if is_code => HAS_TOKEN | TOKEN_IS_CODE,
            Some(_) => HAS_TOKEN,
        };
        number(&mut self.body, bits);
        self.known(row.source);
        text(&mut self.body, row.code);
        if let Some(token) = row.token.filter(|_| !is_code) {
            text(&mut self.body, token);
        }
        self.known(row.status);
        number(&mut self.body, zigzag(row.total_cents));
        text(&mut self.body, row.email);
        self.tickets(row.positions);
    }

    fn tickets(&mut self, tickets: &[TicketRef<'_>]) {
        number(&mut self.body, tickets.len() as u64);
        for ticket in tickets {
            let has_id = if ticket.id.is_some() { HAS_ID } else { 0 };
            let has_secret = if ticket.secret.is_some() { HAS_SECRET } else { 0 };
            number(&mut self.body, has_id | has_secret | if ticket.canceled { CANCELED } else { 0 });
            if let Some(id) = ticket.id {
                difference(&mut self.body, id, self.last.ticket);
                self.last.ticket = id;
            }
            number(&mut self.body, ticket.item);
            number(&mut self.body, zigzag(ticket.price_cents));
            if let Some(secret) = ticket.secret {
                text(&mut self.body, secret);
            }
        }
    }

    /// A text that repeats: 0 and the text at its first time in the block, then its number.
    fn known(&mut self, what: &str) {
        if let Some(known) = self.texts.get(what) {
            return number(&mut self.body, *known);
        }
        self.texts.insert(what.to_owned(), self.texts.len() as u64 + 1);
        number(&mut self.body, 0);
        text(&mut self.body, what);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn difference(bytes: &mut Vec<u8>, value: u64, from: u64) {
    number(bytes, zigzag(value.wrapping_sub(from) as i64));
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads the records of one block.
#[derive(Debug)]
pub(super) struct Decoder<'b> {
    block: Cursor<'b>,
    texts: Vec<&'b str>,
    tickets: Vec<TicketRef<'b>>,
    rare: Option<Event>,
    last: Last,
}

impl<'b> Decoder<'b> {
    /// The records of the raw bytes of a block.
    pub(super) fn new(block: &'b [u8]) -> Self {
        let block = Cursor { rest: block };
        Self { block, texts: Vec::new(), tickets: Vec::new(), rare: None, last: Last::default() }
    }

    /// Whether there is nothing more.
    pub(super) fn is_done(&self) -> bool {
        self.block.rest.is_empty()
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Record<'_>, Malformed> {
        let kind = self.block.byte()?;
        let length = self.block.number()?;
        let mut body = Cursor { rest: self.block.bytes(length)? };
        self.tickets.clear();
        let record = match kind {
            ATTEMPT => Record::Attempt(self.attempt(&mut body)?),
            ROW => Record::Ledger(self.row(&mut body)?),
            REFUSAL => {
                let (op, intended) = self.op(&mut body)?;
                Record::Refused(Refusal { op, intended })
            }
            JSON => {
                let event = serde_json::from_slice(body.rest).map_err(|error| Malformed::Json(error.to_string()))?;
                body.rest = &[];
                Record::Other(self.rare.insert(event))
            }
            other => return Err(Malformed::Unknown { what: "kind of record", found: u64::from(other) }),
        };
        if body.rest.is_empty() { Ok(record) } else { Err(Malformed::Left(body.rest.len())) }
    }

    fn op(&mut self, body: &mut Cursor<'b>) -> Result<(OpId, At), Malformed> {
        self.last.op = body.difference(self.last.op)?;
        self.last.intended = body.difference(self.last.intended)?;
        Ok((OpId(self.last.op), At(self.last.intended)))
    }

    fn attempt(&mut self, body: &mut Cursor<'b>) -> Result<AttemptRef<'_>, Malformed> {
        let bits = body.bits("bit of an attempt", ATTEMPT_BITS)?;
        let (op, intended) = self.op(body)?;
        let (buyer, number) = (BuyerId(body.u32()?), body.u32()?);
        let kind = body.one_of("kind of attempt", &KINDS)?;
        let outcome = body.one_of("outcome", &OUTCOMES)?;
        let started = body.difference(intended.0)?;
        let ended = body.difference(started)?;
        let status = match bits & HAS_STATUS {
            0 => None,
            _ => Some(u16::try_from(body.number()?).map_err(|_| Malformed::Number)?),
        };
        let (entry, group) = (self.known(body)?, self.known(body)?);
        let (code, email) = (body.text()?, body.text()?);
        let told = if bits & HAS_ORDER == 0 { None } else { Some(self.told(body, bits, code, email)?) };
        let ticket = if bits & HAS_TICKET == 0 { None } else { Some(body.text()?) };
        let error = if bits & HAS_ERROR == 0 { None } else { Some(self.known(body)?) };
        let order = told.map(|told| OrderRef { positions: &self.tickets, ..told });
        let (started, ended) = (At(started), At(ended));
        let attempt = AttemptRef {
            op,
            buyer,
            number,
            kind,
            entry,
            intended,
            started,
            ended,
            status,
            outcome,
            group,
            code,
            email,
            order,
            ticket,
            error,
        };
        Ok(attempt)
    }

    /// An order, its tickets yet in `self.tickets`.
    fn told(
        &mut self,
        body: &mut Cursor<'b>,
        bits: u64,
        code: &'b str,
        email: &'b str,
    ) -> Result<OrderRef<'b>, Malformed> {
        let code = if bits & SAME_CODE == 0 { body.text()? } else { code };
        let email = if bits & SAME_EMAIL == 0 { body.text()? } else { email };
        let (secret, status, total_cents) = (body.text()?, self.known(body)?, unzigzag(body.number()?));
        self.read_tickets(body)?;
        Ok(OrderRef { code, secret, status, total_cents, email, positions: &[] })
    }

    fn row(&mut self, body: &mut Cursor<'b>) -> Result<RowRef<'_>, Malformed> {
        let bits = body.bits("bit of a row", ROW_BITS)?;
        let (source, code) = (self.known(body)?, body.text()?);
        let token = match (bits & HAS_TOKEN, bits & TOKEN_IS_CODE) {
            (0, _) => None,
            (_, 0) => Some(body.text()?),
            _ => Some(code),
        };
        let (status, total_cents, email) = (self.known(body)?, unzigzag(body.number()?), body.text()?);
        self.read_tickets(body)?;
        Ok(RowRef { source, code, token, status, total_cents, email, positions: &self.tickets })
    }

    fn read_tickets(&mut self, body: &mut Cursor<'b>) -> Result<(), Malformed> {
        for _ in 0..body.number()? {
            let bits = body.bits("bit of a ticket", TICKET_BITS)?;
            let id = if bits & HAS_ID == 0 { None } else { Some(body.difference(self.last.ticket)?) };
            self.last.ticket = id.unwrap_or(self.last.ticket);
            let (item, price_cents) = (body.number()?, unzigzag(body.number()?));
            let secret = if bits & HAS_SECRET == 0 { None } else { Some(body.text()?) };
            self.tickets.push(TicketRef { id, item, price_cents, secret, canceled: bits & CANCELED != 0 });
        }
        Ok(())
    }

    fn known(&mut self, body: &mut Cursor<'b>) -> Result<&'b str, Malformed> {
        let number = body.number()?;
        if number == 0 {
            let text = body.text()?;
            self.texts.push(text);
            return Ok(text);
        }
        let known = usize::try_from(number - 1).ok().and_then(|index| self.texts.get(index));
        known.copied().ok_or(Malformed::Unknown { what: "text with the number", found: number })
    }
}

#[derive(Debug)]
struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: u64) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Short)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
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

    fn u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed::Number)
    }

    fn difference(&mut self, from: u64) -> Result<u64, Malformed> {
        Ok(from.wrapping_add(unzigzag(self.number()?) as u64))
    }

    fn bits(&mut self, what: &'static str, known: u64) -> Result<u64, Malformed> {
        let bits = self.number()?;
        if bits & !known == 0 { Ok(bits) } else { Err(Malformed::Unknown { what, found: bits & !known }) }
    }

    fn one_of<T: Copy>(&mut self, what: &'static str, all: &[T]) -> Result<T, Malformed> {
        let byte = self.byte()?;
        all.get(usize::from(byte)).copied().ok_or(Malformed::Unknown { what, found: u64::from(byte) })
    }

    fn text(&mut self) -> Result<&'b str, Malformed> {
        let length = self.number()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Malformed::Text)
    }
}
