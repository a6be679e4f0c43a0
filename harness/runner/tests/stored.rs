//! Stored runs: of both versions of the file, exported, and too long to be shown whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use firedrill_core::history::Event;
use firedrill_core::history::codec::{self, Writer, write_line};
use firedrill_core::ids::RunId;
use firedrill_core::manifest::{Host, Manifest};
use firedrill_core::verdict::Conclusion;
use firedrill_runner::{RunDir, Stored};
use firedrill_synthetic::{Anomaly, Plan, sla};
use std::fs::{self, File};
use std::path::Path;

fn manifest(run: &RunId) -> Manifest {
    Manifest {
        run: run.clone(),
        firedrill: "0".to_owned(),
        replay: String::new(),
        topology: "synthetic".to_owned(),
        topology_sha256: String::new(),
        sla: sla(),
        host: Host::default(),
        images: Vec::new(),
        nodes: Vec::new(),
        boot: Vec::new(),
        not_covered: Vec::new(),
    }
}

/// A run of a plan below a folder, its history in the file of a version.
fn run(runs: &Path, plan: &Plan, version: u32) -> Stored {
    let run = RunId::new(format!("r{version}"));
    let dir = RunDir::create(runs, &run).unwrap();
    dir.write_manifest(&manifest(&run)).unwrap();
    if version == 1 {
        let file = File::create(dir.path().join("history.jsonl.zst")).unwrap();
        let mut out = zstd::Encoder::new(file, 1).unwrap();
        plan.records(|event| write_line(&mut out, &event)).unwrap();
        out.finish().unwrap();
    } else {
        let mut out = Writer::new(File::create(dir.history()).unwrap()).unwrap();
        plan.records(|event| out.write(&event)).unwrap();
        out.finish().unwrap();
    }
    dir.read().unwrap()
}

#[test]
fn runs_of_both_versions_have_one_verdict_and_one_export() {
    let runs = tempfile::tempdir().unwrap();
    let plan = Plan { planted: vec![(Anomaly::Lost, 7)], browser_percent: 10, ..Plan::default() };
    let stored = [1, 2].map(|version| run(runs.path(), &plan, version));
    let verdicts = stored.each_ref().map(|stored| stored.judge(None).unwrap());
    assert_eq!((verdicts[0].conclusion, verdicts[0].totals.lost), (Conclusion::Violated, 1));
    assert_eq!(verdicts[0], verdicts[1]);
    for stored in &stored {
        let mut lines = Vec::new();
        assert_eq!(stored.dir.export(&mut lines).unwrap(), Vec::<String>::new());
        let events: Vec<Event> =
            lines.split(|byte| *byte == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
        assert_eq!(events, plan.events());
        assert_eq!(codec::read(lines.as_slice()).unwrap().events, events, "an export is a history");
        stored.write_reports(&verdicts[0]).unwrap();
        let report = fs::read_to_string(stored.dir.report()).unwrap();
        assert!(report.contains("op7") && !report.contains("drawn from one purchase in"));
    }
}

#[test]
fn what_is_known_to_be_missing_is_damage() {
    let runs = tempfile::tempdir().unwrap();
    let mut stored = run(runs.path(), &Plan::default(), 2);
    assert_eq!(stored.judge(None).unwrap().conclusion, Conclusion::Certified);
    stored.damage.push("3 records found the journal full and are missing".to_owned());
    let verdict = stored.judge(None).unwrap();
    assert_eq!(verdict.conclusion, Conclusion::Inconclusive);
    assert!(verdict.reasons[0].contains("3 records found the journal full"), "{:?}", verdict.reasons);
}

#[test]
fn a_long_run_is_reported_from_an_excerpt_that_says_so() {
    let runs = tempfile::tempdir().unwrap();
    let plan = Plan { operations: 120_000, planted: vec![(Anomaly::Lost, 55_555)], ..Plan::default() };
    let stored = run(runs.path(), &plan, 2);
    let verdict = stored.judge(None).unwrap();
    stored.write_reports(&verdict).unwrap();
    let report = fs::read_to_string(stored.dir.report()).unwrap();
    assert!(report.contains("drawn from one purchase in 2,") && report.contains("op55555"), "{}", report.len());
}
