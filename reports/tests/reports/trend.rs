//! Comparisons as they are read.

use crate::fixture;
use firedrill_core::trend::{Comparison, Run, compare};
use firedrill_core::verdict::{Conclusion, Judgement, Verdict};
use firedrill_reports::trend::{json, markdown, text};

/// One of many nights: the made-up run, with a little noise, and so much more of an outage.
pub(crate) fn night(number: u32, longer_ms: f64) -> Verdict {
    let mut verdict = fixture::verdict();
    let noise = f64::from(number * 37 % 11) * 40.0;
    verdict.run = format!("202603{:02}-020000-aaaa", number + 1).as_str().into();
    verdict.started = format!("2026-03-{:02}T02:00:00Z", number + 1);
    (verdict.drill, verdict.conclusion) = ("nightly".to_owned(), Conclusion::Certified);
    verdict.checks[2].judgement = Judgement::Pass;
    let database = &mut verdict.steps[0];
    database.judgement = Judgement::Pass;
    if let Some(outage) = &mut database.outage {
        outage.min_ms += noise + longer_ms;
        outage.max_ms += noise + longer_ms;
    }
    database.recovery.restored_ms = database.recovery.restored_ms.map(|ms| ms + noise + longer_ms);
    database.p99_ms += noise;
    verdict.steps[1].p99_ms += f64::from(number * 53 % 13) * 3.0;
    verdict.steps[1].errors += u64::from(number * 29 % 3);
    verdict
}

pub(crate) fn nights(from: u32, n: u32, longer_ms: f64) -> Vec<Run> {
    let verdicts = (from..from + n).map(|number| night(number, longer_ms));
    verdicts.map(|verdict| Run { name: verdict.run.to_string(), verdicts: vec![verdict] }).collect()
}

/// Six nights on which the outage was 4 s longer, and on one of which an order was lost, against eight before.
fn worse() -> Comparison {
    let mut candidate = nights(8, 6, 4_000.0);
    let bad = &mut candidate[4].verdicts[0];
    (bad.steps[1].lost, bad.totals.lost, bad.conclusion) = (1, 1, Conclusion::Violated);
    bad.steps[1].judgement = Judgement::Fail;
    compare(&nights(0, 8, 0.0), &candidate)
}

#[test]
fn comparisons_read_well_in_a_terminal() {
    insta::assert_snapshot!(text(&worse()));
    insta::assert_snapshot!(text(&compare(&nights(0, 1, 0.0), &nights(1, 1, 4_000.0))));
    insta::assert_snapshot!(text(&compare(&nights(0, 7, 0.0), &nights(7, 7, 0.0))));
    insta::assert_snapshot!(text(&compare(&nights(0, 2, 0.0), &[])));
}

#[test]
fn comparisons_read_well_in_a_pull_request() {
    insta::assert_snapshot!(markdown(&worse()));
    insta::assert_snapshot!(markdown(&compare(&nights(0, 1, 0.0), &nights(1, 1, 4_000.0))));
}

#[test]
fn json_has_every_number_and_no_name_is_markup() {
    let mut parsed: serde_json::Value = serde_json::from_str(&json(&worse()).expect("renders")).expect("JSON");
    let schema = serde_json::from_str(&Comparison::json_schema()).expect("parses");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for comparison in [worse(), compare(&nights(0, 1, 0.0), &nights(1, 1, 4_000.0)), compare(&nights(0, 2, 0.0), &[])] {
        let comparison = serde_json::from_str(&json(&comparison).expect("renders")).expect("JSON");
        assert!(validator.is_valid(&comparison), "{comparison}");
    }
    assert_eq!((&parsed["version"], &parsed["outcome"]), (&1.into(), &"regression".into()));
    let outage = &parsed["cells"][0]["changes"][0];
    assert_eq!((&outage["measure"], &outage["changed"]), (&"outage_ms".into(), &"worse".into()));
    assert_eq!((&outage["baseline"]["n"], &outage["candidate"]["n"]), (&8.into(), &6.into()));
    parsed["cells"][0]["changes"][0]["changed"] = "perhaps".into();
    assert!(!validator.is_valid(&parsed));
    let mut evil = nights(0, 6, 9_000.0);
    for step in evil.iter_mut().flat_map(|run| &mut run.verdicts[0].steps) {
        step.target = "<img src=x> | `a` @all".to_owned();
    }
    let comparison = compare(&evil, &nights(6, 6, 0.0));
    let shown = markdown(&comparison);
    assert!(!shown.contains("<img") && !shown.contains("@all") && shown.contains("&lt;img"), "{shown}");
}
