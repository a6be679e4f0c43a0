//! Conservation: one case for every anomaly, and a brute-force reference.

use super::story::{DATABASES, Story, check, code, in_the_browser, row, sold, unsold};
use firedrill_core::history::{At, Attempt, AttemptKind, Outcome, RejectReason, Role};
use firedrill_core::ids::{OpId, StepId};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn accepts() {
    check(
        "conservation",
        &[
            ("good", |_| {}, Pass, "0 of 600 acknowledged orders lost"),
            (
                "a doubt that was applied",
                |s| s.of_op(300).for_each(|a| (a.outcome, a.order) = (Outcome::InDoubt, None)),
                Pass,
                "0 of 599",
            ),
            (
                "a doubt that was not",
                |s| {
                    s.of_op(300).for_each(|a| (a.outcome, a.order) = (Outcome::InDoubt, None));
                    s.rows.retain(|row| row.code != code(300));
                },
                Pass,
                "0 of 599",
            ),
            (
                "a row without token of another writer",
                |s| {
                    let foreign = row("pg2", &sold(9_000, 0, 0, 0, 1));
                    s.rows.push(firedrill_core::history::LedgerRow { token: None, ..foreign });
                },
                Pass,
                "0 of 600",
            ),
            (
                "a refusal that left nothing",
                |s| {
                    s.attempts.push(unsold(700, 1_000, 1_000, 1_010, Outcome::Rejected(RejectReason::SoldOut)));
                },
                Pass,
                "0 of 600",
            ),
            (
                "code in use after a doubt",
                |s| {
                    s.attempts.push(unsold(700, 1_000, 1_000, 1_010, Outcome::InDoubt));
                    s.attempts.push(unsold(700, 1_000, 1_020, 1_030, Outcome::Rejected(RejectReason::DuplicateCode)));
                    s.put(&sold(700, 0, 0, 0, 1));
                },
                Pass,
                "0 of 600",
            ),
            (
                "a lookup that found nothing while the order was under way",
                |s| {
                    s.attempts.push(unsold(700, 1_000, 1_000, 1_010, Outcome::InDoubt));
                    let lookup = unsold(700, 1_000, 1_020, 1_030, Outcome::Rejected(RejectReason::NotFound));
                    s.attempts.push(Attempt { kind: AttemptKind::Lookup, ..lookup });
                    s.put(&sold(700, 0, 0, 0, 1));
                },
                Pass,
                "0 of 600",
            ),
            (
                "an order given back",
                |s| {
                    s.give_back(5, Outcome::Passed);
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                },
                Pass,
                "0 of 600",
            ),
            (
                "an order that may have been given back, and was",
                |s| {
                    s.give_back(5, Outcome::InDoubt);
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                },
                Pass,
                "0 of 600",
            ),
            (
                "an order that may have been given back, and was not",
                |s| s.give_back(5, Outcome::InDoubt),
                Pass,
                "0 of 600",
            ),
            (
                "an order paid later, of which it is open whether it was given back",
                |s| {
                    s.give_back(5, Outcome::InDoubt);
                    s.rows_of(5).for_each(|row| row.status = "p".to_owned());
                },
                Pass,
                "0 of 600",
            ),
            ("an order paid later", |s| s.rows_of(5).for_each(|row| row.status = "p".to_owned()), Pass, "0 of 600"),
        ],
    );
}

#[test]
fn rejects() {
    check(
        "conservation",
        &[
            ("lost", |s| s.rows.retain(|row| row.code != code(210)), Fail, "1 of 600 acknowledged orders lost"),
            (
                "lost, and only a standby has it",
                |s| s.rows.retain(|r| r.code != code(210) || r.source.as_str() == "pg1"),
                Fail,
                "1 of 600",
            ),
            (
                "two rows",
                |s| {
                    let row = row("pg2", &sold(4, 0, 0, 0, 1));
                    s.rows.push(row);
                },
                Fail,
                "1 duplicated",
            ),
            (
                "nobody ordered it",
                |s| {
                    let row = row("pg2", &sold(9_000, 0, 0, 0, 1));
                    s.rows.push(row);
                },
                Fail,
                "1 phantom",
            ),
            (
                "refused and there",
                |s| {
                    s.attempts.push(unsold(700, 1_000, 1_000, 1_010, Outcome::Rejected(RejectReason::SoldOut)));
                    s.put(&sold(700, 0, 0, 0, 1));
                },
                Fail,
                "1 resurrected",
            ),
            (
                "never sent and there",
                |s| {
                    s.attempts.push(unsold(700, 1_000, 1_000, 1_010, Outcome::NotSent));
                    s.put(&sold(700, 0, 0, 0, 1));
                },
                Fail,
                "1 resurrected",
            ),
            ("another total", |s| s.rows_of(5).for_each(|row| row.total_cents = 1), Fail, "1 altered"),
            (
                "another e-mail address",
                |s| s.rows_of(5).for_each(|row| row.email = "x@example.org".to_owned()),
                Fail,
                "1 altered",
            ),
            ("another item", |s| s.rows_of(5).for_each(|row| row.positions[0].item = 8), Fail, "1 altered"),
            ("another price", |s| s.rows_of(5).for_each(|row| row.positions[0].price_cents = 8), Fail, "1 altered"),
            (
                "another secret",
                |s| s.rows_of(5).for_each(|row| row.positions[0].secret = "x".to_owned()),
                Fail,
                "1 altered",
            ),
            ("a ticket less", |s| s.rows_of(5).for_each(|row| row.positions.clear()), Fail, "1 altered"),
            (
                "a ticket cancelled",
                |s| s.rows_of(5).for_each(|row| row.positions[0].canceled = true),
                Fail,
                "1 altered",
            ),
            ("cancelled", |s| s.rows_of(5).for_each(|row| row.status = "c".to_owned()), Fail, "1 altered"),
            (
                "cancelled although that was refused",
                |s| {
                    s.give_back(5, Outcome::Rejected(RejectReason::Invalid));
                    s.rows_of(5).for_each(|row| row.status = "c".to_owned());
                },
                Fail,
                "1 altered",
            ),
            ("given back, and still there", |s| s.give_back(5, Outcome::Passed), Fail, "1 altered"),
        ],
    );
}

#[test]
fn in_the_browser_the_address_is_the_token() {
    check(
        "conservation",
        &[
            ("bought in the browser", |s| in_the_browser(s, 300), Pass, "0 of 600"),
            (
                "a doubt in the browser that was applied",
                |s| {
                    in_the_browser(s, 300);
                    s.of_op(300).for_each(|a| (a.outcome, a.order) = (Outcome::InDoubt, None));
                },
                Pass,
                "0 of 599",
            ),
            (
                "a doubt in the browser that was not",
                |s| {
                    in_the_browser(s, 300);
                    s.of_op(300).for_each(|a| (a.outcome, a.order) = (Outcome::InDoubt, None));
                    s.rows.retain(|row| row.code != code(300));
                },
                Pass,
                "0 of 599",
            ),
            (
                "somebody who only looked",
                |s| {
                    let page = unsold(700, 1_000, 1_000, 1_010, Outcome::Passed);
                    s.attempts.push(Attempt { kind: AttemptKind::Visit, ..page });
                },
                Pass,
                "0 of 600",
            ),
            (
                "lost in the browser",
                |s| {
                    in_the_browser(s, 210);
                    s.rows.retain(|row| row.code != code(210));
                },
                Fail,
                "1 of 600 acknowledged orders lost",
            ),
            (
                "refused in the browser and there",
                |s| {
                    in_the_browser(s, 4);
                    let sold_out = Outcome::Rejected(RejectReason::SoldOut);
                    s.of_op(4).for_each(|a| (a.outcome, a.order) = (sold_out, None));
                },
                Fail,
                "1 resurrected",
            ),
        ],
    );
}

#[test]
fn leaves_open() {
    check(
        "conservation",
        &[
            ("no final read", |s| s.reads.clear(), Unknown, "no complete final read"),
            (
                "an incomplete one",
                |s| s.reads.iter_mut().for_each(|read| read.complete = false),
                Unknown,
                "no complete final read",
            ),
            (
                "only standbys",
                |s| s.reads.iter_mut().for_each(|read| read.role = Role::Standby),
                Unknown,
                "no complete final read",
            ),
            ("damage", |s| s.damage.push("line 3: torn".to_owned()), Unknown, "the history is damaged: line 3: torn"),
            (
                "nothing sold",
                |s| {
                    s.attempts.clear();
                    s.rows.clear();
                },
                Unknown,
                "0 of 0",
            ),
        ],
    );
}

#[test]
fn a_loss_names_operation_step_nodes_and_money() {
    // op199 is due 100 ms before the kill and confirmed before it: what the failover lost.
    let result = Story::good().with(|s| s.rows.retain(|row| row.code != code(199))).ask("conservation");
    let finding = &result.findings[0];
    assert_eq!(finding.ops, [OpId(199)]);
    assert_eq!(finding.step, Some(StepId(0)));
    assert_eq!(finding.nodes, ["pg1".into()]);
    assert!(finding.summary.contains("worth 23.00"), "{}", finding.summary);
    assert_eq!(result.numbers["lost_cents"], 2_300.0);
}

/// How an operation of the reference ends: confirmed, refused, in doubt, not sent.
const ENDS: [Outcome; 4] =
    [Outcome::Acknowledged, Outcome::Rejected(RejectReason::SoldOut), Outcome::InDoubt, Outcome::NotSent];

/// Counts by looking at everything for everything: lost, duplicated, resurrected, phantom, recovered, bought twice.
fn brute_force(ends: &[usize], rows: &[(u64, Option<u64>)]) -> [f64; 6] {
    let attempted = |n: u64| (n as usize) < ends.len();
    let mut counts = [0.0; 6];
    for (op, end) in ends.iter().enumerate() {
        let there = rows.iter().any(|(code, _)| *code == op as u64);
        match end {
            0 if !there => counts[0] += 1.0,
            1 | 3 if there => counts[2] += 1.0,
            2 if there => counts[4] += 1.0,
            _ => {}
        }
    }
    let ours = |(code, token): &(u64, Option<u64>)| {
        attempted(*code) || token.is_some_and(|token| token == *code || attempted(token))
    };
    let codes: BTreeSet<u64> = rows.iter().filter(|row| ours(row)).map(|(code, _)| *code).collect();
    counts[1] += codes.iter().filter(|c| rows.iter().filter(|(code, _)| code == *c).count() > 1).count() as f64;
    let mut phantoms: BTreeSet<u64> = codes.iter().copied().filter(|code| !attempted(*code)).collect();
    for token in 0..8 {
        let under: Vec<u64> = codes.iter().copied().filter(|code| rows.contains(&(*code, Some(token)))).collect();
        if under.len() > 1 {
            counts[5] += 1.0;
            under.iter().for_each(|code| _ = phantoms.remove(code));
        }
    }
    counts[3] += phantoms.len() as f64;
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_brute_force(
        ends in prop::collection::vec(0..4usize, 1..6),
        rows in prop::collection::vec((0..8u64, prop::option::of(0..8u64)), 0..8),
    ) {
        let mut story = Story::empty(1.0);
        for (op, end) in ends.iter().enumerate() {
            let (op, at_ms) = (op as u64, op as u64 * 100);
            story.attempts.push(match ENDS[*end] {
                Outcome::Acknowledged => sold(op, at_ms, at_ms, at_ms + 10, 1),
                other => unsold(op, at_ms, at_ms, at_ms + 10, other),
            });
        }
        for (order, token) in &rows {
            let mut row = row(DATABASES[1], &sold(*order, 0, 0, 0, 1));
            row.token = token.map(code);
            story.rows.push(row);
        }
        let result = story.ask("conservation");
        let [lost, duplicated, resurrected, phantom, recovered] =
            ["lost", "duplicated", "resurrected", "phantom", "recovered"].map(|name| result.numbers[name]);
        let twice = story.ask("exactly_once").numbers["bought_twice"];
        let found = [lost, duplicated, resurrected, phantom, recovered, twice];
        prop_assert_eq!(found, brute_force(&ends, &rows), "{:#?}", result);
    }
}

#[test]
fn of_many_the_first_hundred_are_named_in_whatever_order_they_are_read() {
    for backwards in [false, true] {
        let result = Story::good()
            .with(|s| {
                s.rows.retain(|row| row.code >= code(150));
                for attempt in s.attempts.iter_mut().filter(|attempt| backwards && attempt.op.0 < 150) {
                    let at_ms = (149 - attempt.op.0) * 100;
                    attempt.intended = At::from_ms(at_ms);
                    attempt.started = At::from_ms(at_ms);
                    attempt.ended = At::from_ms(at_ms + 40);
                }
            })
            .ask("conservation");
        let [finding] = &result.findings[..] else { panic!("{result:#?}") };
        assert!(finding.summary.starts_with("150 orders lost, worth 3450.00; first FD00000"), "{}", finding.summary);
        assert_eq!(finding.ops, (0..100).map(OpId).collect::<Vec<_>>(), "backwards: {backwards}");
    }
}
