//! Journeys with pages against a shop that misbehaves: what the history says about it.

mod support;

use firedrill_core::history::{Attempt, AttemptKind, OperationOutcome, Operations, Outcome, RejectReason};
use firedrill_core::load::Journey as Model;
use firedrill_core::source::Source;
use firedrill_load::journey::Script;
use firedrill_load::{ApiToken, Breakdown, RunClock, Settings, Snapshot, Target, start_journey};
use rstest::rstest;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use support::web::{Twist, WebShop};
use support::{attempts, collect, dead_addr, settings, shipped, target};
use tokio::sync::mpsc;

use AttemptKind::{Lookup, Prepare, Purchase, Redeem, Visit};
use Outcome::{Acknowledged, InDoubt, NotApplied, NotSent, Passed, Pending, Rejected};

/// The journey `web-checkout` without its waits.
const CHECKOUT: &str = r#"
name: web-checkout
description: d
steps:
  - page: {group: event, path: "/{organizer}/{event}/", assets: true}
  - submit: {group: cart, form: cart/add, fill: {"item_*": "0", "item_{item}": "1"}, background: true}
  - page: {group: start, path: "/{organizer}/{event}/checkout/start", assets: true}
  - submit: {group: questions, form: checkout/questions, fill: {email: "{email}", "*question_*": "3"}}
  - submit: {group: payment, form: checkout/payment, fill: {payment: manual}}
  - submit: {group: confirm, form: checkout/confirm, background: true, purchase: true}
"#;

fn journey(text: &str) -> Model {
    Model::parse(&Source::new("j.yaml", text)).expect("a journey")
}

struct Walked {
    attempts: Vec<Attempt>,
    outcome: OperationOutcome,
    figures: Snapshot,
    breakdown: Breakdown,
    /// Of the operation, as the history has it.
    latency_ms: f64,
}

impl Walked {
    /// Kinds, groups and outcomes, those that follow one another and are alike once.
    fn story(&self) -> Vec<(AttemptKind, &str, Outcome)> {
        let mut story: Vec<_> =
            self.attempts.iter().map(|attempt| (attempt.kind, attempt.group.as_str(), attempt.outcome)).collect();
        story.dedup();
        story
    }

    /// Outcomes of one group.
    fn of(&self, group: &str) -> Vec<(AttemptKind, Outcome)> {
        let mut of: Vec<_> = self.attempts.iter().filter(|attempt| attempt.group == group).collect();
        of.dedup_by_key(|attempt| (attempt.kind, attempt.outcome));
        of.iter().map(|attempt| (attempt.kind, attempt.outcome)).collect()
    }

    fn is_acknowledged(&self) -> bool {
        matches!(self.outcome, OperationOutcome::Acknowledged { .. })
    }
}

/// Lets exactly one buyer walk to his end.
async fn walk_with(target: &Target, settings: &Settings, text: &str) -> Walked {
    let script = Script::new(settings, vec![(journey(text), 1)]).expect("a script");
    let (tx, rx) = mpsc::channel(10_000);
    let load = start_journey(target, settings, script, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let drained = load.stop(Duration::from_secs(30)).await;
    assert_eq!((drained.abandoned, drained.lost_buyers, drained.snapshot.records_lost), (0, 0, 0));
    let history = collect(rx);
    let operations = Operations::of(&history);
    assert_eq!(operations.len(), 1, "{history:?}");
    let operation = operations.iter().next().expect("one operation");
    Walked {
        attempts: attempts(&history),
        outcome: operation.outcome.clone(),
        figures: drained.snapshot,
        breakdown: drained.breakdown,
        latency_ms: operation.latency_ms(),
    }
}

async fn walk_at(shop: &WebShop, text: &str) -> Walked {
    let node = shop.node().await;
    walk_with(&shop_target(&[("web-1", node)]), &patient(), text).await
}

fn shop_target(entries: &[(&str, SocketAddr)]) -> Target {
    target(entries)
}

fn patient() -> Settings {
    Settings { attempt_timeout_ms: 2_000, ..settings() }
}

#[tokio::test]
async fn a_purchase_in_the_browser_is_recorded_step_by_step() {
    let shop = WebShop::new([]);
    let walked = walk_at(&shop, CHECKOUT).await;
    let story = [
        (Prepare, "event", Passed),
        (Prepare, "cart", Passed),
        (Prepare, "start", Passed),
        (Prepare, "questions", Passed),
        (Prepare, "payment", Passed),
        (Purchase, "confirm", Pending),
        (Lookup, "confirm", Pending),
        (Lookup, "confirm", Passed),
        (Lookup, "confirm", Acknowledged),
    ];
    assert_eq!(walked.story(), story);
    assert!(walked.is_acknowledged());
    let last = walked.attempts.last().expect("attempts");
    let order = last.order.as_ref().expect("an order");
    assert_eq!((order.code.as_str(), order.secret.as_str(), order.total_cents), ("C1", "secret", 2300));
    assert_eq!((&order.email, order.positions[0].item, order.positions[0].id), (&last.email, 5, None));
    assert!(walked.attempts.iter().all(|attempt| attempt.code.is_empty()), "the shop chooses the code");
    assert_eq!(walked.attempts.iter().map(|attempt| attempt.number).max(), Some(walked.attempts.len() as u32));
    assert_eq!((walked.figures.acknowledged, walked.figures.errors), (1, 0));
    assert_eq!(shop.sold().len(), 1);
}

#[tokio::test]
async fn forms_are_sent_as_a_browser_sends_them() {
    let shop = WebShop::new([]);
    walk_at(&shop, CHECKOUT).await;
    let add = shop.asked("POST /org/fair/cart/add");
    let token = "csrfmiddlewaretoken=token%261";
    assert_eq!(add[0].1, format!("csrf=1 {token}&item_5=1&item_6=0&ajax=1"));
    let questions = shop.asked("POST /org/fair/checkout/questions/");
    let (cookies, body) = questions[0].1.split_once(" csrfm").expect("cookies and body");
    assert!(cookies.contains("csrf=1") && cookies.contains("session=s"), "{cookies}");
    assert!(body.contains("%40buyers.example.org&7-question_3=3"), "{body}");
    let payment = shop.asked("POST /org/fair/checkout/payment/");
    assert!(payment[0].1.ends_with("&payment=manual"), "{payment:?}");
}

#[tokio::test]
async fn assets_are_fetched_once_and_only_from_the_shop() {
    let shop = WebShop::new([("GET /static/i.png", Twist::Answer(404, ""))]);
    let walked = walk_at(&shop, CHECKOUT).await;
    let log = shop.log();
    for asset in ["GET /static/a.css", "GET /static/b.js", "GET /static/i.png"] {
        assert_eq!(log.iter().filter(|line| *line == asset).count(), 1, "{asset}: {log:?}");
    }
    assert!(!log.contains(&"GET /x.png".to_owned()));
    assert!(walked.is_acknowledged(), "a page without its icon is still a page");
}

#[tokio::test]
async fn sold_out_is_known_from_the_cart_on() {
    let shop = WebShop::new([(
        "POST /org/fair/cart",
        Twist::Fail("Some of the products you selected are no longer available."),
    )]);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert_eq!(walked.of("cart"), [(Prepare, Passed), (Prepare, Rejected(RejectReason::SoldOut))]);
    assert_eq!(walked.outcome, OperationOutcome::Rejected(RejectReason::SoldOut));
    assert_eq!((walked.figures.sold_out, walked.figures.errors), (1, 0));
}

const BUSY: &str = "We were not able to process your request completely as the server was too busy. Please try again.";
const UNEXPECTED: &str = "An unexpected error has occurred, please try again later.";

#[tokio::test]
async fn too_busy_is_clicked_again() {
    let shop = WebShop::new([("POST /org/fair/checkout/confirm/", Twist::Fail(BUSY))]);
    let walked = walk_at(&shop, CHECKOUT).await;
    let confirm = [
        (Purchase, Pending),
        (Lookup, NotApplied),
        (Purchase, Pending),
        (Lookup, Pending),
        (Lookup, Passed),
        (Lookup, Acknowledged),
    ];
    assert_eq!(walked.of("confirm"), confirm);
    assert!(walked.is_acknowledged());
    assert_eq!(shop.sold().len(), 1);
}

#[rstest]
#[case::result_says_error(Twist::SellThenFail(UNEXPECTED))]
#[case::result_says_empty(Twist::SellThenFail("Your cart is empty."))]
#[case::connection_reset(Twist::DoThenReset)]
#[tokio::test]
async fn an_order_that_was_placed_unseen_is_found_by_its_email(#[case] twist: Twist) {
    let shop = WebShop::new([("POST /org/fair/checkout/confirm/", twist)]);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert_eq!(walked.of("confirm").last(), Some(&(Lookup, Acknowledged)), "{:?}", walked.story());
    assert!(walked.of("confirm").iter().any(|(_, outcome)| *outcome == InDoubt));
    let order = walked.attempts.last().and_then(|attempt| attempt.order.clone()).expect("an order");
    assert_eq!((order.code.as_str(), order.positions[0].id), ("C1", Some(1)), "as the API has it");
    assert!(walked.is_acknowledged());
    assert_eq!(shop.sold().len(), 1);
}

#[rstest]
#[case::error_page(Twist::Answer(500, "<h1>Server Error (500)</h1>"))]
#[case::bad_gateway(Twist::Answer(502, ""))]
#[case::reset(Twist::Reset)]
#[case::unexpected(Twist::Fail(UNEXPECTED))]
#[tokio::test]
async fn an_order_that_was_not_placed_is_looked_for_and_clicked_again(#[case] twist: Twist) {
    let shop = WebShop::new([("POST /org/fair/checkout/confirm/", twist)]);
    let walked = walk_at(&shop, CHECKOUT).await;
    let story = walked.of("confirm");
    assert!(story.contains(&(Lookup, Rejected(RejectReason::NotFound))), "{story:?}");
    assert_eq!(story.last(), Some(&(Lookup, Acknowledged)));
    assert_eq!(shop.sold().len(), 1);
    let log = shop.log();
    assert_eq!(log.iter().filter(|line| *line == "POST /org/fair/cart/add").count(), 1, "the same cart: {log:?}");
}

#[tokio::test]
async fn a_result_that_never_comes_is_looked_for_by_email() {
    let shop = WebShop::new([("POST /org/fair/checkout/confirm/", Twist::LoseResult)]);
    let node = shop.node().await;
    let hasty = Settings { patience_ms: 4_000, ..patient() };
    let walked = walk_with(&shop_target(&[("web-1", node)]), &hasty, CHECKOUT).await;
    assert_eq!(walked.of("confirm"), [(Purchase, Pending), (Lookup, Pending), (Lookup, Acknowledged)]);
    let polls = walked.attempts.iter().filter(|attempt| attempt.outcome == Pending).count();
    assert!((6..=14).contains(&polls), "{polls} polls in 3 s");
    assert!(walked.is_acknowledged());
}

#[tokio::test]
async fn without_a_token_nobody_can_be_asked_and_the_purchase_stays_open() {
    let shop = WebShop::new([("POST /org/fair/checkout/confirm/", Twist::SellThenFail(UNEXPECTED))]);
    let node = shop.node().await;
    let target = Target { api_token: ApiToken::new(""), ..shop_target(&[("web-1", node)]) };
    let hasty = Settings { patience_ms: 3_000, ..patient() };
    let walked = walk_with(&target, &hasty, CHECKOUT).await;
    assert_eq!(walked.outcome, OperationOutcome::InDoubt);
    assert!(!shop.log().iter().any(|line| line.contains("/api/")));
    assert_eq!((shop.sold().len(), walked.figures.gave_up), (1, 1));
}

#[tokio::test]
async fn a_web_node_that_dies_hands_its_visitors_to_the_next() {
    let shop = WebShop::new([("GET /org/fair/cart/add", Twist::Die)]);
    let (one, two) = (shop.node().await, shop.node().await);
    let walked = walk_with(&shop_target(&[("web-1", one), ("web-2", two)]), &patient(), CHECKOUT).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
    let unsent = walked.attempts.iter().filter(|attempt| attempt.outcome == NotSent).count();
    assert_eq!(unsent, 1, "{:?}", walked.story());
    assert_eq!(walked.attempts.last().map(|attempt| attempt.entry.as_str()), Some("web-2"));
    assert_eq!(walked.figures.errors, 0, "the visitor saw nothing");
    assert_eq!(shop.log().iter().filter(|line| *line == "POST /org/fair/cart/add").count(), 1, "the same cart");
}

#[rstest]
#[case::in_the_cart(
    "POST /org/fair/cart/add",
    Twist::Answer(403, "We could not verify that this request really was sent")
)]
#[case::cart_in_doubt("POST /org/fair/cart/add", Twist::DoThenReset)]
#[case::cart_task("POST /org/fair/cart/add", Twist::Fail(UNEXPECTED))]
#[case::session("GET /org/fair/checkout/start", Twist::ForgetEverybody)]
#[case::session_later("POST /org/fair/checkout/payment/", Twist::ForgetEverybody)]
#[case::session_at_the_end("POST /org/fair/checkout/confirm/", Twist::ForgetEverybody)]
#[case::csrf_at_the_end("POST /org/fair/checkout/confirm/", Twist::Answer(403, "CSRF verification failed."))]
#[tokio::test]
async fn who_is_forgotten_before_he_bought_begins_anew(#[case] at: &'static str, #[case] twist: Twist) {
    let shop = WebShop::new([(at, twist)]);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
    let log = shop.log();
    assert_eq!(log.iter().filter(|line| *line == "POST /org/fair/cart/add").count(), 2, "{log:?}");
    assert_eq!(log.iter().filter(|line| *line == "GET /static/a.css").count(), 1, "his browser forgot nothing");
    assert_eq!(shop.sold().len(), 1);
}

#[rstest]
#[case("GET /org/fair/ ", Twist::Answer(500, ""))]
#[case("POST /org/fair/checkout/questions/", Twist::Answer(502, ""))]
#[case("POST /org/fair/checkout/payment/", Twist::DoThenReset)]
#[case("GET /org/fair/cart/add", Twist::Answer(200, "{\"ready\":false}"))]
#[tokio::test]
async fn what_fails_on_the_way_is_tried_again(#[case] at: &'static str, #[case] twist: Twist) {
    let shop = WebShop::new([(at.trim_end(), twist)]);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
    assert_eq!(shop.log().iter().filter(|line| *line == "POST /org/fair/cart/add").count(), 1);
    assert!(walked.of("confirm").iter().all(|(_, outcome)| *outcome != InDoubt), "no doubt about the purchase");
}

#[tokio::test]
async fn redirections_are_followed_so_far_and_no_further() {
    let twists = std::iter::repeat_n(("GET /org/fair/", Twist::Redirect("/org/fair/")), 100);
    let shop = WebShop::new(twists);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert_eq!(walked.outcome, OperationOutcome::Rejected(RejectReason::Invalid));
    assert_eq!(shop.log().len(), 11, "{:?}", shop.log());
    let out = WebShop::new([("GET /org/fair/", Twist::Redirect("http://elsewhere.example/"))]);
    let walked = walk_at(&out, CHECKOUT).await;
    assert_eq!(walked.outcome, OperationOutcome::Rejected(RejectReason::Invalid));
}

#[tokio::test]
async fn the_order_of_somebody_else_is_recorded_as_it_is() {
    let shop = WebShop::new([("GET /org/fair/order/C1/secret/?thanks", Twist::Mix("somebody@else.example"))]);
    let walked = walk_at(&shop, CHECKOUT).await;
    let last = walked.attempts.last().expect("attempts");
    let order = last.order.as_ref().expect("an order");
    assert_eq!(order.email, "somebody@else.example");
    assert_ne!(order.email, last.email);
}

#[tokio::test]
async fn a_page_of_the_order_that_fails_is_opened_again() {
    let shop =
        WebShop::new([("GET /org/fair/order/", Twist::Answer(404, "gone")), ("?thanks", Twist::Answer(500, ""))]);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert!(walked.of("confirm").contains(&(Lookup, InDoubt)));
    assert!(walked.is_acknowledged());
    assert_eq!(shop.sold().len(), 1);
}

#[tokio::test]
async fn who_buys_nothing_visits() {
    let shop = WebShop::new([]);
    let text = r#"{name: b, description: d, steps: [{page: {group: event, path: "/{organizer}/{event}/", assets: true}},
        {wait: {min_ms: 300, max_ms: 300}}, {page: {group: again, path: "/org/fair/", assets: true}}]}"#;
    let walked = walk_at(&shop, text).await;
    assert_eq!(walked.story(), [(Visit, "event", Passed), (Visit, "again", Passed)]);
    assert_eq!(walked.outcome, OperationOutcome::Visited);
    let [first, .., last] = walked.attempts.as_slice() else { panic!("attempts") };
    let moved_ms = last.intended.ms_since(first.intended);
    assert!((300.0..800.0).contains(&moved_ms), "{moved_ms} ms: he waited himself");
    assert_eq!((walked.figures.gave_up, walked.figures.errors), (0, 0));
}

#[rstest]
#[case::looks(r#"{page: {group: a, path: "/org/fair/"}}, {wait: {min_ms: 700, max_ms: 700}}, {page: {group: b, path: "/org/fair/"}}, {wait: {min_ms: 700, max_ms: 700}}"#)]
#[case::buys(r#"{order: {paid: true}}, {wait: {min_ms: 700, max_ms: 700}}, {redeem: {group: door}}"#)]
#[tokio::test]
async fn live_latency_is_that_of_the_history(#[case] steps: &str) {
    let shop = WebShop::new([]);
    let walked = walk_at(&shop, &format!("{{name: j, description: d, steps: [{steps}]}}")).await;
    let live = walked.breakdown.operations.whole;
    let said_ms = walked.latency_ms;
    assert!((live.latency.max_ms - said_ms).abs() <= said_ms / 50.0 + 0.1, "{live:?}, and {said_ms} ms in the history");
    assert!(said_ms < 600.0 && live.service.max_ms <= live.latency.max_ms, "{live:?}");
    assert_eq!(walked.figures.latency_p99_ms, Some(walked.breakdown.operations.recent.latency.p99_ms));
}

#[tokio::test]
async fn waiting_wears_out_no_patience() {
    let shop = WebShop::new([]);
    let text = CHECKOUT.replace("steps:\n", "steps:\n  - wait: {min_ms: 2100, max_ms: 2100}\n");
    let node = shop.node().await;
    let hasty = Settings { patience_ms: 2_000, ..patient() };
    let walked = walk_with(&shop_target(&[("web-1", node)]), &hasty, &text).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
}

#[tokio::test]
async fn an_answer_and_an_address_go_with_the_order() {
    let shop = WebShop::new([]);
    let text = r#"{name: o, description: d, steps: [{order: {group: buy, paid: true, invoice_address: true, answer: "3"}},
        {look-up: {group: desk}}]}"#;
    let walked = walk_at(&shop, text).await;
    assert_eq!(
        walked.story(),
        [(Prepare, "buy", Passed), (Purchase, "buy", Acknowledged), (Lookup, "desk", Acknowledged)]
    );
    let order = &shop.asked("POST /api/")[0].1;
    for part in [r#""status":"p""#, r#""question":3"#, r#""answer":"3""#, r#""city":"Heidelberg""#] {
        assert!(order.contains(part), "{part} in {order}");
    }
}

const DOOR: &str = r#"{name: c, description: d, steps: [{order: {paid: true}},
    {redeem: {group: door, list: Entrance, twice: true}}]}"#;

#[tokio::test]
async fn a_copy_of_a_ticket_is_turned_away() {
    let shop = WebShop::new([]);
    let walked = walk_at(&shop, DOOR).await;
    let story = [
        (Purchase, "order", Acknowledged),
        (Visit, "door", Passed),
        (Redeem, "door", Passed),
        (Redeem, "door", Rejected(RejectReason::AlreadyRedeemed)),
    ];
    assert_eq!(walked.story(), story);
    let code = &walked.attempts[0].code;
    let tickets = walked.attempts.iter().filter(|attempt| attempt.kind == Redeem).map(|attempt| attempt.ticket.clone());
    assert!(tickets.eq([Some(format!("ticket-{code}")), Some(format!("ticket-{code}"))]));
    assert_eq!(walked.figures.acknowledged, 1);
}

#[tokio::test]
async fn a_scan_without_an_answer_is_repeated_under_the_same_name() {
    let shop = WebShop::new([("checkinrpc/redeem", Twist::DoThenReset)]);
    let walked = walk_at(&shop, DOOR).await;
    let already = Rejected(RejectReason::AlreadyRedeemed);
    assert_eq!(walked.of("door"), [(Visit, Passed), (Redeem, InDoubt), (Redeem, Passed), (Redeem, already)]);
    let scans = shop.asked("checkinrpc/redeem");
    assert_eq!(scans.len(), 3);
    assert_eq!(scans[0], scans[1]);
    assert_ne!(scans[1], scans[2]);
}

#[tokio::test]
async fn with_no_entry_point_left_the_visitor_gives_up_without_a_doubt() {
    let dead = dead_addr().await;
    let hasty = Settings { patience_ms: 1_000, ..patient() };
    let walked = walk_with(&shop_target(&[("web-1", dead)]), &hasty, CHECKOUT).await;
    assert_eq!(walked.story(), [(Prepare, "event", NotSent)]);
    assert_eq!((walked.outcome, walked.figures.gave_up), (OperationOutcome::NotApplied, 1));
}

#[test]
fn every_journey_of_the_repository_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journeys");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        assert_eq!(stem, shipped(stem).name);
        names.push(stem.to_owned());
    }
    names.sort();
    assert_eq!(names, ["browse", "check-in", "gic-2020", "order-api", "web-checkout"]);
}
