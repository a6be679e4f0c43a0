//! What the buyers of the benchmark do.

use bytes::Bytes;
use firedrill_core::history::{AttemptKind, Outcome};
use firedrill_core::ids::RunId;
use firedrill_load::OrderCodes;
use firedrill_load::buyer::{Ask, Buyer};
use firedrill_load::classify::{Classified, classify};
use firedrill_load::journey::{Arrival, Ending, Journey};
use firedrill_load::operation::Ended;
use firedrill_load::order_code::email_of;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Uri};
use std::sync::Mutex;

/// Reads a page.
pub(crate) struct Get {
    uri: Uri,
}

impl Get {
    pub(crate) fn new(path: String) -> Self {
        Self { uri: path.parse().unwrap_or_default() }
    }
}

impl Journey for Get {
    fn name(&self) -> &'static str {
        "get"
    }

    async fn serve(&self, buyer: &mut Buyer, arrival: Arrival) -> Ended {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
        let mut operation = buyer.begin(arrival, String::new(), String::new());
        let judge = |answer: &firedrill_load::wire::Answer| {
            let outcome = if answer.status == 200 { Outcome::Passed } else { Outcome::InDoubt };
            Classified { outcome, order: None, retry_after: None, note: None }
        };
        let result = buyer.attempt(&mut operation, Ask::api(AttemptKind::Visit, "get"), request, judge).await;
        operation.end(match result.outcome {
            Outcome::Passed => Ending::Visited,
            _ => Ending::GaveUp,
        })
    }
}

/// Posts an order with the cookies of its user, reads the answer as a drill does, keeps its cookies.
pub(crate) struct Step {
    uri: Uri,
    codes: OrderCodes,
    /// The cookies of each user, as the header that sends them.
    jars: Vec<Mutex<Option<HeaderValue>>>,
}

impl Step {
    pub(crate) fn new(path: String, users: u32) -> Self {
        Self {
            uri: path.parse().unwrap_or_default(),
            codes: OrderCodes::new(1, &RunId::new("bench")),
            jars: (0..users).map(|_| Mutex::new(None)).collect(),
        }
    }
}

impl Journey for Step {
    fn name(&self) -> &'static str {
        "step"
    }

    async fn serve(&self, buyer: &mut Buyer, arrival: Arrival) -> Ended {
        // In the closed model, operations of one user are `users` apart.
        let jar = &self.jars[(arrival.op.0 % self.jars.len() as u64) as usize];
        let code = self.codes.code(arrival.op);
        let email = email_of(&code);
        let mut request =
            buyer.target().post_order(buyer.target().order_body(buyer.target().item_of(1, arrival.op), &code, &email));
        *request.uri_mut() = self.uri.clone();
        let cookies = jar.lock().ok().and_then(|jar| jar.clone());
        if let Some(cookies) = cookies {
            request.headers_mut().insert(header::COOKIE, cookies);
        }
        let mut operation = buyer.begin(arrival, code, email);
        let judge = |answer: &firedrill_load::wire::Answer| {
            let pairs: Vec<&str> = answer
                .headers
                .get_all(header::SET_COOKIE)
                .iter()
                .filter_map(|value| value.to_str().ok()?.split(';').next())
                .collect();
            if let (Ok(mut jar), Ok(header)) = (jar.lock(), HeaderValue::from_str(&pairs.join("; "))) {
                *jar = Some(header);
            }
            classify(AttemptKind::Purchase, answer.status.as_u16(), None, &answer.body)
        };
        let result = buyer.attempt(&mut operation, Ask::api(AttemptKind::Purchase, "step"), request, judge).await;
        operation.end(match result.outcome {
            Outcome::Acknowledged => Ending::Acknowledged,
            _ => Ending::GaveUp,
        })
    }
}
