//! One verdict, wherever the history is: in memory, in a file of version 1, in one of version 2.

use firedrill_core::checker::{judge, judge_stored};
use firedrill_core::digest::Stored;
use firedrill_core::history::codec::{Writer, write_line};
use firedrill_core::history::{Event, History};
use firedrill_core::verdict::Judgement::Fail;
use firedrill_core::verdict::{Conclusion, Verdict};
use firedrill_synthetic::{Anomaly, Plan, sla};
use proptest::prelude::*;
use std::io::Cursor;

fn file_v1(events: &[Event]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    events.iter().for_each(|event| write_line(&mut encoder, event).unwrap());
    encoder.finish().unwrap()
}

fn file_v2(events: &[Event], block: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for events in events.chunks(block) {
        events.iter().for_each(|event| writer.write(event).unwrap());
        writer.flush().unwrap();
    }
    writer.finish().unwrap()
}

/// The verdict of a plan, which is the same in all three ways.
fn verdict(plan: &Plan, block: usize) -> Verdict {
    let events = plan.events();
    let in_memory = judge(&History::from_events(events.clone()), &sla());
    let text = serde_json::to_string_pretty(&in_memory).unwrap();
    for bytes in [file_v1(&events), file_v2(&events, block)] {
        let stored = judge_stored(&mut Stored::new(Cursor::new(bytes)), &sla()).unwrap();
        assert_eq!(serde_json::to_string_pretty(&stored).unwrap(), text);
    }
    in_memory
}

fn failed(verdict: &Verdict) -> Vec<&str> {
    verdict.checks.iter().filter(|check| check.judgement == Fail).map(|check| check.checker.as_str()).collect()
}

#[test]
fn every_anomaly_is_found_by_its_checker_alone() {
    let plan = Plan { operations: 2_000, browser_percent: 20, ..Plan::default() };
    let good = verdict(&plan, 100);
    assert_eq!(good.conclusion, Conclusion::Certified, "{:#?}", good.reasons);
    assert!(good.checks.iter().all(|check| check.findings.is_empty()), "{:#?}", good.checks);
    for anomaly in Anomaly::ALL {
        let plan = Plan { planted: vec![(anomaly, 500)], ..plan.clone() };
        let verdict = verdict(&plan, 100);
        assert_eq!(failed(&verdict), [anomaly.checker()], "{anomaly:?}: {:#?}", verdict.reasons);
    }
}

#[test]
fn a_mass_of_anomalies_is_counted_and_the_first_are_named() {
    let planted = (1..300).flat_map(|op| [(Anomaly::Lost, op * 3), (Anomaly::MissingOnStandby, op * 3 + 1)]);
    let plan = Plan { operations: 2_000, planted: planted.collect(), ..Plan::default() };
    let verdict = verdict(&plan, 77);
    let check = |name: &str| verdict.checks.iter().find(|check| check.checker == name).unwrap();
    assert_eq!((verdict.totals.lost, check("replicas").numbers["differences"]), (299, 299.0));
    let named: usize = check("conservation").findings.iter().map(|finding| finding.ops.len()).sum();
    assert!((100..299).contains(&named), "{named}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_verdict_is_the_same_wherever_the_history_is(
        seed in any::<u64>(),
        operations in 1..600u64,
        sold_percent in 1..=100u64,
        browser_percent in prop::sample::select(vec![0, 10, 100]),
        databases in 1..4usize,
        faults in 0..3u32,
        anomalies in prop::collection::vec((prop::sample::select(Anomaly::ALL.to_vec()), any::<prop::sample::Index>()), 0..6),
        block in 1..500usize,
    ) {
        let databases = ["pg1", "pg2", "pg3"][..databases].iter().map(|name| (*name).to_owned()).collect();
        let plan = Plan { seed, operations, sold_percent, browser_percent, databases, faults, ..Plan::default() };
        let sold = plan.sold();
        // The first has none before it that its ticket could be of.
        let planted = anomalies.into_iter().filter(|_| sold > 1);
        let planted = planted.map(|(anomaly, at)| (anomaly, at.index(sold as usize - 1) as u64 + 1)).collect();
        verdict(&Plan { planted, ..plan }, block);
    }
}
