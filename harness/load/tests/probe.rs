//! Preflight and readiness probes.

mod support;

use firedrill_core::history::Outcome;
use firedrill_core::ids::{OpId, RunId};
use firedrill_load::{OrderCodes, PROBE_OPS_FROM, PreflightError, RunClock, Target, preflight, purchase_once};
use rstest::rstest;
use std::time::{Duration, Instant};
use support::{Act, Shop, dead_addr, target};

const DEADLINE: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_sound_target_passes_even_if_its_first_entry_point_is_dead() {
    let (dead, shop) = (dead_addr().await, Shop::open([]).await);
    let target = target(&[("web-1", dead), ("web-2", shop.addr)]);
    assert_eq!(preflight(&target, DEADLINE).await, Ok(()));
}

#[rstest]
#[case(401, r#"{"detail":"Invalid token."}"#, "API token")]
#[case(403, r#"{"detail":"You do not have permission to perform this action."}"#, "no such event")]
#[case(404, r#"{"detail":"Not found."}"#, "no item 5")]
#[case(400, "<h1>Unknown domain</h1>", "Host header")]
#[case(500, "<h1>Server Error (500)</h1>", "answered 500")]
#[case(200, "<html>It works!</html>", "It works!")]
#[case(200, r#"{"id":5,"active":false}"#, "not active")]
#[tokio::test]
async fn a_wrong_target_is_explained(#[case] status: u16, #[case] body: &'static str, #[case] says: &str) {
    let shop = Shop::open([Act::Answer(status, "", body)]).await;
    let error = preflight(&target(&[("web-1", shop.addr)]), DEADLINE).await.expect_err("a wrong target");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn a_shop_that_does_not_answer_is_given_up_in_time() {
    let shop = Shop::open([Act::Hang]).await;
    let begun = Instant::now();
    let error = preflight(&target(&[("web-1", shop.addr)]), DEADLINE).await.expect_err("a silent shop");
    assert!(matches!(&error, PreflightError::Unreachable { last, .. } if last == "timeout"), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(900));
}

async fn probe(target: &Target) -> firedrill_core::history::Attempt {
    let codes = OrderCodes::new(7, &RunId::new("test"));
    let op = OpId(PROBE_OPS_FROM);
    purchase_once(target, &target.entries[0], &codes, op, &RunClock::start(), DEADLINE).await.expect("a sound target")
}

#[tokio::test]
async fn a_probe_buys_one_real_ticket_through_the_given_entry_point() {
    let shop = Shop::open([]).await;
    let attempt = probe(&target(&[("web-1", shop.addr)])).await;
    assert_eq!((attempt.outcome, attempt.entry.as_str()), (Outcome::Acknowledged, "web-1"));
    assert_eq!(shop.orders(), 1);
}

#[rstest]
#[case(Some(Act::Hang), Outcome::InDoubt)]
#[case(Some(Act::Answer(503, "", "")), Outcome::InDoubt)]
#[case(None, Outcome::NotSent)]
#[tokio::test]
async fn a_probe_that_sells_nothing_says_why(#[case] act: Option<Act>, #[case] outcome: Outcome) {
    let addr = match act {
        Some(act) => Shop::open([act]).await.addr,
        None => dead_addr().await,
    };
    let attempt = probe(&target(&[("web-1", addr)])).await;
    assert_eq!(attempt.outcome, outcome);
    assert!(attempt.error.is_some() && attempt.order.is_none());
}
