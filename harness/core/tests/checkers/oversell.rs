//! Oversell, in both ledgers.

use super::story::{check, sold};
use firedrill_core::history::{At, Outcome};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

#[test]
fn judges() {
    check(
        "oversell",
        &[
            ("good", |_| {}, Pass, "0 of 1 limited quotas oversold"),
            ("sold to the last ticket", |s| s.read_quota(600, 600), Pass, "0 of 1"),
            ("unlimited", |s| s.quotas.iter_mut().for_each(|q| q.size = None), Pass, "0 of 0 limited quotas"),
            ("the database has one too many", |s| s.read_quota(600, 601), Fail, "601 of 600 tickets of quota rush/q"),
            (
                "one database, once, had one too many",
                |s| {
                    s.quotas[0].sold = 1_001;
                    s.quotas[0].at = At::from_ms(30_000);
                },
                Fail,
                "1001 of 1000 tickets of quota rush/q sold, as pg1 counts",
            ),
            ("lost orders were sold again", |s| s.read_quota(599, 599), Fail, "buyers hold 600 tickets of 599"),
            (
                "lost orders were sold again, two of them",
                |s| s.read_quota(598, 598),
                Fail,
                "buyers hold 600 tickets of 598",
            ),
            (
                "and something else was sold after them",
                |s| {
                    let mut other = sold(700, 59_990, 59_990, 59_999, 1);
                    other.order.as_mut().unwrap().positions[0].item = 8;
                    s.put(&other);
                    s.attempts.push(other);
                    s.read_quota(599, 599);
                },
                Fail,
                "buyers hold 600 tickets of 599",
            ),
            (
                "one was given back and sold again",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    s.read_quota(599, 599);
                },
                Pass,
                "0 of 1",
            ),
            (
                "one was not given back and sold again",
                |s| {
                    s.give_back(5, Outcome::NotApplied);
                    s.read_quota(599, 599);
                },
                Fail,
                "buyers hold 600 tickets of 599",
            ),
            (
                "oversold in a damaged history",
                |s| {
                    s.read_quota(600, 601);
                    s.damage.push("torn".to_owned());
                },
                Fail,
                "601 of 600",
            ),
            (
                "another quota's items",
                |s| {
                    s.read_quota(10, 3);
                    s.quotas.iter_mut().for_each(|q| q.items = vec![99]);
                },
                Pass,
                "0 of 1",
            ),
            ("no quota read", |s| s.quotas.clear(), Unknown, "no quota was read"),
            (
                "read too early",
                |s| s.quotas.iter_mut().for_each(|q| q.at = At::from_ms(1_000)),
                Unknown,
                "after the last purchase",
            ),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}
