//! Preflight and readiness probes.

mod support;

use firedrill_core::history::Outcome;
use firedrill_core::ids::{OpId, RunId};
use firedrill_load::{
    ApiToken, OrderCodes, PROBE_OPS_FROM, PreflightError, RunClock, Target, Uses, preflight, purchase_once,
};
use rstest::rstest;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use support::web::{Twist, WebShop};
use support::{Act, Shop, dead_addr, shipped, target};

const DEADLINE: Duration = Duration::from_millis(400);

const API: Uses = Uses { pages: false, api: true, buys: true };

const PAGES: Uses = Uses { pages: true, api: false, buys: true };

#[tokio::test]
async fn a_sound_target_passes_even_if_its_first_entry_point_is_dead() {
    let (dead, shop) = (dead_addr().await, Shop::open([]).await);
    let target = target(&[("web-1", dead), ("web-2", shop.addr)]);
    assert_eq!(preflight(&target, API, DEADLINE).await, Ok(()));
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
    let error = preflight(&target(&[("web-1", shop.addr)]), API, DEADLINE).await.expect_err("a wrong target");
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn a_shop_that_does_not_answer_is_given_up_in_time() {
    let shop = Shop::open([Act::Hang]).await;
    let begun = Instant::now();
    let error = preflight(&target(&[("web-1", shop.addr)]), API, DEADLINE).await.expect_err("a silent shop");
    assert!(matches!(&error, PreflightError::Unreachable { last, .. } if last == "timeout"), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(900));
}

/// A look at the page of a shop, by somebody without a token.
async fn look(shop: SocketAddr, uses: Uses) -> Result<(), PreflightError> {
    let target = Target { api_token: ApiToken::new(""), ..target(&[("web-1", shop)]) };
    preflight(&target, uses, DEADLINE).await
}

#[rstest]
#[case::web_checkout("web-checkout", Ok(()))]
#[case::browse("browse", Ok(()))]
#[case::gic("gic-2020", Err("the journeys use the API, which answers nobody without a token"))]
#[tokio::test]
async fn without_a_token_the_page_is_asked_and_not_the_api(#[case] journey: &str, #[case] says: Result<(), &str>) {
    let shop = WebShop::new([("GET /org/fair/", Twist::Redirect("/org/fair/?require_cookie=true"))]);
    let looked = look(shop.node().await, Uses::of([&shipped(journey)])).await.map_err(|error| error.to_string());
    match says {
        Ok(()) => assert_eq!(looked, Ok(())),
        Err(says) => assert!(looked.as_ref().is_err_and(|error| error.contains(says)), "{looked:?}"),
    }
    assert_eq!(shop.log(), ["GET /org/fair/", "GET /org/fair/"], "the page, over its redirection, and nothing else");
}

const CART: &str = r#"<form method="post" action="/org/fair/cart/add">"#;

#[rstest]
#[case::wrong_url(200, "<h1>It works!</h1>", "no page of a Pretix (200): It works!")]
#[case::wrong_path(404, "<h1>404 nginx</h1>", "no page of a Pretix (404)")]
#[case::wrong_host(400, "<h1>Unknown domain</h1>", "Host header")]
#[case::no_such_event(404, r#"<img src="/static/pretixpresale/x.png">"#, "the shop has no such event")]
#[case::not_live(403, "<p>The selected ticket shop is currently not available.", "not live")]
#[case::sold_out(200, &format!(r#"{CART}<article id="item-5"><strong class="gone">SOLD OUT"#), "item 5 is sold out")]
#[case::no_such_item(200, &format!(r#"{CART}<input name="item_7">"#), "does not offer item 5. Check")]
#[case::ill(502, "", "answered 502")]
#[tokio::test]
async fn a_wrong_page_is_explained(#[case] status: u16, #[case] body: &str, #[case] says: &str) {
    let shop = Shop::open([Act::Answer(status, "", body.to_owned().leak())]).await;
    let error = look(shop.addr, PAGES).await.expect_err("a wrong page").to_string();
    assert!(error.contains(says) && error.contains("web-1"), "{error}");
}

#[tokio::test]
async fn a_token_that_is_given_is_tried_after_the_page() {
    let page = r#"<form method="post" action="/org/fair/cart/add"><input name="item_5">"#;
    let refused = Act::Answer(401, "", r#"{"detail":"Invalid token."}"#);
    let shop = Shop::open([Act::Answer(200, "", page), refused]).await;
    let error = preflight(&target(&[("web-1", shop.addr)]), PAGES, DEADLINE).await.expect_err("a wrong token");
    assert!(error.to_string().contains("refused the API token (401)"), "{error}");
}

#[tokio::test]
async fn who_only_looks_may_look_at_what_is_sold_out() {
    let page = r#"<form method="post" action="/org/fair/cart/add"><article id="item-5"><b class="gone">SOLD OUT"#;
    let shop = Shop::open([Act::Answer(200, "", page)]).await;
    assert_eq!(look(shop.addr, Uses { buys: false, ..PAGES }).await, Ok(()));
}

#[rstest]
#[case::out_of_the_shop("location: https://elsewhere.example/\r\n", 1)]
#[case::in_a_circle("location: https://localhost/org/fair/\r\n", 6)]
#[tokio::test]
async fn a_shop_that_leads_elsewhere_is_explained(#[case] header: &'static str, #[case] requests: u64) {
    let shop = Shop::open(std::iter::repeat_n(Act::Answer(302, header, ""), 10)).await;
    let error = look(shop.addr, PAGES).await.expect_err("elsewhere").to_string();
    assert!(error.contains("sends its visitors to"), "{error}");
    assert_eq!(shop.requests(), requests);
}

#[tokio::test]
async fn a_page_that_never_comes_is_given_up_in_time() {
    let shop = Shop::open([Act::Hang]).await;
    let begun = Instant::now();
    let error = look(shop.addr, PAGES).await.expect_err("a silent shop");
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
