//! The step `order`: one order of one ticket by `POST orders/`.
//!
//! The buyer repeats until the order is confirmed or refused for good, always with the same order code: the
//! shop's database holds it UNIQUE, so that repeating is safe. After an exchange in doubt he asks first
//! what became of the order (`GET orders/CODE/`), as a customer looks into his mail before he buys again.

use super::Ending;
use super::walk::{Step, Walk};
use crate::buyer::Ask;
use crate::classify::{Classified, classify};
use crate::draw::for_operation;
use crate::operation::Operation;
use crate::retry::Backoff;
use crate::wire::Answer;
use bytes::Bytes;
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use firedrill_core::ids::OpId;
use firedrill_core::load::journey::{Claim, Order};
use hyper::header;
use serde::Deserialize;
use std::time::Duration;

/// Keeps the choice of a claim apart from everything else that is drawn from the seed.
const CLAIM: u64 = 0x636c_6169_6d5f_6f66;

/// What to do after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The step is over.
    End(Ending),
    /// Wait, then make an attempt of this kind.
    Try(AttemptKind, Duration),
}

impl Walk<'_> {
    pub(super) async fn order(&mut self, order: &Order) -> Step {
        let body = match self.order_body(order).await {
            Ok(body) => body,
            Err(step) => return step,
        };
        let backoff = self.backoff.clone();
        let mut plan =
            Plan { backoff, duplicates: 0, sent: 0, sent_max: order.attempts, in_doubt: false, taken: false };
        let claim = self.claim.clone();
        let mut kind = AttemptKind::Purchase;
        loop {
            let request = match kind {
                AttemptKind::Purchase => self.buyer.target().post_order(body.clone()),
                _ => self.buyer.target().get_order(self.operation.code()),
            };
            let judge = |answer: &Answer| judge_order(kind, answer);
            let ask = Ask { claim: claim.as_deref(), ..Ask::api(kind, &order.group) };
            let mut result = self.ask_api(ask, request, judge).await;
            self.in_doubt |= result.outcome == Outcome::InDoubt;
            let confirmed = result.order.take();
            match plan.after(kind, &result, &self.operation) {
                Next::End(Ending::Acknowledged) => {
                    self.order = confirmed;
                    return Step::Next;
                }
                Next::End(ending) => return Step::End(ending),
                Next::Try(next, wait) => {
                    if !self.buyer.wait(&self.operation, wait).await {
                        return Step::End(Ending::GaveUp);
                    }
                    kind = next;
                }
            }
        }
    }

    async fn order_body(&mut self, order: &Order) -> Result<Bytes, Step> {
        let question = match &order.answer {
            Some(_) => self.find_question(&order.group).await?,
            None => None,
        };
        let mut body = self.buyer.target().order_json(self.item(), self.operation.code(), self.operation.email());
        if order.paid {
            body["status"] = "p".into();
        }
        if order.invoice_address {
            body["invoice_address"] = serde_json::json!({
                "is_business": false,
                "name_parts": {"_scheme": "full", "full_name": "Ada Buyer"},
                "street": "1 Fair Street",
                "zipcode": "69117",
                "city": "Heidelberg",
                "country": "DE",
            });
        }
        if let Some(claim) = &order.claim {
            let name = drawn(claim, self.script.seed(), self.operation.id());
            body["positions"][0][claim.kind()] = name.into();
            self.claim = Some(format!("{} {name}", claim.kind()));
        }
        if let (Some(question), Some(answer)) = (question, &order.answer) {
            let answer = self.filled(answer);
            body["positions"][0]["answers"] =
                serde_json::json!([{"question": question, "answer": answer, "options": []}]);
        }
        Ok(Bytes::from(body.to_string()))
    }

    /// The key of the first question that is asked for the item, found out once a load; none where there is
    /// none.
    async fn find_question(&mut self, group: &str) -> Result<Option<u64>, Step> {
        #[derive(Deserialize)]
        struct Question {
            id: u64,
            items: Vec<u64>,
        }
        let item = self.item().id;
        let pick = |questions: &[Question]| {
            Ok(questions.iter().find(|question| question.items.contains(&item)).map(|question| question.id))
        };
        self.find_key(group, &format!("question for item {item}"), "questions/", pick).await
    }
}

/// Which of the things that buyers fight for is asked for in an operation.
fn drawn(claim: &Claim, seed: u64, op: OpId) -> &str {
    let names = claim.names();
    // A journey is refused whose claim has no names.
    let index = for_operation(seed, op, CLAIM) % (names.len() as u64).max(1);
    names.get(index as usize).map_or("", String::as_str)
}

/// What an answer to an order or to a lookup means.
pub(crate) fn judge_order(kind: AttemptKind, answer: &Answer) -> Classified {
    let retry_after = answer.header(&header::RETRY_AFTER);
    classify(kind, answer.status.as_u16(), retry_after, &answer.body)
}

/// The buyer's memory between two attempts of one order.
struct Plan {
    backoff: Backoff,
    /// How often the shop said that the code is in use.
    duplicates: u32,
    /// How often the order was sent.
    sent: u32,
    /// How often it is sent at most.
    sent_max: Option<u32>,
    /// Whether an order of his may be there already.
    in_doubt: bool,
    /// Whether he was told, while in doubt, that what he asked for is somebody's: perhaps his own.
    taken: bool,
}

impl Plan {
    fn after(&mut self, kind: AttemptKind, result: &Classified, operation: &Operation) -> Next {
        use AttemptKind::{Lookup, Purchase};
        self.sent += u32::from(kind == Purchase && result.outcome != Outcome::NotSent);
        self.in_doubt |= kind == Purchase && result.outcome == Outcome::InDoubt;
        let next = match result.outcome {
            Outcome::Acknowledged => Next::End(Ending::Acknowledged),
            Outcome::Rejected(RejectReason::DuplicateCode) => {
                self.duplicates += 1;
                // A shop that says "in use" and "no such order" in turn must not be asked in a hot loop.
                let wait = if self.duplicates > 1 { self.backoff.next_wait() } else { Duration::ZERO };
                Next::Try(Lookup, wait)
            }
            Outcome::Rejected(RejectReason::Taken) if self.in_doubt => {
                self.taken = true;
                Next::Try(Lookup, self.backoff.next_wait())
            }
            Outcome::Rejected(RejectReason::NotFound) if self.taken => Next::End(Ending::Rejected(RejectReason::Taken)),
            // The order code is UNIQUE: sending the order again is safe even if the first is still under way.
            Outcome::Rejected(RejectReason::NotFound) => Next::Try(Purchase, Duration::ZERO),
            Outcome::Rejected(reason) => Next::End(Ending::Rejected(reason)),
            Outcome::NotApplied => Next::Try(kind, self.backoff.after_busy(result.retry_after)),
            // The next entry point is tried at once; only after all of them failed it is time to wait.
            Outcome::NotSent if operation.is_nowhere() => Next::Try(kind, self.backoff.next_wait()),
            Outcome::NotSent => Next::Try(kind, Duration::ZERO),
            Outcome::InDoubt | Outcome::Passed | Outcome::Pending => Next::Try(Lookup, self.backoff.next_wait()),
        };
        match next {
            Next::Try(Purchase, _) if self.sent_max.is_some_and(|most| self.sent >= most) => Next::End(Ending::GaveUp),
            next => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_has_its_turn() {
        let claim = Claim::Seats(["A1", "A2", "A3"].map(str::to_owned).to_vec());
        let drawn = |seed| (0..3_000).map(|op| drawn(&claim, seed, OpId(op))).collect::<Vec<_>>();
        for name in claim.names() {
            let times = drawn(7).iter().filter(|one| *one == name).count();
            assert!((900..1_100).contains(&times), "{name}: {times}");
        }
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }
}
