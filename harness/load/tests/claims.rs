//! What there is only one of, orders that are given back, and looks at what was confirmed: what the history says.

mod support;

use firedrill_core::history::{AttemptKind, OperationOutcome, Outcome, RejectReason};
use firedrill_load::Settings;
use support::walked::{patient, shop_target, walk_at, walk_with};
use support::web::{Twist, WebShop};

use AttemptKind::{Cancel, Lookup, Purchase};
use Outcome::{Acknowledged, InDoubt, Passed, Rejected};

const TAKEN: &str = r#"{"positions":[{"seat":["The selected seat \"A1\" is not available."]}]}"#;
const NOT_FOUND: &str = r#"{"detail":"No Order matches the given query."}"#;

const SEAT: &str = r#"{name: s, description: d, steps: [{order: {claim: {seats: [A1]}}}]}"#;
const GIVE_BACK: &str = r#"{name: g, description: d, steps: [{order: {claim: {vouchers: [LAST1]}}}, {cancel: {}}]}"#;
const LOOKS: &str = r#"{name: l, description: d, steps: [{order: {}}, {look-up: {group: first, elsewhere: true}},
    {look-up: {group: second, elsewhere: true}}, {look-up: {group: third}}]}"#;

#[tokio::test]
async fn a_claim_goes_with_the_order_and_into_the_record() {
    let shop = WebShop::new([]);
    let walked = walk_at(&shop, SEAT).await;
    assert_eq!(walked.story(), [(Purchase, "order", Acknowledged)]);
    assert_eq!(walked.attempts[0].claim.as_deref(), Some("seat A1"));
    let order = &shop.asked("POST /api/")[0].1;
    assert!(order.contains(r#""seat":"A1""#), "{order}");
}

#[tokio::test]
async fn who_is_told_that_it_is_taken_has_his_answer() {
    let shop = WebShop::new([("POST /api/", Twist::Answer(400, TAKEN))]);
    let walked = walk_at(&shop, SEAT).await;
    assert_eq!(walked.story(), [(Purchase, "order", Rejected(RejectReason::Taken))]);
    assert_eq!(walked.outcome, OperationOutcome::Rejected(RejectReason::Taken));
    let figures = &walked.figures;
    assert_eq!((figures.sold_out, figures.rejected, figures.errors), (1, 0, 0), "like sold out");
}

#[tokio::test]
async fn after_a_doubt_the_one_who_has_it_may_be_himself() {
    let shop = WebShop::new([
        ("POST /api/", Twist::DoThenReset),
        ("GET /api/", Twist::Answer(404, NOT_FOUND)),
        ("POST /api/", Twist::Answer(400, TAKEN)),
    ]);
    let walked = walk_at(&shop, SEAT).await;
    let kinds: Vec<(AttemptKind, Outcome)> =
        walked.attempts.iter().map(|attempt| (attempt.kind, attempt.outcome)).collect();
    let story = [
        (Purchase, InDoubt),
        (Lookup, Rejected(RejectReason::NotFound)),
        (Purchase, Rejected(RejectReason::Taken)),
        (Lookup, Acknowledged),
    ];
    assert_eq!(kinds, story);
    assert!(walked.attempts.iter().all(|attempt| attempt.claim.as_deref() == Some("seat A1")));
    assert!(walked.is_acknowledged());
    assert_eq!(shop.sold().len(), 1);
}

#[tokio::test]
async fn after_a_doubt_and_without_an_order_it_is_somebody_elses() {
    let shop = WebShop::new([("POST /api/", Twist::Reset), ("POST /api/", Twist::Answer(400, TAKEN))]);
    let walked = walk_at(&shop, SEAT).await;
    assert_eq!(walked.attempts.len(), 4, "{:?}", walked.story());
    assert_eq!(walked.outcome, OperationOutcome::InDoubt, "the first attempt may still be under way");
    assert_eq!((walked.figures.sold_out, walked.figures.gave_up), (1, 0));
}

#[tokio::test]
async fn an_order_is_given_back_with_what_it_held() {
    let shop = WebShop::new([]);
    let walked = walk_at(&shop, GIVE_BACK).await;
    assert_eq!(walked.story(), [(Purchase, "order", Acknowledged), (Cancel, "cancel", Passed)]);
    assert!(walked.attempts.iter().all(|attempt| attempt.claim.as_deref() == Some("voucher LAST1")));
    assert!(walked.is_acknowledged());
    assert!(shop.asked("mark_canceled")[0].1.contains(r#""send_email":false"#));
}

#[tokio::test]
async fn a_cancellation_without_an_answer_is_repeated() {
    let shop = WebShop::new([("mark_canceled", Twist::DoThenReset)]);
    let walked = walk_at(&shop, GIVE_BACK).await;
    assert_eq!(walked.of("cancel"), [(Cancel, InDoubt), (Cancel, Passed)]);
    let lost = WebShop::new([("mark_canceled", Twist::Answer(404, NOT_FOUND))]);
    let walked = walk_at(&lost, GIVE_BACK).await;
    assert_eq!(walked.of("cancel"), [(Cancel, Rejected(RejectReason::NotFound))]);
    assert_eq!((walked.figures.acknowledged, walked.figures.rejected), (1, 0), "he had bought it all the same");
}

#[tokio::test]
async fn a_cancellation_that_nobody_answers_stays_in_doubt() {
    let shop = WebShop::new(std::iter::repeat_n(("mark_canceled", Twist::Answer(502, "")), 100));
    let hasty = Settings { patience_ms: 1_500, ..patient() };
    let walked = walk_with(&shop_target(&[("web-1", shop.node().await)]), &hasty, GIVE_BACK).await;
    assert_eq!(walked.of("cancel"), [(Cancel, InDoubt)]);
    assert_eq!((walked.figures.acknowledged, walked.figures.gave_up), (1, 0));
}

#[tokio::test]
async fn looks_go_to_the_entry_points_in_turn_and_end_nothing() {
    let shop = WebShop::new([("GET /api/", Twist::Answer(404, NOT_FOUND))]);
    let target = shop_target(&[("web-1", shop.node().await), ("web-2", shop.node().await)]);
    let walked = walk_with(&target, &patient(), LOOKS).await;
    let story = [
        (Purchase, "order", Acknowledged),
        (Lookup, "first", Rejected(RejectReason::NotFound)),
        (Lookup, "second", Acknowledged),
        (Lookup, "third", Acknowledged),
    ];
    assert_eq!(walked.story(), story);
    let entries: Vec<&str> = walked.attempts.iter().map(|attempt| attempt.entry.as_str()).collect();
    assert_eq!(entries, ["web-1", "web-2", "web-1", "web-1"]);
    assert!(walked.is_acknowledged());
    assert_eq!((walked.figures.acknowledged, walked.figures.rejected, walked.figures.gave_up), (1, 0, 0));
}

#[tokio::test]
async fn a_look_that_nobody_answers_leaves_the_purchase_as_it_is() {
    let shop = WebShop::new(std::iter::repeat_n(("GET /api/", Twist::Answer(502, "")), 100));
    let hasty = Settings { patience_ms: 1_500, ..patient() };
    let walked = walk_with(&shop_target(&[("web-1", shop.node().await)]), &hasty, LOOKS).await;
    assert_eq!(walked.of("first"), [(Lookup, InDoubt)]);
    assert!(walked.is_acknowledged());
    assert_eq!((walked.figures.acknowledged, walked.figures.gave_up), (1, 0));
}
