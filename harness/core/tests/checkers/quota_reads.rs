//! Quota reads: counts that never can have been.

use super::story::{Story, check, seen, sold, unsold};
use firedrill_core::history::{At, Outcome, QuotaRow, QuotaSeen, Role};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;

/// The primary counts the quota while the load runs. Every 100 ms a purchase begins that is confirmed 40 ms later.
fn count(story: &mut Story, asked_ms: u64, at_ms: u64, sold: u64) {
    let row = story.quotas[0].clone();
    let (asked, at) = (Some(At::from_ms(asked_ms)), At::from_ms(at_ms));
    story.quotas.insert(0, QuotaRow { asked, at, sold, source: "pg1".into(), ..row });
}

/// The shop says what is left.
fn see(story: &mut Story, at_ms: u64, left: i64) {
    let (asked, at) = (At::from_ms(at_ms - 10), At::from_ms(at_ms));
    story.quotas_seen.push(QuotaSeen {
        asked,
        at,
        entry: "nginx-1".into(),
        id: 1,
        size: Some(1_000),
        left: Some(left),
    });
}

/// One more purchase, of which nobody knows what became of it.
fn doubt(story: &mut Story, at_ms: u64) {
    story.attempts.push(unsold(900 + at_ms, at_ms, at_ms, at_ms + 10, Outcome::InDoubt));
}

#[test]
fn judges() {
    check(
        "quota_reads",
        &[
            ("never read", |_| {}, Pass, "no quota was read while the load ran"),
            // At 10.050 s 101 purchases are confirmed; at 10.090 s none more has begun.
            ("as it was", |s| count(s, 10_050, 10_090, 101), Pass, "1 reading of quotas, all possible"),
            (
                "one too few",
                |s| count(s, 10_050, 10_090, 100),
                Fail,
                "pg1 counted 100 tickets sold of quota rush/q, possible were 101 to 101",
            ),
            ("one too many", |s| count(s, 10_050, 10_090, 102), Fail, "possible were 101 to 101"),
            ("an old primary that is cut off", |s| count(s, 30_050, 30_090, 200), Pass, "no quota was read"),
            (
                "the same, beside another tier",
                |s| {
                    let mut redis = seen(0, "redis-1", Role::Primary);
                    redis.tier = "redis".into();
                    s.observations.insert(0, redis);
                    count(s, 30_050, 30_090, 200);
                },
                Pass,
                "no quota was read",
            ),
            (
                "the shop speaks of another quota, and of one without a limit",
                |s| {
                    see(s, 10_090, 950);
                    see(s, 10_190, 950);
                    s.quotas_seen[0].id = 2;
                    s.quotas_seen[1].left = None;
                },
                Pass,
                "no quota was read",
            ),
            ("one under way, not yet", |s| count(s, 10_010, 10_020, 100), Pass, "1 reading of quotas, all possible"),
            ("one under way, already", |s| count(s, 10_010, 10_020, 101), Pass, "1 reading of quotas, all possible"),
            (
                "one in doubt, not",
                |s| {
                    doubt(s, 5_000);
                    count(s, 10_050, 10_090, 101);
                },
                Pass,
                "1 reading of quotas, all possible",
            ),
            (
                "one in doubt, applied",
                |s| {
                    doubt(s, 5_000);
                    count(s, 10_050, 10_090, 102);
                },
                Pass,
                "1 reading of quotas, all possible",
            ),
            (
                "somebody else has some",
                |s| {
                    s.read_quota(1_000, 610);
                    count(s, 10_050, 10_090, 111);
                },
                Pass,
                "1 reading of quotas, all possible",
            ),
            (
                "somebody else buys some later",
                |s| {
                    s.read_quota(1_000, 610);
                    count(s, 10_050, 10_090, 101);
                },
                Pass,
                "1 reading of quotas, all possible",
            ),
            (
                "somebody else had some before, and seems to have lost them",
                |s| {
                    s.read_quota(1_000, 610);
                    count(s, 10_050, 10_090, 110);
                    let before = QuotaRow { asked: None, at: At(0), sold: 10, ..s.quotas[0].clone() };
                    s.quotas.insert(0, before);
                },
                Fail,
                "possible were 111 to 111",
            ),
            (
                "nobody knows what others have",
                |s| {
                    s.quotas.retain(|row| row.source.as_str() != "pg2");
                    count(s, 10_050, 10_090, 500);
                },
                Pass,
                "1 reading of quotas, all possible",
            ),
        ],
    );
}

#[test]
fn judges_what_is_given_back_and_what_the_shop_says_is_left() {
    check(
        "quota_reads",
        &[
            (
                "given back",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    // Asked for at 55.005 s, known at 55.015 s; 551 are confirmed.
                    count(s, 55_050, 55_090, 550);
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                    s.quotas.iter_mut().skip(1).for_each(|row| row.sold = 599);
                },
                Pass,
                "1 reading of quotas, all possible",
            ),
            (
                "given back, and still counted",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    count(s, 55_050, 55_090, 551);
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                    s.quotas.iter_mut().skip(1).for_each(|row| row.sold = 599);
                },
                Fail,
                "possible were 550 to 550",
            ),
            ("left as it was", |s| see(s, 10_090, 899), Pass, "1 reading of quotas, all possible"),
            (
                "less is left, because carts hold some",
                |s| see(s, 10_090, 700),
                Pass,
                "1 reading of quotas, all possible",
            ),
            (
                "more is said to be left",
                |s| see(s, 10_090, 950),
                Fail,
                "nginx-1 offered 950 tickets of quota rush/q, possible were 899",
            ),
            (
                "damage",
                |s| {
                    see(s, 10_090, 950);
                    s.damage.push("torn".to_owned());
                },
                Unknown,
                "damaged",
            ),
        ],
    );
}

/// A purchase of the reference: when it began, when it was confirmed if it was, when it was given back if it was.
#[derive(Debug, Clone)]
struct Plain {
    begun: u64,
    confirmed: Option<u64>,
    given_back: Option<(u64, u64)>,
}

fn plain(gives_back: bool) -> impl Strategy<Value = Plain> {
    let back = prop::option::of((0..10u64, 1..10u64)).prop_map(move |back| back.filter(|_| gives_back));
    (100..130u64, prop::option::of(1..15u64), back).prop_map(|(begun, took, back)| {
        let confirmed = took.map(|took| begun + took);
        let given_back = confirmed.zip(back).map(|(at, (after, took))| (at + after, at + after + took));
        Plain { begun, confirmed, given_back }
    })
}

/// Whether there is an instant of the reading at which so many may have been sold: each by itself.
fn is_possible(purchases: &[Plain], asked: u64, answered: u64, sold: u64) -> bool {
    (asked..=answered).any(|at| {
        let certain =
            |p: &&Plain| p.confirmed.is_some_and(|c| c <= at) && p.given_back.is_none_or(|(from, _)| from > at);
        let possible = |p: &&Plain| p.begun <= at && p.given_back.is_none_or(|(_, until)| until > at);
        let count = |is: &dyn Fn(&&Plain) -> bool| purchases.iter().filter(|p| is(p)).count() as u64;
        (count(&certain)..=count(&possible)).contains(&sold)
    })
}

/// A story of nothing but these purchases, and one reading.
fn reading(purchases: &[Plain], asked: u64, answered: u64, count: u64) -> Story {
    let mut story = Story::empty(1.0);
    for (op, plain) in (0..).zip(purchases) {
        let Some(confirmed) = plain.confirmed else {
            story.attempts.push(unsold(op, plain.begun, plain.begun, plain.begun + 1, Outcome::InDoubt));
            continue;
        };
        let order = sold(op, plain.begun, plain.begun, confirmed, 1);
        story.put(&order);
        story.attempts.push(order);
        if let Some((from, until)) = plain.given_back {
            let back = unsold(op, from, from, until, Outcome::Passed);
            story.attempts.push(firedrill_core::history::Attempt {
                kind: firedrill_core::history::AttemptKind::Cancel,
                number: 9,
                ..back
            });
            story.rows_of(op).for_each(|row| row.status = "c".to_owned());
        }
    }
    let live = story.rows.iter().filter(|row| row.source.as_str() == "pg2" && row.status != "c").count() as u64;
    story.read_quota(1_000, live);
    self::count(&mut story, asked, answered, count);
    story
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn agrees_with_every_instant(
        purchases in prop::collection::vec(plain(false), 1..7),
        (asked, took, sold) in (100..140u64, 0..10u64, 0..8u64),
    ) {
        let result = reading(&purchases, asked, asked + took, sold).ask("quota_reads");
        prop_assert_eq!(result.judgement == Pass, is_possible(&purchases, asked, asked + took, sold), "{:?}", result);
    }

    #[test]
    fn raises_no_false_alarm_where_orders_are_given_back(
        purchases in prop::collection::vec(plain(true), 1..7),
        (asked, took, sold) in (100..140u64, 0..10u64, 0..8u64),
    ) {
        if is_possible(&purchases, asked, asked + took, sold) {
            let result = reading(&purchases, asked, asked + took, sold).ask("quota_reads");
            prop_assert_eq!(result.judgement, Pass, "{:?}", result);
        }
    }
}
