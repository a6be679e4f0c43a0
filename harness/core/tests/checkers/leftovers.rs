//! Leftovers: work that nobody finished.

use super::story::{Story, check};
use firedrill_core::history::{At, Leftover, Subject};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

fn count(story: &mut Story, at_ms: u64, what: &str, count: Option<u64>) {
    let (at, node) = (At::from_ms(at_ms), "pg2".into());
    story.leftovers.push(Leftover { at, node, what: what.to_owned(), count, detail: "so it is".to_owned() });
}

#[test]
fn judges() {
    check(
        "leftovers",
        &[
            ("not looked at", |_| {}, Pass, "this run did not look"),
            (
                "nothing left",
                |s| count(s, 200_000, "locked keys", Some(0)),
                Pass,
                "nothing is left of 1 kinds of work: locked keys",
            ),
            (
                "finished in the end",
                |s| {
                    count(s, 190_000, "locked keys", Some(3));
                    count(s, 200_000, "locked keys", Some(0));
                },
                Pass,
                "nothing is left",
            ),
            ("left", |s| count(s, 200_000, "locked keys", Some(3)), Fail, "3 locked keys left on pg2: so it is"),
            (
                "left, and another kind not counted",
                |s| {
                    count(s, 200_000, "mails", None);
                    count(s, 200_000, "locked keys", Some(3));
                },
                Fail,
                "3 locked keys left",
            ),
            (
                "not counted",
                |s| count(s, 200_000, "mails", None),
                Unknown,
                "mails on pg2 could not be counted: so it is",
            ),
            ("nobody counted", |s| s.observes = vec![Subject::Leftovers], Unknown, "nobody counted"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}
