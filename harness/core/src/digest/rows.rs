//! Rows of the final read in 32 bytes each, by the read that they belong to.

use super::baskets::{BasketId, Baskets};
use super::money::Money;
use super::prints::{self, Printer};
use crate::history::SourceRead;
use crate::history::record::{RowRef, TicketRef};
use crate::ids::NodeName;
use std::ops::Range;

/// What the token of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// There is none.
    None,
    /// The row's own code, as the load sends it.
    Code,
    /// Something else; [`Ledger::tokens`] has its print.
    Other,
}

/// [`LedgerRow`](crate::history::LedgerRow) with prints instead of texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Print of its code.
    pub(crate) code: u64,
    /// Print of the order, see [`Printer::order`].
    pub(crate) order: u64,
    /// Print of its e-mail address.
    pub(crate) email: u64,
    /// What is in it and not cancelled.
    pub(crate) basket: BasketId,
    /// Its status letter; 0 for anything longer or shorter.
    pub(crate) status: u8,
    pub(crate) token: Token,
    /// Prints cannot say whether it is as it should be.
    pub(crate) odd: bool,
}

impl Row {
    pub(super) fn of(row: &RowRef<'_>, printer: &mut Printer, baskets: &mut Baskets) -> Self {
        let token = match row.token {
            None => Token::None,
            Some(token) if token == row.code => Token::Code,
            Some(_) => Token::Other,
        };
        let sorted = Sorted::of(row.positions);
        let other = row.token.filter(|_| token == Token::Other);
        let status = match row.status.as_bytes() {
            [letter] => *letter,
            _ => 0,
        };
        Self {
            code: prints::code(row.code),
            order: printer.order(row.total_cents, row.email, sorted.iter(), other),
            email: prints::text(row.email),
            basket: baskets.number(row.total_cents, sorted.iter().filter(|ticket| !ticket.canceled)),
            status,
            token,
            odd: status == 0 || sorted.ambiguous,
        }
    }

    /// Whether it is the same row in two databases.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        !self.odd && !other.odd && (self.order, self.status, self.token) == (other.order, other.status, other.token)
    }
}

/// Tickets in the order of their keys, items and prices, as two orders are compared.
pub(super) struct Sorted<'a> {
    borrowed: &'a [TicketRef<'a>],
    copied: Vec<TicketRef<'a>>,
    /// Two tickets have one key, so that there is more than one such order.
    pub(super) ambiguous: bool,
}

impl<'a> Sorted<'a> {
    pub(super) fn of(tickets: &'a [TicketRef<'a>]) -> Self {
        let key = |ticket: &TicketRef<'_>| (ticket.id, ticket.item, ticket.price_cents);
        let mut copied = Vec::new();
        if !tickets.is_sorted_by_key(key) {
            copied = tickets.to_vec();
            copied.sort_by_key(key);
        }
        let mut sorted = Self { borrowed: tickets, copied, ambiguous: false };
        let all = sorted.slice();
        sorted.ambiguous = all.windows(2).any(|pair| pair[0].id.is_some() && pair[0].id == pair[1].id);
        sorted
    }

    fn slice(&self) -> &[TicketRef<'a>] {
        if self.copied.is_empty() { self.borrowed } else { &self.copied }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TicketRef<'a>> {
        self.slice().iter()
    }
}

/// The rows of one read.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// The read.
    pub(crate) read: SourceRead,
    /// Its rows.
    pub(crate) rows: Vec<Row>,
    /// Prints of tokens that are not the code of their row, with the print of the code.
    pub(crate) tokens: Vec<(u64, u64)>,
    /// Places in the history that its rows lie between.
    pub(crate) range: Range<u64>,
    /// What other tables say of its rows.
    pub(crate) money: Money,
    /// Prints of the tickets that somebody was admitted with, with how often, by print.
    pub(crate) entries: Vec<(u64, u32)>,
}

impl Ledger {
    /// Whether a row at a place in the history belongs to it.
    pub(crate) fn has(&self, place: u64, row: &RowRef<'_>) -> bool {
        row.source == self.read.source.as_str() && self.range.contains(&place)
    }
}

/// Rows of a source between two of its reads.
#[derive(Debug, Clone, Default)]
struct Segment {
    rows: Vec<Row>,
    tokens: Vec<(u64, u64)>,
    range: Range<u64>,
    money: Money,
    entries: Vec<(u64, u32)>,
}

/// Collects rows by their reads.
///
/// A read writes its rows and then its [`SourceRead`]. Where one database was read more than once, only the
/// rows after its read before count.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    open: Vec<(NodeName, Segment)>,
    /// Where in `open` the row before went to.
    last: usize,
    closed: Vec<(SourceRead, Segment)>,
}

impl Ledgers {
    pub(super) fn put(&mut self, row: &RowRef<'_>, printer: &mut Printer, baskets: &mut Baskets) {
        let segment = self.open(row.source);
        let compact = Row::of(row, printer, baskets);
        if let Some(token) = row.token.filter(|_| compact.token == Token::Other) {
            segment.tokens.push((prints::code(token), compact.code));
        }
        segment.rows.push(compact);
        segment.money.take(row);
        let used = row.positions.iter().filter(|ticket| ticket.entries > 0);
        let print = |ticket: &TicketRef<'_>| (prints::ticket_secret(ticket.secret.unwrap_or_default()), ticket.entries);
        segment.entries.extend(used.map(print));
    }

    /// The rows of a read end here.
    pub(super) fn close(&mut self, place: u64, read: &SourceRead) {
        let segment = self.open(read.source.as_str());
        let begin = segment.range.start;
        let mut closed = std::mem::replace(segment, Segment { range: place..u64::MAX, ..Segment::default() });
        closed.range = begin..place;
        // A read that failed is never compared: its rows count only where it is the only one of its database.
        closed.rows.shrink_to_fit();
        self.closed.push((read.clone(), closed));
    }

    fn open(&mut self, source: &str) -> &mut Segment {
        if self.open.get(self.last).is_none_or(|(name, _)| name.as_str() != source) {
            self.last = self.open.iter().position(|(name, _)| name.as_str() == source).unwrap_or(self.open.len());
            if self.last == self.open.len() {
                self.open.push((source.into(), Segment { range: 0..u64::MAX, ..Segment::default() }));
            }
        }
        &mut self.open[self.last].1
    }

    /// Gives the rows of a read away.
    pub(super) fn take(&mut self, read: &SourceRead) -> Ledger {
        let of_source = self.closed.iter().filter(|(other, _)| other.source == read.source).count();
        let mut segment = Segment::default();
        if let Some((_, found)) = self.closed.iter_mut().find(|(other, _)| other == read) {
            segment = std::mem::take(found);
        }
        if of_source == 1 {
            let later = std::mem::take(self.open(read.source.as_str()));
            segment.rows.extend(later.rows);
            segment.tokens.extend(later.tokens);
            segment.range = 0..u64::MAX;
            segment.money.add(later.money);
            segment.entries.extend(later.entries);
        }
        let Segment { rows, tokens, range, money, mut entries } = segment;
        entries.sort_unstable();
        Ledger { read: read.clone(), rows, tokens, range, money, entries }
    }
}
