//! The step `cancel`: the buyer gives his own order back, by `POST orders/CODE/mark_canceled/`.
//!
//! [`Outcome::Passed`] is "cancelled": from then on what the order held may be sold again. A cancellation without an
//! answer is repeated: the shop cancels an order once, and says of one that is cancelled already that it cannot be.

use super::Ending;
use super::walk::{NOWHERE, Step, Walk};
use crate::buyer::Ask;
use crate::classify::{Classified, TOO_BUSY, excerpt, is_shop_error, parse_order, parse_retry_after};
use crate::draw::for_operation;
use crate::wire::Answer;
use bytes::Bytes;
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use firedrill_core::ids::OpId;
use firedrill_core::load::journey::Cancel;
use hyper::header;

/// Keeps the choice of those who cancel apart from everything else that is drawn from the seed.
const CHOICE: u64 = 0x6361_6e63_656c_5f69;

/// What Pretix says of an order that cannot be cancelled, as one is that was cancelled (400): the view, and the
/// transaction that looked once more.
const NOT_ALLOWED: [&str; 2] = ["The order is not allowed to be canceled", "You cannot cancel this order"];

/// Status letter of a cancelled order.
const CANCELED: &str = "c";

impl Walk<'_> {
    pub(super) async fn cancel(&mut self, cancel: &Cancel) -> Step {
        if !is_chosen(self.script.seed(), self.operation.id(), cancel.share_percent) {
            return Step::Next;
        }
        let Some(code) = self.order.as_ref().map(|order| order.code.clone()) else { return Step::Next };
        let (path, body) = (format!("orders/{code}/mark_canceled/"), Bytes::from_static(br#"{"send_email":false}"#));
        let claim = self.claim.clone();
        let mut in_doubt = false;
        loop {
            let Some(request) = self.buyer.target().api(&path, Some(body.clone())) else { return NOWHERE };
            let ask = Ask { claim: claim.as_deref(), ..Ask::api(AttemptKind::Cancel, &cancel.group) };
            let judge = |answer: &Answer| {
                let retry_after = answer.header(&header::RETRY_AFTER);
                classify_cancel(answer.status.as_u16(), retry_after, &answer.body, in_doubt)
            };
            let result = self.ask_api(ask, request, judge).await;
            in_doubt |= result.outcome == Outcome::InDoubt;
            match result.outcome {
                Outcome::InDoubt | Outcome::NotApplied | Outcome::NotSent => {
                    if !self.again(&result).await {
                        return Step::End(Ending::GaveUp);
                    }
                }
                _ => return Step::Next,
            }
        }
    }
}

/// Whether the buyer of an operation is one of so many of a hundred.
fn is_chosen(seed: u64, op: OpId, share_percent: u32) -> bool {
    for_operation(seed, op, CHOICE) % 100 < u64::from(share_percent)
}

/// Says what the answer to a cancellation means (`api/views/order.py` of Pretix 2026.8.0). `in_doubt` is whether an
/// earlier attempt may have cancelled the order already.
pub fn classify_cancel(status: u16, retry_after: Option<&str>, body: &[u8], in_doubt: bool) -> Classified {
    let text = String::from_utf8_lossy(body);
    let outcome = match status {
        200 => match parse_order(body) {
            Some(order) if order.status == CANCELED => Outcome::Passed,
            _ => Outcome::InDoubt,
        },
        400 if NOT_ALLOWED.iter().any(|said| text.contains(said)) => match in_doubt {
            true => Outcome::Passed,
            false => Outcome::Rejected(RejectReason::Invalid),
        },
        401 | 403 => Outcome::Rejected(RejectReason::Unauthorized),
        // A proxy's own 404 says nothing about the order.
        404 if is_shop_error(body) => Outcome::Rejected(RejectReason::NotFound),
        409 if text.contains(TOO_BUSY) => Outcome::NotApplied,
        429 => Outcome::NotApplied,
        404 | 408 | 409 => Outcome::InDoubt,
        300..=499 => Outcome::Rejected(RejectReason::Invalid),
        _ => Outcome::InDoubt,
    };
    let note = (status != 200 || outcome != Outcome::Passed).then(|| excerpt(&text));
    Classified { outcome, order: None, retry_after: retry_after.and_then(parse_retry_after), note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const CANCELLED: &str =
        r#"{"code":"AB37","secret":"s","status":"c","total":"23.00","email":"a@b.example","positions":[]}"#;
    const PENDING: &str =
        r#"{"code":"AB37","secret":"s","status":"n","total":"23.00","email":"a@b.example","positions":[]}"#;
    const REFUSED: &str = r#"{"detail":"The order is not allowed to be canceled."}"#;
    const REFUSED_LATE: &str = r#"{"detail":"You cannot cancel this order."}"#;
    const BUSY: &str = r#"{"detail":"The server was too busy to process your request. Please try again."}"#;

    #[rstest]
    #[case(200, CANCELLED, false, Outcome::Passed)]
    #[case(200, PENDING, false, Outcome::InDoubt)]
    #[case(200, "<html>welcome</html>", false, Outcome::InDoubt)]
    #[case(400, REFUSED, false, Outcome::Rejected(RejectReason::Invalid))]
    #[case::an_earlier_attempt_did_it(400, REFUSED, true, Outcome::Passed)]
    #[case::both_at_once(400, REFUSED_LATE, true, Outcome::Passed)]
    #[case(400, r#"{"detail":"something else"}"#, true, Outcome::Rejected(RejectReason::Invalid))]
    #[case(401, r#"{"detail":"Invalid token."}"#, false, Outcome::Rejected(RejectReason::Unauthorized))]
    #[case(404, r#"{"detail":"No Order matches the given query."}"#, false, Outcome::Rejected(RejectReason::NotFound))]
    #[case(404, "<html>nginx</html>", false, Outcome::InDoubt)]
    #[case(405, "", false, Outcome::Rejected(RejectReason::Invalid))]
    #[case(409, BUSY, false, Outcome::NotApplied)]
    #[case(409, "", false, Outcome::InDoubt)]
    #[case(429, "", true, Outcome::NotApplied)]
    #[case(500, REFUSED, true, Outcome::InDoubt)]
    #[case(502, "", false, Outcome::InDoubt)]
    fn a_cancellation_means(#[case] status: u16, #[case] body: &str, #[case] in_doubt: bool, #[case] outcome: Outcome) {
        let classified = classify_cancel(status, Some("3"), body.as_bytes(), in_doubt);
        assert_eq!(classified.outcome, outcome);
        assert_eq!(classified.note.is_none(), status == 200 && outcome == Outcome::Passed);
        assert!(classified.order.is_none());
    }

    #[test]
    fn so_many_of_a_hundred_cancel() {
        let chosen = |seed, share| (0..10_000).filter(|op| is_chosen(seed, OpId(*op), share)).collect::<Vec<_>>();
        assert!((2_300..2_700).contains(&chosen(7, 25).len()), "{}", chosen(7, 25).len());
        assert_eq!(chosen(7, 100).len(), 10_000);
        assert_eq!(chosen(7, 25), chosen(7, 25));
        assert_ne!(chosen(7, 25), chosen(8, 25));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 0u16..1000, body in prop::collection::vec(any::<u8>(), 0..200), doubt: bool) {
            let _ = classify_cancel(status, None, &body, doubt);
        }
    }
}
