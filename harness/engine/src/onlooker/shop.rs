//! The shop's own word: `GET quotas/ID/availability/` at the entry points, as any client of the API asks.
//!
//! The answer is computed when it is asked for (`api/views/item.py` of Pretix 2026.8.0), from the database that the
//! web node reads from.

use super::{Event, PERIOD};
use crate::recorder::Recorder;
use firedrill_core::history::{self, QuotaSeen};
use firedrill_core::ids::NodeName;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How long an answer is waited for. A stalled shop answers late, and the answer still says what it saw.
const DEADLINE: Duration = Duration::from_secs(10);

/// Asks one quota after the other at one entry point after the other.
pub(super) struct Asker {
    entries: Vec<(NodeName, SocketAddr)>,
    event: Event,
    recorder: Recorder,
    client: reqwest::Client,
    asked: usize,
}

impl Asker {
    /// None where there is nothing or nobody to ask.
    pub(super) fn new(entries: Vec<(NodeName, SocketAddr)>, event: Event, recorder: Recorder) -> Option<Self> {
        if entries.is_empty() || event.quotas.is_empty() {
            return None;
        }
        // Never through the host's proxy: the shop is on 127.0.0.1.
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().ok()?;
        Some(Self { entries, event, recorder, client, asked: 0 })
    }

    /// Asks again and again.
    pub(super) async fn go_on_asking(mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.ask().await;
        }
    }

    /// Asks once. Whatever is no answer is no record.
    async fn ask(&mut self) {
        let (entry, address) = &self.entries[self.asked % self.entries.len()];
        // One more after a whole round of entry points, so that each quota is asked for at each of them.
        let round = self.asked / self.entries.len();
        let id = self.event.quotas[round % self.event.quotas.len()];
        self.asked += 1;
        let Event { organizer, event, token, .. } = &self.event;
        let url = format!("http://{address}/api/v1/organizers/{organizer}/events/{event}/quotas/{id}/availability/");
        let request = self.client.get(url).header("host", "localhost").header("accept", "application/json");
        let asked = self.recorder.now();
        let Ok(answer) = request.header("authorization", format!("Token {token}")).send().await else { return };
        if answer.status() != reqwest::StatusCode::OK {
            return;
        }
        let Ok(body) = answer.bytes().await else { return };
        let at = self.recorder.now();
        if let Some((size, left)) = availability(&body) {
            let seen = QuotaSeen { asked, at, entry: entry.clone(), id, size, left };
            self.recorder.record(history::Event::Seen(seen));
        }
    }
}

/// Size of a quota and how many are left, as the shop says; `null` is unlimited, anything else is no answer.
fn availability(body: &[u8]) -> Option<(Option<u64>, Option<i64>)> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let size = match answer.get("total_size")? {
        Value::Null => None,
        size => Some(size.as_u64()?),
    };
    let left = match answer.get("available_number")? {
        Value::Null => None,
        left => Some(left.as_i64()?),
    };
    Some((size, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const FULL: &str = r#"{"paid_orders":3,"pending_orders":37,"exited_orders":0,"blocking_vouchers":0,
        "cart_positions":0,"waiting_list":0,"available_number":0,"available":false,"total_size":40}"#;

    #[rstest]
    #[case(FULL, Some((Some(40), Some(0))))]
    #[case(r#"{"available_number":null,"available":true,"total_size":null}"#, Some((None, None)))]
    #[case(r#"{"available_number":-1,"total_size":40}"#, Some((Some(40), Some(-1))))]
    #[case::no_number(r#"{"available":true,"total_size":40}"#, None)]
    #[case::a_text(r#"{"available_number":"12","total_size":40}"#, None)]
    #[case::an_error(r#"{"detail":"Not found."}"#, None)]
    #[case::no_json("<html>", None)]
    fn what_the_shop_says_is_left(#[case] body: &str, #[case] expected: Option<(Option<u64>, Option<i64>)>) {
        assert_eq!(availability(body.as_bytes()), expected);
    }
}
