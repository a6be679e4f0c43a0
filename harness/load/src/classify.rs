//! What an answer of the shop means: a pure function of status, `Retry-After` and body.
//!
//! The texts are those of Pretix 2026.8.0 (`api/serializers/order.py`, `api/exception.py`,
//! `api/middleware.py`). The rule for everything unknown: what might have been applied is in doubt.

use crate::money::parse_cents;
use firedrill_core::history::{AttemptKind, OrderAck, Outcome, PositionAck, RejectReason};
use serde::Deserialize;
use std::time::Duration;

/// Text of a rolled-back order for want of a database lock (409, `Retry-After: 5`).
pub(crate) const TOO_BUSY: &str = "too busy to process your request";

/// Text of an order code that exists (400).
const CODE_IN_USE: &str = "This order code is already in use";

/// Text of a UNIQUE violation that Pretix caught late (400): the order exists, or a twin is being made.
const DUPLICATE_SUBMISSION: &str = "possibly duplicate submission of same order";

/// Text of a quota that is used up (400).
const NO_QUOTA: &str = "There is not enough quota available";

/// What is said of a seat or a voucher that is somebody else's (400): `The selected seat "A1" is not available.`,
/// `The voucher has already been used the maximum number of times.`
const TAKEN: [(&str, &str); 2] = [
    ("The selected seat ", " is not available"),
    ("The voucher has already been used", " the maximum number of times"),
];

/// Characters of an answer that are kept in the history.
const NOTE_CHARS: usize = 200;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// What the attempt is known to have done.
    pub outcome: Outcome,
    /// The confirmed order; present exactly for [`Outcome::Acknowledged`].
    pub order: Option<OrderAck>,
    /// How long the shop asks to wait.
    pub retry_after: Option<Duration>,
    /// The answer in short, where it is no confirmation.
    pub note: Option<String>,
}

impl Classified {
    /// An outcome without an order.
    pub(crate) fn plain(outcome: Outcome, note: String) -> Self {
        Self { outcome, order: None, retry_after: None, note: Some(note) }
    }
}

/// Says what an answer means. `retry_after` is the header's text, if there was one.
pub fn classify(kind: AttemptKind, status: u16, retry_after: Option<&str>, body: &[u8]) -> Classified {
    if matches!(status, 200 | 201) {
        return confirmation(status, body);
    }
    let text = String::from_utf8_lossy(body);
    let outcome = match status {
        400 if text.contains(CODE_IN_USE) || text.contains(DUPLICATE_SUBMISSION) => {
            Outcome::Rejected(RejectReason::DuplicateCode)
        }
        400 if is_taken(&text) => Outcome::Rejected(RejectReason::Taken),
        400 if text.contains(NO_QUOTA) => Outcome::Rejected(RejectReason::SoldOut),
        401 | 403 => Outcome::Rejected(RejectReason::Unauthorized),
        // A proxy's own 404 page says nothing about the order; the shop answers in JSON.
        404 if kind == AttemptKind::Lookup => match is_shop_error(body) {
            true => Outcome::Rejected(RejectReason::NotFound),
            false => Outcome::InDoubt,
        },
        409 if text.contains(TOO_BUSY) => Outcome::NotApplied,
        // A rate limit refuses before the view runs.
        429 => Outcome::NotApplied,
        // "Concurrent request with idempotency key", or a conflict that we do not know. A 408 comes from a
        // proxy that lost patience, perhaps with a request that it had already passed on.
        408 | 409 => Outcome::InDoubt,
        300..=499 => Outcome::Rejected(RejectReason::Invalid),
        _ => Outcome::InDoubt,
    };
    let mut classified = Classified::plain(outcome, excerpt(&text));
    classified.retry_after = retry_after.and_then(parse_retry_after);
    classified
}

/// Whether somebody else has what there is only one of.
fn is_taken(text: &str) -> bool {
    TAKEN.iter().any(|(begin, end)| text.find(begin).is_some_and(|at| text[at + begin.len()..].contains(end)))
}

/// Says what the answer to `GET orders/?email=` means, by which a buyer without a code of his own finds his
/// order.
///
/// That there is none proves nothing while the shop may still work on it; and an answer that is none says
/// nothing about the purchase, so that both leave it as it is.
pub fn classify_by_email(email: &str, status: u16, retry_after: Option<&str>, body: &[u8]) -> Classified {
    let mut classified = match (status, parse_orders(body)) {
        (200, Some(orders)) => match orders.into_iter().find(|order| order.email.eq_ignore_ascii_case(email)) {
            Some(order) => {
                Classified { outcome: Outcome::Acknowledged, order: Some(order), retry_after: None, note: None }
            }
            None => {
                let note = format!("no order of {email}");
                Classified::plain(Outcome::Rejected(RejectReason::NotFound), note)
            }
        },
        _ => Classified::plain(Outcome::InDoubt, excerpt(&String::from_utf8_lossy(body))),
    };
    classified.retry_after = retry_after.and_then(parse_retry_after);
    classified
}

fn confirmation(status: u16, body: &[u8]) -> Classified {
    match parse_order(body) {
        Some(order) => Classified { outcome: Outcome::Acknowledged, order: Some(order), retry_after: None, note: None },
        None => {
            let text = excerpt(&String::from_utf8_lossy(body));
            Classified::plain(Outcome::InDoubt, format!("{status} without a readable order: {text}"))
        }
    }
}

/// Seconds of a `Retry-After` header. Its date form is not used by Pretix, HAProxy or nginx, and reading it
/// would need the wall clock: none.
pub(crate) fn parse_retry_after(text: &str) -> Option<Duration> {
    text.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// Whether this is an error as the shop's API writes it: `{"detail": "..."}`.
pub(crate) fn is_shop_error(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Detail {
        #[serde(rename = "detail")]
        _detail: String,
    }
    serde_json::from_slice::<Detail>(body).is_ok()
}

/// The beginning of a text on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        short.extend(word.chars().take(NOTE_CHARS + 1));
        if short.len() > NOTE_CHARS {
            break;
        }
    }
    match short.char_indices().nth(NOTE_CHARS) {
        Some((end, _)) => format!("{}...", &short[..end]),
        None => short,
    }
}

/// An order as Pretix's API writes it; fields that nobody checks are left out.
#[derive(Deserialize)]
struct WireOrder {
    code: String,
    secret: String,
    status: String,
    total: String,
    email: Option<String>,
    positions: Vec<WirePosition>,
}

#[derive(Deserialize)]
struct WirePosition {
    id: u64,
    item: u64,
    price: String,
    secret: String,
}

/// The order in the body of a confirmation or of a lookup; none if anything that is checked is missing.
pub fn parse_order(body: &[u8]) -> Option<OrderAck> {
    confirmed(serde_json::from_slice(body).ok()?)
}

/// The orders of a list; none if one of them lacks what is checked.
fn parse_orders(body: &[u8]) -> Option<Vec<OrderAck>> {
    #[derive(Deserialize)]
    struct List {
        results: Vec<WireOrder>,
    }
    serde_json::from_slice::<List>(body).ok()?.results.into_iter().map(confirmed).collect()
}

fn confirmed(wire: WireOrder) -> Option<OrderAck> {
    if wire.code.is_empty() || wire.secret.is_empty() {
        return None;
    }
    let position = |wire: WirePosition| {
        let price_cents = parse_cents(&wire.price)?;
        Some(PositionAck { id: Some(wire.id), item: wire.item, price_cents, secret: Some(wire.secret) })
    };
    Some(OrderAck {
        code: wire.code,
        secret: wire.secret,
        status: wire.status,
        total_cents: parse_cents(&wire.total)?,
        email: wire.email.unwrap_or_default(),
        positions: wire.positions.into_iter().map(position).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttemptKind::{Lookup, Purchase};
    use RejectReason::{DuplicateCode, Invalid, NotFound, SoldOut, Taken, Unauthorized};
    use proptest::prelude::*;
    use rstest::rstest;

    const ORDER: &str = r#"{"code":"AB37","event":"fair","secret":"k24fiuwvu8kxz3y1","status":"n","testmode":false,
        "email":"ab37@buyers.example.org","locale":"en","total":"23.00","fees":[],"payments":[],
        "positions":[{"id":23442,"order":"AB37","positionid":1,"item":5,"variation":null,"price":"23.00",
        "secret":"z3fsn8jyufm5kpk768q69gkbyr5f4h6w"}],"api_meta":{"hid":"AB37"}}"#;
    const NO_QUOTA_BODY: &str = r#"{"positions":[{},{"item":["There is not enough quota available on quota \"q-scarce\" to perform the operation."]}]}"#;
    const BUSY_BODY: &str = r#"{"detail":"The server was too busy to process your request. Please try again."}"#;

    #[rstest]
    #[case(Purchase, 201, ORDER, Outcome::Acknowledged)]
    #[case(Lookup, 200, ORDER, Outcome::Acknowledged)]
    #[case(Purchase, 201, "", Outcome::InDoubt)]
    #[case(Purchase, 201, r#"{"code":"AB37"}"#, Outcome::InDoubt)]
    #[case(Purchase, 200, "<html>welcome</html>", Outcome::InDoubt)]
    #[case(Purchase, 202, ORDER, Outcome::InDoubt)]
    #[case(Purchase, 400, NO_QUOTA_BODY, Outcome::Rejected(SoldOut))]
    #[case(
        Purchase,
        400,
        r#"{"positions":[{"seat":["The selected seat \"Row A, Seat 1\" is not available."]}]}"#,
        Outcome::Rejected(Taken)
    )]
    #[case(
        Purchase,
        400,
        r#"{"positions":[{"voucher":["The voucher has already been used the maximum number of times."]}]}"#,
        Outcome::Rejected(Taken)
    )]
    #[case(
        Purchase,
        400,
        r#"{"positions":[{"seat":["The specified seat does not exist."]}]}"#,
        Outcome::Rejected(Invalid)
    )]
    #[case(
        Purchase,
        400,
        r#"{"positions":[{"voucher":["Object with code=LAST9 does not exist."]}]}"#,
        Outcome::Rejected(Invalid)
    )]
    #[case(Purchase, 400, r#"{"code":["This order code is already in use."]}"#, Outcome::Rejected(DuplicateCode))]
    #[case(
        Purchase,
        400,
        r#"["Integrity error, possibly duplicate submission of same order."]"#,
        Outcome::Rejected(DuplicateCode)
    )]
    #[case(Purchase, 400, r#"{"positions":["An order cannot be empty."]}"#, Outcome::Rejected(Invalid))]
    #[case(
        Purchase,
        400,
        r#"{"payment_provider":["The given payment provider is not known."]}"#,
        Outcome::Rejected(Invalid)
    )]
    #[case(Purchase, 401, r#"{"detail":"Invalid token."}"#, Outcome::Rejected(Unauthorized))]
    #[case(
        Purchase,
        403,
        r#"{"detail":"You do not have permission to perform this action."}"#,
        Outcome::Rejected(Unauthorized)
    )]
    #[case(Purchase, 404, r#"{"detail":"Not found."}"#, Outcome::Rejected(Invalid))]
    #[case(Lookup, 404, r#"{"detail":"No Order matches the given query."}"#, Outcome::Rejected(NotFound))]
    #[case(Lookup, 404, "<html>404 Not Found nginx</html>", Outcome::InDoubt)]
    #[case(Purchase, 409, BUSY_BODY, Outcome::NotApplied)]
    #[case(Purchase, 409, r#"{"detail":"Concurrent request with idempotency key."}"#, Outcome::InDoubt)]
    #[case(Purchase, 409, "", Outcome::InDoubt)]
    #[case(Purchase, 429, "", Outcome::NotApplied)]
    #[case(Purchase, 408, "", Outcome::InDoubt)]
    #[case(Purchase, 302, "", Outcome::Rejected(Invalid))]
    #[case(Purchase, 500, "<h1>Server Error (500)</h1>", Outcome::InDoubt)]
    #[case(Purchase, 502, "", Outcome::InDoubt)]
    #[case(Purchase, 503, "<html>No server is available</html>", Outcome::InDoubt)]
    #[case(Purchase, 504, "", Outcome::InDoubt)]
    fn answers_mean(#[case] kind: AttemptKind, #[case] status: u16, #[case] body: &str, #[case] outcome: Outcome) {
        let classified = classify(kind, status, None, body.as_bytes());
        assert_eq!(classified.outcome, outcome);
        assert_eq!(classified.order.is_some(), outcome == Outcome::Acknowledged);
        assert_eq!(classified.note.is_none(), outcome == Outcome::Acknowledged);
    }

    #[test]
    fn a_confirmation_is_read_field_by_field() {
        let order = parse_order(ORDER.as_bytes()).expect("an order");
        assert_eq!((order.code.as_str(), order.total_cents), ("AB37", 2300));
        assert_eq!(order.email, "ab37@buyers.example.org");
        let [position] = order.positions.as_slice() else { panic!("one position, not {order:?}") };
        assert_eq!((position.id, position.item, position.price_cents), (Some(23442), 5, 2300));
    }

    #[rstest]
    #[case(200, &format!(r#"{{"count":1,"results":[{ORDER}]}}"#), Outcome::Acknowledged)]
    #[case(200, &format!(r#"{{"results":[{}]}}"#, ORDER.replace("ab37@", "other@")), Outcome::Rejected(NotFound))]
    #[case(200, r#"{"count":0,"results":[]}"#, Outcome::Rejected(NotFound))]
    #[case(200, r#"{"results":[{"code":"AB37"}]}"#, Outcome::InDoubt)]
    #[case(200, ORDER, Outcome::InDoubt)]
    #[case(401, r#"{"detail":"Invalid token."}"#, Outcome::InDoubt)]
    #[case(429, "", Outcome::InDoubt)]
    #[case(502, "", Outcome::InDoubt)]
    fn answers_to_a_search_mean(#[case] status: u16, #[case] body: &str, #[case] outcome: Outcome) {
        let classified = classify_by_email("AB37@buyers.example.org", status, Some("3"), body.as_bytes());
        assert_eq!((classified.outcome, classified.retry_after), (outcome, Some(Duration::from_secs(3))));
        assert_eq!(classified.order.is_some(), outcome == Outcome::Acknowledged);
    }

    #[rstest]
    #[case::no_total(r#""total":"23.00","#, "")]
    #[case::total_as_number(r#""total":"23.00""#, r#""total":23.0"#)]
    #[case::empty_secret(r#""secret":"k24fiuwvu8kxz3y1""#, r#""secret":"""#)]
    #[case::fraction_of_a_cent(r#""price":"23.00""#, r#""price":"23.001""#)]
    #[case::cut_off("}}", "")]
    fn a_damaged_confirmation_is_none(#[case] from: &str, #[case] to: &str) {
        let damaged = ORDER.replace(from, to);
        assert_ne!(damaged, ORDER);
        assert_eq!(classify(Purchase, 201, None, damaged.as_bytes()).outcome, Outcome::InDoubt);
    }

    #[rstest]
    #[case("5", Some(5))]
    #[case(" 30 ", Some(30))]
    #[case("-1", None)]
    #[case("Wed, 21 Oct 2026 07:28:00 GMT", None)]
    fn retry_after_is_read_in_seconds(#[case] text: &str, #[case] seconds: Option<u64>) {
        let classified = classify(Purchase, 409, Some(text), BUSY_BODY.as_bytes());
        assert_eq!(classified.retry_after, seconds.map(Duration::from_secs));
    }

    #[test]
    fn long_answers_are_cut_on_a_character() {
        let classified = classify(Purchase, 500, None, "ä".repeat(5_000).as_bytes());
        assert_eq!(classified.note.map(|note| note.chars().count()), Some(NOTE_CHARS + 3));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_acknowledge_nothing(
            lookup: bool,
            status in 0u16..1000,
            retry_after in proptest::option::of("\\PC{0,12}"),
            body in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let kind = if lookup { Lookup } else { Purchase };
            let classified = classify(kind, status, retry_after.as_deref(), &body);
            let acknowledged = classified.outcome == Outcome::Acknowledged;
            prop_assert_eq!(acknowledged, classified.order.is_some());
            prop_assert!(!acknowledged || parse_order(&body).is_some());
        }

        #[test]
        fn an_order_that_breaks_off_is_never_acknowledged(cut in 0usize..ORDER.len()) {
            let classified = classify(Purchase, 201, None, &ORDER.as_bytes()[..cut]);
            prop_assert_eq!(classified.outcome, Outcome::InDoubt);
        }
    }
}
