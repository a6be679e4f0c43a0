//! Certificates: what drills come to together, what is said beforehand, and what makes one void.

use firedrill_core::certificate::{
    After, Basis, Certificate, Commission, Ending, Objection, Part, Sizing, objections, upper_bound_percent,
};
use firedrill_core::drill::matrix::{Matrix, Profile};
use firedrill_core::drill::{Drill, Step};
use firedrill_core::fault::{Fault, Target};
use firedrill_core::history::At;
use firedrill_core::ids::{NodeName, RunId, StepId};
use firedrill_core::manifest::{Host, Image, Manifest};
use firedrill_core::sla::Sla;
use firedrill_core::source::Source;
use firedrill_core::topology::Topology;
use firedrill_core::verdict::{
    Conclusion, Finding, Judgement, Outage, Recovery, StepVerdict, Totals, VERDICT_VERSION, Verdict,
};
use proptest::prelude::*;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn agreement(name: &str) -> Sla {
    let path = root().join(format!("fixtures/sla/{name}.yaml"));
    Sla::parse(&Source::new(name, std::fs::read_to_string(path).unwrap())).unwrap()
}

/// The shipped topology, changed.
fn topology(change: impl Fn(String) -> String) -> Topology {
    let text = std::fs::read_to_string(root().join("topologies/pretix-ha/compose.yaml")).unwrap();
    let source = Source::new("compose.yaml", change(text));
    let lookup = |name: &str| Some(if name == "FD_SUBNET" { "172.30.0" } else { "x" }.to_owned());
    Topology::parse("pretix-ha", &source, lookup).unwrap_or_else(|error| panic!("{error}"))
}

fn commission() -> Commission {
    let steps = [Target::primary("postgres"), Target::one("web")];
    let steps = steps.into_iter().map(|target| Step::new(Fault::Kill, target).repeat(2));
    Commission {
        id: RunId::new("c"),
        profile: Profile::Nightly,
        topology: "pretix-ha".to_owned(),
        started: "2026-11-21T20:00:00Z".to_owned(),
        valid_days: 30,
        seed: 7,
        replay: "firedrill certify".to_owned(),
        sla: agreement("gic-2020"),
        sizing: Sizing {
            rate_per_s: 3.0,
            why: "the usual".to_owned(),
            capacity_per_s: Some(10.0),
            capacity_from: None,
            forecast_per_min: Some(400.0),
        },
        drills: vec![steps.fold(Drill::new("nightly-kill", "pretix-ha"), Drill::step)],
        gaps: Vec::new(),
        objections: Vec::new(),
    }
}

fn step(number: u32, target: &str, tier: &str) -> StepVerdict {
    let outage_ms = f64::from(number + 1) * 1e3;
    StepVerdict {
        step: StepId(number),
        fault: "kill".to_owned(),
        parameters: String::new(),
        target: target.to_owned(),
        tier: tier.into(),
        nodes: vec!["n1".into()],
        from: At::from_ms(1),
        effective: Some(At::from_ms(2)),
        healed: Some(At::from_ms(3)),
        until: At::from_ms(4),
        proof: "seen".to_owned(),
        operations: 10,
        acknowledged: 10,
        failed: 0,
        errors: 1,
        lost: 0,
        lost_cents: 0,
        p50_ms: 100.0,
        p99_ms: outage_ms,
        max_ms: outage_ms,
        worst_second_ms: Some(outage_ms),
        outage: Some(Outage { from: At::from_ms(1), until: At::from_ms(2), min_ms: 1.0, max_ms: outage_ms }),
        recovery: Recovery {
            promoted_ms: (tier == "postgres").then_some(4_000.0),
            restored_ms: Some(outage_ms),
            ..Recovery::default()
        },
        judgement: Judgement::Pass,
        reasons: Vec::new(),
    }
}

fn four() -> Vec<StepVerdict> {
    let (primary, web) = ("primary(postgres)", "one(web)");
    vec![step(0, primary, "postgres"), step(1, primary, "postgres"), step(2, web, "web"), step(3, web, "web")]
}

fn part(steps: Vec<StepVerdict>, conclusion: Conclusion) -> Part {
    let reasons = vec!["conservation: as it is".to_owned()];
    Part {
        folder: "drills/01-nightly-kill".to_owned(),
        verdict: Verdict {
            version: VERDICT_VERSION,
            run: RunId::new("r"),
            topology: "pretix-ha".to_owned(),
            drill: "nightly-kill".to_owned(),
            seed: 7,
            started: "2026-11-21T20:01:00Z".to_owned(),
            sla: "gic-2020".to_owned(),
            conclusion,
            reasons,
            totals: Totals { operations: 40, acknowledged: 40, ..Totals::default() },
            steps,
            checks: Vec::new(),
        },
        manifest: Manifest {
            run: RunId::new("r"),
            firedrill: "0.1.0".to_owned(),
            replay: String::new(),
            topology: "pretix-ha".to_owned(),
            topology_sha256: "aa".to_owned(),
            sla: agreement("gic-2020"),
            host: Host { kernel: "6.1".to_owned(), ..Host::default() },
            images: vec![image("firedrill/postgres", "id1", "c1"), image("firedrill/redis", "id2", "c2")],
            nodes: Vec::new(),
            boot: Vec::new(),
            not_covered: Vec::new(),
        },
        history_sha256: "hh".to_owned(),
        after: After::default(),
    }
}

fn image(name: &str, id: &str, context: &str) -> Image {
    Image { name: name.to_owned(), id: id.to_owned(), context_sha256: context.to_owned(), versions: Vec::new() }
}

fn conclude(commission: &Commission, parts: &[Part], early: Option<&str>) -> Certificate {
    let ending = Ending {
        finished: "2026-11-21T20:30:00Z".to_owned(),
        valid_until: "2026-12-21T20:30:00Z".to_owned(),
        early: early.map(str::to_owned),
    };
    Certificate::conclude(commission, parts, &ending)
}

/// What a certification comes to when one thing about it is changed.
fn check(change: impl Fn(&mut Commission, &mut Vec<Part>), early: Option<&str>, conclusion: Conclusion, reason: &str) {
    let (mut commission, mut parts) = (commission(), vec![part(four(), Conclusion::Certified)]);
    change(&mut commission, &mut parts);
    let certificate = conclude(&commission, &parts, early);
    assert_eq!(certificate.conclusion, conclusion, "{:?}", certificate.reasons);
    assert!(certificate.reasons.iter().any(|text| text.contains(reason)), "{reason}: {:?}", certificate.reasons);
}

#[test]
fn everything_done_and_held_is_certified() {
    check(|_, _| {}, None, Conclusion::Certified, "4 faults in 2 cells were survived");
    let certificate = conclude(&commission(), &[part(four(), Conclusion::Certified)], None);
    let cells: Vec<_> = certificate
        .matrix
        .iter()
        .map(|cell| (cell.tier.as_str(), cell.planned, cell.executed, cell.outage_ms))
        .collect();
    assert_eq!(cells, [("postgres", 2, 2, Some(2_000.0)), ("web", 2, 2, Some(4_000.0))], "the worst of each cell");
    assert_eq!(certificate.headroom_percent, Some(50.0), "600 a minute for a peak of 400");
    let confidence = &certificate.confidence[0];
    assert_eq!((confidence.tier.as_str(), confidence.failovers, confidence.lossy), ("postgres", 2, 0));
    assert_eq!(certificate.basis.images.len(), 2);
}

#[test]
fn whatever_is_wrong_with_any_part_of_it_is_not_certified() {
    let fail = |text: &str| Objection::fail(Finding::new(text));
    check(|c, _| c.objections.push(fail("one node")), None, Conclusion::Violated, "one node");
    let open = Objection::unknown(Finding::new("an open question"));
    check(|c, _| c.objections.push(open.clone()), None, Conclusion::Inconclusive, "an open question");
    check(
        |_, p| p[0].verdict.conclusion = Conclusion::Violated,
        None,
        Conclusion::Violated,
        "nightly-kill: conservation",
    );
    check(|_, p| p[0].verdict.conclusion = Conclusion::Inconclusive, None, Conclusion::Inconclusive, "nightly-kill: ");
    let step = |_: &mut Commission, p: &mut Vec<Part>| p[0].verdict.steps[3].judgement = Judgement::Fail;
    check(step, None, Conclusion::Violated, "kill one(web): no reason was given");
    check(
        |_, p| p[0].after.unfit = Some("pg2 is gone".to_owned()),
        None,
        Conclusion::Violated,
        "booted anew: pg2 is gone",
    );
    check(|_, p| p[0].after.residue.push("a rule".to_owned()), None, Conclusion::Inconclusive, "behind: a rule");
    check(
        |c, _| c.sizing.forecast_per_min = Some(1_200.0),
        None,
        Conclusion::Violated,
        "peak of 1200 purchases a minute is 100 %",
    );
}

#[test]
fn what_was_planned_and_not_done_is_not_passed() {
    let last = |_: &mut Commission, parts: &mut Vec<Part>| drop(parts[0].verdict.steps.pop());
    check(last, None, Conclusion::Inconclusive, "kill one(web): done 1 times of 2");
    let web = |_: &mut Commission, parts: &mut Vec<Part>| parts[0].verdict.steps.truncate(2);
    check(web, None, Conclusion::Inconclusive, "kill one(web): planned, and not done");
    check(|_, parts| parts.clear(), None, Conclusion::Inconclusive, "no drill was run");
    check(|_, _| {}, Some("interrupted by the operator"), Conclusion::Inconclusive, "interrupted by the operator");
    let nothing = |commission: &mut Commission, parts: &mut Vec<Part>| {
        commission.drills.clear();
        parts.clear();
    };
    check(nothing, None, Conclusion::Inconclusive, "no drill was run");
}

#[test]
fn of_many_that_were_not_done_some_are_named() {
    for (more, last) in [
        (10, "kill node(n9): planned, and not done"),
        (11, "1 cell more of 13: not done either"),
        (200, "190 cells more of 202: not done either"),
    ] {
        let mut commission = commission();
        let targets = (0..more).map(|number| Target::Node(NodeName::new(format!("n{number}"))));
        commission.drills[0].steps.extend(targets.map(|target| Step::new(Fault::Kill, target)));
        let reasons = conclude(&commission, &[part(four(), Conclusion::Certified)], None).reasons;
        assert_eq!((reasons.len(), reasons.last().map(String::as_str)), (more.min(11), Some(last)));
    }
}

#[test]
fn a_drill_goes_on_behind_the_step_that_broke_the_stack() {
    let drill = commission().drills.remove(0);
    let rest = drill.rest(3).unwrap();
    assert_eq!((rest.name.as_str(), rest.schedule().count()), ("nightly-kill-continued", 1));
    assert_eq!(rest.steps[0].target, Target::one("web"));
    assert_eq!(rest.rest(0).unwrap().name, rest.name, "continued once is enough to say");
    assert_eq!(drill.rest(4), None);
    assert_eq!(drill.rest(9), None);
    let parts = [
        part(four()[..3].to_vec(), Conclusion::Certified),
        part(vec![step(0, "one(web)", "web")], Conclusion::Certified),
    ];
    let certificate = conclude(&commission(), &parts, None);
    let steps: Vec<(usize, u32)> = certificate.matrix[1].steps.iter().map(|step| (step.drill, step.step.0)).collect();
    assert_eq!((certificate.matrix[1].executed, steps), (2, vec![(0, 2), (1, 0)]), "both parts count");
}

#[test]
fn the_time_of_one_repetition_does_not_hide_that_the_other_has_none() {
    let restored = |restored_ms: [Option<f64>; 2]| {
        let mut steps = four();
        for (step, restored_ms) in steps[2..].iter_mut().zip(restored_ms) {
            step.recovery.restored_ms = restored_ms;
        }
        let cell = conclude(&commission(), &[part(steps, Conclusion::Certified)], None).matrix.remove(1);
        (cell.restored_ms, cell.unserved)
    };
    assert_eq!(restored([Some(3.0), Some(5.0)]), (Some(5.0), 0));
    assert_eq!(restored([None, Some(5.0)]), (None, 1));
    assert_eq!(restored([Some(3.0), None]), (None, 1));
    assert_eq!(restored([None, None]), (None, 2));
}

#[test]
fn where_nobody_bought_nobody_was_left_unserved() {
    let mut steps = four();
    steps.iter_mut().for_each(|step| (step.operations, step.recovery.restored_ms) = (0, None));
    let certificate = conclude(&commission(), &[part(steps, Conclusion::Certified)], None);
    assert!(certificate.matrix.iter().all(|cell| cell.unserved == 0));
}

#[test]
fn the_load_is_a_share_of_the_capacity_or_the_expected_peak() {
    let cases = [
        (Profile::Nightly, None, 10.0, 3.0),
        (Profile::Nightly, Some(400.0), 10.0, 3.0),
        (Profile::Event, None, 10.0, 8.0),
        (Profile::Event, Some(300.0), 10.0, 5.0),
        // More than it can take says nothing about failovers: the forecast is objected to instead.
        (Profile::Event, Some(1_200.0), 10.0, 8.0),
    ];
    for (profile, forecast_per_min, capacity, rate) in cases {
        let mut commission = Commission { profile, ..commission() };
        commission.sizing.forecast_per_min = forecast_per_min;
        commission.size_by(capacity, "here");
        assert_eq!(commission.sizing.rate_per_s, rate, "{profile} {forecast_per_min:?}");
        assert!(commission.drills.iter().all(|drill| drill.load.rate_per_s == rate));
    }
}

/// What is said of a topology and an agreement before anything is booted.
fn beforehand(change: impl Fn(String) -> String, sla: &Sla) -> Vec<String> {
    objections(&topology(change), sla).into_iter().map(|objection| objection.finding.summary).collect()
}

#[test]
fn single_points_of_failure_are_found_before_anything_is_killed() {
    let sla = agreement("gic-2020");
    assert_eq!(beforehand(|text| text, &sla), Vec::<String>::new(), "the reference topology has none");
    let one_nginx = |text: String| {
        let (front, nginx) = text.split_at(text.find("\n  nginx:\n").unwrap());
        let nginx = nginx.replace("deploy: {replicas: 2}", "deploy: {replicas: 1}");
        format!("{front}{nginx}").replace("nginx-1", "nginx").replace(", nginx-2", "").replace("[nginx-2, ", "[")
    };
    assert_eq!(beforehand(one_nginx, &sla), ["single point of failure: tier nginx has one node"]);
    let together = |text: String| {
        text.replace("pgpool1, pg1,", "pgpool1, pgpool2, pg1, pg2,").replace("pgpool2, pg2, haproxy2", "haproxy2")
    };
    assert_eq!(
        beforehand(together, &sla),
        [
            "single point of failure: machine a, because 2 of 3 voters of tier postgres are on it",
            "single point of failure: machine a, because all 2 nodes of tier pgpool are on it",
        ]
    );
}

#[test]
fn promises_that_the_time_outs_do_not_allow_are_said_in_advance() {
    let mut sla = agreement("strict");
    assert_eq!(beforehand(|text| text, &sla), Vec::<String>::new());
    let slow = |text: String| text.replace("MODE: sentinel,", "MODE: sentinel, DOWN_AFTER_MS: \"20000\",");
    let said = beforehand(slow, &sla);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("recovery.outage_max_ms is 15000 ms") && said[0].contains("20000 ms (DOWN_AFTER_MS)"),
        "{said:?}"
    );
    sla.recovery.outage_max_ms = Some(3_200.0);
    let said = beforehand(|text| text, &sla);
    assert_eq!(said.len(), 1, "3.0 s of Redis are possible, 3.4 s of PostgreSQL are not: {said:?}");
    assert!(said[0].contains("primary of postgres is given up only after 3400 ms"), "{said:?}");
}

/// The defaults that the core knows are those of the images.
#[test]
fn the_time_outs_are_those_of_the_images() {
    let read = |path: &str| std::fs::read_to_string(root().join("fixtures/images").join(path)).unwrap();
    assert!(read("postgres/ha/settings.py").contains("failover_after: float = 3.4"));
    assert!(read("redis/node.py").contains("env('DOWN_AFTER_MS', '3000')"));
    let known: Vec<(String, f64)> =
        topology(|text| text).detections().into_iter().map(|one| (one.tier.to_string(), one.after_ms)).collect();
    assert_eq!(known, [("postgres".to_owned(), 3_400.0), ("redis".to_owned(), 3_000.0)]);
}

#[test]
fn another_stack_voids_it_and_another_machine_is_worth_knowing() {
    let certified = conclude(&commission(), &[part(four(), Conclusion::Certified)], None).basis;
    assert_eq!(certified.against(&certified), []);
    let check = |change: fn(&mut Basis), what: &str, judgement: Judgement| {
        let mut now = certified.clone();
        change(&mut now);
        let drifts = certified.against(&now);
        assert_eq!(drifts.len(), 1, "{drifts:?}");
        assert_eq!((drifts[0].what.as_str(), drifts[0].judgement), (what, judgement));
        let same = certified.configuration_sha256() == now.configuration_sha256();
        assert_eq!(same, judgement == Judgement::Pass, "{what}: the configuration's hash tells what voids");
    };
    check(|now| now.topology_sha256 = "bb".to_owned(), "the topology's Compose file", Judgement::Fail);
    check(
        |now| now.images[0].context_sha256 = "c9".to_owned(),
        "what firedrill/postgres is built from",
        Judgement::Fail,
    );
    check(|now| now.images[1].id = "id9".to_owned(), "image firedrill/redis", Judgement::Fail);
    check(|now| now.images[1].id.clear(), "image firedrill/redis", Judgement::Unknown);
    check(|now| drop(now.images.pop()), "image firedrill/redis", Judgement::Fail);
    check(|now| now.images.push(image("firedrill/new", "id", "c")), "image firedrill/new", Judgement::Fail);
    check(|now| now.sla.response_time.max_ms = 1.0, "the agreement", Judgement::Fail);
    check(|now| now.firedrill = "0.2.0".to_owned(), "firedrill", Judgement::Pass);
    check(|now| now.host.kernel = "6.6".to_owned(), "kernel", Judgement::Pass);
}

/// The table of one-sided upper bounds at 95 % (Clopper and Pearson 1934), in percent.
#[test]
fn the_bound_is_that_of_clopper_and_pearson() {
    for (tried, bad, percent) in
        [(1, 0, 95.0), (10, 0, 25.887), (30, 0, 9.503), (10, 1, 39.416), (20, 3, 34.366), (5, 5, 100.0), (0, 0, 100.0)]
    {
        let bound = upper_bound_percent(tried, bad);
        assert!((bound - percent).abs() < 0.01, "{bad} of {tried}: {bound}, not {percent}");
    }
}

proptest! {
    #[test]
    fn the_rule_of_three_bounds_it_from_above(tried in 3u32..5_000) {
        let bound = upper_bound_percent(tried, 0);
        let exact = (1.0 - 0.05_f64.powf(1.0 / f64::from(tried))) * 100.0;
        prop_assert!((bound - exact).abs() < 1e-6);
        prop_assert!(bound <= 300.0 / f64::from(tried));
    }

    #[test]
    fn more_that_is_bad_is_never_better(tried in 1u32..300, bad in 0u32..300) {
        let bad = bad % tried;
        prop_assert!(upper_bound_percent(tried, bad) <= upper_bound_percent(tried, bad + 1));
        prop_assert!(upper_bound_percent(tried, bad) * f64::from(tried) >= f64::from(bad) * 100.0);
    }
}

#[test]
fn drills_are_one_for_every_fault_and_lose_no_step() {
    for profile in [Profile::Smoke, Profile::Nightly, Profile::Event] {
        let matrix = Matrix::derive(profile, &topology(|text| text), 10);
        let drills = matrix.drills();
        let steps: usize = drills.iter().map(|drill| drill.schedule().count()).sum();
        assert_eq!(steps, matrix.drill.schedule().count(), "{profile}");
        assert_eq!(drills.len() == 1, profile == Profile::Smoke);
        for drill in &drills {
            assert!(drill.steps.iter().all(|step| step.fault.name() == drill.steps[0].fault.name()), "{}", drill.name);
        }
    }
}
