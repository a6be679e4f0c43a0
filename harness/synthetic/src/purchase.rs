//! One purchase: what its buyer sent and was told, and what the databases have of it.

use crate::{Anomaly, Plan};
use firedrill_core::history::{
    At, Attempt, AttemptKind, LedgerPosition, LedgerRow, OrderAck, Outcome, PositionAck, RejectReason, RowBooks,
};
use firedrill_core::ids::{BuyerId, OpId};

/// The item on sale.
pub(crate) const ITEM: u64 = 7;
const PRICE_CENTS: i64 = 2_300;
/// Phantoms are orders of operations that are not in the history: this much beyond those that are.
const STRANGER: u64 = 1 << 40;

/// How a purchase ends that comes before the quota is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Confirmed,
    /// In doubt at first, then confirmed.
    Retried,
    /// In doubt, and the shop has it.
    DoubtApplied,
    /// In doubt, and the shop does not have it.
    DoubtLost,
    /// The quota was full.
    SoldOut,
}

/// One purchase of a plan.
pub(crate) struct Purchase<'p> {
    plan: &'p Plan,
    op: u64,
    random: u64,
    end: End,
    browser: bool,
    planted: Option<Anomaly>,
}

/// A stable pseudo-random function (splitmix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Letters of the shop's codes and secrets.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

fn letters(mut seed: u64, count: usize) -> String {
    let mut text = String::with_capacity(count);
    let mut left = 0u64;
    for index in 0..count {
        if index % 12 == 0 {
            seed = mix(seed);
            left = seed;
        }
        text.push(char::from(LETTERS[(left % 32) as usize]));
        left /= 32;
    }
    text
}

/// The order code of an operation. No two are equal: the last letters count.
pub fn code(seed: u64, op: u64) -> String {
    let mut code = letters(mix(seed ^ op), 4);
    let mut rest = op;
    loop {
        code.push(char::from(LETTERS[(rest % 32) as usize]));
        rest /= 32;
        if rest == 0 {
            return code;
        }
    }
}

impl<'p> Purchase<'p> {
    pub(crate) fn of(plan: &'p Plan, op: u64) -> Self {
        let random = mix(plan.seed ^ mix(op));
        let planted = plan.anomaly(op);
        // Whose secret is told again has to have been told it.
        let plain = planted.is_some() || plan.anomaly(op + 1) == Some(Anomaly::SecretTwice);
        let end = match random % 1_000 {
            _ if op >= plan.sold() || planted == Some(Anomaly::Resurrected) => End::SoldOut,
            _ if plain => End::Confirmed,
            0..20 => End::Retried,
            20..25 => End::DoubtApplied,
            25..30 => End::DoubtLost,
            _ => End::Confirmed,
        };
        let browser = !plain && (random >> 32) % 100 < plan.browser_percent;
        Self { plan, op, random, end, browser, planted }
    }

    /// When it is due.
    pub(crate) fn due(&self) -> At {
        At(self.op * 1_000_000_000 / self.plan.rate_per_s)
    }

    fn tickets(&self) -> u64 {
        match (self.random >> 10) % 20 {
            0 => 3,
            1..4 => 2,
            _ => 1,
        }
    }

    /// Tickets that the shop counts for it.
    pub(crate) fn sold(&self) -> u64 {
        match self.end {
            End::Confirmed | End::Retried | End::DoubtApplied => self.tickets(),
            End::DoubtLost | End::SoldOut => 0,
        }
    }

    fn code(&self) -> String {
        code(self.plan.seed, self.op)
    }

    fn email(&self) -> String {
        self.code().to_ascii_lowercase() + "@buyers.example.org"
    }

    fn order(&self) -> OrderAck {
        let seed = mix(self.random);
        let ticket = |number: u64| {
            let owner = if self.planted == Some(Anomaly::SecretTwice) && number == 0 {
                mix(Purchase::of(self.plan, self.op - 1).random)
            } else {
                seed
            };
            PositionAck {
                id: Some(self.op * 3 + number + 1),
                item: ITEM,
                price_cents: PRICE_CENTS,
                secret: Some(letters(owner ^ (number + 1), 32)),
            }
        };
        OrderAck {
            code: self.code(),
            secret: letters(seed, 16),
            status: "n".to_owned(),
            total_cents: PRICE_CENTS * self.tickets() as i64,
            email: self.email(),
            positions: (0..self.tickets()).map(ticket).collect(),
        }
    }

    /// Its attempts.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        let took_ns = 15_000_000 + (self.random >> 8) % 50_000_000;
        let begin = At(self.due().0 + self.random % 200_000);
        let end = At(begin.0 + took_ns);
        let mut attempts = Vec::new();
        let first = |kind, outcome| self.attempt(kind, outcome, begin, end);
        if self.browser {
            attempts.push(self.attempt(AttemptKind::Prepare, Outcome::Passed, begin, At(begin.0 + took_ns / 4)));
        }
        let doubt = first(AttemptKind::Purchase, Outcome::InDoubt);
        let again = (At(end.0 + 1_000_000), At(end.0 + 1_000_000 + took_ns));
        match self.end {
            End::Confirmed if self.browser => {
                attempts.push(first(AttemptKind::Purchase, Outcome::Pending));
                attempts.push(self.attempt(AttemptKind::Lookup, Outcome::Acknowledged, again.0, again.1));
            }
            End::Confirmed => attempts.push(first(AttemptKind::Purchase, Outcome::Acknowledged)),
            End::Retried => {
                attempts.push(doubt);
                attempts.push(self.attempt(AttemptKind::Purchase, Outcome::Acknowledged, again.0, again.1));
            }
            End::DoubtApplied | End::DoubtLost => attempts.push(doubt),
            End::SoldOut => {
                // A false "sold out" would be an anomaly of its own.
                let reason = match self.planted {
                    Some(Anomaly::Resurrected) => RejectReason::Invalid,
                    _ => RejectReason::SoldOut,
                };
                attempts.push(first(AttemptKind::Purchase, Outcome::Rejected(reason)));
            }
        }
        for (number, attempt) in (1..).zip(&mut attempts) {
            attempt.number = number;
        }
        attempts
    }

    fn attempt(&self, kind: AttemptKind, outcome: Outcome, started: At, ended: At) -> Attempt {
        let order = (outcome == Outcome::Acknowledged).then(|| self.told());
        let (status, error) = match outcome {
            Outcome::Acknowledged | Outcome::Passed => (Some(201), None),
            Outcome::Rejected(_) => (Some(400), Some("there is not enough quota available".to_owned())),
            _ => (None, Some("no answer in time".to_owned())),
        };
        Attempt {
            op: OpId(self.op),
            buyer: BuyerId((self.op % 2_000) as u32),
            number: 1,
            kind,
            entry: if self.random & 1 == 0 { "nginx-1" } else { "nginx-2" }.into(),
            intended: self.due(),
            started,
            ended,
            status,
            outcome,
            group: if self.browser { "checkout" } else { "order" }.to_owned(),
            code: if self.browser { String::new() } else { self.code() },
            email: self.email(),
            order,
            ticket: None,
            claim: None,
            error,
        }
    }

    /// The order as its buyer is told of it: a page shows neither keys nor secrets of tickets.
    fn told(&self) -> OrderAck {
        let mut order = self.order();
        for ticket in order.positions.iter_mut().filter(|_| self.browser) {
            (ticket.id, ticket.secret) = (None, None);
        }
        order
    }

    /// What a database has of it. `first` is the one that differs from the others where they are to differ.
    pub(crate) fn rows(&self, source: &str, first: bool) -> Vec<LedgerRow> {
        let row = || self.row(source, self.order());
        match self.planted {
            Some(Anomaly::Lost) => Vec::new(),
            Some(Anomaly::MissingOnStandby) if first => Vec::new(),
            Some(Anomaly::OtherOnStandby) if first => {
                vec![LedgerRow { email: "somebody@else.example.org".to_owned(), ..row() }]
            }
            Some(Anomaly::RowTwice) => vec![row(), row()],
            Some(Anomaly::TwoCodes) => vec![row(), LedgerRow { code: self.code() + "2", ..row() }],
            Some(Anomaly::Resurrected) => vec![row()],
            Some(Anomaly::Altered) => {
                let mut altered = LedgerRow { total_cents: 1, ..row() };
                // The books are of the same mind as the row: only the buyer knows better.
                let books = altered.books.as_mut();
                books.into_iter().for_each(|books| (books.lines_cents, books.ledger_cents) = (1, 1));
                vec![altered]
            }
            Some(Anomaly::Phantom) => vec![row(), self.stranger(source)],
            Some(Anomaly::OnlyOnStandby) if first => vec![row(), self.stranger(source)],
            _ if self.sold() == 0 => Vec::new(),
            _ => vec![row()],
        }
    }

    fn stranger(&self, source: &str) -> LedgerRow {
        let plan = Plan { planted: Vec::new(), every: None, browser_percent: 0, ..self.plan.clone() };
        let mut stranger = Purchase { plan: &plan, planted: None, browser: false, ..*self };
        stranger.op += STRANGER;
        stranger.random = mix(stranger.op);
        stranger.row(source, stranger.order())
    }

    fn row(&self, source: &str, order: OrderAck) -> LedgerRow {
        let ticket = |ticket: PositionAck| LedgerPosition {
            id: ticket.id.unwrap_or_default(),
            item: ticket.item,
            price_cents: ticket.price_cents,
            secret: ticket.secret.unwrap_or_default(),
            canceled: false,
            entries: 0,
        };
        LedgerRow {
            source: source.into(),
            token: (!self.browser).then(|| order.code.clone()),
            code: order.code,
            status: order.status,
            total_cents: order.total_cents,
            email: order.email,
            positions: order.positions.into_iter().map(ticket).collect(),
            books: Some(RowBooks {
                lines_cents: order.total_cents,
                ledger_cents: order.total_cents,
                paid_cents: 0,
                placed: 1,
                paid: 0,
            }),
        }
    }
}
