//! Claims: seats and vouchers that more than one buyer wants.

use super::story::{Story, check, sold, unsold};
use firedrill_core::history::{Attempt, AttemptKind, Outcome, RejectReason};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;

const TAKEN: Outcome = Outcome::Rejected(RejectReason::Taken);

/// A purchase of the seat A1, from and until so many milliseconds after 30 s.
fn claim(story: &mut Story, op: u64, from: u64, until: u64, outcome: Outcome) {
    let (from, until) = (30_000 + from, 30_000 + until);
    let attempt = match outcome {
        Outcome::Acknowledged => sold(op, from, from, until, 1),
        _ => unsold(op, from, from, until, outcome),
    };
    story.attempts.push(Attempt { claim: Some("seat A1".to_owned()), ..attempt });
}

/// It is given back.
fn give_back(story: &mut Story, op: u64, from: u64, until: u64, outcome: Outcome) {
    claim(story, op, from, until, outcome);
    let last = story.attempts.last_mut().unwrap();
    (last.kind, last.number) = (AttemptKind::Cancel, 9);
}

const OK: Outcome = Outcome::Acknowledged;

#[test]
fn judges() {
    check(
        "claims",
        &[
            ("nobody", |_| {}, Pass, "nobody claimed a seat"),
            (
                "first come, first served",
                |s| {
                    claim(s, 700, 0, 10, OK);
                    claim(s, 701, 5, 20, TAKEN);
                    claim(s, 702, 30, 40, TAKEN);
                },
                Pass,
                "3 claims on 1 thing (seats, vouchers), linearizable",
            ),
            (
                "the refusal came first, of those side by side",
                |s| {
                    claim(s, 701, 0, 8, TAKEN);
                    claim(s, 700, 5, 20, OK);
                },
                Pass,
                "2 claims",
            ),
            (
                "two",
                |s| {
                    claim(s, 700, 0, 10, OK);
                    claim(s, 701, 30, 40, OK);
                },
                Fail,
                "seat A1 was confirmed to 2 buyers",
            ),
            ("refused, and nobody has it", |s| claim(s, 700, 0, 10, TAKEN), Fail, "nobody can have had it"),
            (
                "refused too early",
                |s| {
                    claim(s, 700, 0, 10, TAKEN);
                    claim(s, 701, 20, 30, OK);
                },
                Fail,
                "fit into no order",
            ),
        ],
    );
}

#[test]
fn judges_what_is_given_back_or_in_doubt() {
    check(
        "claims",
        &[
            (
                "given back, and sold again",
                |s| {
                    claim(s, 700, 0, 10, OK);
                    give_back(s, 700, 20, 30, Outcome::Passed);
                    claim(s, 701, 25, 40, OK);
                },
                Pass,
                "3 claims",
            ),
            (
                "sold again before it was given back",
                |s| {
                    claim(s, 700, 0, 10, OK);
                    claim(s, 701, 12, 18, OK);
                    give_back(s, 700, 20, 30, Outcome::Passed);
                },
                Fail,
                "confirmed to 2 buyers",
            ),
            (
                "given back for certain, and still said to be taken",
                |s| {
                    claim(s, 700, 0, 10, OK);
                    give_back(s, 700, 20, 30, Outcome::Passed);
                    claim(s, 701, 40, 50, TAKEN);
                },
                Fail,
                "fit into no order",
            ),
            (
                "perhaps given back, and perhaps not",
                |s| {
                    claim(s, 700, 0, 10, OK);
                    give_back(s, 700, 20, 30, Outcome::InDoubt);
                    claim(s, 701, 40, 50, TAKEN);
                    claim(s, 702, 60, 70, OK);
                },
                Pass,
                "4 claims",
            ),
            (
                "one in doubt has it",
                |s| {
                    claim(s, 700, 0, 10, Outcome::InDoubt);
                    claim(s, 701, 20, 30, TAKEN);
                },
                Pass,
                "2 claims",
            ),
            (
                "one in doubt cannot have it any more",
                |s| {
                    claim(s, 700, 0, 10, Outcome::InDoubt);
                    claim(s, 701, 20, 30, OK);
                    claim(s, 702, 40, 50, OK);
                },
                Fail,
                "confirmed to 2 buyers",
            ),
            (
                "a doubt that a look-up settles",
                |s| {
                    claim(s, 700, 0, 10, Outcome::InDoubt);
                    claim(s, 700, 20, 30, OK);
                    s.attempts.last_mut().unwrap().kind = AttemptKind::Lookup;
                    claim(s, 701, 12, 18, TAKEN);
                },
                Pass,
                "2 claims",
            ),
            (
                "damage",
                |s| {
                    claim(s, 700, 0, 10, TAKEN);
                    s.damage.push("torn".to_owned());
                },
                Unknown,
                "damaged",
            ),
        ],
    );
}

#[test]
fn too_many_orders_are_unknown() {
    // Any of forty in doubt may have had it, and given it back, at any time, and nothing that follows is possible.
    let result = Story::good()
        .with(|s| {
            for op in 0..40 {
                claim(s, 700 + op, 0, 10, Outcome::InDoubt);
                give_back(s, 700 + op, 0, 10, Outcome::InDoubt);
            }
            claim(s, 800, 20, 30, OK);
            claim(s, 801, 40, 50, OK);
        })
        .ask("claims");
    assert_eq!(result.judgement, Unknown, "{result:#?}");
    assert!(result.reason.contains("too many possible orders of the claims on seat A1"), "{}", result.reason);
}

#[test]
fn two_hundred_refusals_are_no_matter() {
    let story = Story::good().with(|s| {
        claim(s, 700, 0, 10, OK);
        (0..200).for_each(|n| claim(s, 701 + n, n, n + 30, TAKEN));
    });
    assert_eq!(story.ask("claims").judgement, Pass);
}

/// A claim of the reference: from, until, what was told.
type Plain = (u64, u64, Outcome);

/// Tries every order, without any memory.
fn is_possible(claims: &[Plain], left: &[usize], is_taken: bool) -> bool {
    if left.iter().all(|n| claims[*n].2 == Outcome::InDoubt) {
        return true;
    }
    let must = left.iter().filter(|n| claims[**n].2 != Outcome::InDoubt);
    let first_end = must.map(|n| claims[*n].1).min().unwrap_or(u64::MAX);
    left.iter().any(|n| {
        let (from, _, told) = claims[*n];
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != n).collect();
        let is_true = if told == TAKEN { is_taken } else { !is_taken };
        from <= first_end && is_true && is_possible(claims, &rest, true)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn agrees_with_every_order(
        claims in prop::collection::vec(
            (0..20u64, 1..10u64, prop::sample::select(vec![OK, TAKEN, TAKEN, Outcome::InDoubt])), 0..7,
        ),
    ) {
        let claims: Vec<Plain> = claims.into_iter().map(|(from, took, told)| (from, from + took, told)).collect();
        let mut story = Story::good();
        for (n, (from, until, told)) in claims.iter().enumerate() {
            claim(&mut story, 700 + n as u64, *from, *until, *told);
        }
        let all: Vec<usize> = (0..claims.len()).collect();
        prop_assert_eq!(story.ask("claims").judgement == Pass, is_possible(&claims, &all, false), "{:?}", claims);
    }
}
