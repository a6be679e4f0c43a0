//! Exactly once: repeated purchases and other people's orders.

use super::story::{Story, check, code, in_the_browser, row, sold};
use firedrill_core::history::LedgerRow;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

/// Copies of the order of a purchase under further codes.
fn under_more_codes(story: &mut Story, copies: u32) {
    let copy = |number: u32| LedgerRow { code: format!("OTHER{number}"), ..row("pg2", &sold(4, 0, 0, 0, 1)) };
    story.rows.extend((0..copies).map(copy));
}

#[test]
fn judges() {
    check(
        "exactly_once",
        &[
            ("good", |_| {}, Pass, "0 of 600 purchases became several orders, 0 somebody else's"),
            ("bought in the browser", |s| in_the_browser(s, 300), Pass, "0 of 600"),
            (
                "one token under two codes",
                |s| {
                    let copy = row("pg2", &sold(4, 0, 0, 0, 1));
                    s.rows.push(LedgerRow { code: "OTHER".to_owned(), ..copy });
                },
                Fail,
                "1 of 600 purchases became several orders",
            ),
            (
                "one token under five codes",
                |s| under_more_codes(s, 4),
                Fail,
                "1 of 600 purchases became several orders",
            ),
            (
                "one token under seven codes",
                |s| under_more_codes(s, 6),
                Fail,
                "1 of 600 purchases became several orders",
            ),
            (
                "two orders of one buyer in the browser",
                |s| {
                    in_the_browser(s, 4);
                    let copy = row("pg2", &sold(4, 0, 0, 0, 1));
                    s.rows.push(LedgerRow { code: "OTHER".to_owned(), token: None, ..copy });
                },
                Fail,
                "1 of 600",
            ),
            (
                "another code confirmed",
                |s| s.of_op(4).filter_map(|a| a.order.as_mut()).for_each(|order| order.code = code(5)),
                Fail,
                "1 somebody else's",
            ),
            (
                "another e-mail address on the page",
                |s| {
                    in_the_browser(s, 4);
                    let orders = s.of_op(4).filter_map(|a| a.order.as_mut());
                    orders.for_each(|order| order.email = "buyer-5@example.org".to_owned());
                },
                Fail,
                "1 somebody else's",
            ),
            (
                "the page of somebody else's order",
                |s| {
                    in_the_browser(s, 4);
                    let theirs = sold(5, 0, 0, 0, 1).order;
                    s.of_op(4).for_each(|a| a.order.clone_from(&theirs));
                },
                Fail,
                "1 somebody else's",
            ),
            ("no final read", |s| s.reads.clear(), Unknown, "nothing to compare with"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}
