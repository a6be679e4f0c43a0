//! The journey `order-api` against a shop that misbehaves: what the history says about it.

mod support;

use firedrill_core::history::{Attempt, AttemptKind, History, OperationOutcome, Operations, Outcome, RejectReason};
use firedrill_load::{RunClock, Settings, Snapshot, Target};
use rstest::rstest;
use std::time::Duration;
use support::{Act, BUSY, NO_QUOTA, Shop, at, attempts, collect, dead_addr, settings, start, target};
use tokio::sync::mpsc;

use AttemptKind::{Lookup, Purchase};
use Outcome::{Acknowledged, InDoubt, NotApplied, NotSent, Rejected};

/// Lets exactly one purchase run to its end.
async fn buy_one(target: &Target, settings: &Settings) -> (History, Snapshot) {
    let (tx, rx) = mpsc::channel(1_000);
    let load = start(target, settings, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let drained = load.stop(Duration::from_secs(20)).await;
    assert_eq!((drained.abandoned, drained.lost_buyers), (0, 0));
    assert_eq!(drained.snapshot.records_lost, 0);
    (collect(rx), drained.snapshot)
}

async fn buy_one_at(shop: &Shop) -> (Vec<Attempt>, OperationOutcome) {
    let (history, _) = buy_one(&target(&[("web-1", shop.addr)]), &settings()).await;
    let operations = Operations::of(&history);
    assert_eq!(operations.len(), 1, "{history:?}");
    let operation = operations.iter().next().expect("one operation").clone();
    (attempts(&history), operation.outcome)
}

fn steps(attempts: &[Attempt]) -> Vec<(AttemptKind, Outcome)> {
    attempts.iter().map(|attempt| (attempt.kind, attempt.outcome)).collect()
}

fn is_acknowledged(outcome: &OperationOutcome) -> bool {
    matches!(outcome, OperationOutcome::Acknowledged { .. })
}

#[tokio::test]
async fn a_confirmed_order_is_recorded_with_everything_that_was_confirmed() {
    let shop = Shop::open([]).await;
    let (attempts, outcome) = buy_one_at(&shop).await;
    let [attempt] = attempts.as_slice() else { panic!("one attempt, not {attempts:?}") };
    assert_eq!((attempt.number, attempt.status, attempt.outcome), (1, Some(201), Acknowledged));
    assert_eq!(attempt.entry.as_str(), "web-1");
    assert!(attempt.intended <= attempt.started && attempt.started <= attempt.ended);
    let order = attempt.order.as_ref().expect("an order");
    assert_eq!((&order.code, &order.email), (&attempt.code, &attempt.email));
    assert_eq!((order.total_cents, order.positions[0].item), (2300, 5));
    assert_eq!(attempt.email, format!("{}@buyers.example.org", attempt.code.to_lowercase()));
    assert!(is_acknowledged(&outcome));
}

#[tokio::test]
async fn too_busy_is_not_applied_and_waits_as_long_as_the_shop_asks() {
    let shop = Shop::open([Act::Answer(409, "retry-after: 1\r\n", BUSY)]).await;
    let (attempts, outcome) = buy_one_at(&shop).await;
    assert_eq!(steps(&attempts), [(Purchase, NotApplied), (Purchase, Acknowledged)]);
    assert!(attempts[1].started.ms_since(attempts[0].ended) >= 999.0, "{attempts:?}");
    assert_eq!(attempts[0].code, attempts[1].code);
    assert!(is_acknowledged(&outcome));
}

#[rstest]
#[case::error_page(Act::CommitThenAnswer(500, "<h1>Server Error (500)</h1>"))]
#[case::reset(Act::CommitThenReset)]
#[case::hang(Act::CommitThenHang)]
#[case::half_an_answer(Act::CommitThenHalfAnAnswer)]
#[case::unreadable(Act::CommitThenAnswer(201, "{}"))]
#[case::concurrent(Act::CommitThenAnswer(409, r#"{"detail":"Concurrent request with idempotency key."}"#))]
#[tokio::test]
async fn an_order_that_was_written_without_an_answer_is_found(#[case] act: Act) {
    let shop = Shop::open([act]).await;
    let (attempts, outcome) = buy_one_at(&shop).await;
    assert_eq!(steps(&attempts), [(Purchase, InDoubt), (Lookup, Acknowledged)]);
    assert_eq!(attempts[1].number, 2);
    assert!(attempts[0].error.is_some());
    assert!(is_acknowledged(&outcome));
    assert_eq!(shop.orders(), 1);
}

#[rstest]
#[case::error_page(Act::Answer(500, "", "<h1>Server Error (500)</h1>"))]
#[case::bad_gateway(Act::Answer(502, "", ""))]
#[case::reset(Act::Reset)]
#[case::hang(Act::Hang)]
#[tokio::test]
async fn an_order_that_was_not_written_is_looked_for_and_sent_again(#[case] act: Act) {
    let shop = Shop::open([act]).await;
    let (attempts, outcome) = buy_one_at(&shop).await;
    let not_found = Rejected(RejectReason::NotFound);
    assert_eq!(steps(&attempts), [(Purchase, InDoubt), (Lookup, not_found), (Purchase, Acknowledged)]);
    assert!(attempts.iter().all(|attempt| attempt.code == attempts[0].code));
    assert!(is_acknowledged(&outcome));
    assert_eq!(shop.orders(), 1);
}

#[tokio::test]
async fn a_code_in_use_is_looked_up() {
    // The lookup fails too, so that the order is sent twice.
    let script = [Act::CommitThenReset, Act::Answer(404, "", r#"{"detail":"Not found."}"#)];
    let shop = Shop::open(script).await;
    let (attempts, outcome) = buy_one_at(&shop).await;
    let expected = [
        (Purchase, InDoubt),
        (Lookup, Rejected(RejectReason::NotFound)),
        (Purchase, Rejected(RejectReason::DuplicateCode)),
        (Lookup, Acknowledged),
    ];
    assert_eq!(steps(&attempts), expected);
    assert!(is_acknowledged(&outcome));
    assert_eq!(shop.orders(), 1);
}

#[rstest]
#[case(400, NO_QUOTA, RejectReason::SoldOut)]
#[case(401, r#"{"detail":"Invalid token."}"#, RejectReason::Unauthorized)]
#[case(400, r#"{"positions":["An order cannot be empty."]}"#, RejectReason::Invalid)]
#[tokio::test]
async fn a_refusal_for_good_ends_the_operation(
    #[case] status: u16,
    #[case] body: &'static str,
    #[case] reason: RejectReason,
) {
    let shop = Shop::open([Act::Answer(status, "", body)]).await;
    let (attempts, outcome) = buy_one_at(&shop).await;
    assert_eq!(steps(&attempts), [(Purchase, Rejected(reason))]);
    assert_eq!(outcome, OperationOutcome::Rejected(reason));
    assert_eq!(shop.requests(), 1);
}

#[tokio::test]
async fn a_dead_entry_point_is_left_for_the_next_at_once() {
    let (dead, shop) = (dead_addr().await, Shop::open([]).await);
    let target = target(&[("web-1", dead), ("web-2", shop.addr)]);
    let (history, snapshot) = buy_one(&target, &settings()).await;
    let attempts = attempts(&history);
    assert_eq!(steps(&attempts), [(Purchase, NotSent), (Purchase, Acknowledged)]);
    assert_eq!(attempts[0].entry.as_str(), "web-1");
    assert_eq!(attempts[1].entry.as_str(), "web-2");
    assert!(attempts[1].started.ms_since(attempts[0].ended) < 240.0, "no back-off");
    assert_eq!((snapshot.not_sent, snapshot.errors), (1, 0), "the customer saw nothing");
}

#[tokio::test]
async fn with_no_entry_point_left_the_buyer_backs_off_and_gives_up() {
    let (one, two) = (dead_addr().await, dead_addr().await);
    let impatient = Settings { patience_ms: 1_000, ..settings() };
    let (history, snapshot) = buy_one(&target(&[("web-1", one), ("web-2", two)]), &impatient).await;
    let operations = Operations::of(&history);
    let operation = operations.iter().next().expect("one operation");
    assert_eq!(operation.outcome, OperationOutcome::NotApplied);
    assert!((4..=8).contains(&operation.attempts), "{} attempts", operation.attempts);
    assert_eq!((snapshot.gave_up, snapshot.in_flight), (1, 0));
    assert!(snapshot.errors >= 2);
}

#[tokio::test]
async fn a_connection_reset_before_it_was_read_loses_no_order() {
    let shop = Shop::open([]).await;
    shop.reset_on_accept(1);
    let (attempts, outcome) = buy_one_at(&shop).await;
    assert!(matches!(attempts[0].outcome, InDoubt | NotSent), "{attempts:?}");
    assert!(is_acknowledged(&outcome));
    assert_eq!(shop.orders(), 1);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_is_no_attempt() {
    let shop = Shop::open([Act::ServeAndClose, Act::ServeAndClose, Act::ServeAndClose]).await;
    let (tx, rx) = mpsc::channel(1_000);
    let brisk = Settings { model: at(10.0), ..settings() };
    let load = start(&target(&[("web-1", shop.addr)]), &brisk, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(550)).await;
    load.stop(Duration::from_secs(5)).await;
    let attempts = attempts(&collect(rx));
    assert!(attempts.len() >= 5);
    assert!(attempts.iter().all(|attempt| attempt.outcome == Acknowledged), "{attempts:?}");
    assert_eq!(shop.connections(), 4, "one more after each close, then it is kept");
}

#[tokio::test]
async fn patience_is_counted_from_the_intended_start() {
    let shop = Shop::open(std::iter::repeat_n(Act::Hang, 50)).await;
    let impatient = Settings { patience_ms: 900, ..settings() };
    let (history, snapshot) = buy_one(&target(&[("web-1", shop.addr)]), &impatient).await;
    let operations = Operations::of(&history);
    let operation = operations.iter().next().expect("one operation");
    assert_eq!(operation.outcome, OperationOutcome::InDoubt);
    let ms = operation.completed.ms_since(operation.intended);
    assert!((250.0..1_500.0).contains(&ms), "{ms} ms");
    assert_eq!(snapshot.gave_up, 1);
}
