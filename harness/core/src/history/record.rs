//! Records as they are read: borrowed from the buffer that they were decoded from, so that reading millions of
//! them allocates nothing.
//!
//! The bulk of a history are attempts and rows of the final read; these have borrowed twins here. Everything
//! else is rare and comes as it is.

use super::{
    At, Attempt, AttemptKind, Event, LedgerPosition, LedgerRow, OrderAck, Outcome, PositionAck, Refusal, RowBooks,
};
use crate::ids::{BuyerId, OpId};

/// One record.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// An exchange.
    Attempt(AttemptRef<'a>),
    /// A row of the final read.
    Ledger(RowRef<'a>),
    /// An arrival that found no free buyer.
    Refused(Refusal),
    /// Anything else.
    Other(&'a Event),
}

/// [`Attempt`], borrowed.
#[derive(Debug, Clone, Copy)]
pub struct AttemptRef<'a> {
    /// See [`Attempt::op`].
    pub op: OpId,
    /// See [`Attempt::buyer`].
    pub buyer: BuyerId,
    /// See [`Attempt::number`].
    pub number: u32,
    /// See [`Attempt::kind`].
    pub kind: AttemptKind,
    /// See [`Attempt::entry`].
    pub entry: &'a str,
    /// See [`Attempt::intended`].
    pub intended: At,
    /// See [`Attempt::started`].
    pub started: At,
    /// See [`Attempt::ended`].
    pub ended: At,
    /// See [`Attempt::status`].
    pub status: Option<u16>,
    /// See [`Attempt::outcome`].
    pub outcome: Outcome,
    /// See [`Attempt::group`].
    pub group: &'a str,
    /// See [`Attempt::code`].
    pub code: &'a str,
    /// See [`Attempt::email`].
    pub email: &'a str,
    /// See [`Attempt::order`].
    pub order: Option<OrderRef<'a>>,
    /// See [`Attempt::ticket`].
    pub ticket: Option<&'a str>,
    /// See [`Attempt::claim`].
    pub claim: Option<&'a str>,
    /// See [`Attempt::error`].
    pub error: Option<&'a str>,
}

/// [`OrderAck`], borrowed.
#[derive(Debug, Clone, Copy)]
pub struct OrderRef<'a> {
    /// See [`OrderAck::code`].
    pub code: &'a str,
    /// See [`OrderAck::secret`].
    pub secret: &'a str,
    /// See [`OrderAck::status`].
    pub status: &'a str,
    /// See [`OrderAck::total_cents`].
    pub total_cents: i64,
    /// See [`OrderAck::email`].
    pub email: &'a str,
    /// See [`OrderAck::positions`].
    pub positions: &'a [TicketRef<'a>],
}

/// A ticket of an order ([`PositionAck`]) or of a row ([`LedgerPosition`]), borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketRef<'a> {
    /// Primary key, which every row has and not every confirmation tells.
    pub id: Option<u64>,
    /// Item.
    pub item: u64,
    /// Price in cents.
    pub price_cents: i64,
    /// Ticket secret, which every row has and not every confirmation tells.
    pub secret: Option<&'a str>,
    /// Whether it was cancelled; a confirmation never says so.
    pub canceled: bool,
    /// How often somebody was admitted with it; a confirmation never says so.
    pub entries: u32,
}

/// [`LedgerRow`], borrowed.
#[derive(Debug, Clone, Copy)]
pub struct RowRef<'a> {
    /// See [`LedgerRow::source`].
    pub source: &'a str,
    /// See [`LedgerRow::code`].
    pub code: &'a str,
    /// See [`LedgerRow::token`].
    pub token: Option<&'a str>,
    /// See [`LedgerRow::status`].
    pub status: &'a str,
    /// See [`LedgerRow::total_cents`].
    pub total_cents: i64,
    /// See [`LedgerRow::email`].
    pub email: &'a str,
    /// See [`LedgerRow::positions`].
    pub positions: &'a [TicketRef<'a>],
    /// See [`LedgerRow::books`].
    pub books: Option<RowBooks>,
}

impl AttemptRef<'_> {
    /// A copy that owns its texts.
    pub fn to_attempt(&self) -> Attempt {
        Attempt {
            op: self.op,
            buyer: self.buyer,
            number: self.number,
            kind: self.kind,
            entry: self.entry.into(),
            intended: self.intended,
            started: self.started,
            ended: self.ended,
            status: self.status,
            outcome: self.outcome,
            group: self.group.to_owned(),
            code: self.code.to_owned(),
            email: self.email.to_owned(),
            order: self.order.map(|order| order.to_order()),
            ticket: self.ticket.map(str::to_owned),
            claim: self.claim.map(str::to_owned),
            error: self.error.map(str::to_owned),
        }
    }
}

impl OrderRef<'_> {
    /// A copy that owns its texts.
    pub fn to_order(&self) -> OrderAck {
        let ticket = |ticket: &TicketRef<'_>| PositionAck {
            id: ticket.id,
            item: ticket.item,
            price_cents: ticket.price_cents,
            secret: ticket.secret.map(str::to_owned),
        };
        OrderAck {
            code: self.code.to_owned(),
            secret: self.secret.to_owned(),
            status: self.status.to_owned(),
            total_cents: self.total_cents,
            email: self.email.to_owned(),
            positions: self.positions.iter().map(ticket).collect(),
        }
    }
}

impl RowRef<'_> {
    /// A copy that owns its texts.
    pub fn to_row(&self) -> LedgerRow {
        let ticket = |ticket: &TicketRef<'_>| LedgerPosition {
            id: ticket.id.unwrap_or_default(),
            item: ticket.item,
            price_cents: ticket.price_cents,
            secret: ticket.secret.unwrap_or_default().to_owned(),
            canceled: ticket.canceled,
            entries: ticket.entries,
        };
        LedgerRow {
            source: self.source.into(),
            code: self.code.to_owned(),
            token: self.token.map(str::to_owned),
            status: self.status.to_owned(),
            total_cents: self.total_cents,
            email: self.email.to_owned(),
            positions: self.positions.iter().map(ticket).collect(),
            books: self.books,
        }
    }
}

impl Record<'_> {
    /// The record as it is written.
    pub fn to_event(&self) -> Event {
        match self {
            Self::Attempt(attempt) => Event::Attempt(attempt.to_attempt()),
            Self::Ledger(row) => Event::Ledger(row.to_row()),
            Self::Refused(refusal) => Event::Refused(*refusal),
            Self::Other(event) => (*event).clone(),
        }
    }
}

impl Event {
    /// Shows the record in its borrowed form. The tickets are the only thing that is allocated for it.
    pub fn show<T>(&self, look: impl FnOnce(Record<'_>) -> T) -> T {
        match self {
            Self::Attempt(attempt) => {
                let positions = attempt.order.iter().flat_map(|order| &order.positions);
                let tickets: Vec<TicketRef<'_>> = positions.map(told).collect();
                look(Record::Attempt(attempt_ref(attempt, &tickets)))
            }
            Self::Ledger(row) => {
                let tickets: Vec<TicketRef<'_>> = row.positions.iter().map(stored).collect();
                look(Record::Ledger(row_ref(row, &tickets)))
            }
            Self::Refused(refusal) => look(Record::Refused(*refusal)),
            other => look(Record::Other(other)),
        }
    }
}

fn told(ticket: &PositionAck) -> TicketRef<'_> {
    let PositionAck { id, item, price_cents, secret } = ticket;
    let (id, item, price_cents, secret) = (*id, *item, *price_cents, secret.as_deref());
    TicketRef { id, item, price_cents, secret, canceled: false, entries: 0 }
}

fn stored(ticket: &LedgerPosition) -> TicketRef<'_> {
    let LedgerPosition { id, item, price_cents, ref secret, canceled, entries } = *ticket;
    TicketRef { id: Some(id), item, price_cents, secret: Some(secret), canceled, entries }
}

fn attempt_ref<'a>(attempt: &'a Attempt, positions: &'a [TicketRef<'a>]) -> AttemptRef<'a> {
    let order = |order: &'a OrderAck| OrderRef {
        code: &order.code,
        secret: &order.secret,
        status: &order.status,
        total_cents: order.total_cents,
        email: &order.email,
        positions,
    };
    AttemptRef {
        op: attempt.op,
        buyer: attempt.buyer,
        number: attempt.number,
        kind: attempt.kind,
        entry: attempt.entry.as_str(),
        intended: attempt.intended,
        started: attempt.started,
        ended: attempt.ended,
        status: attempt.status,
        outcome: attempt.outcome,
        group: &attempt.group,
        code: &attempt.code,
        email: &attempt.email,
        order: attempt.order.as_ref().map(order),
        ticket: attempt.ticket.as_deref(),
        claim: attempt.claim.as_deref(),
        error: attempt.error.as_deref(),
    }
}

fn row_ref<'a>(row: &'a LedgerRow, positions: &'a [TicketRef<'a>]) -> RowRef<'a> {
    RowRef {
        source: row.source.as_str(),
        code: &row.code,
        token: row.token.as_deref(),
        status: &row.status,
        total_cents: row.total_cents,
        email: &row.email,
        positions,
        books: row.books,
    }
}
