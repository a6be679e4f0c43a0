//! The made-up verdict and manifest.

use crate::load::{self, NODES};
use firedrill_core::history::At;
use firedrill_core::ids::{OpId, StepId};
use firedrill_core::manifest::{BootStep, Host, Image, Manifest, Node};
use firedrill_core::sla::{Availability, Logs, RecoveryObjective, ResponseTime, Sla};
use firedrill_core::verdict::{
    CheckResult, Finding, Gate, Judgement, Recovery, StepVerdict, Totals, VERDICT_VERSION, Verdict, conclude,
};
use firedrill_reports::LogLine;
use std::collections::BTreeMap;

pub(crate) fn verdict() -> Verdict {
    let (steps, checks) = (vec![database(), web()], checks());
    let (conclusion, reasons) = conclude(&checks, &steps);
    Verdict {
        version: VERDICT_VERSION,
        run: "2026-03-01-smoke-7".into(),
        topology: "ha".to_owned(),
        drill: "smoke".to_owned(),
        seed: 7,
        started: "2026-03-01T09:30:00Z".to_owned(),
        sla: "tender-2026".to_owned(),
        conclusion,
        reasons,
        totals: Totals {
            operations: 2_200,
            attempts: 2_846,
            acknowledged: 2_198,
            rejected: 0,
            in_doubt: 2,
            recovered: 1,
            load_ms: 110_000.0,
            ..Totals::default()
        },
        steps,
        checks,
    }
}

fn database() -> StepVerdict {
    StepVerdict {
        step: StepId(0),
        fault: "kill".to_owned(),
        parameters: String::new(),
        target: "primary(postgres)".to_owned(),
        tier: "postgres".into(),
        nodes: vec!["pg1".into()],
        from: At::from_ms(30_000),
        effective: Some(At::from_ms(30_200)),
        healed: Some(At::from_ms(50_000)),
        until: At::from_ms(58_000),
        proof: "the process of pg1 ended with signal 9, and its port refused connections".to_owned(),
        operations: 560,
        acknowledged: 558,
        failed: 2,
        errors: 642,
        lost: 0,
        lost_cents: 0,
        p50_ms: 72.0,
        p99_ms: 7_850.0,
        max_ms: 8_105.0,
        worst_second_ms: Some(8_105.0),
        outage: Some(load::outage()),
        recovery: Recovery {
            detected_ms: Some(1_100.0),
            promoted_ms: Some(5_400.0),
            rerouted_ms: Some(5_900.0),
            first_sale_ms: Some(7_850.0),
            restored_ms: Some(9_100.0),
            whole_ms: Some(6_900.0),
        },
        judgement: Judgement::Fail,
        reasons: vec![
            "nothing was sold for 7.9–8.2 s, and 5.0 s were promised".to_owned(),
            "2 of 560 purchases failed for the buyer".to_owned(),
        ],
    }
}

fn web() -> StepVerdict {
    StepVerdict {
        step: StepId(1),
        fault: "kill".to_owned(),
        parameters: "cold: true".to_owned(),
        target: "one(web)".to_owned(),
        tier: "web".into(),
        nodes: vec!["web-1".into()],
        from: At::from_ms(75_000),
        effective: Some(At::from_ms(75_100)),
        healed: Some(At::from_ms(88_000)),
        until: At::from_ms(92_000),
        proof: "the process of web-1 ended with signal 9".to_owned(),
        operations: 340,
        acknowledged: 340,
        failed: 0,
        errors: 4,
        lost: 0,
        lost_cents: 0,
        p50_ms: 61.0,
        p99_ms: 402.0,
        max_ms: 420.0,
        worst_second_ms: Some(420.0),
        outage: None,
        recovery: Recovery {
            detected_ms: Some(30.0),
            promoted_ms: None,
            rerouted_ms: None,
            first_sale_ms: Some(40.0),
            restored_ms: Some(320.0),
            whole_ms: Some(3_800.0),
        },
        judgement: Judgement::Pass,
        reasons: Vec::new(),
    }
}

fn check(checker: &str, gate: Gate, judgement: Judgement, question: &str, reason: &str) -> CheckResult {
    CheckResult {
        checker: checker.to_owned(),
        question: question.to_owned(),
        gate,
        judgement,
        reason: reason.to_owned(),
        findings: Vec::new(),
        numbers: BTreeMap::new(),
    }
}

fn checks() -> Vec<CheckResult> {
    let mut conservation = check(
        "conservation",
        Gate::Invariant,
        Judgement::Pass,
        "Is every order that was confirmed to a buyer in the final read?",
        "all 2,198 confirmed orders are in the final read of pg2",
    );
    conservation.numbers = BTreeMap::from([("confirmed".to_owned(), 2_198.0), ("lost".to_owned(), 0.0)]);
    let mut recovery = check(
        "recovery",
        Gate::Objective,
        Judgement::Fail,
        "Did sales and redundancy come back as fast as promised?",
        "the longest time without a sale was 8.2 s, and 5.0 s were promised",
    );
    recovery.numbers = BTreeMap::from([("outage_max_ms".to_owned(), 8_167.0), ("whole_max_ms".to_owned(), 6_900.0)]);
    recovery.findings = vec![
        Finding::new("nothing was sold for 7.9–8.2 s after the primary was killed")
            .with_at(At::from_ms(30_054))
            .with_step(Some(StepId(0)))
            .with_ops([OpId(600), OpId(601), OpId(759)])
            .with_nodes(["pg1".into(), "pg2".into()])
            .with_remedy("Lower failover detection: health_check_period is 5 s, and 3 checks must fail."),
    ];
    let mut load = check(
        "load",
        Gate::Precondition,
        Judgement::Pass,
        "Was there enough load to see anything?",
        "20 purchases a second arrived as planned",
    );
    load.numbers = BTreeMap::from([("arrivals_per_s".to_owned(), 20.0)]);
    let idempotence = check(
        "idempotence",
        Gate::Invariant,
        Judgement::Unknown,
        "Was no order written twice?",
        "1 order in doubt has no record in the final read of a second node",
    );
    vec![conservation, idempotence, recovery, load]
}

pub(crate) fn manifest() -> Manifest {
    let image = |name: &str, versions: &[(&str, &str)]| Image {
        name: format!("firedrill/{name}"),
        id: format!("sha256:{}", "5ad1c0de".repeat(8)),
        context_sha256: "0f1e2d3c".repeat(8),
        versions: versions.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    let node = |(name, tier, _): &(&str, &str, _)| Node {
        name: (*name).into(),
        tier: (*tier).into(),
        kind: (*tier).to_owned(),
        image: format!("firedrill/{tier}"),
        single: (*tier == "lb").then(|| "the provider's balancer stands for it".to_owned()),
    };
    let boot = [
        ("network and volumes are there", 800.0),
        ("postgres: one primary, 2 standbys streaming", 9_300.0),
        ("redis: one primary, 1 standby", 11_000.0),
        ("web: both nodes serve", 34_500.0),
        ("lb: sells a ticket", 36_200.0),
    ];
    Manifest {
        run: "2026-03-01-smoke-7".into(),
        firedrill: "0.1.0".to_owned(),
        replay: "firedrill run smoke --topology ha --sla tender-2026 --seed 7".to_owned(),
        topology: "ha".to_owned(),
        topology_sha256: "c0ffee00".repeat(8),
        sla: sla(),
        host: Host {
            engine: "29.0.1".to_owned(),
            api: "1.52".to_owned(),
            kernel: "6.12.0".to_owned(),
            cores: 8,
            memory_bytes: 16 << 30,
            details: "overlayfs, cgroup v2".to_owned(),
        },
        images: vec![
            image("postgres", &[("postgresql", "17.6"), ("pgpool", "4.6.3")]),
            image("web", &[("pretix", "2026.2.0"), ("python", "3.13.1")]),
        ],
        nodes: NODES.iter().map(node).collect(),
        boot: boot.map(|(what, at_ms)| BootStep { what: what.to_owned(), at_ms }).into(),
        not_covered: vec!["tier lb has one node and is not killed: the provider's balancer stands for it".to_owned()],
    }
}

fn sla() -> Sla {
    Sla {
        name: "tender-2026".to_owned(),
        source: "tender of 2026, section 4".to_owned(),
        availability: Availability { normal_percent: 99.9, peak_percent: 99.0, peak_above_per_min: 2_000.0 },
        response_time: ResponseTime { max_ms: 10_000.0, steady_p99_ms: Some(800.0) },
        recovery: RecoveryObjective { outage_max_ms: Some(5_000.0), whole_max_ms: Some(60_000.0) },
        logs: Logs::default(),
    }
}

pub(crate) fn logs() -> Vec<LogLine> {
    let lines = [
        (
            30_230,
            "pgpool-1",
            "LOG: failed to connect to PostgreSQL server on \"pg1:5432\", connect() failed with error \"Connection refused\"",
        ),
        (35_300, "pgpool-1", "LOG: find_primary_node: primary node is 1"),
        (35_610, "pg2", "LOG: received promote request"),
        (35_640, "pg2", "LOG: selected new timeline ID: 2"),
    ];
    lines.map(|(at, node, text)| LogLine { at: At::from_ms(at), node: node.into(), text: text.to_owned() }).into()
}
