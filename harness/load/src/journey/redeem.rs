//! The step `redeem`: the tickets of the buyer's own order at the door.
//!
//! [`Outcome::Passed`] is "admitted"; [`RejectReason::AlreadyRedeemed`] is "turned away, because somebody was
//! admitted with this ticket before". Each exchange is recorded with the ticket, so that two people admitted
//! with one ticket are found.
//!
//! A scanner names each scan (its nonce): one that is repeated after an exchange in doubt has the same name,
//! and the shop admits no second person by it. The second person has a name of his own.

use super::Ending;
use super::walk::{NOWHERE, Step, Walk};
use crate::buyer::Ask;
use crate::classify::{Classified, excerpt, parse_retry_after};
use crate::draw::mix;
use crate::wire::Answer;
use bytes::Bytes;
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use firedrill_core::ids::OpId;
use firedrill_core::load::journey::{LookUp, Redeem};
use hyper::header;
use serde::Deserialize;

impl Walk<'_> {
    pub(super) async fn redeem(&mut self, redeem: &Redeem) -> Step {
        if self.tickets().is_empty() {
            // The page of an order does not show what is scanned.
            let step = self.look_up(&LookUp { group: redeem.group.clone(), elsewhere: false }).await;
            if step != Step::Next {
                return step;
            }
        }
        let list = match self.find_list(redeem).await {
            Ok(list) => list,
            Err(step) => return step,
        };
        let tickets = self.tickets();
        let people = if redeem.twice { 2 } else { 1 };
        for (position, ticket) in tickets.iter().enumerate() {
            for person in 0..people {
                let nonce = nonce(self.script.seed(), self.operation.id(), position as u64, person);
                let step = self.show(redeem, list, ticket, &nonce).await;
                if step != Step::Next {
                    return step;
                }
            }
        }
        Step::Next
    }

    /// Secrets of the order's tickets, as far as they are known.
    fn tickets(&self) -> Vec<String> {
        let positions = self.order.iter().flat_map(|order| &order.positions);
        positions.filter_map(|position| position.secret.clone()).collect()
    }

    /// One person with a ticket, until it is known whether he was admitted.
    async fn show(&mut self, redeem: &Redeem, list: u64, ticket: &str, nonce: &str) -> Step {
        let body = serde_json::json!({
            "lists": [list], "secret": ticket, "nonce": nonce, "force": false, "ignore_unpaid": false, "type": "entry",
        });
        let body = Bytes::from(body.to_string());
        let path = format!("/api/v1/organizers/{}/checkinrpc/redeem/", self.buyer.target().target().organizer);
        loop {
            let Some(request) = self.buyer.target().api(&path, Some(body.clone())) else { return NOWHERE };
            let ask = Ask { ticket: Some(ticket), ..Ask::api(AttemptKind::Redeem, &redeem.group) };
            let judge = |answer: &Answer| {
                let retry_after = answer.header(&header::RETRY_AFTER);
                classify_door(answer.status.as_u16(), retry_after, &answer.body)
            };
            let result = self.ask_api(ask, request, judge).await;
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

    /// The key of the check-in list, found out once a load.
    async fn find_list(&mut self, redeem: &Redeem) -> Result<u64, Step> {
        #[derive(Deserialize)]
        struct List {
            id: u64,
            name: String,
        }
        let wanted = redeem.list.as_deref();
        let pick = |lists: &[List]| match lists.iter().find(|list| wanted.is_none_or(|name| name == list.name)) {
            Some(list) => Ok(Some(list.id)),
            None => {
                let names: Vec<String> = lists.iter().map(|list| format!("{:?}", list.name)).collect();
                Err(no_list(wanted, &names))
            }
        };
        let what = format!("check-in list {}", wanted.unwrap_or_default());
        // Without one there is an error.
        self.find_key(&redeem.group, &what, "checkinlists/", pick).await?.ok_or(NOWHERE)
    }
}

/// What is said where the event lacks the check-in list.
fn no_list(wanted: Option<&str>, names: &[String]) -> String {
    let has = match names {
        [] => "none".to_owned(),
        _ => names.join(", "),
    };
    match wanted {
        Some(name) => format!("the event has no check-in list {name:?}, it has {has}: correct the step's `list`"),
        None => "the event has no check-in list: make one in its settings".to_owned(),
    }
}

/// Says what the door's answer means (`api/views/checkin.py` of Pretix 2026.8.0).
pub fn classify_door(status: u16, retry_after: Option<&str>, body: &[u8]) -> Classified {
    #[derive(Deserialize)]
    struct Scan {
        status: String,
        reason: Option<String>,
    }
    let text = excerpt(&String::from_utf8_lossy(body));
    let scan = serde_json::from_slice::<Scan>(body).ok();
    let reason = scan.as_ref().and_then(|scan| scan.reason.as_deref());
    let outcome = match (status, &scan) {
        (200 | 201, Some(scan)) if scan.status == "ok" => {
            return Classified { outcome: Outcome::Passed, order: None, retry_after: None, note: None };
        }
        (400, Some(_)) if reason == Some("already_redeemed") => Outcome::Rejected(RejectReason::AlreadyRedeemed),
        (404, Some(_)) if reason == Some("invalid") => Outcome::Rejected(RejectReason::NotFound),
        (401 | 403, _) => Outcome::Rejected(RejectReason::Unauthorized),
        (409 | 429, _) => Outcome::NotApplied,
        // A proxy's own 404 says nothing about the ticket, a 408 nothing about what was passed on.
        (404, None) | (408, _) => Outcome::InDoubt,
        (400..=499, _) => Outcome::Rejected(RejectReason::Invalid),
        _ => Outcome::InDoubt,
    };
    let mut classified = Classified::plain(outcome, text);
    classified.retry_after = retry_after.and_then(parse_retry_after);
    classified
}

/// The name of a scan: a function of seed, operation, ticket and person, written as a UUID.
fn nonce(seed: u64, op: OpId, position: u64, person: u64) -> String {
    let high = mix(seed ^ mix(op.0));
    let low = mix(high ^ mix((position << 8) | person));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(201, r#"{"status":"ok","require_attention":false}"#, Outcome::Passed)]
    #[case(201, "{}", Outcome::InDoubt)]
    #[case(400, r#"{"status":"error","reason":"already_redeemed"}"#, Outcome::Rejected(RejectReason::AlreadyRedeemed))]
    #[case(400, r#"{"status":"error","reason":"unpaid"}"#, Outcome::Rejected(RejectReason::Invalid))]
    #[case(400, r#"{"lists":["Invalid"]}"#, Outcome::Rejected(RejectReason::Invalid))]
    #[case(401, r#"{"detail":"Invalid token."}"#, Outcome::Rejected(RejectReason::Unauthorized))]
    #[case(404, r#"{"status":"error","reason":"invalid"}"#, Outcome::Rejected(RejectReason::NotFound))]
    #[case(404, "<html>nginx</html>", Outcome::InDoubt)]
    #[case(409, "", Outcome::NotApplied)]
    #[case(500, "", Outcome::InDoubt)]
    #[case(502, r#"{"status":"ok"}"#, Outcome::InDoubt)]
    fn the_door_says(#[case] status: u16, #[case] body: &str, #[case] outcome: Outcome) {
        assert_eq!(classify_door(status, None, body.as_bytes()).outcome, outcome);
    }

    #[test]
    fn every_scan_has_a_name_of_its_own() {
        let name = nonce(1, OpId(1), 0, 0);
        assert_eq!((name.len(), name.split('-').count()), (36, 5));
        assert_eq!(name, nonce(1, OpId(1), 0, 0));
        for other in
            [nonce(1, OpId(1), 0, 1), nonce(1, OpId(1), 1, 0), nonce(1, OpId(2), 0, 0), nonce(2, OpId(1), 0, 0)]
        {
            assert_ne!(name, other);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 0u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = classify_door(status, None, &body);
        }
    }
}
