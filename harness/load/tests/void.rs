//! A load that does not do what was planned is void; one whose shop does not is not.

mod support;

use firedrill_core::history::Event;
use firedrill_core::load::{Curve, Gaps, Model, Point};
use firedrill_load::{RunClock, Settings};
use std::time::Duration;
use support::{Act, Shop, at, collect, settings, start, target, until};
use tokio::sync::mpsc;

/// All purchases in two seconds, and then no more.
fn burst(per_s: f64) -> Model {
    let points = [(0.0, 1.0), (2.0, 1.0), (2.0, 0.0)].map(|(at_s, share)| Point { at_s, share });
    Model::Open { curve: Curve::new(per_s, &points).expect("a curve"), gaps: Gaps::Even }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_10000_arrivals_five_find_a_buyer_and_all_others_are_counted() {
    let shop = Shop::open(std::iter::repeat_n(Act::Hang, 100)).await;
    let (tx, rx) = mpsc::channel(20_000);
    let settings = Settings { model: burst(5_000.0), buyers: 5, attempt_timeout_ms: 30_000, ..settings() };
    let settings = Settings { patience_ms: 60_000, ..settings };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    let view = load.view();
    until("the last arrival", || view.snapshot().over).await;
    let live = view.snapshot();
    assert_eq!((live.arrivals, live.refused, live.in_flight, live.users_active), (10_000, 9_995, 5, 5));
    let drained = load.stop(Duration::from_millis(100)).await;
    assert_eq!((drained.abandoned, drained.snapshot.refused, drained.snapshot.records_lost), (5, 9_995, 0));
    assert_eq!(drained.void, None, "a shop that stalls does not void the load");
    let refused = collect(rx).events.iter().filter(|event| matches!(event, Event::Refused(_))).count();
    assert_eq!(refused, 9_995);
}

#[tokio::test]
async fn whoever_reads_the_figures_does_not_keep_the_records_open() {
    let shop = Shop::open([]).await;
    let (tx, mut rx) = mpsc::channel(20_000);
    let load = start(&target(&[("web-1", shop.addr)]), &settings(), RunClock::start(), tx).expect("a load");
    let view = load.view();
    until("a purchase", || view.snapshot().acknowledged > 0).await;
    load.stop(Duration::from_secs(5)).await;
    // A history is complete when nobody can add to it any more.
    let end = async { while rx.recv().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), end).await.expect("the records end with the load");
    assert!(view.snapshot().over, "the figures are still there");
}

#[tokio::test]
async fn a_load_whose_buyers_are_late_ends_and_says_why() {
    let shop = Shop::open([]).await;
    let (tx, _rx) = mpsc::channel(20_000);
    let settings = Settings { model: at(100.0), buyers: 2_000, attempt_timeout_ms: 5_000, ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    let view = load.view();
    until("the first purchases", || view.snapshot().acknowledged > 10).await;
    assert_eq!(view.void(), None);
    // The machine is busy with something else: this thread is the only one that serves the buyers.
    std::thread::sleep(Duration::from_millis(1_500));
    until("the load is void", || view.void().is_some()).await;
    until("arrivals end", || view.snapshot().over).await;
    let drained = load.stop(Duration::from_secs(5)).await;
    let why = drained.void.expect("void");
    assert!(why.contains("the load was late") && why.contains("free the machine"), "{why}");
    assert!(drained.snapshot.late >= 30, "{} late", drained.snapshot.late);
    assert!(drained.snapshot.at.as_s() < 25.0, "it ended early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poisson_arrivals_are_the_same_again() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let shop = Shop::open([]).await;
        let (tx, rx) = mpsc::channel(20_000);
        let Model::Open { curve, .. } = burst(50.0) else { panic!("an open model") };
        let settings = Settings { model: Model::Open { curve, gaps: Gaps::Poisson }, buyers: 500, ..settings() };
        let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
        let view = load.view();
        until("the last arrival", || view.snapshot().over).await;
        let drained = load.stop(Duration::from_secs(5)).await;
        let begins = drained.snapshot.started;
        let mut dues: Vec<u64> = collect(rx).attempts().map(|attempt| attempt.intended.0 - begins.0).collect();
        dues.sort_unstable();
        assert_eq!(drained.snapshot.refused, 0);
        assert!((60..=140).contains(&dues.len()), "{} of about 100", dues.len());
        seen.push(dues);
    }
    assert_eq!(seen[0], seen[1]);
}
