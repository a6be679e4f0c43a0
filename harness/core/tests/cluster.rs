//! When a cluster is whole, and what is said when it is not.

use firedrill_core::cluster::{Facts, NodeReport, missing};
use firedrill_core::history::Role;
use firedrill_core::ids::{NodeName, TierName};
use firedrill_core::topology::NodeKind;
use proptest::prelude::*;
use rstest::rstest;

fn report(node: &str, kind: NodeKind, facts: Facts) -> NodeReport {
    NodeReport { node: node.into(), tier: TierName::new(kind.to_string()), kind, answer: Ok(facts) }
}

fn postgres(leads: bool) -> Facts {
    Facts::Postgres { in_recovery: !leads, timeline: 3, streaming: if leads { 2 } else { 0 }, receiving: !leads }
}

fn redis(leads: bool) -> Facts {
    Facts::Redis { master: leads, refuses_writes: false, replicas_online: if leads { 2 } else { 0 }, link_up: !leads }
}

/// A master that no replica follows any more.
fn cut_off() -> Facts {
    Facts::Redis { master: true, refuses_writes: true, replicas_online: 0, link_up: false }
}

fn pgpool(up: u32, total: u32, primary: Option<&str>) -> Facts {
    Facts::Pgpool { up, total, primary: primary.map(NodeName::from) }
}

fn sentinel(master: Option<&str>, others: u32, replicas: u32, sees_trouble: bool) -> Facts {
    Facts::Sentinel { master: master.map(NodeName::from), others, replicas, sees_trouble, epoch: 7 }
}

fn haproxy(up: &[&str]) -> Facts {
    Facts::Haproxy { up: up.iter().map(|node| NodeName::from(*node)).collect() }
}

/// All of pretix-ha, led by pg2 and redis3: not by the first ones, which would hide a mix-up.
fn whole() -> Vec<NodeReport> {
    use NodeKind::{Haproxy, Nginx, Pgpool, Postgres, PretixPeriodic, PretixWeb, PretixWorker, Redis, Sentinel};
    let mut all = Vec::new();
    all.extend(["pg1", "pg2", "pg3"].map(|node| report(node, Postgres, postgres(node == "pg2"))));
    all.extend(["pgpool1", "pgpool2"].map(|node| report(node, Pgpool, pgpool(3, 3, Some("pg2")))));
    all.extend(["redis1", "redis2", "redis3"].map(|node| report(node, Redis, redis(node == "redis3"))));
    let sentinels = ["sentinel1", "sentinel2", "sentinel3"];
    all.extend(sentinels.map(|node| report(node, Sentinel, sentinel(Some("redis3"), 2, 2, false))));
    all.extend(["haproxy1", "haproxy2"].map(|node| report(node, Haproxy, haproxy(&["redis3"]))));
    all.extend(["web-1", "web-2"].map(|node| report(node, PretixWeb, Facts::Http { status: 200 })));
    all.extend(["worker-1", "worker-2"].map(|node| report(node, PretixWorker, Facts::Worker { consuming: true })));
    all.push(report("periodic", PretixPeriodic, Facts::Running));
    all.extend(["nginx-1", "nginx-2"].map(|node| report(node, Nginx, Facts::Http { status: 200 })));
    all
}

/// The whole cluster, but these nodes answer this.
fn but(changes: &[(&str, Result<Facts, &str>)]) -> Vec<NodeReport> {
    let mut all = whole();
    for (node, answer) in changes {
        let found = all.iter_mut().find(|report| report.node.as_str() == *node).expect("a node of pretix-ha");
        found.answer = answer.clone().map_err(str::to_owned);
    }
    all
}

/// What is missing when these nodes answer this.
fn check(changes: &[(&str, Result<Facts, &str>)], expected: &[&str]) {
    assert_eq!(missing(&but(changes)), expected);
}

const POOL: &str = "(wants 3 of 3 up and the primary that leads)";
const SENTINEL: &str = "(wants the master that leads, 2 others, 2 replicas, no trouble)";
const HAPROXY: &str = "(wants exactly the master that leads)";

#[test]
fn a_whole_cluster_lacks_nothing() {
    check(&[], &[]);
    let one: Vec<NodeReport> = whole().into_iter().filter(|report| report.kind == NodeKind::PretixWeb).collect();
    assert_eq!(missing(&one), [""; 0], "a topology without a database does not miss its primary");
    assert_eq!(missing(&[]), [""; 0]);
}

#[rstest]
#[case::pgpool_lost_one("pgpool1", pgpool(2, 3, Some("pg2")), format!("pgpool1: 2/3 up, primary pg2 {POOL}"))]
#[case::pgpool_knows_too_few("pgpool1", pgpool(2, 2, Some("pg2")), format!("pgpool1: 2/2 up, primary pg2 {POOL}"))]
#[case::pgpool_disagrees("pgpool2", pgpool(3, 3, Some("pg1")), format!("pgpool2: 3/3 up, primary pg1 {POOL}"))]
#[case::pgpool_has_nobody("pgpool2", pgpool(3, 3, None), format!("pgpool2: 3/3 up, primary none {POOL}"))]
#[case::sentinel_trouble(
    "sentinel1", sentinel(Some("redis3"), 2, 2, true),
    format!("sentinel1: master redis3, 2 others, 2 replicas, sees trouble {SENTINEL}")
)]
#[case::sentinel_disagrees(
    "sentinel2", sentinel(Some("redis1"), 2, 2, false), format!("sentinel2: master redis1, 2 others, 2 replicas {SENTINEL}")
)]
#[case::sentinel_has_nobody(
    "sentinel2", sentinel(None, 2, 2, false), format!("sentinel2: master none, 2 others, 2 replicas {SENTINEL}")
)]
#[case::sentinel_alone(
    "sentinel3", sentinel(Some("redis3"), 1, 2, false), format!("sentinel3: master redis3, 1 others, 2 replicas {SENTINEL}")
)]
#[case::sentinel_knows_too_few(
    "sentinel3", sentinel(Some("redis3"), 2, 1, false), format!("sentinel3: master redis3, 2 others, 1 replicas {SENTINEL}")
)]
#[case::sentinel_knows_too_many(
    "sentinel3", sentinel(Some("redis3"), 2, 3, false), format!("sentinel3: master redis3, 2 others, 3 replicas {SENTINEL}")
)]
#[case::haproxy_two("haproxy1", haproxy(&["redis1", "redis3"]), format!("haproxy1: up: redis1,redis3 {HAPROXY}"))]
#[case::haproxy_none("haproxy1", haproxy(&[]), format!("haproxy1: up: none {HAPROXY}"))]
#[case::haproxy_stale("haproxy2", haproxy(&["redis1"]), format!("haproxy2: up: redis1 {HAPROXY}"))]
#[case::worker(
    "worker-1", Facts::Worker { consuming: false }, "worker-1: no consumer (wants a consumer at the broker)".to_owned()
)]
#[case::web("web-2", Facts::Http { status: 503 }, "web-2: HTTP 503 (wants HTTP 200)".to_owned())]
#[case::redirected("nginx-1", Facts::Http { status: 302 }, "nginx-1: HTTP 302 (wants HTTP 200)".to_owned())]
#[case::standby_stuck(
    "pg1", Facts::Postgres { in_recovery: true, timeline: 3, streaming: 0, receiving: false },
    "pg1: not streaming (wants to stream)".to_owned()
)]
#[case::primary_lost_one(
    "pg2", Facts::Postgres { in_recovery: false, timeline: 3, streaming: 1, receiving: false },
    "pg2: 1 standbys streaming (wants 2 standbys streaming)".to_owned()
)]
#[case::replica_stuck(
    "redis1", Facts::Redis { master: false, refuses_writes: false, replicas_online: 0, link_up: false },
    "redis1: link down (wants its link up)".to_owned()
)]
#[case::master_lost_one(
    "redis3", Facts::Redis { master: true, refuses_writes: false, replicas_online: 1, link_up: false },
    "redis3: 1 replicas online (wants 2 replicas online)".to_owned()
)]
fn one_defect_of_one_node_is_named(#[case] node: &str, #[case] facts: Facts, #[case] expected: String) {
    check(&[(node, Ok(facts))], &[&expected]);
}

#[test]
fn a_node_that_does_not_answer_is_named_with_its_error() {
    for node in ["pg1", "pgpool1", "redis1", "sentinel1", "haproxy1", "web-1", "worker-1", "periodic", "nginx-1"] {
        check(&[(node, Err("connection refused"))], &[&format!("{node}: connection refused")]);
    }
}

#[test]
fn without_a_primary_all_who_name_one_are_wrong() {
    let pools = ["pgpool1", "pgpool2"].map(|node| format!("{node}: 3/3 up, primary pg2 {POOL}"));
    check(&[("pg2", Ok(postgres(false)))], &["postgres: no primary", &pools[0], &pools[1]]);
    check(&[("pg2", Err("down"))], &["postgres: no primary", "pg2: down", &pools[0], &pools[1]]);
}

#[test]
fn two_primaries_are_named_both() {
    let pools = ["pgpool1", "pgpool2"].map(|node| format!("{node}: 3/3 up, primary pg2 {POOL}"));
    let both = "postgres: 2 primaries at once: pg1, pg2";
    check(&[("pg1", Ok(postgres(true)))], &[both, &pools[0], &pools[1]]);
    let found = missing(&but(&[("redis1", Ok(redis(true)))]));
    assert_eq!(found[0], "redis: 2 primaries at once: redis1, redis3");
    assert_eq!(found.len(), 1 + 3 + 2, "every Sentinel and HAProxy names one of two: {found:?}");
}

#[test]
fn without_a_master_all_who_name_one_are_wrong() {
    let found = missing(&but(&[("redis3", Ok(redis(false)))]));
    assert_eq!(found[0], "redis: no primary");
    assert_eq!(found.len(), 1 + 3 + 2, "{found:?}");
}

#[rstest]
#[case(postgres(true), Role::Primary, Some(3))]
#[case(postgres(false), Role::Standby, Some(3))]
#[case(redis(true), Role::Primary, None)]
#[case(redis(false), Role::Standby, None)]
#[case(cut_off(), Role::NotServing, None)]
#[case(pgpool(1, 3, Some("pg1")), Role::Serving, None)]
#[case(pgpool(3, 3, None), Role::NotServing, None)]
#[case(sentinel(Some("redis1"), 0, 0, true), Role::Serving, Some(7))]
#[case(sentinel(None, 2, 2, false), Role::NotServing, Some(7))]
#[case(haproxy(&["redis1", "redis2"]), Role::Serving, None)]
#[case(haproxy(&[]), Role::NotServing, None)]
#[case(Facts::Http { status: 204 }, Role::Serving, None)]
#[case(Facts::Http { status: 302 }, Role::NotServing, None)]
#[case(Facts::Http { status: 503 }, Role::NotServing, None)]
#[case(Facts::Worker { consuming: true }, Role::Serving, None)]
#[case(Facts::Worker { consuming: false }, Role::NotServing, None)]
#[case(Facts::Running, Role::Serving, None)]
fn roles(#[case] facts: Facts, #[case] role: Role, #[case] epoch: Option<u64>) {
    let mut report = report("n", NodeKind::Postgres, facts);
    assert_eq!((report.role(), report.epoch()), (role, epoch));
    assert_eq!(report.role(), role);
    report.answer = Err("gone".to_owned());
    assert_eq!((report.role(), report.epoch(), report.view()), (Role::Unreachable, None, "gone".to_owned()));
}

/// Another number than this one.
fn other(than: u32) -> impl Strategy<Value = u32> {
    (0..9u32).prop_filter("another one", move |number| *number != than)
}

/// One fact changed away from whole; timelines and epochs are no defect and stay.
fn changed(facts: &Facts) -> BoxedStrategy<Facts> {
    let name = prop::sample::select(vec![None, Some("pg1"), Some("pg3"), Some("redis1"), Some("nobody")]);
    match facts.clone() {
        Facts::Postgres { in_recovery: false, timeline, streaming, .. } => prop_oneof![
            Just(postgres(false)),
            other(streaming).prop_map(move |streaming| Facts::Postgres {
                in_recovery: false,
                timeline,
                streaming,
                receiving: false
            }),
        ]
        .boxed(),
        Facts::Postgres { timeline, .. } => prop_oneof![
            Just(postgres(true)),
            Just(Facts::Postgres { in_recovery: true, timeline, streaming: 0, receiving: false }),
        ]
        .boxed(),
        Facts::Pgpool { up, total, .. } => prop_oneof![
            other(up).prop_map(move |up| pgpool(up, total, Some("pg2"))),
            other(total).prop_map(move |total| pgpool(up, total, Some("pg2"))),
            name.prop_map(move |name| pgpool(up, total, name)),
        ]
        .boxed(),
        Facts::Redis { master: true, .. } => prop_oneof![
            Just(redis(false)),
            Just(cut_off()),
            other(2).prop_map(|replicas_online| Facts::Redis {
                master: true,
                refuses_writes: false,
                replicas_online,
                link_up: false
            }),
        ]
        .boxed(),
        Facts::Redis { .. } => prop_oneof![
            Just(redis(true)),
            Just(Facts::Redis { master: false, refuses_writes: false, replicas_online: 0, link_up: false }),
        ]
        .boxed(),
        Facts::Sentinel { .. } => prop_oneof![
            name.prop_map(|name| sentinel(name, 2, 2, false)),
            other(2).prop_map(|others| sentinel(Some("redis3"), others, 2, false)),
            other(2).prop_map(|replicas| sentinel(Some("redis3"), 2, replicas, false)),
            Just(sentinel(Some("redis3"), 2, 2, true)),
        ]
        .boxed(),
        Facts::Haproxy { .. } => prop::sample::subsequence(vec!["redis1", "redis2", "redis3"], 0..=3)
            .prop_filter("another one", |up| *up != ["redis3"])
            .prop_map(|up| haproxy(&up))
            .boxed(),
        Facts::Http { .. } => prop_oneof![100..200u16, 300..600u16].prop_map(|status| Facts::Http { status }).boxed(),
        Facts::Worker { .. } => Just(Facts::Worker { consuming: false }).boxed(),
        // It has no fact that could differ; that it does not answer is drawn for every node.
        Facts::Running => Just(Facts::Worker { consuming: false }).boxed(),
    }
}

fn one_change() -> impl Strategy<Value = (usize, Result<Facts, String>)> {
    (0..whole().len()).prop_flat_map(|index| {
        let facts = whole()[index].answer.clone().expect("a whole cluster answers");
        let answer = prop_oneof![
            4 => changed(&facts).prop_map(Ok),
            1 => "[a-z ]{1,12}".prop_map(Err),
        ];
        (Just(index), answer)
    })
}

proptest! {
    #[test]
    fn any_one_fact_away_from_whole_is_noticed((index, answer) in one_change()) {
        let mut all = whole();
        all[index].answer = answer;
        prop_assert!(!missing(&all).is_empty(), "{:?}", all[index]);
    }

    #[test]
    fn the_order_of_the_reports_does_not_matter(change in one_change(), rotate in 0..20usize) {
        let mut all = whole();
        all[change.0].answer = change.1;
        let before: std::collections::BTreeSet<String> = missing(&all).into_iter().collect();
        let by = rotate % all.len();
        all.rotate_left(by);
        let two = before.iter().any(|text| text.contains("at once"));
        let after: std::collections::BTreeSet<String> = missing(&all).into_iter().collect();
        prop_assert!(two || before == after, "{before:?} {after:?}");
    }
}
