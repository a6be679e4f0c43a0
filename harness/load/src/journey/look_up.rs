//! The step `look-up`, and the search for an order by the buyer's e-mail address: what a help desk does.

use super::Ending;
use super::order::judge_order;
use super::walk::{Step, Walk};
use crate::buyer::Ask;
use crate::classify::classify_by_email;
use crate::wire::Answer;
use firedrill_core::history::{AttemptKind, Outcome};
use firedrill_core::load::journey::LookUp;
use hyper::header;
use url::form_urlencoded::byte_serialize;

impl Walk<'_> {
    /// Looks the buyer's own order up, once; again only where the answer was none. That it is not found is
    /// recorded, and nobody's end.
    pub(super) async fn look_up(&mut self, look_up: &LookUp) -> Step {
        let Some(code) = self.order.as_ref().map(|order| order.code.clone()) else { return Step::Next };
        if look_up.elsewhere {
            self.operation.enter_elsewhere();
        }
        loop {
            let request = self.buyer.target().get_order(&code);
            let judge = |answer: &Answer| judge_order(AttemptKind::Lookup, answer);
            let mut result = self.ask_api(Ask::api(AttemptKind::Lookup, &look_up.group), request, judge).await;
            match result.outcome {
                Outcome::InDoubt | Outcome::NotSent | Outcome::NotApplied => {
                    if !self.again(&result).await {
                        return Step::End(Ending::GaveUp);
                    }
                }
                _ => {
                    // By the API it has more than on its page: the secrets of the tickets.
                    self.order = result.order.take().or(self.order.take());
                    return Step::Next;
                }
            }
        }
    }

    /// Asks once for an order of the buyer's e-mail address; whether there is one.
    pub(super) async fn find_by_email(&mut self, group: &str) -> bool {
        let email = self.operation.email().to_owned();
        let path: String = byte_serialize(email.as_bytes()).collect();
        let Some(request) = self.buyer.target().api(&format!("orders/?email={path}"), None) else { return false };
        let judge = |answer: &Answer| {
            let retry_after = answer.header(&header::RETRY_AFTER);
            classify_by_email(&email, answer.status.as_u16(), retry_after, &answer.body)
        };
        let mut result = self.ask_api(Ask::api(AttemptKind::Lookup, group), request, judge).await;
        self.order = result.order.take().or(self.order.take());
        self.order.is_some()
    }
}
