//! Door: two people with one ticket, and people turned away.

use super::story::{Story, check, unsold};
use firedrill_core::history::{Attempt, AttemptKind, Outcome, RejectReason, Subject};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;

const USED: Outcome = Outcome::Rejected(RejectReason::AlreadyRedeemed);
const UNKNOWN_TICKET: Outcome = Outcome::Rejected(RejectReason::NotFound);

/// The ticket of an operation is shown.
fn scan(story: &mut Story, op: u64, at_ms: u64, took_ms: u64, outcome: Outcome) {
    let attempt = unsold(op, op * 100, at_ms, at_ms + took_ms, outcome);
    let ticket = Some(format!("secret-{op}-0"));
    story.attempts.push(Attempt { kind: AttemptKind::Redeem, number: 9, ticket, ..attempt });
}

/// Every database knows of so many admissions.
fn admitted(story: &mut Story, op: u64, times: u32) {
    story.observes = vec![Subject::Entries];
    story.rows_of(op).for_each(|row| row.positions[0].entries = times);
}

#[test]
fn judges() {
    check(
        "door",
        &[
            ("nobody comes", |_| {}, Pass, "nobody came to the door"),
            (
                "turned away in the instant in which another comes",
                |s| {
                    scan(s, 5, 30_000, 10, USED);
                    scan(s, 5, 30_010, 10, Outcome::Passed);
                },
                Pass,
                "1 ticket shown 2 times",
            ),
            (
                "one is admitted, his copy is not",
                |s| {
                    scan(s, 5, 30_000, 10, Outcome::Passed);
                    scan(s, 5, 31_000, 10, USED);
                    admitted(s, 5, 1);
                },
                Pass,
                "1 ticket shown 2 times",
            ),
            (
                "who got no answer was admitted",
                |s| {
                    scan(s, 5, 30_000, 10, Outcome::InDoubt);
                    scan(s, 5, 31_000, 10, USED);
                },
                Pass,
                "1 ticket",
            ),
            ("a ticket that nobody bought", |s| scan(s, 9_000, 30_000, 10, UNKNOWN_TICKET), Pass, "1 ticket"),
            (
                "a ticket that was given back",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    scan(s, 5, 58_000, 10, UNKNOWN_TICKET);
                },
                Pass,
                "1 ticket",
            ),
            (
                "two people",
                |s| {
                    scan(s, 5, 30_000, 10, Outcome::Passed);
                    scan(s, 5, 31_000, 10, Outcome::Passed);
                },
                Fail,
                "1 ticket admitted two people: secret-5-0",
            ),
            ("turned away as the first", |s| scan(s, 5, 30_000, 10, USED), Fail, "with which nobody had been admitted"),
            (
                "turned away before the one who was admitted",
                |s| {
                    scan(s, 5, 30_000, 10, USED);
                    scan(s, 5, 31_000, 10, Outcome::Passed);
                },
                Fail,
                "with which nobody had been admitted",
            ),
            (
                "turned away while another is admitted",
                |s| {
                    scan(s, 5, 30_000, 2_000, USED);
                    scan(s, 5, 31_000, 10, Outcome::Passed);
                },
                Pass,
                "1 ticket",
            ),
            (
                "not sent is not admitted",
                |s| {
                    scan(s, 5, 29_000, 10, Outcome::NotSent);
                    scan(s, 5, 30_000, 10, USED);
                },
                Fail,
                "with which nobody had been admitted",
            ),
            (
                "a valid ticket is unknown",
                |s| scan(s, 5, 30_000, 10, UNKNOWN_TICKET),
                Fail,
                "1 ticket turned away although valid",
            ),
            (
                "the database forgot him",
                |s| {
                    scan(s, 5, 30_000, 10, Outcome::Passed);
                    admitted(s, 5, 0);
                },
                Fail,
                "the database knows nothing of it",
            ),
            ("twice in the database", |s| admitted(s, 5, 2), Fail, "more than one admission in the database"),
            (
                "damage",
                |s| {
                    scan(s, 5, 30_000, 10, Outcome::Passed);
                    s.damage.push("torn".to_owned());
                },
                Unknown,
                "damaged",
            ),
        ],
    );
}

#[test]
fn a_finding_names_the_operation_and_the_first_instant() {
    let result = Story::good().with(|s| scan(s, 5, 30_000, 10, UNKNOWN_TICKET)).ask("door");
    assert_eq!(result.findings[0].ops, [OpId(5)]);
    assert_eq!(result.findings[0].at.map(|at| at.as_ms()), Some(30_010.0));
}

proptest! {
    /// Against a door of one ticket that is tried in every order: is there one in which all answers are true? A scan
    /// without an answer excuses more there than here, where it may be repeated under its name.
    #[test]
    fn agrees_with_every_order(
        scans in prop::collection::vec((30_000..30_012u64, 1..6u64, prop::sample::select(vec![
            Outcome::Passed, USED, Outcome::InDoubt, Outcome::NotSent,
        ])), 0..6),
    ) {
        let mut story = Story::good();
        scans.iter().for_each(|(at, took, outcome)| scan(&mut story, 5, *at, *took, *outcome));
        let failed = story.ask("door").judgement == Fail;
        let all: Vec<usize> = (0..scans.len()).filter(|n| scans[*n].2 != Outcome::NotSent).collect();
        let wrong = !is_explained(&scans, &all, false);
        let has_open = scans.iter().any(|(.., outcome)| *outcome == Outcome::InDoubt);
        prop_assert!(failed == wrong || has_open && !failed, "{:?}", scans);
    }
}

/// Whether the scans that are left can come in some order, none before one that ended before it began.
fn is_explained(scans: &[(u64, u64, Outcome)], left: &[usize], used: bool) -> bool {
    let first_end = left.iter().filter(|n| scans[**n].2 != Outcome::InDoubt).map(|n| scans[*n].0 + scans[*n].1).min();
    left.iter().all(|n| scans[*n].2 == Outcome::InDoubt)
        || left.iter().any(|n| {
            let (begin, _, outcome) = scans[*n];
            let rest: Vec<usize> = left.iter().copied().filter(|other| other != n).collect();
            let next = match (outcome, used) {
                (Outcome::Passed | Outcome::InDoubt, false) => Some(true),
                (USED, true) => Some(true),
                _ => None,
            };
            first_end.is_none_or(|end| begin <= end) && next.is_some_and(|used| is_explained(scans, &rest, used))
        })
}
