//! Keys of what an event has (questions, check-in lists), which the API lists: found out once a load, by whoever
//! needs one first.

use super::Ending;
use super::walk::{NOWHERE, Step, Walk};
use crate::buyer::Ask;
use crate::classify::{Classified, excerpt, is_shop_error, parse_retry_after};
use crate::wire::Answer;
use firedrill_core::history::{Outcome, RejectReason};
use hyper::header;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Pages of a list that are read, at most; one has 50 entries.
const PAGES_MAX: u32 = 20;

/// What was found out about the event.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By name; none where there is none, and none is needed.
    keys: Mutex<BTreeMap<String, Option<u64>>>,
}

impl Known {
    fn get(&self, what: &str) -> Option<Option<u64>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(what).copied()
    }

    fn set(&self, what: &str, key: Option<u64>) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned(), key);
    }
}

/// What a list of the API says.
enum Listed {
    /// What was looked for, or that there is none and none is needed.
    Key(Option<u64>),
    /// It goes on.
    More,
    /// It is not there: the end of the step.
    Missing,
}

#[derive(Deserialize)]
struct List<T> {
    next: Option<String>,
    results: Vec<T>,
}

impl Walk<'_> {
    /// A key that the API lists below the event at `path`. `pick` finds it in all that is listed, or says why the
    /// step cannot do without it; then the step ends at once, with these words in the record.
    pub(super) async fn find_key<T: for<'de> Deserialize<'de>>(
        &mut self,
        group: &str,
        what: &str,
        path: &str,
        pick: impl Fn(&[T]) -> Result<Option<u64>, String>,
    ) -> Result<Option<u64>, Step> {
        let kind = self.kind();
        let mut all = Vec::new();
        let mut page = 1;
        loop {
            if let Some(key) = self.script.known().get(what) {
                return Ok(key);
            }
            let query = if page > 1 { format!("?page={page}") } else { String::new() };
            let request = self.buyer.target().api(&format!("{path}{query}"), None).ok_or(NOWHERE)?;
            let mut listed = None;
            let judge = |answer: &Answer| {
                let list = serde_json::from_slice::<List<T>>(&answer.body).ok().filter(|_| answer.status == 200);
                let Some(list) = list else { return classify_no_list(answer) };
                all.extend(list.results);
                let picked = pick(&all);
                let goes_on = list.next.is_some() && page < PAGES_MAX;
                let (result, found) = match picked {
                    Ok(Some(key)) => (passed(), Listed::Key(Some(key))),
                    Ok(None) | Err(_) if goes_on => (passed(), Listed::More),
                    Ok(None) => (passed(), Listed::Key(None)),
                    Err(why) => (Classified::plain(Outcome::Rejected(RejectReason::Invalid), why), Listed::Missing),
                };
                listed = Some(found);
                result
            };
            let result = self.ask_api(Ask::api(kind, group), request, judge).await;
            match (listed, result.outcome) {
                (Some(Listed::Key(key)), _) => self.script.known().set(what, key),
                (Some(Listed::More), _) => page += 1,
                (_, Outcome::Rejected(reason)) => return Err(Step::End(Ending::Rejected(reason))),
                _ if self.again(&result).await => {}
                _ => return Err(Step::End(Ending::GaveUp)),
            }
        }
    }
}

fn passed() -> Classified {
    Classified { outcome: Outcome::Passed, order: None, retry_after: None, note: None }
}

/// What an answer means that is no list.
fn classify_no_list(answer: &Answer) -> Classified {
    let outcome = match answer.status.as_u16() {
        401 | 403 => Outcome::Rejected(RejectReason::Unauthorized),
        // A proxy's own 404 says nothing about the event.
        404 if is_shop_error(&answer.body) => Outcome::Rejected(RejectReason::Invalid),
        409 | 429 => Outcome::NotApplied,
        _ => Outcome::InDoubt,
    };
    let text = excerpt(&String::from_utf8_lossy(&answer.body));
    let mut classified = Classified::plain(outcome, format!("{} instead of a list: {text}", answer.status.as_u16()));
    let retry_after = answer.header(&header::RETRY_AFTER);
    classified.retry_after = retry_after.and_then(parse_retry_after);
    classified
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hyper::{HeaderMap, StatusCode};
    use rstest::rstest;

    #[rstest]
    #[case(401, r#"{"detail":"Invalid token."}"#, Outcome::Rejected(RejectReason::Unauthorized))]
    #[case(403, "", Outcome::Rejected(RejectReason::Unauthorized))]
    #[case(404, r#"{"detail":"Not found."}"#, Outcome::Rejected(RejectReason::Invalid))]
    #[case(404, "<html>nginx</html>", Outcome::InDoubt)]
    #[case(429, "", Outcome::NotApplied)]
    #[case(200, "<html>", Outcome::InDoubt)]
    #[case(502, "", Outcome::InDoubt)]
    fn what_is_no_list_means(#[case] status: u16, #[case] body: &'static str, #[case] outcome: Outcome) {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) };
        assert_eq!(classify_no_list(&answer).outcome, outcome);
    }
}
