//! Where nothing is wrong, prints decide everything: no text is read a second time. The verdict would be the same if
//! everything were looked at, but not the time and the memory that it takes.

use super::{Counts, Join};
use crate::checker::books::replicas::Pair;
use crate::checker::books::{by_code, fixture};
use crate::digest::{Digest, Ledger};
use crate::history::{
    Attempt, Event, History, LedgerPosition, LedgerRow, OrderAck, Outcome, PositionAck, RejectReason, Role, SourceRead,
};
use crate::ids::OpId;

/// A purchase: the code that the buyer chose, if any, and the order that he was told, if any.
fn attempt(op: u64, outcome: Outcome, code: &str, told: Option<&str>) -> Event {
    let email = format!("buyer-{op}@example.org");
    let is_web = code.is_empty();
    let order = |told: &str| OrderAck {
        code: told.to_owned(),
        secret: String::new(),
        status: "n".to_owned(),
        total_cents: 100,
        email: email.clone(),
        positions: vec![PositionAck {
            id: (!is_web).then_some(op),
            item: 7,
            price_cents: 100,
            secret: (!is_web).then(|| format!("secret-{op}")),
        }],
    };
    let order = told.map(order);
    Event::Attempt(Attempt { outcome, code: code.to_owned(), email, order, ..fixture::attempt(op) })
}

/// The row of a purchase in one database.
fn row(source: &str, op: u64, code: &str, token: Option<&str>) -> Event {
    Event::Ledger(LedgerRow {
        source: source.into(),
        code: code.to_owned(),
        token: token.map(str::to_owned),
        status: "n".to_owned(),
        total_cents: 100,
        email: format!("buyer-{op}@example.org"),
        positions: vec![LedgerPosition {
            id: op,
            item: 7,
            price_cents: 100,
            secret: format!("secret-{op}"),
            canceled: false,
            entries: 0,
        }],
        books: None,
    })
}

/// Everything that a purchase may come to and that is right, in two databases, of which one lacks a row and has another.
fn history() -> History {
    let sold_out = Outcome::Rejected(RejectReason::SoldOut);
    let mut events = vec![
        attempt(0, Outcome::Acknowledged, "OWN", Some("OWN")),
        attempt(1, Outcome::InDoubt, "RECOVERED", None),
        attempt(2, Outcome::InDoubt, "VANISHED", None),
        attempt(3, sold_out, "REFUSED", None),
        attempt(4, Outcome::NotSent, "NEVER", None),
        attempt(5, Outcome::Acknowledged, "", Some("WEB")),
        attempt(6, Outcome::InDoubt, "", None),
        attempt(7, Outcome::InDoubt, "", None),
        attempt(8, sold_out, "", None),
        attempt(9, Outcome::InDoubt, "", None),
        attempt(10, Outcome::InDoubt, "VANISHED TWICE", None),
        attempt(11, Outcome::InDoubt, "VANISHED TWICE", None),
    ];
    for source in ["pg1", "pg2"] {
        events.push(row(source, 0, "OWN", Some("OWN")));
        events.push(row(source, 1, "RECOVERED", Some("RECOVERED")));
        events.push(row(source, 5, "WEB", None));
        events.push(row(source, 9, "FOUND BY HIS ADDRESS", None));
        events.push(row(source, 90, "STRANGER", None));
        events.push(row(source, 91, if source == "pg1" { "HERE" } else { "THERE" }, Some("his own")));
        let role = if source == "pg1" { Role::Primary } else { Role::Standby };
        events.push(fixture::read(source, role));
    }
    History::from_events(events)
}

/// The digest of a history, with the rows of its primary.
fn digest(history: &History) -> (Digest, Ledger, SourceRead) {
    let mut digest = Digest::of(&mut &*history).unwrap_or_default();
    let authority = digest.authority().cloned().unwrap_or_else(|| unreachable!("pg1 was read"));
    let ledger = by_code(digest.take_ledger(&authority));
    (digest, ledger, authority)
}

#[test]
fn prints_decide_everything() {
    let (digest, ledger, _) = digest(&history());
    let join = Join::new(&digest, &ledger, Vec::new());
    let keyed: Vec<OpId> = join.keyed.iter().map(|keyed| digest.operations.id(keyed.place)).collect();
    for refused in [3, 4] {
        assert!(!keyed.contains(&OpId(refused)), "no row speaks of op{refused}: {keyed:?}");
    }
    let sorted = join.sort_out();
    assert_eq!(sorted.suspects.passes(), 0, "{:?}", sorted.suspects);
    assert!(!sorted.lost.contains(&true), "{:?}", sorted.lost);
    assert_eq!(sorted.counts, Counts { recovered: 2, vanished: 5, foreign: 2 });
}

/// A code that no row has is lost, whatever else the texts say.
#[test]
fn what_is_certainly_lost_needs_no_second_look() {
    let told = [("OWN", "OWN"), ("", "WEB")];
    let lost = (0..).zip(told).map(|(op, (code, told))| attempt(op, Outcome::Acknowledged, code, Some(told)));
    let history = History::from_events(lost.chain([fixture::read("pg1", Role::Primary)]).collect());
    let (digest, ledger, _) = digest(&history);
    let sorted = Join::new(&digest, &ledger, Vec::new()).sort_out();
    assert_eq!(sorted.suspects.passes(), 0, "{:?}", sorted.suspects);
    assert_eq!((sorted.lost, sorted.counts), (vec![true; told.len()], Counts::default()));
}

#[test]
fn rows_that_one_database_has_need_no_second_look() {
    let (mut digest, here, authority) = digest(&history());
    let standby = SourceRead { source: "pg2".into(), role: Role::Standby, ..authority };
    let pair = Pair::of(&here.rows, by_code(digest.take_ledger(&standby)));
    assert_eq!((pair.missing.len(), pair.extra.len(), pair.suspects.passes()), (1, 1, 0));
}
