//! Money: books that do not add up.

use super::story::{Story, check, code};
use firedrill_core::history::{At, InvoiceRow, RowBooks, Subject};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

/// Makes an order a paid one, with all that belongs to it.
fn pay(story: &mut Story, op: u64) {
    for row in story.rows_of(op) {
        row.status = "p".to_owned();
        books(row).paid_cents = row.total_cents;
        books(row).paid = 1;
    }
}

fn books(row: &mut firedrill_core::history::LedgerRow) -> &mut RowBooks {
    row.books.as_mut().expect("the story has books")
}

fn spoil(story: &mut Story, op: u64, spoil: impl Fn(&mut RowBooks)) {
    story.observes = vec![Subject::Books];
    story.rows_of(op).for_each(|row| spoil(books(row)));
}

fn invoice(story: &mut Story, op: u64, cents: i64) {
    let at = At::from_ms(200_000);
    let series = "FAIR-".to_owned();
    story.invoices.push(InvoiceRow { at, source: "pg2".into(), series, number: 1, code: code(op), cents });
}

#[test]
fn judges() {
    check(
        "money",
        &[
            ("not looked at", |_| {}, Pass, "this run did not look"),
            ("good", |s| s.observes = vec![Subject::Books], Pass, "the books of all 600 orders add up"),
            (
                "paid",
                |s| {
                    pay(s, 5);
                    spoil(s, 5, |_| {});
                },
                Pass,
                "all 600",
            ),
            (
                "given back, and the ledger with it",
                |s| {
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                    spoil(s, 5, |books| (books.ledger_cents, books.lines_cents) = (0, 0));
                },
                Pass,
                "all 600",
            ),
            ("an invoice about the right sum", |s| invoice(s, 5, 2_300), Pass, "did not look"),
            (
                "a fee is missing",
                |s| spoil(s, 5, |books| books.lines_cents -= 100),
                Fail,
                "than tickets and fees together: FD00005",
            ),
            (
                "a fee is missing, of an order in the window of a fault",
                |s| spoil(s, 300, |books| books.lines_cents -= 100),
                Fail,
                "than tickets and fees together: FD00300",
            ),
            (
                "no ledger",
                |s| spoil(s, 5, |books| books.ledger_cents = 0),
                Fail,
                "1 order with another total than the ledger has",
            ),
            (
                "given back, and still owed",
                |s| {
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                    spoil(s, 5, |_| {});
                },
                Fail,
                "than the ledger has",
            ),
            (
                "paid with nothing",
                |s| {
                    pay(s, 5);
                    spoil(s, 5, |books| books.paid_cents = 0);
                },
                Fail,
                "1 order paid, although less than the total was received",
            ),
            (
                "a payment that counts for nothing",
                |s| spoil(s, 5, |books| books.paid_cents = 2_300),
                Fail,
                "not marked as paid",
            ),
            ("never placed", |s| spoil(s, 5, |books| books.placed = 0), Fail, "exactly one entry about being placed"),
            ("placed twice", |s| spoil(s, 5, |books| books.placed = 2), Fail, "exactly one entry about being placed"),
            (
                "orphaned",
                |s| {
                    pay(s, 5);
                    spoil(s, 5, |books| books.paid = 0);
                },
                Fail,
                "1 order paid, and nothing done of what follows a payment",
            ),
            ("an invoice about another sum", |s| invoice(s, 5, 100), Fail, "1 invoice about another sum"),
            (
                "only on a standby",
                |s| {
                    s.observes = vec![Subject::Books];
                    s.rows.iter_mut().filter(|row| row.source.as_str() == "pg1").for_each(|row| books(row).placed = 0);
                },
                Pass,
                "all 600",
            ),
            (
                "not read",
                |s| {
                    s.observes = vec![Subject::Books];
                    s.rows.iter_mut().take(3).for_each(|row| row.books = None);
                },
                Unknown,
                "books read: those of 599 of 600 orders",
            ),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}
