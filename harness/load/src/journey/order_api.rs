//! The journey `order-api`: one order of one ticket by `POST orders/`.
//!
//! The buyer repeats until the order is confirmed or refused for good, always with the same order code: the
//! shop's database holds it UNIQUE, so that repeating is safe. After an exchange in doubt he asks first
//! what became of the order (`GET orders/CODE/`), as a customer looks into his mail before he buys again.

use super::{Arrival, Ending, Journey};
use crate::buyer::{Buyer, Operation};
use crate::classify::{Classified, classify};
use crate::order_code::{OrderCodes, email_of};
use crate::retry::Backoff;
use crate::settings::Settings;
use crate::wire::Answer;
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use hyper::header;
use std::time::Duration;

/// The journey `order-api`.
#[derive(Debug, Clone)]
pub struct OrderApi {
    codes: OrderCodes,
    seed: u64,
}

impl OrderApi {
    /// The journey of a run with these settings.
    pub fn new(settings: &Settings) -> Self {
        Self { codes: OrderCodes::new(settings.seed, &settings.run), seed: settings.seed }
    }
}

/// What to do after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The operation is over.
    End(Ending),
    /// Wait, then make an attempt of this kind.
    Try(AttemptKind, Duration),
}

impl Journey for OrderApi {
    fn name(&self) -> &'static str {
        "order-api"
    }

    async fn serve(&self, buyer: &mut Buyer, arrival: Arrival) -> Ending {
        let code = self.codes.code(arrival.op);
        let email = email_of(&code);
        let body = buyer.target().order_body(&code, &email);
        let mut operation = buyer.begin(arrival, code, email);
        let mut plan = Plan { backoff: Backoff::new(self.seed, arrival.op), duplicates: 0 };
        let mut kind = AttemptKind::Purchase;
        loop {
            let request = match kind {
                AttemptKind::Lookup => buyer.target().get_order(operation.code()),
                _ => buyer.target().post_order(body.clone()),
            };
            let result = buyer.attempt(&mut operation, kind, request, |answer| judge_order(kind, answer)).await;
            match plan.after(kind, &result, &operation) {
                Next::End(ending) => return ending,
                Next::Try(next, wait) => {
                    if !buyer.wait(&operation, wait).await {
                        return Ending::GaveUp;
                    }
                    kind = next;
                }
            }
        }
    }
}

/// What an answer to an order or to a lookup means.
pub(crate) fn judge_order(kind: AttemptKind, answer: &Answer) -> Classified {
    let retry_after = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    classify(kind, answer.status.as_u16(), retry_after, &answer.body)
}

/// The buyer's memory between two attempts of one operation.
struct Plan {
    backoff: Backoff,
    /// How often the shop said that the code is in use.
    duplicates: u32,
}

impl Plan {
    fn after(&mut self, kind: AttemptKind, result: &Classified, operation: &Operation) -> Next {
        use AttemptKind::{Lookup, Purchase};
        match result.outcome {
            Outcome::Acknowledged => Next::End(Ending::Acknowledged),
            Outcome::Rejected(RejectReason::DuplicateCode) => {
                self.duplicates += 1;
                // A shop that says "in use" and "no such order" in turn must not be asked in a hot loop.
                let wait = if self.duplicates > 1 { self.backoff.next_wait() } else { Duration::ZERO };
                Next::Try(Lookup, wait)
            }
            // The order code is UNIQUE: sending the order again is safe even if the first is still under way.
            Outcome::Rejected(RejectReason::NotFound) => Next::Try(Purchase, Duration::ZERO),
            Outcome::Rejected(reason) => Next::End(Ending::Rejected(reason)),
            Outcome::NotApplied => Next::Try(kind, self.backoff.after_busy(result.retry_after)),
            Outcome::InDoubt | Outcome::Passed | Outcome::Pending => Next::Try(Lookup, self.backoff.next_wait()),
            // The next entry point is tried at once; only after all of them failed it is time to wait.
            Outcome::NotSent if operation.is_nowhere() => Next::Try(kind, self.backoff.next_wait()),
            Outcome::NotSent => Next::Try(kind, Duration::ZERO),
        }
    }
}
