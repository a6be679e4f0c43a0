//! The closed model: hatching, rounds, thinking, and its end.

mod support;

use firedrill_core::history::{At, Attempt};
use firedrill_core::ids::{BuyerId, OpId};
use firedrill_core::load::{Model, Users};
use firedrill_load::{RunClock, Settings};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};
use support::{Shop, attempts, collect, settings, start, target, until};
use tokio::sync::mpsc;

fn users(users: Users) -> Settings {
    Settings { model: Model::Closed(users), attempt_timeout_ms: 5_000, ..settings() }
}

fn by_user(attempts: &[Attempt]) -> BTreeMap<BuyerId, Vec<&Attempt>> {
    let mut users: BTreeMap<BuyerId, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        users.entry(attempt.buyer).or_default().push(attempt);
    }
    users
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_hatch_walk_their_rounds_and_are_through() {
    let shop = Shop::open([]).await;
    let (tx, rx) = mpsc::channel(1_000);
    let settings = users(Users { count: 20, hatch_per_s: 40.0, rounds: 3, think_ms: 50 });
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    let view = load.view();
    until("all are through", || view.snapshot().over).await;
    let end = view.snapshot();
    assert_eq!((end.in_flight, end.users_active, end.acknowledged, end.refused), (0, 0, 60, 0));
    let drained = load.stop(Duration::from_secs(5)).await;
    assert_eq!((drained.void, drained.abandoned, drained.lost_buyers), (None, 0, 0));
    let attempts = attempts(&collect(rx));
    let ops: HashSet<OpId> = attempts.iter().map(|attempt| attempt.op).collect();
    assert_eq!((attempts.len(), ops.len()), (60, 60), "every round is an operation of its own");
    let users = by_user(&attempts);
    assert_eq!(users.len(), 20);
    for (user, rounds) in users {
        let due = At(end.started.0 + u64::from(user.0) * 25_000_000);
        assert!(rounds[0].intended >= due, "user {} hatched before his time", user.0);
        assert!(rounds[0].intended.ms_since(due) < 1_000.0, "user {} hatched late", user.0);
        assert_eq!(rounds.len(), 3);
        for pair in rounds.windows(2) {
            let thought_ms = pair[1].intended.ms_since(pair[0].ended);
            assert!(pair[1].intended >= pair[0].ended, "a user overlaps with himself");
            assert!((49.0..1_000.0).contains(&thought_ms), "thought for {thought_ms} ms");
        }
    }
    assert_eq!(shop.connections(), 20, "one connection a user, which is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_shop_is_asked_less_often() {
    let shop = Shop::open([]).await;
    let (tx, rx) = mpsc::channel(100_000);
    let settings = users(Users { count: 4, hatch_per_s: 1_000.0, rounds: 0, think_ms: 10 });
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    let view = load.view();
    until("sales go well", || view.snapshot().acknowledged > 40).await;
    assert_eq!(view.snapshot().users_active, 4);
    shop.stall(Duration::from_millis(600));
    let asked = shop.requests();
    let before = view.snapshot().arrivals;
    until("the stall is over", || shop.requests() > asked + 8).await;
    assert!(view.snapshot().arrivals >= before, "arrivals never fall");
    let drained = load.stop(Duration::from_secs(5)).await;
    let slow = attempts(&collect(rx)).iter().filter(|attempt| attempt.service_ms() > 400.0).count();
    assert_eq!(slow, 4, "each user waited once, and nobody was sent meanwhile");
    assert!(drained.snapshot.over);
    assert_eq!(drained.void, None);
}

#[tokio::test]
async fn users_who_think_go_home_at_once() {
    let shop = Shop::open([]).await;
    let (tx, _rx) = mpsc::channel(1_000);
    let settings = users(Users { count: 5, hatch_per_s: 2.0, rounds: 0, think_ms: 3_600_000 });
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    until("the first has bought", || load.snapshot().acknowledged >= 1).await;
    assert!(!load.snapshot().over);
    let asked = Instant::now();
    let drained = load.stop(Duration::from_secs(30)).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!((drained.abandoned, drained.snapshot.users_active), (0, 0));
}
