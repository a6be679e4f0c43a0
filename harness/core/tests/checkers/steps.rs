//! Windows and the judgement on a step alone.

use super::story::{Case, Story, code, named_by_first, seen, sold, stage, unsold};
use firedrill_core::checker::judge;
use firedrill_core::fault::Phase;
use firedrill_core::history::{At, Outcome, Refusal, RejectReason, Role, Stage};
use firedrill_core::ids::{OpId, StepId};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};
use firedrill_core::verdict::{Conclusion, StepVerdict, Totals};
use std::collections::BTreeMap;

fn step_of(story: &Story) -> StepVerdict {
    judge(&story.history(), &story.sla).steps.remove(0)
}

#[test]
fn a_good_run_is_certified_with_its_numbers() {
    let verdict = judge(&Story::good().history(), &Story::good().sla);
    assert_eq!(verdict.conclusion, Conclusion::Certified, "{:#?}", verdict.reasons);
    let totals = verdict.totals;
    assert_eq!((totals.operations, totals.attempts, totals.acknowledged, totals.lost), (600, 620, 600, 0));
    assert_eq!(totals.load_ms, 60_000.0);
    let step = &verdict.steps[0];
    assert_eq!((step.from, step.until), (At::from_ms(20_000), At::from_ms(40_000)));
    assert_eq!((step.operations, step.acknowledged, step.failed, step.errors, step.lost), (201, 201, 0, 20, 0));
    let recovery = step.recovery;
    assert_eq!(recovery.promoted_ms, Some(1_400.0));
    // op202 is the first that began after 20.1 s; op220 at 22.0 s is sold first, at 22.04 s.
    assert_eq!(recovery.first_sale_ms, Some(1_940.0));
    assert_eq!((recovery.restored_ms, recovery.whole_ms), (Some(4_900.0), Some(13_000.0)));
    let outage = step.outage.expect("two seconds without a sale are an outage at ten a second");
    assert_eq!((outage.from, outage.until), (At::from_ms(19_940), At::from_ms(22_040)));
    assert_eq!((outage.min_ms, outage.max_ms), (2_060.0, 2_140.0));
}

#[test]
fn totals_tell_every_outcome_apart() {
    let mut story = Story::good();
    story.rows.retain(|row| row.code != code(210));
    let ends = [Outcome::InDoubt, Outcome::InDoubt, Outcome::NotApplied, Outcome::Rejected(RejectReason::SoldOut)];
    for (op, outcome) in (700..).zip(ends) {
        story.attempts.push(unsold(op, 50_000, 50_000, 50_030, outcome));
    }
    // What was never confirmed to the buyer was done all the same.
    story.put(&sold(700, 50_000, 50_000, 50_030, 1));
    story.refusals.extend((0..3).map(|n| Refusal { op: OpId(800 + n), intended: At::from_ms(50_000 + n) }));
    let verdict = judge(&story.history(), &story.sla);
    let expected = Totals {
        operations: 604,
        attempts: 624,
        acknowledged: 600,
        rejected: 1,
        in_doubt: 2,
        not_applied: 1,
        refused: 3,
        recovered: 1,
        lost: 1,
        lost_cents: 2_300,
        load_ms: 60_000.0,
    };
    assert_eq!(verdict.totals, expected);
}

#[test]
fn the_worst_second_of_a_step_is_that_of_those_who_were_due_in_it() {
    let mut story = Story::good();
    let worst_ms = |story: &Story| step_of(story).worst_second_ms.expect("purchases were due");
    // Those due at 20.0 to 20.9 s were served at 22.15 to 22.36 s: 1.9 s on the mean of the first second.
    let first = worst_ms(&story);
    assert!((1_800.0..2_000.0).contains(&first), "{first}");
    story.of_op(300).for_each(|attempt| attempt.ended = At::from_ms(60_000));
    let (slow, others) = (30_000.0, 9.0 * 40.0);
    assert_eq!(worst_ms(&story), (slow + others) / 10.0, "one of ten in that second took 30 s");
    story.refusals.push(Refusal { op: OpId(10_000), intended: At::from_ms(30_000) });
    assert_eq!(worst_ms(&story), (slow + others) / 10.0, "who found no free buyer took no time");
}

#[test]
fn a_step_is_judged_alone() {
    check_steps(&[
        ("good", |_| {}, Pass, ""),
        (
            "errors in the first and in the last instant, and right beside",
            |s| {
                for (op, ended_ms) in [(190, 19_999), (191, 20_000), (390, 40_000), (391, 40_001)] {
                    s.attempts.push(unsold(op, op * 100, op * 100, ended_ms, Outcome::NotApplied));
                }
            },
            Pass,
            "",
        ),
        ("noticed in the instant of the effect", |s| s.observations[4].at = At::from_ms(20_100), Pass, ""),
        (
            "a proxy follows, as far as it can",
            |s| {
                for (at_ms, node) in [(21_400, "pgpool-1"), (21_500, "pgpool-2"), (22_000, "pgpool-1")] {
                    s.observations.push(firedrill_core::history::Observation {
                        tier: "pgpool".into(),
                        ..seen(at_ms, node, Role::Serving)
                    });
                }
                s.observations.sort_by_key(|seen| seen.at);
            },
            Pass,
            "",
        ),
        ("promoted in the last instant of the window", |s| s.observations[4].at = At::from_ms(40_000), Pass, ""),
        ("promoted after it", |s| s.observations[4].at = At::from_ms(40_001), Pass, ""),
        (
            "another standby says what it was before",
            |s| s.observations.insert(4, seen(20_950, "pg3", Role::Standby)),
            Pass,
            "",
        ),
        ("a load that buys nothing", |s| s.rate_per_s = 0.0, Unknown, "nobody bought"),
        ("whole just in time", |s| s.sla.recovery.whole_max_ms = Some(13_000.0), Pass, ""),
        (
            "just enough purchases",
            |s| {
                s.sla.recovery.outage_max_ms = None;
                s.attempts.retain(|a| a.op.0 < 200 || a.op.0 > 397);
            },
            Pass,
            "",
        ),
        (
            "never injected, and nothing sold at that time",
            |s| {
                s.faults.truncate(3);
                s.faults[2].phase = Phase::Void;
                s.attempts.retain(|a| a.op.0 < 150 || a.op.0 > 195);
            },
            Unknown,
            "void: never injected",
        ),
        (
            "lost inside",
            |s| s.rows.retain(|r| r.code != code(230)),
            Fail,
            "lost: 1 acknowledged order confirmed in or before it",
        ),
        (
            "lost, confirmed right before",
            |s| s.rows.retain(|r| r.code != code(198)),
            Fail,
            "1 acknowledged order confirmed",
        ),
    ]);
}

#[test]
fn a_step_answers_for_its_own_time() {
    check_steps(&[
        ("lost after the last step", |s| s.rows.retain(|r| r.code != code(500)), Pass, ""),
        ("no final read", |s| s.reads.clear(), Unknown, "losses cannot be counted"),
        (
            "no sales until the node was back",
            |s| s.stages.retain(|e| e.stage != Stage::ServiceRestored),
            Fail,
            "N+1 broken",
        ),
        (
            "interrupted before sales went on",
            |s| {
                s.stages.retain(|e| e.stage != Stage::ServiceRestored);
                s.stages.push(stage(41_000, Stage::Interrupted, None));
            },
            Unknown,
            "interrupted before buyers were served again",
        ),
        ("sales only after the undo", |s| s.stages[2].at = At::from_ms(27_001), Fail, "N+1 broken"),
        (
            "the whole tier was hit on purpose",
            |s| {
                s.stages.retain(|e| e.stage != Stage::ServiceRestored);
                s.faults.iter_mut().for_each(|f| f.target = "all(postgres)".to_owned());
            },
            Pass,
            "",
        ),
        ("not whole", |s| s.stages[3].stage = Stage::NotWhole, Fail, "not whole again 13.0 s after the undo"),
        (
            "whole too late",
            |s| s.sla.recovery.whole_max_ms = Some(12_999.0),
            Fail,
            "whole again after 13.0 s, promised",
        ),
        ("whole, nobody looked", |s| drop(s.stages.remove(3)), Unknown, "not seen whether redundancy"),
        (
            "outage too long",
            |s| s.sla.recovery.outage_max_ms = Some(2_099.0),
            Fail,
            "no sale for 2.1 s, promised at most 2.1 s",
        ),
        ("outage just in time", |s| s.sla.recovery.outage_max_ms = Some(2_100.0), Pass, ""),
        (
            "too few purchases",
            |s| {
                s.sla.recovery.outage_max_ms = None;
                s.attempts.retain(|a| a.op.0 < 200 || a.op.0 > 398);
            },
            Unknown,
            "only 2 purchases due",
        ),
        (
            "too many failures",
            |s| {
                s.attempts.iter_mut().filter(|a| (300..400).contains(&a.op.0)).for_each(|a| {
                    (a.outcome, a.order) = (Outcome::InDoubt, None);
                })
            },
            Fail,
            "50.25 % of 201 purchases served in peaks",
        ),
        ("no proof", |s| s.faults.retain(|f| f.phase != Phase::Effective), Unknown, "void: injected, but"),
        (
            "never injected",
            |s| {
                s.faults.truncate(3);
                s.faults[2].phase = Phase::Void;
            },
            Unknown,
            "void: never injected",
        ),
        (
            "cut off before the undo",
            |s| {
                s.faults.truncate(6);
                s.stages.retain(|e| e.stage != Stage::ServiceRestored);
            },
            Unknown,
            "not seen that buyers were served again",
        ),
    ]);
}

fn check_steps(cases: &[Case]) {
    let good = fields(&step_of(&Story::good()));
    let mut said = format!("# The good step\n{}\n", lines(good.iter()));
    for (name, spoil, judgement, reason) in cases {
        let step = step_of(&Story::good().with(spoil));
        let fields = fields(&step);
        let other = fields.iter().filter(|(name, value)| good.get(*name) != Some(value));
        let gone = good.keys().filter(|name| !fields.contains_key(*name)).map(|name| format!("no {name}\n"));
        said += &format!("# {name}\n{}{}\n", lines(other), gone.collect::<String>());
        assert_eq!(step.judgement, *judgement, "{name}: {:#?}", step.reasons);
        assert_eq!(step.reasons.is_empty(), *judgement == Pass, "{name}: {:#?}", step.reasons);
        assert!(reason.is_empty() || step.reasons[0].contains(reason), "{name}: {:#?}", step.reasons);
    }
    insta::assert_snapshot!(named_by_first(cases), said);
}

fn fields(step: &StepVerdict) -> BTreeMap<String, String> {
    let serde_json::Value::Object(fields) = serde_json::to_value(step).unwrap() else { unreachable!("it has fields") };
    fields.into_iter().map(|(name, value)| (name, value.to_string())).collect()
}

fn lines<'a>(fields: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    fields.map(|(name, value)| format!("{name} {value}\n")).collect()
}

#[test]
fn windows_end_where_they_end() {
    let until = |spoil: fn(&mut Story)| step_of(&Story::good().with(spoil)).until;
    assert_eq!(until(|s| s.stages[3].stage = Stage::NotWhole), At::from_ms(40_000));
    assert_eq!(until(|s| drop(s.stages.remove(3))), At::from_ms(60_000), "end of the load");
    let next = |s: &mut Story| {
        s.stages.remove(3);
        let again: Vec<_> = s
            .faults
            .iter()
            .cloned()
            .map(|mut f| {
                (f.at, f.step) = (f.at.plus_ms(30_000), StepId(1));
                f
            })
            .collect();
        s.faults.extend(again);
    };
    assert_eq!(until(next), At::from_ms(50_000), "injection of the next step");
    assert_eq!(until(|s| s.faults.truncate(3)), At::from_ms(19_900), "never injected: its last phase");
}

#[test]
fn a_promotion_counts_only_if_the_primary_was_hit() {
    let standby_hit = |s: &mut Story| s.faults.iter_mut().for_each(|f| f.nodes = vec!["pg3".into()]);
    assert_eq!(step_of(&Story::good().with(standby_hit)).recovery.promoted_ms, None);
    let itself_again = |s: &mut Story| {
        s.observations.retain(|o| o.at != At::from_ms(21_500));
        s.observations.push(seen(22_000, "pg1", Role::Primary));
    };
    assert_eq!(step_of(&Story::good().with(itself_again)).recovery.promoted_ms, None);
}

#[test]
fn the_outage_of_the_next_fault_is_not_charged_to_the_step_before_it() {
    let mut story = Story::good();
    // The step ends at 19.99 s, 50 ms after the last sale before the gap from 19.94 s to 22.04 s.
    let earlier = |at: At| At(10_000_000_000 + at.0.saturating_sub(20_000_000_000) * 999 / 2_000);
    story.faults.iter_mut().for_each(|fault| fault.at = earlier(fault.at));
    story.stages.iter_mut().filter(|stage| stage.step.is_some()).for_each(|stage| {
        stage.at = if stage.at.0 < 20_000_000_000 { At::from_ms(9_900) } else { earlier(stage.at) };
    });
    let step = step_of(&story);
    assert_eq!((step.from, step.until), (At::from_ms(10_000), At::from_ms(19_990)));
    assert_eq!(step.outage, None);
}

#[test]
fn an_outage_without_end_lasts_until_the_end_of_the_load() {
    let dead = Story::good().with(|s| {
        s.attempts.retain(|a| a.op.0 < 200);
        s.attempts.extend((200..600).map(|op| unsold(op, op * 100, op * 100, op * 100 + 40, Outcome::InDoubt)));
    });
    assert_eq!(step_of(&dead).recovery.first_sale_ms, None, "it never came");
    let outage = step_of(&dead).outage.expect("nothing was sold any more");
    assert_eq!((outage.from, outage.until), (At::from_ms(19_940), At::from_ms(60_000)));
}

#[test]
fn an_outage_before_the_first_sale_began_with_the_load() {
    // Nothing is sold before the end of the fault's window but the refused: 36 s of the 60 s of load.
    let late = Story::good().with(|s| {
        s.attempts.retain(|a| a.op.0 >= 360);
        s.attempts.extend((0..360).map(|op| unsold(op, op * 100, op * 100, op * 100 + 40, Outcome::InDoubt)));
    });
    let outage = step_of(&late).outage.expect("nothing was sold yet");
    assert_eq!((outage.from, outage.until), (At(0), At::from_ms(36_040)));
}

#[test]
fn jitter_is_no_outage_and_hanging_requests_are() {
    let steady = |op: u64| sold(op, op * 100, op * 100, op * 100 + 40, 1);
    let quiet = Story::good().with(|s| s.attempts = (0..600).map(steady).collect());
    assert_eq!(step_of(&quiet).outage, None);
    let one_missing = Story::good().with(|s| s.attempts = (0..600).filter(|op| *op != 250).map(steady).collect());
    assert_eq!(step_of(&one_missing).outage, None, "a single missing purchase");
    // From op200 on every request hangs until 30 s, and then goes through.
    let hang = |op| if (200..300).contains(&op) { sold(op, op * 100, op * 100, 30_000 + op, 1) } else { steady(op) };
    let outage = step_of(&Story::good().with(|s| s.attempts = (0..600).map(hang).collect())).outage;
    let outage = outage.expect("ten seconds without a confirmation");
    assert_eq!((outage.from, outage.until), (At::from_ms(19_940), At::from_ms(30_040)));
    assert_eq!(outage.min_ms, 9_960.0 + 40.0 + 100.0 - 40.0);
}

#[test]
fn a_history_of_nothing_is_inconclusive() {
    let story = Story::good();
    let verdict = judge(&firedrill_core::history::History::default(), &story.sla);
    assert_eq!(verdict.conclusion, Conclusion::Inconclusive);
    let interrupted = story.with(|s| s.stages.push(stage(50_000, Stage::Interrupted, None)));
    assert_eq!(judge(&interrupted.history(), &interrupted.sla).conclusion, Conclusion::Inconclusive);
}

#[test]
fn the_same_history_gives_the_same_bytes() {
    let spoiled = Story::good().with(|s| s.rows.retain(|r| r.code.as_bytes()[6] != b'3'));
    let bytes = || format!("{:?}", judge(&spoiled.history(), &spoiled.sla));
    assert_eq!(bytes(), bytes());
}
