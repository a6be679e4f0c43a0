//! What is read of the shop beside what its buyers saw: its databases, its own words about its quotas, its log.
//!
//! The databases are read by the engine, with the SQL that reads a Pretix.

use firedrill_core::history::{Event, LogLines, QuotaSeen, Subject};
use firedrill_core::ids::NodeName;
use firedrill_engine::ledger::{self, Known, leftovers};
use firedrill_engine::logs::LogFollower;
use firedrill_engine::onlooker::{self, Onlooker};
use firedrill_engine::recorder::Recorder;
use firedrill_engine::stack::Stack;
use firedrill_load::{Entry, Target};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// What an evening looks at besides orders, quotas and roles: what is missing of it then is unknown.
pub(crate) const OBSERVES: [Subject; 6] =
    [Subject::Books, Subject::Entries, Subject::Invoices, Subject::Leftovers, Subject::Logs, Subject::QuotasSeen];

/// How long work that was begun may take to be ended: the shop does everything before it answers.
const LEFTOVERS_DEADLINE: Duration = Duration::from_secs(1);

/// How long a standby may take to replay what the primary has.
const CAUGHT_UP_DEADLINE: Duration = Duration::from_secs(20);

/// How often the shop is asked what is left.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// The node whose log the shop writes.
const SHOP_LOG: &str = "boxoffice";

/// What the engine reads of the databases while buyers buy: invoices, counts of the quotas, logs.
pub(crate) struct Watched {
    onlooker: Onlooker,
    logs: LogFollower,
}

impl Watched {
    /// Begins.
    pub(crate) async fn start(stack: &Stack, folder: &Path, recorder: &Recorder) -> Self {
        // The shop's own word is asked for here: its web nodes are none of the stack's.
        let nobody = onlooker::Event {
            organizer: String::new(),
            event: String::new(),
            token: String::new(),
            quotas: Vec::new(),
        };
        let onlooker = Onlooker::start(stack, nobody, recorder, &Known::default());
        let logs = LogFollower::start(stack, folder, recorder, Some(jiff::Timestamp::now()))
            .await
            .expect("the logs can be followed");
        Self { onlooker, logs }
    }

    /// Ends, and reads all databases into the history.
    pub(crate) async fn finish(self, stack: &Stack, recorder: &Recorder) {
        drop(self.onlooker);
        // The tables are new every evening: nothing in them is from before.
        let known = Known::default();
        leftovers::wait_and_record(stack, recorder, &known, LEFTOVERS_DEADLINE).await;
        // A standby that never catches up differs from the primary, and is found as such.
        let _ = ledger::wait_caught_up(stack, CAUGHT_UP_DEADLINE).await;
        ledger::read_all(stack, recorder, &known).await;
        self.logs.finish();
    }
}

/// Asks the shop, through its entry points in turn, what is left of its quotas, for ever.
pub(crate) async fn watch_quotas(target: Target, token: String, quotas: Vec<u64>, recorder: Recorder) {
    // Never through the host's proxy: the shop is on 127.0.0.1.
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut ticks = tokio::time::interval(ASKED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for entry in target.entries.iter().cycle() {
        ticks.tick().await;
        for quota in &quotas {
            if let Some(seen) = ask(&client, &target, entry, &token, *quota, &recorder).await {
                recorder.record(Event::Seen(seen));
            }
        }
    }
}

async fn ask(
    client: &reqwest::Client,
    target: &Target,
    entry: &Entry,
    token: &str,
    quota: u64,
    recorder: &Recorder,
) -> Option<QuotaSeen> {
    let (organizer, event) = (&target.organizer, &target.event);
    let path = format!("api/v1/organizers/{organizer}/events/{event}/quotas/{quota}/availability/");
    let request = client.get(format!("http://{}/{path}", entry.addr));
    let asked = recorder.now();
    // No answer is no word about the quota.
    let answer = request.header("authorization", format!("Token {token}")).send().await.ok()?;
    let said: Value = answer.error_for_status().ok()?.json().await.ok()?;
    Some(QuotaSeen {
        asked,
        at: recorder.now(),
        entry: entry.name.clone(),
        id: quota,
        size: said["total_size"].as_u64(),
        left: said["available_number"].as_i64(),
    })
}

/// A line of the shop's log, as the engine writes down those of the stack's nodes.
pub(crate) fn log_line(recorder: &Recorder, line: &str) {
    recorder.record(Event::Log(LogLines {
        node: NodeName::new(SHOP_LOG),
        at: recorder.now(),
        count: 1,
        line: line.to_owned(),
    }));
}
