//! Reads: what buyers see who look at their orders again.

use super::story::{Story, check, sold};
use firedrill_core::history::{Attempt, Outcome};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;

fn theirs(op: u64) -> Option<firedrill_core::history::OrderAck> {
    sold(op, 0, 0, 0, 1).order
}

#[test]
fn judges() {
    check(
        "reads",
        &[
            ("nobody looks", |_| {}, Pass, "nobody looked at his order again"),
            (
                "it is there",
                |s| (1..9).for_each(|n| s.look(5, 1_000 * n, theirs(5))),
                Pass,
                "8 looks at 1 confirmed order, all there",
            ),
            (
                "a look that came to nothing says nothing",
                |s| {
                    s.look(5, 1_000, None);
                    s.attempts.iter_mut().rev().take(1).for_each(|a| a.outcome = Outcome::InDoubt);
                },
                Pass,
                "nobody looked",
            ),
            (
                "not there yet",
                |s| {
                    s.look(5, 1_000, None);
                    s.look(5, 2_000, theirs(5));
                },
                Fail,
                "1 confirmed order not found by the buyer until later",
            ),
            (
                "there, and then not",
                |s| {
                    s.look(5, 1_000, theirs(5));
                    s.look(5, 2_000, None);
                    s.look(5, 3_000, theirs(5));
                },
                Fail,
                "1 confirmed order seen by the buyer and later not found",
            ),
            (
                "never seen again",
                |s| (1..4).for_each(|n| s.look(5, 1_000 * n, None)),
                Fail,
                "1 confirmed order not found when the buyer looked, and never seen again",
            ),
            ("somebody else's", |s| s.look(5, 1_000, theirs(6)), Fail, "1 confirmed order shown"),
            (
                "not there in the instant in which it is given back",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    s.look(5, 55_000, None);
                },
                Pass,
                "1 look at 1 confirmed order, all there",
            ),
            (
                "given back, and then not there",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    s.look(5, 58_000, None);
                },
                Pass,
                "1 look at 1 confirmed order, all there",
            ),
            (
                "not there, and given back later",
                |s| {
                    s.look(5, 1_000, None);
                    s.give_back(5, Outcome::Passed);
                },
                Fail,
                "never seen again",
            ),
            (
                "damage",
                |s| {
                    s.look(5, 1_000, None);
                    s.damage.push("torn".to_owned());
                },
                Unknown,
                "damaged",
            ),
        ],
    );
}

#[test]
fn a_stale_look_names_its_order_and_how_late_it_was() {
    let result = Story::good()
        .with(|s| {
            s.look(5, 1_000, None);
            s.look(5, 1_500, None);
            s.look(5, 2_000, theirs(5));
        })
        .ask("reads");
    assert_eq!(result.findings[0].ops, [OpId(5)]);
    // Confirmed at 540 ms; the last look in vain ended at 1,505 ms.
    assert_eq!(result.numbers["stale_max_ms"], 965.0);
    assert_eq!(result.numbers["orders_never_looked_at"], 599.0);
}

/// A look: when it began, how long it took, and whether the order was there.
type Look = (u64, u64, bool);

/// By the definition, every look against every other.
fn brute_force(looks: &[Look]) -> [bool; 3] {
    let mut wrong = [false; 3];
    for (begin, _, seen) in looks {
        if *seen {
            continue;
        }
        let seen_before = looks.iter().any(|(b, took, seen)| *seen && b + took < *begin);
        let seen_later = looks.iter().any(|(b, _, seen)| *seen && b > begin);
        match (seen_before, seen_later) {
            (true, _) => wrong[1] = true,
            (_, true) => wrong[2] = true,
            _ => wrong[0] = true,
        }
    }
    wrong
}

proptest! {
    #[test]
    fn agrees_with_the_definition(looks in prop::collection::vec((1_000..1_020u64, 1..8u64, any::<bool>()), 0..7)) {
        let mut story = Story::good();
        for (begin, took, seen) in &looks {
            story.look(5, *begin, theirs(5).filter(|_| *seen));
            let last: &mut Attempt = story.attempts.last_mut().unwrap();
            last.ended = last.started.plus_ms(*took);
        }
        let result = story.ask("reads");
        let found = ["gone", "backwards", "stale"].map(|kind| result.numbers[&format!("orders_{kind}")] > 0.0);
        prop_assert_eq!(found, brute_force(&looks));
    }
}
