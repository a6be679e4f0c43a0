//! Purchases in the browser at a shop that misbehaves: what the history says about them.

mod support;

use firedrill_core::history::{Attempt, AttemptKind, OperationOutcome, Outcome, RejectReason};
use firedrill_load::{ApiToken, Settings, Target};
use rstest::rstest;
use support::dead_addr;
use support::walked::{CHECKOUT, patient, shop_target, walk_at, walk_with};
use support::web::{Twist, WebShop};

use AttemptKind::{Lookup, Prepare, Purchase};
use Outcome::{Acknowledged, InDoubt, NotApplied, NotSent, Passed, Pending, Rejected};

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
    assert_eq!(add[0].1, format!("csrf=1 {token}&item_5=1&item_6=0&go=on&ajax=1"));
    let questions = shop.asked("POST /org/fair/checkout/questions/");
    let (cookies, body) = questions[0].1.split_once(" ------").expect("cookies and body");
    assert!(cookies.contains("csrf=1") && cookies.contains("session=s"), "{cookies}");
    let photo = "name=\"7-photo\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n\r\n";
    for part in ["name=\"csrfmiddlewaretoken\"\r\n\r\ntoken&1\r\n", "name=\"7-question_3\"\r\n\r\n3\r\n", photo] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let payment = shop.asked("POST /org/fair/checkout/payment/");
    assert!(payment[0].1.ends_with("&payment=manual&go=on"), "{payment:?}");
}

#[tokio::test]
async fn a_journey_chooses_the_button() {
    let shop = WebShop::new([]);
    let back = "  - submit: {group: back, form: checkout/payment, button: go=back}\n";
    let questions = "  - submit: {group: questions,";
    let (before, after) = CHECKOUT.split_once("  - submit: {group: payment").expect("the payment");
    let (_, again) = before.split_once(questions).expect("the questions");
    let text = format!("{before}{back}{questions}{again}  - submit: {{group: payment{after}");
    let walked = walk_at(&shop, &text).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
    let pressed: Vec<bool> =
        shop.asked("POST /org/fair/checkout/payment/").iter().map(|(_, body)| body.ends_with("go=back")).collect();
    assert_eq!(pressed, [true, false]);
}

#[tokio::test]
async fn a_button_that_is_not_there_is_named() {
    let shop = WebShop::new([]);
    let hasty = Settings { patience_ms: 1_000, ..patient() };
    let text = CHECKOUT.replace("form: cart/add,", "form: cart/add, button: extend,");
    let walked = walk_with(&shop_target(&[("web-1", shop.node().await)]), &hasty, &text).await;
    let error = walked.attempts[0].error.as_deref().expect("words");
    assert!(error.contains(r#"no form "cart/add" with the button "extend""#), "{error}");
    assert!(shop.asked("POST").is_empty());
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

#[rstest]
#[case::a_step("POST /org/fair/cart/add", "cart")]
#[case::the_order("POST /org/fair/checkout/confirm/", "confirm")]
#[tokio::test]
async fn who_is_told_to_wait_asks_until_his_patience_is_over(#[case] at: &'static str, #[case] group: &str) {
    let shop = WebShop::new([(at, Twist::LoseResult)]);
    let target = Target { api_token: ApiToken::new(""), ..shop_target(&[("web-1", shop.node().await)]) };
    let hasty = Settings { patience_ms: 3_000, ..patient() };
    let walked = walk_with(&target, &hasty, CHECKOUT).await;
    let last = walked.attempts.last().expect("attempts");
    assert_eq!(last.group, group);
    // The last question is asked 250 ms before the end at the latest, and the one before 250 ms earlier.
    let asked_ms = last.started.ms_since(last.intended);
    assert!((2_300.0..3_000.0).contains(&asked_ms), "he asked for {asked_ms} ms");
    let asked: Vec<&Attempt> = walked.attempts.iter().filter(|attempt| attempt.group == group).collect();
    let gaps = asked.windows(2).map(|pair| pair[1].started.ms_since(pair[0].ended));
    assert!(gaps.fold(0.0, f64::max) < 500.0, "as often to the end as at the beginning");
    assert_eq!(walked.figures.gave_up, 1);
}

#[rstest]
#[case::with_a_token("token")]
#[case::without_a_token("")]
#[tokio::test]
async fn an_order_that_takes_nearly_all_of_the_patience_is_confirmed_all_the_same(#[case] token: &str) {
    let shop = WebShop::new([("POST /org/fair/checkout/confirm/", Twist::Work(4_900))]);
    let target = Target { api_token: ApiToken::new(token), ..shop_target(&[("web-1", shop.node().await)]) };
    // From 4.5 s on he asks by his e-mail address too, where he can.
    let hasty = Settings { patience_ms: 6_000, ..patient() };
    let walked = walk_with(&target, &hasty, CHECKOUT).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
    assert_eq!(shop.sold().len(), 1);
}

#[tokio::test]
async fn a_page_that_says_please_wait_is_loaded_anew() {
    let wait = ("GET /org/fair/checkout/payment/", Twist::PleaseWait);
    let shop = WebShop::new([wait, wait]);
    let walked = walk_at(&shop, CHECKOUT).await;
    assert!(walked.is_acknowledged(), "{:?}", walked.story());
    let log = shop.log();
    assert_eq!(log.iter().filter(|line| *line == "GET /org/fair/checkout/payment/").count(), 3, "{log:?}");
    assert_eq!(log.iter().filter(|line| *line == "POST /org/fair/cart/add").count(), 1, "the same visit");
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
async fn with_no_entry_point_left_the_visitor_gives_up_without_a_doubt() {
    let dead = dead_addr().await;
    let hasty = Settings { patience_ms: 1_000, ..patient() };
    let walked = walk_with(&shop_target(&[("web-1", dead)]), &hasty, CHECKOUT).await;
    assert_eq!(walked.story(), [(Prepare, "event", NotSent)]);
    assert_eq!((walked.outcome, walked.figures.gave_up), (OperationOutcome::NotApplied, 1));
}
