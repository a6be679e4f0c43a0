//! Records as bytes inside a block: a hand-laid layout of variable-length integers, decoded without allocation.
//!
//! `docs/history-format.md` is the written form of this file. Whole numbers are LEB128; signed ones and
//! differences are zigzag-coded first. Texts lie together behind the numbers, so that one look at all of them says
//! that they are UTF-8. Texts that repeat (nodes, groups, status letters, errors) are written once a block and then
//! named by their number. What a confirmation repeats of its request is a bit.

use super::numbers::{Cursor, Malformed, difference, number, unzigzag, zigzag};
use crate::history::record::{AttemptRef, OrderRef, Record, RowRef, TicketRef};
use crate::history::{At, AttemptKind, Event, Outcome, Refusal, RejectReason, RowBooks};
use crate::ids::{BuyerId, OpId};
use std::collections::HashMap;

const JSON: u8 = 0;
const ATTEMPT: u8 = 1;
const ROW: u8 = 2;
const REFUSAL: u8 = 3;

const KINDS: [AttemptKind; 6] = [
    AttemptKind::Purchase,
    AttemptKind::Lookup,
    AttemptKind::Prepare,
    AttemptKind::Visit,
    AttemptKind::Redeem,
    AttemptKind::Cancel,
];

const OUTCOMES: [Outcome; 13] = [
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
    Outcome::Rejected(RejectReason::Taken),
];

/// Bits of an attempt.
const HAS_STATUS: u64 = 1;
const HAS_ORDER: u64 = 2;
const HAS_TICKET: u64 = 4;
const HAS_ERROR: u64 = 8;
const SAME_CODE: u64 = 16;
const SAME_EMAIL: u64 = 32;
const HAS_CLAIM: u64 = 64;
const ATTEMPT_BITS: u64 = 127;

/// Bits of a row.
const HAS_TOKEN: u64 = 1;
const TOKEN_IS_CODE: u64 = 2;
const HAS_BOOKS: u64 = 4;
const ROW_BITS: u64 = 7;

/// Bits of a ticket.
const HAS_ID: u64 = 1;
const HAS_SECRET: u64 = 2;
const CANCELED: u64 = 4;
const HAS_ENTRIES: u64 = 8;
const TICKET_BITS: u64 = 15;

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
    body: Vec<u8>,
    text: Vec<u8>,
    texts: HashMap<String, u64>,
    last: Last,
}

impl Encoder {
    /// Forgets everything: the next record begins a block.
    pub(super) fn clear(&mut self) {
        self.body.clear();
        self.text.clear();
        self.texts.clear();
        self.last = Last::default();
    }

    /// Length of the block so far.
    pub(super) fn len(&self) -> usize {
        self.body.len() + self.text.len()
    }

    /// The block: how many bytes of numbers, these, and the texts.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() + 4);
        bytes.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(&self.text);
        bytes
    }

    /// Appends a record.
    pub(super) fn put(&mut self, event: &Event) -> Result<(), serde_json::Error> {
        if let Event::Attempt(_) | Event::Ledger(_) | Event::Refused(_) = event {
            event.show(|record| self.put_bulk(&record));
            return Ok(());
        }
        let json = serde_json::to_string(event)?;
        self.body.push(JSON);
        self.text(&json);
        Ok(())
    }

    /// Appends a record that is no [`Record::Other`]; one that is, is left out.
    pub(super) fn put_bulk(&mut self, record: &Record<'_>) {
        match record {
            Record::Attempt(attempt) => {
                self.body.push(ATTEMPT);
                self.attempt(attempt);
            }
            Record::Ledger(row) => {
                self.body.push(ROW);
                self.row(row);
            }
            Record::Refused(refusal) => {
                self.body.push(REFUSAL);
                self.op(refusal.op, refusal.intended);
            }
            Record::Other(_) => {}
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
            | bit(a.claim.is_some(), HAS_CLAIM)
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
        self.text(a.code);
        self.text(a.email);
        if let Some(order) = &a.order {
            self.order(order, bits);
        }
        if let Some(ticket) = a.ticket {
            self.text(ticket);
        }
        if let Some(error) = a.error {
            self.known(error);
        }
        if let Some(claim) = a.claim {
            self.known(claim);
        }
    }

    fn order(&mut self, order: &OrderRef<'_>, bits: u64) {
        if bits & SAME_CODE == 0 {
            self.text(order.code);
        }
        if bits & SAME_EMAIL == 0 {
            self.text(order.email);
        }
        self.text(order.secret);
        self.known(order.status);
        number(&mut self.body, zigzag(order.total_cents));
        self.tickets(order.positions);
    }

    fn row(&mut self, row: &RowRef<'_>) {
        let is_code = row.token == Some(row.code);
        let token = match row.token {
            None => 0,
            Some(_) if is_code => HAS_TOKEN | TOKEN_IS_CODE,
            Some(_) => HAS_TOKEN,
        };
        number(&mut self.body, token | if row.books.is_some() { HAS_BOOKS } else { 0 });
        self.known(row.source);
        self.text(row.code);
        if let Some(token) = row.token.filter(|_| !is_code) {
            self.text(token);
        }
        self.known(row.status);
        number(&mut self.body, zigzag(row.total_cents));
        self.text(row.email);
        self.tickets(row.positions);
        if let Some(books) = &row.books {
            self.books(books, row.total_cents);
        }
    }

    /// Sums as their differences to the total, which most of them are.
    fn books(&mut self, books: &RowBooks, total_cents: i64) {
        for cents in [books.lines_cents, books.ledger_cents, books.paid_cents] {
            difference(&mut self.body, cents as u64, total_cents as u64);
        }
        number(&mut self.body, u64::from(books.placed));
        number(&mut self.body, u64::from(books.paid));
    }

    fn tickets(&mut self, tickets: &[TicketRef<'_>]) {
        number(&mut self.body, tickets.len() as u64);
        for ticket in tickets {
            let has_id = if ticket.id.is_some() { HAS_ID } else { 0 };
            let has_secret = if ticket.secret.is_some() { HAS_SECRET } else { 0 };
            let has_entries = if ticket.entries > 0 { HAS_ENTRIES } else { 0 };
            let canceled = if ticket.canceled { CANCELED } else { 0 };
            number(&mut self.body, has_id | has_secret | canceled | has_entries);
            if let Some(id) = ticket.id {
                difference(&mut self.body, id, self.last.ticket);
                self.last.ticket = id;
            }
            number(&mut self.body, ticket.item);
            number(&mut self.body, zigzag(ticket.price_cents));
            if let Some(secret) = ticket.secret {
                self.text(secret);
            }
            if ticket.entries > 0 {
                number(&mut self.body, u64::from(ticket.entries));
            }
        }
    }

    fn text(&mut self, text: &str) {
        number(&mut self.body, text.len() as u64);
        self.text.extend_from_slice(text.as_bytes());
    }

    /// A text that repeats: 0 and the text at its first time in the block, then its number.
    fn known(&mut self, what: &str) {
        if let Some(known) = self.texts.get(what) {
            return number(&mut self.body, *known);
        }
        self.texts.insert(what.to_owned(), self.texts.len() as u64 + 1);
        number(&mut self.body, 0);
        self.text(what);
    }
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
    pub(super) fn new(block: &'b [u8]) -> Result<Self, Malformed> {
        let (length, rest) = block.split_first_chunk::<4>().ok_or(Malformed::Short)?;
        let (numbers, texts) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Malformed::Short)?;
        let block = Cursor { rest: numbers, texts: str::from_utf8(texts).map_err(|_| Malformed::Text)? };
        Ok(Self { block, texts: Vec::new(), tickets: Vec::new(), rare: None, last: Last::default() })
    }

    /// Whether there is nothing more.
    pub(super) fn is_done(&self) -> bool {
        self.block.rest.is_empty() && self.block.texts.is_empty()
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Record<'_>, Malformed> {
        self.tickets.clear();
        match self.block.byte()? {
            ATTEMPT => Ok(Record::Attempt(self.attempt()?)),
            ROW => Ok(Record::Ledger(self.row()?)),
            REFUSAL => {
                let (op, intended) = self.op()?;
                Ok(Record::Refused(Refusal { op, intended }))
            }
            JSON => {
                let event = serde_json::from_str(self.block.text()?);
                Ok(Record::Other(self.rare.insert(event.map_err(|error| Malformed::Json(error.to_string()))?)))
            }
            other => Err(Malformed::Unknown { what: "kind of record", found: u64::from(other) }),
        }
    }

    fn op(&mut self) -> Result<(OpId, At), Malformed> {
        self.last.op = self.block.difference(self.last.op)?;
        self.last.intended = self.block.difference(self.last.intended)?;
        Ok((OpId(self.last.op), At(self.last.intended)))
    }

    fn attempt(&mut self) -> Result<AttemptRef<'_>, Malformed> {
        let bits = self.block.bits("bit of an attempt", ATTEMPT_BITS)?;
        let (op, intended) = self.op()?;
        let (buyer, number) = (BuyerId(self.block.u32()?), self.block.u32()?);
        let kind = self.block.one_of("kind of attempt", &KINDS)?;
        let outcome = self.block.one_of("outcome", &OUTCOMES)?;
        let started = self.block.difference(intended.0)?;
        let ended = self.block.difference(started)?;
        let status = match bits & HAS_STATUS {
            0 => None,
            _ => Some(u16::try_from(self.block.number()?).map_err(|_| Malformed::Number)?),
        };
        let (entry, group) = (self.known()?, self.known()?);
        let (code, email) = (self.block.text()?, self.block.text()?);
        let told = if bits & HAS_ORDER == 0 { None } else { Some(self.told(bits, code, email)?) };
        let ticket = if bits & HAS_TICKET == 0 { None } else { Some(self.block.text()?) };
        let error = if bits & HAS_ERROR == 0 { None } else { Some(self.known()?) };
        let claim = if bits & HAS_CLAIM == 0 { None } else { Some(self.known()?) };
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
            claim,
            error,
        };
        Ok(attempt)
    }

    /// An order, its tickets yet in `self.tickets`.
    fn told(&mut self, bits: u64, code: &'b str, email: &'b str) -> Result<OrderRef<'b>, Malformed> {
        let code = if bits & SAME_CODE == 0 { self.block.text()? } else { code };
        let email = if bits & SAME_EMAIL == 0 { self.block.text()? } else { email };
        let (secret, status, total_cents) = (self.block.text()?, self.known()?, unzigzag(self.block.number()?));
        self.read_tickets()?;
        Ok(OrderRef { code, secret, status, total_cents, email, positions: &[] })
    }

    fn row(&mut self) -> Result<RowRef<'_>, Malformed> {
        let bits = self.block.bits("bit of a row", ROW_BITS)?;
        let (source, code) = (self.known()?, self.block.text()?);
        let token = match (bits & HAS_TOKEN, bits & TOKEN_IS_CODE) {
            (0, _) => None,
            (_, 0) => Some(self.block.text()?),
            _ => Some(code),
        };
        let (status, total_cents, email) = (self.known()?, unzigzag(self.block.number()?), self.block.text()?);
        self.read_tickets()?;
        let books = if bits & HAS_BOOKS == 0 { None } else { Some(self.read_books(total_cents)?) };
        Ok(RowRef { source, code, token, status, total_cents, email, positions: &self.tickets, books })
    }

    fn read_books(&mut self, total_cents: i64) -> Result<RowBooks, Malformed> {
        let mut cents = || self.block.difference(total_cents as u64).map(|cents| cents as i64);
        let (lines_cents, ledger_cents, paid_cents) = (cents()?, cents()?, cents()?);
        Ok(RowBooks { lines_cents, ledger_cents, paid_cents, placed: self.block.u32()?, paid: self.block.u32()? })
    }

    fn read_tickets(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.block.number()? {
            let bits = self.block.bits("bit of a ticket", TICKET_BITS)?;
            let id = if bits & HAS_ID == 0 { None } else { Some(self.block.difference(self.last.ticket)?) };
            self.last.ticket = id.unwrap_or(self.last.ticket);
            let (item, price_cents) = (self.block.number()?, unzigzag(self.block.number()?));
            let secret = if bits & HAS_SECRET == 0 { None } else { Some(self.block.text()?) };
            let entries = if bits & HAS_ENTRIES == 0 { 0 } else { self.block.u32()? };
            self.tickets.push(TicketRef { id, item, price_cents, secret, canceled: bits & CANCELED != 0, entries });
        }
        Ok(())
    }

    fn known(&mut self) -> Result<&'b str, Malformed> {
        let number = self.block.number()?;
        if number == 0 {
            let text = self.block.text()?;
            self.texts.push(text);
            return Ok(text);
        }
        let known = usize::try_from(number - 1).ok().and_then(|index| self.texts.get(index));
        known.copied().ok_or(Malformed::Unknown { what: "text with the number", found: number })
    }
}
