//! Whatever thousands of orders have in common, looking at all of them together takes no square of their number.

use super::story::{row, sla, sold, unsold};
use firedrill_core::checker::Evidence;
use firedrill_core::history::{At, Event, History, Outcome, Role, SourceRead};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Same {
    Code,
    Token,
    Ticket,
    /// Of buyers in the browser who were told of their order.
    Address,
    /// Of those who were not.
    AddressInDoubt,
}

/// Purchases, each with a row of its own, that have one thing in common.
fn history(same: Same, purchases: u64) -> History {
    let (at, source, detail) = (At(1), "pg1".into(), String::new());
    let mut events = vec![Event::Source(SourceRead { at, source, role: Role::Primary, complete: true, detail })];
    for op in 0..purchases {
        let mut attempt = sold(op, op, op, op + 1, 1);
        let mut row = row("pg1", &attempt);
        let Some(order) = &mut attempt.order else { unreachable!("it was sold") };
        match same {
            Same::Code => {
                for code in [&mut attempt.code, &mut order.code, &mut row.code] {
                    "C".clone_into(code);
                }
            }
            Same::Token => {
                row.token = Some("T".to_owned());
                attempt = unsold(op, op, op, op + 1, Outcome::InDoubt);
            }
            Same::Ticket => order.positions[0].secret = Some("secret".to_owned()),
            Same::Address | Same::AddressInDoubt => {
                (attempt.code, row.token) = (String::new(), None);
                for email in [&mut attempt.email, &mut order.email, &mut row.email] {
                    "same".clone_into(email);
                }
            }
        }
        if same == Same::AddressInDoubt {
            (attempt.outcome, attempt.order) = (Outcome::InDoubt, None);
        }
        events.extend([Event::Attempt(attempt), Event::Ledger(row)]);
    }
    History::from_events(events)
}

/// How long it takes to look at everything, the shortest of three times: what else the machine does only makes it longer.
fn takes(history: &History) -> Duration {
    let sla = sla();
    let once = |_| {
        let begin = Instant::now();
        let evidence = Evidence::gather(&mut &*history, &sla).unwrap();
        let took = begin.elapsed();
        assert!(evidence.books.account.read && evidence.books.account.rows > 0, "{:?}", evidence.books.account);
        took
    };
    (0..3).map(once).min().unwrap()
}

fn check(same: Same) {
    let (few, many) = (takes(&history(same, 3_000)), takes(&history(same, 24_000)));
    // Eight times as many take eight times as long, and 64 times if each is looked at with each.
    assert!(many < few * 24, "{same:?}: 3,000 orders take {few:?}, 24,000 {many:?}");
}

#[test]
fn nothing_takes_the_square() {
    for same in [Same::Code, Same::Token, Same::Ticket, Same::Address, Same::AddressInDoubt] {
        check(same);
    }
}
