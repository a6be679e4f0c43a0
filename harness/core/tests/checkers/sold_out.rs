//! Sold out: false answers, and tickets that are left over.

use super::story::{Story, check, in_the_browser, row, sold, unsold};
use firedrill_core::history::{At, Attempt, AttemptKind, LedgerRow, Outcome, RejectReason};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;
use std::collections::BTreeSet;

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
                "0 of 1 \"sold out\" answer certainly false",
            ),
            ("room for hundreds", refuse, Fail, "1 purchase refused as sold out although there was room"),
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
                "1 ticket left over, with 1 purchase refused",
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
    let web = |s: &mut Story| in_the_browser(s, 300);
    assert_eq!(false_sold_out(702, 400, web).0, 1.0, "who bought in the browser is no stranger");
    let strangers = |s: &mut Story| {
        in_the_browser(s, 300);
        let theirs = (9_000..9_400).map(|op| LedgerRow { token: None, ..row("pg2", &sold(op, 0, 0, 0, 1)) });
        s.rows.extend(theirs);
    };
    assert_eq!(false_sold_out(702, 400, strangers).0, 1.0, "301 + 400 of 702 leave one");
    assert_eq!(false_sold_out(701, 400, strangers).0, 0.0, "strangers are strangers beside the browser too");
    let until =
        |ended_ms: u64| move |s: &mut Story| s.of_op(700).for_each(|attempt| attempt.ended = At::from_ms(ended_ms));
    assert_eq!(false_sold_out(702, 400, until(30_099)).0, 1.0, "op301, which may take the last, has not begun");
    assert_eq!(false_sold_out(702, 400, until(30_100)).0, 0.0, "it begins in that instant");
    let before_all = |s: &mut Story| {
        s.attempts.retain(|attempt| attempt.op.0 >= 10);
        for refused in s.of_op(700) {
            (refused.intended, refused.started, refused.ended) = (At::from_ms(100), At::from_ms(100), At::from_ms(150));
        }
    };
    assert_eq!(false_sold_out(401, 400, before_all).0, 1.0, "strangers left one");
    assert_eq!(false_sold_out(400, 400, before_all).0, 0.0, "strangers had all, before anybody bought");
    let large = |s: &mut Story| {
        let order = sold(702, 50_000, 50_000, 50_010, 3);
        s.put(&order);
        s.attempts.push(order);
    };
    assert_eq!(false_sold_out(702, 403, large).0, 0.0, "the refused buyer may have wanted three");
}

/// A buyer of a shop that sells first come, first served: when he begins, how long until the shop decides, and until
/// he hears of it; whether he hears of it at all; when he gives his ticket back, if he does.
#[derive(Debug, Clone)]
struct Buyer {
    begun: u64,
    decided: u64,
    heard: u64,
    hears: bool,
    gives_back: Option<u64>,
}

fn buyer() -> impl Strategy<Value = Buyer> {
    (0..3_000u64, 1..400u64, 1..400u64, 0..8u8, prop::option::weighted(0.2, 1..2_000u64)).prop_map(
        |(begun, decides, hears_in, luck, gives_back)| Buyer {
            begun,
            decided: begun + decides,
            heard: begun + decides + hears_in,
            hears: luck > 0,
            gives_back,
        },
    )
}

/// The story of a correct shop with so many tickets.
fn honest(buyers: &[Buyer], size: usize) -> Story {
    let mut story = Story::empty(1.0);
    let mut decisions: Vec<(u64, bool, usize)> = Vec::new();
    for (n, buyer) in buyers.iter().enumerate() {
        decisions.push((buyer.decided, true, n));
        decisions.extend(buyer.gives_back.filter(|_| buyer.hears).map(|after| (buyer.heard + after + 5, false, n)));
    }
    decisions.sort_unstable();
    let mut holders: BTreeSet<usize> = BTreeSet::new();
    let mut sold_to: BTreeSet<usize> = BTreeSet::new();
    for (_, takes, n) in decisions {
        if takes && holders.len() < size {
            holders.insert(n);
            sold_to.insert(n);
        } else if !takes {
            holders.remove(&n);
        }
    }
    for (n, buyer) in buyers.iter().enumerate() {
        let (op, has) = (n as u64, sold_to.contains(&n));
        let last = sold(op, buyer.begun, buyer.begun, buyer.heard, 1);
        if has {
            story.put(&last);
        }
        story.attempts.push(match (has, buyer.hears) {
            (true, true) => last,
            (false, true) => unsold(op, buyer.begun, buyer.begun, buyer.heard, SOLD_OUT),
            (_, false) => unsold(op, buyer.begun, buyer.begun, buyer.heard, Outcome::InDoubt),
        });
        if let (true, true, Some(after)) = (has, buyer.hears, buyer.gives_back) {
            let back = unsold(op, buyer.heard + after, buyer.heard + after, buyer.heard + after + 10, Outcome::Passed);
            story.attempts.push(Attempt { kind: AttemptKind::Cancel, number: 9, ..back });
            story.rows_of(op).for_each(|row| row.status = "c".to_owned());
        }
    }
    story.read_quota(size as u64, holders.len() as u64);
    story
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_honest_shop_is_never_blamed(buyers in prop::collection::vec(buyer(), 1..30), size in 1..12usize) {
        for checker in ["sold_out", "oversell", "conservation", "quota_reads"] {
            let result = honest(&buyers, size).ask(checker);
            prop_assert_ne!(result.judgement, Fail, "{:#?}", result);
        }
    }
}
