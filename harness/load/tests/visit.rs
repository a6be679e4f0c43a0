//! Pages and what they are made of, waits, the door: what the history says about them.

mod support;

use firedrill_core::history::{Attempt, AttemptKind, OperationOutcome, Outcome, RejectReason};
use firedrill_load::journey::Script;
use firedrill_load::{RunClock, Settings, start_journey};
use rstest::rstest;
use std::path::Path;
use std::time::Duration;
use support::walked::{CHECKOUT, journey, patient, shop_target, walk_at, walk_with};
use support::web::{Twist, WebShop};
use support::{shipped, until};
use tokio::sync::mpsc;

use AttemptKind::{Lookup, Prepare, Purchase, Redeem, Visit};
use Outcome::{Acknowledged, InDoubt, Passed, Rejected};

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

const LOOK: &str = r#"{name: l, description: d, steps: [{page: {group: look, path: "/org/fair/", assets: true}}]}"#;

#[tokio::test]
async fn assets_are_fetched_six_at_a_time() {
    // Nobody gets his picture before six are asked for: 15 assets of which 12 are pictures.
    let shop = WebShop::with_pictures(12, 6);
    let walked = walk_at(&shop, LOOK).await;
    assert_eq!(walked.story(), [(Visit, "look", Passed)]);
    assert_eq!((walked.attempts.len(), shop.most_pictures()), (16, 6));
    let numbers = walked.attempts.iter().map(|attempt| attempt.number);
    assert!(numbers.eq(1..=16), "records come in the order of their numbers");
    assert_eq!((walked.figures.attempts, walked.figures.errors), (16, 0));
    assert_eq!(walked.breakdown.groups["look"].figures.whole.service.count, 16);
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_again() {
    let (fits, too_long) = ("x".repeat(2 << 20), "x".repeat((2 << 20) + 1));
    let shop = WebShop::new([
        ("GET /org/fair/", Twist::Answer(200, too_long.leak())),
        ("GET /org/fair/", Twist::Answer(200, fits.leak())),
    ]);
    let walked = walk_at(&shop, LOOK).await;
    assert_eq!(walked.story(), [(Visit, "look", InDoubt), (Visit, "look", Passed)]);
    let first = &walked.attempts[0];
    assert_eq!((first.status, first.error.as_deref()), (Some(200), Some("answer: longer than 2097152 bytes")));
}

#[tokio::test]
async fn cookies_of_assets_are_kept_like_those_of_pages() {
    let shop = WebShop::with_pictures(12, 6);
    let again = LOOK.replace("]}", r#", {page: {group: again, path: "/org/fair/"}}]}"#);
    let walked = walk_at(&shop, &again).await;
    assert_eq!(walked.of("again"), [(Visit, Passed)]);
    let asked = shop.asked("GET /org/fair/");
    assert_eq!(asked[0].0, "GET /org/fair/");
    assert!(asked[1].1.contains("csrf=1") && asked[1].1.contains("seen=1"), "{asked:?}");
    assert!(shop.asked("GET /static/p1.png")[0].1.contains("csrf=1"));
}

#[tokio::test]
async fn connections_for_assets_are_closed_with_the_visit() {
    let shop = WebShop::with_pictures(12, 6);
    let target = shop_target(&[("web-1", shop.node().await)]);
    let script = Script::new(&patient(), vec![(journey(LOOK), 1)]).expect("a script");
    let (tx, _rx) = mpsc::channel(10_000);
    // The second visit is due ten seconds later.
    let slow = Settings { model: support::at(0.1), ..patient() };
    let load = start_journey(&target, &slow, script, RunClock::start(), tx).expect("a load");
    until("all is fetched", || load.snapshot().attempts == 16 && load.snapshot().in_flight == 0).await;
    until("five are closed", || shop.open() == 1).await;
    load.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_dead_entry_point_is_left_by_all_connections_at_once() {
    let shop = WebShop::new([("GET /org/fair/", Twist::Die)]);
    let (one, two) = (shop.node().await, shop.node().await);
    let walked = walk_with(&shop_target(&[("web-1", one), ("web-2", two)]), &patient(), LOOK).await;
    let fetched: Vec<&Attempt> = walked.attempts.iter().filter(|attempt| attempt.outcome == Passed).collect();
    assert_eq!(fetched.len(), 4, "{:?}", walked.attempts);
    assert!(fetched[1..].iter().all(|attempt| attempt.entry.as_str() == "web-2"));
    assert_eq!(walked.figures.errors, 0, "the visitor saw nothing");
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
#[case::buys(r#"{order: {paid: true}}, {wait: {min_ms: 700, max_ms: 700}}, {redeem: {group: door, list: Entrance}}"#)]
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

#[rstest]
#[case::no_such_list(
    Twist::Answer(200, r#"{"next":null,"results":[{"id":1,"name":"VIP"}]}"#),
    RejectReason::Invalid,
    r#"no check-in list "Entrance", it has "VIP""#
)]
#[case::no_list_at_all(Twist::Answer(200, r#"{"next":null,"results":[]}"#), RejectReason::Invalid, "it has none")]
#[case::no_permission(Twist::Answer(403, r#"{"detail":"no"}"#), RejectReason::Unauthorized, "403")]
#[case::no_event(Twist::Answer(404, r#"{"detail":"Not found."}"#), RejectReason::Invalid, "404")]
#[tokio::test]
async fn without_its_check_in_list_the_step_ends_at_once(
    #[case] twist: Twist,
    #[case] reason: RejectReason,
    #[case] says: &str,
) {
    let shop = WebShop::new([("/checkinlists/", twist)]);
    let walked = walk_at(&shop, DOOR).await;
    assert_eq!(walked.of("door"), [(Visit, Rejected(reason))]);
    let last = walked.attempts.last().expect("attempts");
    assert!(last.error.as_deref().is_some_and(|error| error.contains(says)), "{last:?}");
    assert_eq!((walked.attempts.len(), walked.figures.by_kind.refused), (2, 1), "one order, one look at the lists");
    assert!(walked.is_acknowledged(), "the order is bought all the same");
}

#[tokio::test]
async fn a_check_in_list_may_be_on_the_second_page() {
    let first = Twist::Answer(200, r#"{"next":"http://x/?page=2","results":[{"id":1,"name":"VIP"}]}"#);
    let shop = WebShop::new([("/checkinlists/", first)]);
    let walked = walk_at(&shop, DOOR).await;
    assert!(walked.of("door").contains(&(Redeem, Passed)), "{:?}", walked.story());
    assert_eq!(shop.asked("checkinlists/?page=2").len(), 1);
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
    let shipped = ["browse", "check-in", "gic-2020", "keep-looking", "last-vouchers", "order-api", "web-checkout"];
    assert_eq!(names, shipped);
}
