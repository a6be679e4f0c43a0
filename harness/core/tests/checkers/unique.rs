//! Unique: keys that were given to two buyers, and the numbers of invoices.

use super::story::{Story, check, code, sold};
use firedrill_core::history::{At, InvoiceRow};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;

/// An invoice as a database has it.
fn invoice(at_ms: u64, source: &str, number: u64, op: u64) -> InvoiceRow {
    InvoiceRow {
        at: At::from_ms(at_ms),
        source: source.into(),
        series: "FAIR-".to_owned(),
        number,
        code: code(op),
        cents: 2_300,
    }
}

/// Ten invoices, of which the primary had five while the load ran, and all databases have all in the end.
fn invoices(story: &mut Story) {
    story.invoices.extend((1..=5).map(|n| invoice(10_000, "pg1", n, n)));
    for source in ["pg1", "pg2", "pg3"] {
        story.invoices.extend((1..=10).map(|n| invoice(200_000, source, n, n)));
    }
}

/// Changes the last reading of an invoice in all databases.
fn spoil(story: &mut Story, number: u64, spoil: impl Fn(&mut InvoiceRow)) {
    let last = story.invoices.iter_mut().filter(|row| row.at == At::from_ms(200_000) && row.number == number);
    last.for_each(spoil);
}

fn forget(story: &mut Story, number: u64) {
    story.invoices.retain(|row| row.at != At::from_ms(200_000) || row.number != number);
}

#[test]
fn judges() {
    check(
        "unique",
        &[
            ("good", |_| {}, Pass, "0 keys of 600 acknowledged orders and 0 invoices given twice"),
            ("with invoices", invoices, Pass, "10 invoices"),
            (
                "another series has the same numbers",
                |s| {
                    invoices(s);
                    let other = InvoiceRow { series: "RUSH-".to_owned(), ..invoice(200_000, "pg2", 3, 77) };
                    s.invoices.push(other);
                },
                Pass,
                "11 invoices",
            ),
            (
                "an order code confirmed to two buyers",
                |s| {
                    let mut second = sold(700, 10_000, 10_000, 10_040, 1);
                    second.code = code(5);
                    second.order.as_mut().unwrap().code = code(5);
                    s.attempts.push(second);
                },
                Fail,
                "its code was confirmed to op5 too",
            ),
            (
                "a ticket secret issued twice",
                |s| {
                    let secret = Some("secret-9-0".to_owned());
                    for order in s.of_op(10).filter_map(|a| a.order.as_mut()) {
                        order.positions[0].secret.clone_from(&secret);
                    }
                    s.rows_of(10).for_each(|row| row.positions[0].secret = "secret-9-0".to_owned());
                },
                Fail,
                "1 order confirmed to two buyers",
            ),
            (
                "a ticket's key issued twice",
                |s| {
                    s.of_op(10).filter_map(|a| a.order.as_mut()).for_each(|order| order.positions[0].id = Some(90));
                    s.rows_of(10).for_each(|row| row.positions[0].id = 90);
                },
                Fail,
                "1 order confirmed to two buyers",
            ),
            (
                "a number that a failover issued again",
                |s| {
                    invoices(s);
                    spoil(s, 4, |row| row.code = code(44));
                },
                Fail,
                "1 invoice number issued for two orders: FAIR-4 for FD00004 and FD00044",
            ),
            (
                "an invoice that is gone",
                |s| {
                    invoices(s);
                    (5..=10).for_each(|number| forget(s, number));
                },
                Fail,
                "1 invoice issued and not on pg2 in the end: FAIR-5 for FD00005",
            ),
            (
                "an invoice that the same database had while the load ran",
                |s| {
                    invoices(s);
                    s.invoices.push(invoice(10_000, "pg2", 11, 11));
                },
                Fail,
                "1 invoice issued and not on pg2 in the end: FAIR-11 for FD00011",
            ),
            (
                "an order with two",
                |s| {
                    invoices(s);
                    spoil(s, 10, |row| row.code = code(9));
                },
                Fail,
                "1 order with more than one invoice: FD00009",
            ),
            (
                "an order whose invoice was cancelled",
                |s| {
                    invoices(s);
                    spoil(s, 10, |row| (row.code, row.cents) = (code(9), -2_300));
                },
                Pass,
                "10 invoices",
            ),
            (
                "numbers left out",
                |s| {
                    invoices(s);
                    (7..=8).for_each(|number| forget(s, number));
                },
                Fail,
                "2 invoice numbers left out: FAIR-7, FAIR-8",
            ),
            ("no final read", |s| s.reads.clear(), Unknown, "nothing to compare with"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}

#[test]
fn of_two_buyers_with_one_secret_none_is_overlooked() {
    // Whatever is shared, its print may be the greatest of all, the least, or between.
    for n in 0..12 {
        let mut story = Story::empty(1.0);
        for op in [1, 2] {
            let mut attempt = sold(op, op * 100, op * 100, op * 100 + 10, 1);
            let order = attempt.order.as_mut().unwrap();
            order.positions[0].secret = Some(format!("shared-{n}"));
            story.put(&attempt);
            story.attempts.push(attempt);
        }
        assert_eq!(story.ask("unique").numbers["confirmed_to_two_buyers"], 1.0, "shared-{n}");
    }
}

/// By everything against everything: reissued, doubled, left out, among readings at the end.
fn brute_force(rows: &[(u64, u64)]) -> usize {
    let mut wrong = 0;
    for number in 0..=9 {
        let codes = |number: u64| (0..=9).filter(move |code| rows.contains(&(number, *code))).count();
        wrong += usize::from(codes(number) > 1);
        let is_between = (0..number).any(|n| codes(n) > 0) && (number + 1..=9).any(|n| codes(n) > 0);
        wrong += usize::from(codes(number) == 0 && is_between);
        let numbers_of_code = (0..=9).filter(|n| rows.contains(&(*n, number))).count();
        wrong += usize::from(numbers_of_code > 1);
    }
    wrong
}

proptest! {
    #[test]
    fn counts_what_looking_at_everything_counts(rows in prop::collection::vec((0..10u64, 0..10u64), 0..8)) {
        let mut story = Story::good();
        story.invoices.extend(rows.iter().map(|(number, op)| invoice(200_000, "pg2", *number, *op)));
        prop_assert_eq!(story.ask("unique").numbers["wrong_invoices"], brute_force(&rows) as f64);
    }
}
