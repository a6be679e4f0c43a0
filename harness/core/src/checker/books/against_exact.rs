//! The books by prints against the account of everything by its texts, on small histories in which everything collides.

use super::{Books, Difference, Exact, fixture};
use crate::checker::conservation::Account;
use crate::checker::step;
use crate::digest::Digest;
use crate::history::{
    At, Attempt, AttemptKind, Event, History, LedgerPosition, LedgerRow, Operations, OrderAck, Outcome, PositionAck,
    RejectReason, Role,
};
use proptest::prelude::*;

const OUTCOMES: [Outcome; 6] = [
    Outcome::Acknowledged,
    Outcome::Acknowledged,
    Outcome::InDoubt,
    Outcome::Rejected(RejectReason::SoldOut),
    Outcome::NotSent,
    Outcome::Passed,
];

/// Every second row is the primary's.
const SOURCES: [&str; 4] = ["pg1", "pg1", "pg2", "pg3"];

/// A text of a small alphabet; 0 is empty.
fn text(kind: &str, number: u8) -> String {
    if number == 0 { String::new() } else { format!("{kind}{number}") }
}

fn attempt() -> impl Strategy<Value = Event> {
    let texts = (0..5u8, 0..4u8, 0..5u8, 0..4u8);
    let ticket = (prop::option::of(0..4u64), 0..2u64, prop::option::of(0..4u8));
    let kind = prop::sample::select(vec![
        AttemptKind::Purchase,
        AttemptKind::Purchase,
        AttemptKind::Lookup,
        AttemptKind::Visit,
        AttemptKind::Prepare,
    ]);
    let op = (0..6u64, 1..4u64);
    (op, texts, kind, 0..OUTCOMES.len(), prop::collection::vec(ticket, 0..3), 0..3i64).prop_map(
        |((op, took), (code, email, order_code, order_email), kind, outcome, tickets, total_cents)| {
            let position = |(id, item, secret): (Option<u64>, u64, Option<u8>)| PositionAck {
                id,
                item,
                price_cents: 1,
                secret: secret.map(|secret| text("s", secret)),
            };
            let order = OrderAck {
                // Most confirmations are of what was sent.
                code: text("c", if order_code == 4 { 1 } else { code }),
                secret: String::new(),
                status: "n".to_owned(),
                total_cents,
                email: text("e", if order_email == 3 { 1 } else { email }),
                positions: tickets.into_iter().map(position).collect(),
            };
            let outcome = OUTCOMES[outcome];
            Event::Attempt(Attempt {
                kind,
                ended: At(op + took),
                outcome,
                code: text("c", code),
                email: text("e", email),
                order: (outcome == Outcome::Acknowledged).then_some(order),
                ..fixture::attempt(op)
            })
        },
    )
}

fn row() -> impl Strategy<Value = Event> {
    let ticket = (0..4u64, 0..2u64, 0..4u8, any::<bool>());
    let status = prop::sample::select(vec!["n", "n", "p", "c", ""]);
    let source = prop::sample::select(SOURCES.to_vec());
    (0..5u8, prop::option::of(0..5u8), 0..4u8, status, prop::collection::vec(ticket, 0..3), 0..3i64, source).prop_map(
        |(code, token, email, status, tickets, total_cents, source)| {
            let position = |(id, item, secret, canceled): (u64, u64, u8, bool)| LedgerPosition {
                id,
                item,
                price_cents: 1,
                secret: text("s", secret),
                canceled: canceled && id == 3,
                entries: 0,
            };
            Event::Ledger(LedgerRow {
                source: source.into(),
                code: text("c", code),
                token: token.map(|token| text("c", token)),
                status: status.to_owned(),
                total_cents,
                email: text("e", email),
                positions: tickets.into_iter().map(position).collect(),
                books: None,
            })
        },
    )
}

/// Everything by texts.
fn exact(history: &History) -> Account {
    let operations = Operations::of(history);
    let rows: Vec<&LedgerRow> = history.ledger().filter(|row| row.source.as_str() == "pg1").collect();
    let mut account = Account { read: true, rows: rows.len() as u64, ..Account::default() };
    account.acknowledged = operations.iter().filter(|op| op.order().is_some()).count() as u64;
    let exact = Exact::of(&operations, rows);
    (account.recovered, account.vanished, account.foreign) = (exact.recovered, exact.vanished, exact.foreign);
    exact.anomalies.into_iter().for_each(|anomaly| account.add(anomaly, &[]));
    account
}

/// An account in words, as a verdict would have it.
fn words(account: &Account) -> String {
    let groups = account.groups.iter().map(|(kind, group)| format!("{kind:?} {}", group.words()));
    let Account { read, rows, acknowledged, recovered, vanished, foreign, .. } = account;
    let sums = format!("{read} {rows} {acknowledged} {recovered} {vanished} {foreign}");
    groups.chain([sums]).collect::<Vec<_>>().join("\n")
}

/// Purchases and rows that are right but for what they have in common: one text is one thing, of few things.
fn nearly_right() -> impl Strategy<Value = Event> {
    let total_cents = 1;
    let purchase = (0..6u64, 1..4u8, any::<bool>(), 0..4usize).prop_map(move |(op, number, is_web, outcome)| {
        let (code, email) = (text("c", number), text("e", number));
        let outcome = OUTCOMES[outcome];
        let order = OrderAck {
            code: code.clone(),
            secret: String::new(),
            status: "n".to_owned(),
            total_cents,
            email: email.clone(),
            positions: Vec::new(),
        };
        Event::Attempt(Attempt {
            outcome,
            code: if is_web { String::new() } else { code },
            email,
            order: (outcome == Outcome::Acknowledged).then_some(order),
            ..fixture::attempt(op)
        })
    });
    let source = prop::sample::select(SOURCES.to_vec());
    let row = (1..4u8, 0..4u8, prop::option::of(1..4u8), source).prop_map(move |(code, token, email, source)| {
        // Most rows have the address of the buyer of their code, and their code as their token.
        let token = if token == 0 { code } else { token };
        Event::Ledger(LedgerRow {
            source: source.into(),
            code: text("c", code),
            token: email.is_none().then(|| text("c", token)),
            status: "n".to_owned(),
            total_cents,
            email: text("e", email.unwrap_or(code)),
            positions: Vec::new(),
            books: None,
        })
    });
    prop_oneof![2 => purchase, 3 => row]
}

/// How a standby differs from the primary, by texts.
fn difference(history: &History, standby: &str) -> String {
    let of = |source: &str| history.ledger().filter(|row| row.source.as_str() == source).cloned().collect();
    let mut difference = Difference::default();
    difference.compare(of("pg1"), of(standby));
    difference.words()
}

fn check(mut events: Vec<Event>) -> Result<(), TestCaseError> {
    events.push(fixture::read("pg1", Role::Primary));
    events.extend(["pg2", "pg3"].map(|standby| fixture::read(standby, Role::Standby)));
    let history = History::from_events(events);
    let mut digest = Digest::of(&mut &history).unwrap_or_default();
    let windows = step::windows(&digest);
    let books = Books::draw(&mut &history, &mut digest, &windows).unwrap_or_default();
    prop_assert_eq!(words(&books.account), words(&exact(&history)));
    let others: Vec<String> = books.others.iter().map(|(_, difference)| difference.words()).collect();
    prop_assert_eq!(others, ["pg2", "pg3"].map(|standby| difference(&history, standby)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn prints_say_what_texts_say(events in prop::collection::vec(prop_oneof![2 => attempt(), 3 => row()], 0..16)) {
        check(events)?;
    }

    #[test]
    fn prints_say_what_texts_say_where_little_is_wrong(events in prop::collection::vec(nearly_right(), 0..10)) {
        check(events)?;
    }
}
