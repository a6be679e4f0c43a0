//! The books by prints against the exact account of everything, on small histories in which everything collides.

use super::{Books, Exact, fixture};
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
    (0..5u8, prop::option::of(0..5u8), 0..4u8, status, prop::collection::vec(ticket, 0..3), 0..3i64).prop_map(
        |(code, token, email, status, tickets, total_cents)| {
            let position = |(id, item, secret, canceled): (u64, u64, u8, bool)| LedgerPosition {
                id,
                item,
                price_cents: 1,
                secret: text("s", secret),
                canceled: canceled && id == 3,
                entries: 0,
            };
            Event::Ledger(LedgerRow {
                source: "pg1".into(),
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
    let rows: Vec<&LedgerRow> = history.ledger().collect();
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn prints_say_what_texts_say(
        mut events in prop::collection::vec(prop_oneof![attempt(), row()], 0..14),
    ) {
        let role = Role::Primary;
        events.push(fixture::read("pg1", role));
        let history = History::from_events(events);
        let mut digest = Digest::of(&mut &history).unwrap_or_default();
        let windows = step::windows(&digest);
        let books = Books::draw(&mut &history, &mut digest, &windows).unwrap_or_default();
        prop_assert_eq!(words(&books.account), words(&exact(&history)));
    }
}
