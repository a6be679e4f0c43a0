//! Drills: one model behind the file and the builder, the published schema, and what a topology refuses.

use firedrill_core::drill::{Drill, LagOver, Load, QuotaBelow, Step, Trigger, Written};
use firedrill_core::fault::catalogue::network::{Delay, Direction, Partition, Refusal, Traffic};
use firedrill_core::fault::{Fault, Target};
use firedrill_core::source::Source;
use firedrill_core::topology::Topology;
use firedrill_core::verdict::Verdict;
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

const WRITTEN: &str = "\
name: everything
topology: pretix-ha
sla: strict
load: {rate_per_s: 2.5, event: rush}
steps:
  - fault: {partition: {by: reject, traffic: {peers: [standby(postgres)], direction: in, port: 5432}}}
    target: primary(postgres)
    when: {quota-below: {quota: rush/q, left: 20}}
    hold_ms: 5000
  - fault: pause
    target: one(pgpool)
    overlap: true
    when: {after-ms: 500}
    jitter_ms: 250
  - fault: {delay: {delay_ms: 50, jitter_ms: 10}}
    target: share(web, 50 %)
    repeat: 3
  - fault: cpu-quota
    target: host(a)
    when: {lag-over: {tier: postgres, bytes: 1000000}}
";

fn built() -> Drill {
    let traffic = Traffic {
        peers: vec![Target::standby("postgres")],
        direction: Direction::In,
        port: Some(5432),
        ..Traffic::default()
    };
    let quota = QuotaBelow { quota: "rush/q".to_owned(), left: 20 };
    let lag = LagOver { tier: "postgres".into(), bytes: 1_000_000 };
    let delay = Delay { delay_ms: 50, jitter_ms: 10, ..Delay::default() };
    Drill::new("everything", "pretix-ha")
        .sla("strict")
        .load(Load { rate_per_s: 2.5, event: "rush".to_owned(), ..Load::default() })
        .step(
            Step::new(Fault::Partition(Partition { by: Refusal::Reject, traffic }), Target::primary("postgres"))
                .when(Trigger::QuotaBelow(quota))
                .hold(Duration::from_secs(5)),
        )
        .step(
            Step::new(Fault::Pause, Target::one("pgpool"))
                .overlapping()
                .when(Trigger::AfterMs(500))
                .jitter(Duration::from_millis(250)),
        )
        .step(Step::new(Fault::Delay(delay), "share(web, 50 %)".parse().unwrap()).repeat(3))
        .step(Step::new(Fault::by_name("cpu-quota").unwrap(), Target::host("a")).when(Trigger::LagOver(lag)))
}

#[test]
fn a_file_and_the_builder_give_the_same_drill() {
    assert_eq!(Drill::parse(&Source::new("d.yaml", WRITTEN)).unwrap(), built());
    let sizes: Vec<usize> = built().groups().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1, 1, 1, 1], "the pause overlaps the partition, repetitions stand alone");
}

#[test]
fn every_fault_is_written_by_its_name_alone_and_in_full() {
    let all: Vec<Fault> = Fault::all().collect();
    assert_eq!(all.len(), Fault::names().len(), "every fault has defaults for all of its parameters");
    for fault in all {
        assert_eq!(fault.check(), Ok(()), "the defaults of {fault} can be meant");
        let short: Fault = serde_saphyr::from_str(fault.name()).unwrap();
        let json = serde_json::to_string(&fault).unwrap();
        let full: Fault = serde_saphyr::from_str(&json).unwrap();
        assert_eq!((&short, &full), (&fault, &fault));
        let about = fault.about();
        for (what, text) in
            [("summary", about.summary), ("how", about.how), ("proof", about.proof), ("undo", about.undo)]
        {
            assert!(!text.is_empty(), "{fault} has no {what}");
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop::sample::select(Fault::all().collect::<Vec<_>>());
    let target =
        prop::sample::select(vec!["primary(postgres)", "one(web)", "share(web, 30 %)", "node(pg1)", "host(a)"]);
    let trigger = prop_oneof![
        Just(None),
        any::<u32>().prop_map(|ms| Some(Trigger::AtMs(ms.into()))),
        Just(Some(Trigger::FirstSale)),
        Just(Some(Trigger::RoleChanged("redis".into()))),
    ];
    (fault, target, trigger, 1u32..9, 0u64..1_500, any::<bool>()).prop_map(
        |(fault, target, when, repeat, ms, overlap)| {
            let repeat = if overlap { 1 } else { repeat };
            Step { when, repeat, jitter_ms: ms, hold_ms: ms, overlap, ..Step::new(fault, target.parse().unwrap()) }
        },
    )
}

proptest! {
    #[test]
    fn a_drill_that_is_written_is_read_again(steps in prop::collection::vec(step(), 0..6)) {
        let mut drill = Drill { steps, ..Drill::new("d", "t") };
        if let Some(first) = drill.steps.first_mut() {
            first.overlap = false;
        }
        prop_assert_eq!(drill.check(), Ok(()));
        let json = serde_json::to_string_pretty(&drill).unwrap();
        prop_assert_eq!(Drill::parse(&Source::new("d", json)).unwrap(), drill);
    }

    #[test]
    fn reading_a_drill_never_panics(text in "\\PC{0,60}", at in 0usize..400) {
        let mut broken = WRITTEN.to_owned();
        let at = (0..=at.min(broken.len())).rev().find(|at| broken.is_char_boundary(*at)).unwrap_or(0);
        broken.insert_str(at, &text);
        let _ = Drill::parse(&Source::new("d", broken));
    }
}

/// `FIREDRILL_WRITE=1 cargo test -p firedrill-core` writes a published file anew.
pub(crate) fn published(path: &str, current: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("FIREDRILL_WRITE").is_some() {
        std::fs::write(&path, current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == current,
        "{} is not current: run FIREDRILL_WRITE=1 cargo test -p firedrill-core --test model",
        path.display()
    );
}

#[test]
fn the_published_schema_is_current() {
    published("fixtures/drills/drill.schema.json", &Drill::json_schema());
    published("reports/verdict.schema.json", &Verdict::json_schema());
}

#[test]
fn the_published_schema_takes_a_verdict() {
    let schema: serde_json::Value = serde_json::from_str(&Verdict::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let plan =
        firedrill_synthetic::Plan { planted: vec![(firedrill_synthetic::Anomaly::Lost, 7)], ..Default::default() };
    let history = firedrill_core::history::History::from_events(plan.events());
    let verdict = firedrill_core::checker::judge(&history, &firedrill_synthetic::sla());
    let mut json = serde_json::to_value(&verdict).unwrap();
    assert!(validator.is_valid(&json));
    json["conclusion"] = "perhaps".into();
    assert!(!validator.is_valid(&json));
}

#[test]
fn the_published_catalogue_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let marker = "<!-- catalogue: written by a test -->\n";
    let (head, _) = text.split_once(marker).expect("the marker is there");
    published("docs/faults.md", &format!("{head}{marker}{}", firedrill_core::fault::catalogue::markdown()));
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema: serde_json::Value = serde_json::from_str(&Drill::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let takes = |text: &str| validator.is_valid(&serde_saphyr::from_str::<serde_json::Value>(text).unwrap());
    assert!(takes(WRITTEN));
    let refused = [
        ("fault: pause", "fault: explode"),
        ("fault: pause", "fault: {delay: {delai_ms: 3}}"),
        ("target: one(pgpool)", "target: one pgpool"),
        ("hold_ms: 5000", "hold: 5000"),
        ("overlap: true", "overlap: maybe"),
        ("name: everything\n", ""),
    ];
    for (from, to) in refused {
        let text = WRITTEN.replacen(from, to, 1);
        assert!(!takes(&text), "{to:?} is taken by the schema");
        assert!(Drill::parse(&Source::new("d", text)).is_err(), "{to:?} is taken by the parser");
    }
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn topology(name: &str) -> Topology {
    let folders = ["topologies", "fixtures/topologies"].map(|folder| root().join(folder).join(name));
    let path = folders.iter().map(|folder| folder.join("compose.yaml")).find(|path| path.exists()).expect(name);
    let source = Source::new(path.display().to_string(), std::fs::read_to_string(path).unwrap());
    Topology::parse(name, &source, |_| Some("10.0.0".to_owned())).unwrap()
}

fn pretix_ha() -> Topology {
    topology("pretix-ha")
}

#[test]
fn every_drill_of_the_repository_fits_its_topology() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fixtures/drills")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let source = Source::new(path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        let written = Written::parse(&source).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap().to_owned();
        assert_eq!(written.drill.name, stem, "a file is named after its drill");
        written.check_against(&topology(&written.drill.topology)).unwrap_or_else(|error| panic!("{error}"));
        names.push(stem);
    }
    assert!(names.len() >= 7, "{names:?}");
}

#[test]
fn what_a_topology_cannot_do_is_refused_with_the_line() {
    let steps = [
        "{fault: kill, target: primary(postgress)}",
        "{fault: kill, target: primary(nginx)}",
        "{fault: kill, target: minority(nginx)}",
        "{fault: kill, target: node(pg9)}",
        "{fault: kill, target: host(z)}",
        "{fault: replay-pause, target: one(web)}",
        "{fault: disk-full, target: one(redis)}",
        "{fault: clock-skew, target: one(nginx)}",
        "{fault: {partition: {traffic: {peers: [all(mysql)]}}}, target: one(web)}",
        "{fault: kill, target: one(web), when: {role-changed: mysql}}",
        "{fault: kill, target: one(web), when: {lag-over: {tier: redis, bytes: 3}}}",
        "{fault: kill, target: one(web), when: {quota-below: {quota: q, left: 3}}}",
        "{fault: pause, target: one(web)}\n  - {fault: kill, target: one(web), overlap: true}",
        "{fault: delay, target: all(web)}\n  - {fault: corrupt, target: one(web), overlap: true}",
        "{fault: pause, target: one(web)}\n  - {fault: cpu-stress, target: node(web-1), overlap: true}",
    ];
    let topology = pretix_ha();
    let messages = steps.map(|steps| {
        let text = format!("name: d\ntopology: pretix-ha\nsteps:\n  - {steps}\n");
        let written = Written::parse(&Source::new("d.yaml", text)).unwrap();
        let error = written.check_against(&topology).expect_err(steps);
        format!("{steps}\n    {error}")
    });
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn faults_that_do_not_get_in_each_others_way_may_overlap() {
    let pairs = [
        ("{fault: kill, target: primary(postgres)}", "{fault: kill, target: standby(postgres), overlap: true}"),
        ("{fault: delay, target: all(web)}", "{fault: partition, target: one(web), overlap: true}"),
        ("{fault: pause, target: node(pg1)}", "{fault: cpu-quota, target: node(pg1), overlap: true}"),
        ("{fault: kill, target: one(web)}", "{fault: kill, target: one(nginx), overlap: true}"),
    ];
    for (one, two) in pairs {
        let text = format!("name: d\ntopology: pretix-ha\nsteps:\n  - {one}\n  - {two}\n");
        let written = Written::parse(&Source::new("d.yaml", text)).unwrap();
        assert_eq!(written.check_against(&pretix_ha()), Ok(()), "{one} {two}");
    }
}
