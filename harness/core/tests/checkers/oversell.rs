//! Oversell, in both ledgers, and the false sold-out.

use super::story::{Story, check, sold, unsold};
use firedrill_core::history::{At, Outcome, RejectReason};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

const SOLD_OUT: Outcome = Outcome::Rejected(RejectReason::SoldOut);

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

/// `false_sold_out_answers` of the good story with one more purchase at 30 s that is told "sold out".
fn false_sold_out(size: u64, foreign: u64, spoil: impl FnOnce(&mut Story)) -> (f64, Vec<OpId>) {
    let mut story = Story::good();
    story.read_quota(size, 600 + foreign);
    story.attempts.push(unsold(700, 30_000, 30_010, 30_050, SOLD_OUT));
    spoil(&mut story);
    let result = story.ask("oversell");
    let ops = result.findings.iter().flat_map(|finding| finding.ops.clone()).collect();
    (result.numbers["false_sold_out_answers"], ops)
}

#[test]
fn a_false_sold_out_is_claimed_only_where_room_is_certain() {
    // Until 30.05 s, 301 purchases of one ticket have begun: op0 to op300.
    assert_eq!(false_sold_out(1_000, 0, |_| {}), (1.0, vec![OpId(700)]));
    assert_eq!(false_sold_out(702, 400, |_| {}).0, 1.0, "301 + 400 of 702 leave one");
    assert_eq!(false_sold_out(701, 400, |_| {}).0, 0.0, "301 + 400 of 701 leave none");
    let doubt = |s: &mut Story| s.attempts.push(unsold(701, 29_000, 29_000, 29_010, Outcome::InDoubt));
    assert_eq!(false_sold_out(702, 400, doubt).0, 0.0, "one in doubt may hold the last ticket");
    let large = |s: &mut Story| {
        let order = sold(702, 50_000, 50_000, 50_010, 3);
        s.put(&order);
        s.attempts.push(order);
    };
    assert_eq!(false_sold_out(702, 403, large).0, 0.0, "the refused buyer may have wanted three");
}

#[test]
fn a_false_sold_out_does_not_fail_the_invariant() {
    let result = Story::good().with(|s| s.attempts.push(unsold(700, 30_000, 30_010, 30_050, SOLD_OUT))).ask("oversell");
    assert_eq!((result.judgement, result.findings.len()), (Pass, 1));
}
