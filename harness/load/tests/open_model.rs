//! The open model: rate, refusals, coordinated omission, start lag, end of the load.

mod support;

use firedrill_core::history::{Event, OperationOutcome, Operations};
use firedrill_core::ids::{OpId, RunId};
use firedrill_load::{OrderCodes, RunClock, Settings, StartError};
use std::collections::HashSet;
use std::time::Duration;
use support::{Act, Shop, at, attempts, collect, settings, start, target, until};
use tokio::sync::mpsc;

fn percentile(mut values: Vec<f64>, quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * quantile) as usize]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shows_in_the_latency_from_the_intended_start() {
    let shop = Shop::open([]).await;
    let (tx, rx) = mpsc::channel(10_000);
    let settings = Settings { model: at(200.0), buyers: 400, attempt_timeout_ms: 5_000, ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_secs(2)).await;
    shop.stall(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let drained = load.stop(Duration::from_secs(10)).await;
    let history = collect(rx);
    let latencies: Vec<f64> = Operations::of(&history).iter().map(|op| op.latency_ms()).collect();
    assert!((900..=1_100).contains(&latencies.len()), "{} operations", latencies.len());
    let p99_ms = percentile(latencies, 0.99);
    assert!(p99_ms >= 800.0, "p99 {p99_ms} ms: the stall was hidden");
    let live_ms = drained.snapshot.latency_p99_ms.expect("latencies");
    assert!((live_ms - p99_ms).abs() < 50.0, "live {live_ms}, history {p99_ms}");
    assert_eq!((drained.snapshot.refused, drained.snapshot.records_lost), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrivals_that_find_no_free_buyer_are_refused_and_recorded() {
    let shop = Shop::open(std::iter::repeat_n(Act::Hang, 100)).await;
    let (tx, rx) = mpsc::channel(10_000);
    let settings = Settings { model: at(100.0), buyers: 2, attempt_timeout_ms: 5_000, ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let live = load.snapshot();
    assert_eq!(live.in_flight, 2);
    let drained = load.stop(Duration::from_millis(50)).await;
    assert_eq!(drained.abandoned, 2);
    let history = collect(rx);
    let refused = history.events.iter().filter(|event| matches!(event, Event::Refused(_))).count();
    assert!(refused >= 40, "{refused}");
    assert_eq!(drained.snapshot.refused, refused as u64);
    assert_eq!(drained.snapshot.arrivals, refused as u64 + 2);
    for operation in Operations::of(&history).iter() {
        assert_eq!(operation.outcome, OperationOutcome::InDoubt, "cut off, and recorded as such");
    }
    assert_eq!(attempts(&history).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_wait_for_a_slow_reader_without_holding_up_the_pacing() {
    let shop = Shop::open(std::iter::repeat_n(Act::Hang, 100)).await;
    let (tx, mut rx) = mpsc::channel(2);
    let settings = Settings { model: at(500.0), buyers: 1, attempt_timeout_ms: 5_000, ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let live = load.snapshot();
    assert!(live.arrivals >= 150, "{} arrivals: the pacing waited for the reader", live.arrivals);
    let reader = tokio::spawn(async move {
        let mut refused = 0;
        while let Some(event) = rx.recv().await {
            refused += u64::from(matches!(event, Event::Refused(_)));
        }
        refused
    });
    let drained = load.stop(Duration::from_millis(200)).await;
    assert_eq!(drained.snapshot.records_lost, 0);
    assert_eq!(reader.await.expect("the reader"), drained.snapshot.refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_gone_is_counted() {
    let shop = Shop::open([]).await;
    let (tx, rx) = mpsc::channel(2);
    drop(rx);
    let settings = Settings { model: at(50.0), ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(load.stop(Duration::from_secs(2)).await.snapshot.records_lost > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purchases_begin_on_time() {
    let shop = Shop::open([]).await;
    let (tx, mut rx) = mpsc::channel(10_000);
    let reader = tokio::spawn(async move { while rx.recv().await.is_some() {} });
    let settings = Settings { model: at(2_000.0), buyers: 200, attempt_timeout_ms: 5_000, ..settings() };
    let clock = RunClock::start();
    let load = start(&target(&[("web-1", shop.addr)]), &settings, clock, tx).expect("a load");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let at_most = clock.now().as_s() * 2_000.0;
    let arrivals = load.snapshot().arrivals as f64;
    let snapshot = load.stop(Duration::from_secs(5)).await.snapshot;
    reader.await.expect("the reader");
    println!("start lag {:?}, refused {}", snapshot.start_lag, snapshot.refused);
    assert!(arrivals >= at_most * 0.9 && arrivals <= at_most * 1.1 + 400.0, "{arrivals} of {at_most}");
    // The shop of this test shares two cores with the load and with other tests: a generous bound, which
    // an asynchronous timer (992 us) would miss nevertheless.
    assert!(snapshot.start_lag.p50_us <= 500, "{:?}", snapshot.start_lag);
}

#[tokio::test]
async fn buyers_take_turns_and_with_them_the_entry_points() {
    let (one, two) = (Shop::open([]).await, Shop::open([]).await);
    let (tx, rx) = mpsc::channel(1_000);
    let settings = Settings { model: at(100.0), buyers: 4, ..settings() };
    let target = target(&[("web-1", one.addr), ("web-2", two.addr)]);
    let load = start(&target, &settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let drained = load.stop(Duration::from_secs(5)).await;
    let (first, second) = (one.requests() as f64, two.requests() as f64);
    assert!((0.7..1.4).contains(&(first / second)), "{first} and {second}");
    assert_eq!(one.connections() + two.connections(), 4, "one connection a buyer, which is kept");
    let attempts = attempts(&collect(rx));
    let codes: HashSet<&str> = attempts.iter().map(|attempt| attempt.code.as_str()).collect();
    assert_eq!(codes.len() as u64, drained.snapshot.acknowledged);
    let expected = OrderCodes::new(7, &RunId::new("test")).code(OpId(0));
    assert!(codes.contains(expected.as_str()));
}

#[tokio::test]
async fn live_figures_tell_when_sales_go_well_again() {
    let shop = Shop::open([]).await;
    let (tx, _rx) = mpsc::channel(10_000);
    let clock = RunClock::start();
    let settings = Settings { model: at(50.0), buyers: 200, ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, clock, tx).expect("a load");
    let view = load.view();
    assert!(!view.snapshot().serves_cleanly_for(300), "too early");
    until("sales go well", || view.snapshot().serves_cleanly_for(300)).await;
    let errors_before = view.snapshot().errors;
    shop.stall(Duration::from_millis(900));
    let stalled = clock.now();
    until("buyers notice", || view.snapshot().errors > errors_before).await;
    assert!(!view.snapshot().serves_cleanly_for(300));
    until("sales again", || view.snapshot().served_since(stalled.plus_ms(900))).await;
    until("sales go well again", || view.snapshot().serves_cleanly_for(300)).await;
    load.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn dropping_the_handle_ends_the_load() {
    let shop = Shop::open([]).await;
    let (tx, _rx) = mpsc::channel(1_000);
    let settings = Settings { model: at(100.0), buyers: 10, ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(load);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let requests = shop.requests();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shop.requests(), requests);
}

#[test]
fn a_load_without_a_runtime_is_refused() {
    let target = target(&[("web-1", ([127, 0, 0, 1], 9).into())]);
    let (tx, _rx) = mpsc::channel(1);
    let started = start(&target, &settings(), RunClock::start(), tx);
    assert!(matches!(started, Err(StartError::NoRuntime)));
}
