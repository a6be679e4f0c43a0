//! What the shop's pages and its tasks in the background mean: pure functions, as in
//! [`crate::classify`](mod@crate::classify).
//!
//! Texts and fields are those of Pretix 2026.8.0 (`base/views/tasks.py`, `base/services/cart.py` and
//! `orders.py`, `presale/views/checkout.py`, `base/templates/csrffail.html`), in English. A task that failed
//! is answered with status 200; only its message says how.

use super::html::{self, Document};
use crate::classify::{Classified, excerpt, parse_retry_after};
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use serde::Deserialize;

/// An answer, as far as its meaning depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<&'a str>,
    /// The `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// What a page is to the buyer, beside what its attempt is known to have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A page.
    Page(Document),
    /// He is sent to another page.
    Redirect(String),
    /// The shop does not know him any more: session, cart or the form's token are gone.
    Lost,
    /// None of these.
    Nothing,
}

/// How far a task in the background is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// The shop works on it; here it can be asked again, if it said so.
    Works(Option<String>),
    /// It is done, and goes on there.
    Done(String),
    /// As for a page.
    Lost,
    /// None of these: the outcome says what.
    Nothing,
}

/// What a message to the buyer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Busy,
    SoldOut,
    EmptyCart,
    /// The shop does not know itself what happened.
    Unknown,
    Other,
}

fn message(text: &str) -> Message {
    let has = |part: &str| text.contains(part);
    if has("server was too busy") {
        Message::Busy
    } else if has("no longer available") {
        Message::SoldOut
    } else if has("cart is empty") || has("not select any products") {
        Message::EmptyCart
    } else if has("unexpected error") || has("internal error") {
        Message::Unknown
    } else {
        Message::Other
    }
}

/// What a warning on a page without the form that the buyer came for, in words, means: sold out, or that the shop
/// does not know him any more.
pub fn classify_warning(warning: &str, missing: &str) -> (Classified, Seen) {
    let note = match warning {
        "" => format!("the page has no form {missing}"),
        _ => format!("the page has no form {missing}, but says: {warning}"),
    };
    match message(warning) {
        Message::SoldOut => (Classified::plain(Outcome::Rejected(RejectReason::SoldOut), note), Seen::Nothing),
        _ => (Classified::plain(Outcome::NotApplied, note), Seen::Lost),
    }
}

/// Says what the answer to a page that was opened, or to a form that was sent, means.
pub fn classify_page(said: Said<'_>) -> (Classified, Seen) {
    match (said.status, said.location) {
        (200..=299, _) => (passed(), Seen::Page(html::read(said.body))),
        (301 | 302 | 303 | 307 | 308, Some(location)) => (passed(), Seen::Redirect(location.to_owned())),
        _ if is_csrf_failure(said) => (refused(said, Outcome::NotApplied), Seen::Lost),
        (401 | 403, _) => (refused(said, Outcome::Rejected(RejectReason::Unauthorized)), Seen::Nothing),
        (429, _) => (refused(said, Outcome::NotApplied), Seen::Nothing),
        (408, _) => (refused(said, Outcome::InDoubt), Seen::Nothing),
        (300..=499, _) => (refused(said, Outcome::Rejected(RejectReason::Invalid)), Seen::Nothing),
        _ => (refused(said, Outcome::InDoubt), Seen::Nothing),
    }
}

/// An answer to a task, as `base/views/tasks.py` writes it.
#[derive(Deserialize)]
struct Answer {
    ready: Option<bool>,
    success: Option<bool>,
    redirect: Option<String>,
    message: Option<String>,
    check_url: Option<String>,
}

/// Says what the answer to a form that is worked on in the background means, or the answer to the question
/// how far it is. The kind says which: [`AttemptKind::Purchase`] is the order's form, a
/// [`AttemptKind::Lookup`] asks what became of it, any other is a step before.
///
/// What is done is only [`Outcome::Pending`] for a purchase: the page of the order confirms it.
pub fn classify_task(kind: AttemptKind, said: Said<'_>) -> (Classified, Task) {
    if said.status == 200 {
        return match serde_json::from_slice::<Answer>(said.body) {
            Ok(answer) => read_task(kind, said, answer),
            Err(_) => (refused(said, Outcome::InDoubt), Task::Nothing),
        };
    }
    let (outcome, task) = match said.status {
        // A question that found no answer says nothing about the purchase.
        _ if kind == AttemptKind::Lookup => (Outcome::InDoubt, Task::Nothing),
        // The view that places orders was not reached: an empty cart, or a step that is not complete.
        300..=399 => (Outcome::NotApplied, Task::Lost),
        _ if is_csrf_failure(said) => (Outcome::NotApplied, Task::Lost),
        401 | 403 => (Outcome::Rejected(RejectReason::Unauthorized), Task::Nothing),
        429 => (Outcome::NotApplied, Task::Nothing),
        400..=499 if said.status != 408 => (Outcome::Rejected(RejectReason::Invalid), Task::Nothing),
        _ => (Outcome::InDoubt, Task::Nothing),
    };
    (refused(said, outcome), task)
}

fn read_task(kind: AttemptKind, said: Said<'_>, answer: Answer) -> (Classified, Task) {
    let is_order = matches!(kind, AttemptKind::Purchase | AttemptKind::Lookup);
    let is_ready = answer.ready.unwrap_or(answer.redirect.is_some());
    if !is_ready {
        // Without an address nobody can ask what became of it; an answer to a question needs none.
        return match (kind, &answer.check_url) {
            (AttemptKind::Purchase, None) => (refused(said, Outcome::InDoubt), Task::Nothing),
            _ if is_order => (pending(), Task::Works(answer.check_url)),
            _ => (passed(), Task::Works(answer.check_url)),
        };
    }
    if answer.success == Some(true) {
        let Some(redirect) = answer.redirect else { return (refused(said, Outcome::InDoubt), Task::Nothing) };
        return (if is_order { pending() } else { passed() }, Task::Done(redirect));
    }
    let text = answer.message.unwrap_or_default();
    let (outcome, task) = match message(&text) {
        Message::Busy => (Outcome::NotApplied, Task::Nothing),
        Message::SoldOut => (Outcome::Rejected(RejectReason::SoldOut), Task::Nothing),
        // A second run of the same task finds the cart empty because the first has sold it.
        Message::EmptyCart if is_order => (Outcome::InDoubt, Task::Nothing),
        Message::EmptyCart => (Outcome::NotApplied, Task::Lost),
        Message::Unknown => (Outcome::InDoubt, Task::Nothing),
        Message::Other => (Outcome::Rejected(RejectReason::Invalid), Task::Nothing),
    };
    (Classified::plain(outcome, excerpt(&text)), task)
}

/// Pretix's page, or Django's own.
fn is_csrf_failure(said: Said<'_>) -> bool {
    let text = String::from_utf8_lossy(said.body);
    said.status == 403 && (text.contains("could not verify that this request") || text.contains("CSRF verification"))
}

fn passed() -> Classified {
    Classified { outcome: Outcome::Passed, order: None, retry_after: None, note: None }
}

fn pending() -> Classified {
    Classified { outcome: Outcome::Pending, ..passed() }
}

pub(super) fn refused(said: Said<'_>, outcome: Outcome) -> Classified {
    let note = match said.location {
        Some(location) => format!("{} to {}", said.status, excerpt(location)),
        None => title(said.body).unwrap_or_else(|| excerpt(&String::from_utf8_lossy(said.body))),
    };
    let mut classified = Classified::plain(outcome, note);
    classified.retry_after = said.retry_after.and_then(parse_retry_after);
    classified
}

/// The title of an error page, which says more than its first tags.
fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(excerpt(title)).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttemptKind::{Lookup, Prepare, Purchase};
    use Outcome::{InDoubt, NotApplied, Passed, Pending, Rejected};
    use RejectReason::{Invalid, SoldOut, Unauthorized};
    use proptest::prelude::*;
    use rstest::rstest;

    const WORKS: &str = r#"{"async_id":"a-1","ready":false,"started":false,"check_url":"/c?async_id=a-1&ajax=1"}"#;
    const STILL: &str = r#"{"async_id":"a-1","ready":false,"started":true}"#;
    const DONE: &str = r#"{"ready":true,"success":true,"redirect":"/org/fair/order/AB/s/","message":"None"}"#;
    const CSRF: &str = "<title>Verification failed</title>We could not verify that this request really was sent";

    fn said(status: u16, body: &str) -> Said<'_> {
        let location = (300..400).contains(&status).then_some("/org/fair/?require_cookie=true");
        Said { status, location, retry_after: None, body: body.as_bytes() }
    }

    fn failed(message: &str) -> String {
        serde_json::json!({"ready": true, "success": false, "redirect": "/x", "message": message}).to_string()
    }

    #[rstest]
    #[case(Prepare, 200, WORKS, Passed)]
    #[case(Purchase, 200, WORKS, Pending)]
    #[case(Purchase, 200, STILL, InDoubt)]
    #[case(Lookup, 200, STILL, Pending)]
    #[case(Prepare, 200, DONE, Passed)]
    #[case(Purchase, 200, DONE, Pending)]
    #[case(Lookup, 200, DONE, Pending)]
    #[case(Purchase, 200, r#"{"ready":true,"success":true}"#, InDoubt)]
    #[case(Purchase, 200, "<html>", InDoubt)]
    #[case(Purchase, 302, "", NotApplied)]
    #[case(Lookup, 302, "", InDoubt)]
    #[case(Purchase, 403, CSRF, NotApplied)]
    #[case(Prepare, 403, "no", Rejected(Unauthorized))]
    #[case(Lookup, 403, "no", InDoubt)]
    #[case(Purchase, 404, "", Rejected(Invalid))]
    #[case(Lookup, 404, "", InDoubt)]
    #[case(Purchase, 429, "", NotApplied)]
    #[case(Lookup, 429, "", InDoubt)]
    #[case(Purchase, 408, "", InDoubt)]
    #[case(Prepare, 500, "", InDoubt)]
    #[case(Purchase, 502, "", InDoubt)]
    fn answers_to_a_task_mean(
        #[case] kind: AttemptKind,
        #[case] status: u16,
        #[case] body: &str,
        #[case] outcome: Outcome,
    ) {
        let (classified, _) = classify_task(kind, said(status, body));
        assert_eq!(classified.outcome, outcome);
        assert_eq!(classified.note.is_none(), matches!(outcome, Passed | Pending));
    }

    #[rstest]
    #[case(
        "We were not able to process your request completely as the server was too busy. Please try again.",
        NotApplied,
        NotApplied
    )]
    #[case(
        "Some of the products you selected are no longer available. Please see below for details.",
        Rejected(SoldOut),
        Rejected(SoldOut)
    )]
    #[case(
        "Some of the products you selected were no longer available in the quantity you selected.",
        Rejected(SoldOut),
        Rejected(SoldOut)
    )]
    #[case("An unexpected error has occurred, please try again later.", InDoubt, InDoubt)]
    #[case("An internal error occurred, please try again.", InDoubt, InDoubt)]
    #[case("Your cart is empty.", NotApplied, InDoubt)]
    #[case("The booking period has ended.", Rejected(Invalid), Rejected(Invalid))]
    #[case("", Rejected(Invalid), Rejected(Invalid))]
    fn messages_of_a_task_mean(#[case] message: &str, #[case] before: Outcome, #[case] of_the_order: Outcome) {
        let body = failed(message);
        let outcome = |kind| classify_task(kind, said(200, &body)).0.outcome;
        assert_eq!([Prepare, Purchase, Lookup].map(outcome), [before, of_the_order, of_the_order]);
    }

    #[test]
    fn a_task_says_where_it_goes_on() {
        let task = |body| classify_task(Purchase, said(200, body)).1;
        assert_eq!(task(WORKS), Task::Works(Some("/c?async_id=a-1&ajax=1".to_owned())));
        assert_eq!(task(DONE), Task::Done("/org/fair/order/AB/s/".to_owned()));
        assert_eq!(classify_task(Prepare, said(302, "")).1, Task::Lost);
        assert_eq!(classify_task(Purchase, said(403, CSRF)).1, Task::Lost);
    }

    #[rstest]
    #[case(200, "<p>", Passed)]
    #[case(302, "", Passed)]
    #[case(304, "", Rejected(Invalid))]
    #[case(400, "<h1>Unknown domain</h1>", Rejected(Invalid))]
    #[case(403, CSRF, NotApplied)]
    #[case(403, "no", Rejected(Unauthorized))]
    #[case(404, "", Rejected(Invalid))]
    #[case(408, "", InDoubt)]
    #[case(429, "", NotApplied)]
    #[case(500, "", InDoubt)]
    #[case(503, "", InDoubt)]
    fn pages_mean(#[case] status: u16, #[case] body: &str, #[case] outcome: Outcome) {
        assert_eq!(classify_page(said(status, body)).0.outcome, outcome);
    }

    #[rstest]
    #[case("Your cart is empty", NotApplied)]
    #[case("", NotApplied)]
    #[case("Some of the products you selected are no longer available.", Rejected(SoldOut))]
    fn a_page_without_the_form_says_why(#[case] warning: &str, #[case] outcome: Outcome) {
        let (classified, _) = classify_warning(warning, "checkout/payment");
        assert_eq!(classified.outcome, outcome);
        assert!(classified.note.is_some_and(|note| note.contains("checkout/payment") && note.contains(warning)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_acknowledges(
            kind in prop::sample::select(vec![Prepare, Purchase, Lookup]),
            status in 0u16..1000,
            location in prop::option::of("\\PC{0,12}"),
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let said = Said { status, location: location.as_deref(), retry_after: None, body: &body };
            let outcomes = [classify_task(kind, said).0.outcome, classify_page(said).0.outcome];
            prop_assert!(!outcomes.contains(&Outcome::Acknowledged));
        }
    }
}
