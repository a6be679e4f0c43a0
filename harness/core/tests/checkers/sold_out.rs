//! Sold out: false answers, and tickets that are left over.

use super::story::{Story, check, in_the_browser, sold, unsold};
use firedrill_core::history::{Outcome, RejectReason};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

const SOLD_OUT: Outcome = Outcome::Rejected(RejectReason::SoldOut);

/// One more purchase at 30 s, which is told "sold out".
fn refuse(story: &mut Story) {
    refuse_at(story, 30_000);
}

fn refuse_at(story: &mut Story, due_ms: u64) {
    story.attempts.push(unsold(700, due_ms, due_ms + 10, due_ms + 50, SOLD_OUT));
}

#[test]
fn judges() {
    check(
        "sold_out",
        &[
            ("nobody was refused", |_| {}, Pass, "nobody was told"),
            (
                "the last tickets went before",
                |s| {
                    refuse_at(s, 59_950);
                    s.read_quota(600, 600);
                },
                Pass,
                "0 of 1 \"sold out\" answers",
            ),
            ("room for hundreds", refuse, Fail, "1 purchases refused as sold out although there was room"),
            (
                "somebody else has what the load has not",
                |s| {
                    refuse(s);
                    s.read_quota(700, 700);
                    (0..300).for_each(|n| s.attempts.push(unsold(800 + n, 20_000, 20_000, 20_010, Outcome::InDoubt)));
                },
                Pass,
                "0 of 1",
            ),
            (
                "left over in the end, and perhaps not then",
                |s| {
                    refuse(s);
                    s.read_quota(601, 600);
                    // Until the refusal as many may have been sold; 300 of them were not.
                    (0..300).for_each(|n| s.attempts.push(unsold(800 + n, 20_000, 20_000, 20_010, Outcome::InDoubt)));
                },
                Fail,
                "1 tickets are left over although 1 purchases were refused",
            ),
            (
                "left over, because it was given back",
                |s| {
                    refuse(s);
                    s.give_back(5, Outcome::Passed);
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                    s.read_quota(600, 599);
                    (0..300).for_each(|n| s.attempts.push(unsold(800 + n, 20_000, 20_000, 20_010, Outcome::InDoubt)));
                },
                Pass,
                "0 of 1",
            ),
            (
                "left over, where carts may have held it",
                |s| {
                    in_the_browser(s, 300);
                    refuse(s);
                    s.read_quota(601, 600);
                    (0..300).for_each(|n| s.attempts.push(unsold(800 + n, 20_000, 20_000, 20_010, Outcome::InDoubt)));
                },
                Pass,
                "0 of 1",
            ),
            (
                "no quota to compare with",
                |s| {
                    refuse(s);
                    s.quotas.iter_mut().for_each(|quota| quota.source = "pg9".into());
                },
                Unknown,
                "no quota to compare",
            ),
            (
                "damage",
                |s| {
                    refuse(s);
                    s.damage.push("torn".to_owned());
                },
                Unknown,
                "damaged",
            ),
        ],
    );
}

/// `false_sold_out_answers` of the good story with one more purchase at 30 s that is told "sold out".
fn false_sold_out(size: u64, foreign: u64, spoil: impl FnOnce(&mut Story)) -> (f64, Vec<OpId>) {
    let mut story = Story::good();
    story.read_quota(size, 600 + foreign);
    story.attempts.push(unsold(700, 30_000, 30_010, 30_050, SOLD_OUT));
    spoil(&mut story);
    let result = story.ask("sold_out");
    let claimed = result.findings.iter().filter(|finding| finding.summary.contains("there was room"));
    let ops = claimed.flat_map(|finding| finding.ops.clone()).collect();
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
