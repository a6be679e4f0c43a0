//! One evening: the shop is opened, buyers come for a few seconds, everything is read, and the judges judge.

use crate::final_read::{self, OBSERVES, Watched};
use crate::hardship::{Split, pause_replay, resume_replay};
use crate::house::{Account, House, root};
use firedrill_boxoffice::{Bug, Item as Product, Node as Web, Quota, Stock};
use firedrill_core::checker::judge;
use firedrill_core::history::{Event, HISTORY_VERSION, History, RunHeader, RunTrailer, Stage, StageEvent};
use firedrill_core::ids::{NodeName, RunId};
use firedrill_core::load::{Journey, Mix};
use firedrill_core::sla::Sla;
use firedrill_core::source::Source;
use firedrill_core::verdict::{CheckResult, Judgement, Verdict};
use firedrill_engine::observe::Observer;
use firedrill_engine::recorder::Recorder;
use firedrill_load::journey::Script;
use firedrill_load::settings::even;
use firedrill_load::{ApiToken, Entry, Item, RunClock, Scheme, Settings, Target, Trust, start_journey};
use firedrill_runner::journeys;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Purchases that become due per second. Two cores serve twice as many beside the databases.
const RATE_PER_S: f64 = 40.0;

/// How long they become due.
const LENGTH: Duration = Duration::from_secs(3);

/// How long the operations under way may take then: longer than any buyer's patience.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);

/// Tickets of the rush: half of those that are asked for.
const RUSH_TICKETS: i64 = 40;

/// Weight of the rush, beside 1 of the tickets without end.
const RUSH_WEIGHT: u32 = 2;

/// Records of an evening are some thousands.
const RECORDS_MAX: usize = 1 << 17;

/// An order that its buyer looks up when he has it.
const LOOKED_UP: &str = "\
name: looked-up
description: An order by the API, which its buyer looks up as soon as it is confirmed.
steps:
  - order: {}
  - look-up: {group: look}
  - look-up: {group: look elsewhere, elsewhere: true}
";

/// An order of a seat that many want, which some give back.
const SEATED: &str = "\
name: seated
description: A paid order of one of eight seats; a quarter of them is given back.
steps:
  - order: {paid: true, claim: {seats: [A1, A2, A3, A4, A5, A6, A7, A8]}}
  - wait: {min_ms: 100, max_ms: 500}
  - cancel: {share_percent: 25}
";

/// An order with a voucher that many have, which some give back.
const VOUCHED: &str = "\
name: vouched
description: An order with one of six vouchers, each good for one; a quarter of them is given back.
steps:
  - order: {claim: {vouchers: [LAST1, LAST2, LAST3, LAST4, LAST5, LAST6]}}
  - wait: {min_ms: 100, max_ms: 500}
  - cancel: {share_percent: 25}
";

/// What was judged.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// From the first purchase to the verdict.
    pub(crate) took: Duration,
}

impl Judged {
    /// The result of a checker; none where there is no such checker.
    pub(crate) fn check(&self, name: &str) -> Option<&CheckResult> {
        self.verdict.checks.iter().find(|check| check.checker == name)
    }

    /// Names of the checkers that came to this.
    pub(crate) fn with(&self, judgement: Judgement) -> Vec<&str> {
        let such = self.verdict.checks.iter().filter(|check| check.judgement == judgement);
        such.map(|check| check.checker.as_str()).collect()
    }

    /// Everything that was found, for a message.
    pub(crate) fn text(&self) -> String {
        firedrill_reports::text::summary(&self.verdict, 100)
    }
}

/// What is on sale: tickets without end, and a rush for a few.
pub(crate) fn stock() -> Stock {
    let mut stock = Stock::of_one_item(None);
    stock.items.push(Product { id: 2, name: "Rush".to_owned(), price_cents: 4_900 });
    stock.quotas.push(Quota { id: 2, name: "rush".to_owned(), size: Some(RUSH_TICKETS), items: vec![2] });
    stock
        .with_seats((1..=8).map(|number| format!("A{number}")))
        .with_vouchers((1..=6).map(|number| format!("LAST{number}")), 1)
}

/// Spends an evening.
pub(crate) fn evening(house: &House, bug: Option<Bug>, seed: u64) -> Judged {
    house.runtime.block_on(spend(house, bug, seed))
}

async fn spend(house: &House, bug: Option<Bug>, seed: u64) -> Judged {
    let (records, mut written) = mpsc::channel(RECORDS_MAX);
    let clock = RunClock::start();
    let recorder = {
        let records = records.clone();
        // There is room for ten times as many; one that is missing would be missed by the trailer.
        Recorder::new(move || clock.now(), move |event| records.try_send(event).expect("room for a record"))
    };
    let log = {
        let recorder = recorder.clone();
        Arc::new(move |line: &str| final_read::log_line(&recorder, line))
    };
    let account = if bug == Some(Bug::WritesElsewhere) { Account::Superuser } else { Account::Application };
    let (shop, nodes) = house.open(&stock(), bug, account, log).await;
    let mut split = None;
    match bug {
        Some(Bug::LaggingReads) => pause_replay(house).await,
        Some(Bug::WritesElsewhere) => split = Some(Split::begin(house).await),
        _ => {}
    }
    let run =
        RunId::new(format!("boxoffice-{}-{seed}", bug.map_or_else(|| "correct".to_owned(), |bug| bug.to_string())));
    recorder.record(Event::Run(header(&run, bug, seed)));
    let observer = Observer::start(&house.stack, recorder.clone());
    let folder = tempfile::tempdir().expect("a folder for the logs");
    let watched = Watched::start(&house.stack, folder.path(), &recorder).await;
    let begin = Instant::now();
    buy(&nodes, &run, seed, clock, &recorder, records).await;
    if bug == Some(Bug::LaggingReads) {
        resume_replay(house).await;
    }
    watched.finish(&house.stack, &recorder).await;
    let samples = observer.samples();
    drop((observer, nodes, shop));
    let mut events = Vec::new();
    while let Ok(event) = written.try_recv() {
        events.push(event);
    }
    let records = events.len() as u64;
    events.push(Event::End(RunTrailer { at: clock.now(), records, samples }));
    let verdict = judge(&History::from_events(events), &agreement());
    let took = begin.elapsed();
    if let Some(split) = split {
        split.end().await;
    }
    Judged { verdict, took }
}

fn header(run: &RunId, bug: Option<Bug>, seed: u64) -> RunHeader {
    RunHeader {
        version: HISTORY_VERSION,
        run: run.clone(),
        started: String::new(),
        seed,
        topology: "boxoffice".to_owned(),
        drill: bug.map_or_else(|| "correct".to_owned(), |bug| bug.to_string()),
        rate_per_s: RATE_PER_S,
        load: None,
        observes: OBSERVES.to_vec(),
    }
}

/// Lets buyers come until the time is over and the last of them has gone.
async fn buy(
    nodes: &[Web],
    run: &RunId,
    seed: u64,
    clock: RunClock,
    recorder: &Recorder,
    records: mpsc::Sender<Event>,
) {
    let target = target(nodes);
    let settings = Settings {
        model: even(RATE_PER_S).expect("a rate"),
        buyers: 300,
        patience_ms: 6_000,
        attempt_timeout_ms: 4_000,
        connect_timeout_ms: 1_000,
        seed,
        run: run.clone(),
    };
    let script = Script::new(&settings, walked()).expect("a script");
    let quotas = vec![1, 2];
    let watch = final_read::watch_quotas(target.clone(), stock().token, quotas, recorder.clone());
    let watch = tokio::spawn(watch).abort_handle();
    let stage = |stage| {
        let at = recorder.now();
        recorder.record(Event::Stage(StageEvent { at, stage, step: None, detail: String::new() }));
    };
    let load = start_journey(&target, &settings, script, clock, records).expect("a load");
    stage(Stage::LoadStarted);
    tokio::time::sleep(LENGTH).await;
    stage(Stage::LoadStopped);
    let drained = load.stop(DRAIN_DEADLINE).await;
    stage(Stage::Drained);
    watch.abort();
    assert_eq!((drained.abandoned, drained.lost_buyers, drained.snapshot.records_lost), (0, 0, 0));
    assert_eq!(drained.void, None);
}

fn target(nodes: &[Web]) -> Target {
    let stock = stock();
    let name = |number: usize| NodeName::new(format!("web-{number}"));
    let entry =
        |(number, node): (usize, &Web)| Entry { name: name(number), addr: node.address(), scheme: Scheme::Http };
    let items = stock.items.iter();
    let items = items.zip([1, RUSH_WEIGHT]);
    let items =
        items.map(|(item, weight)| (Item { id: item.id.unsigned_abs(), price_cents: item.price_cents }, weight));
    Target {
        entries: (1..).zip(nodes).map(entry).collect(),
        host_header: "localhost".to_owned(),
        items: items.collect(),
        organizer: stock.organizer,
        event: stock.event,
        api_token: ApiToken::new(stock.token),
        trust: Trust::Public,
    }
}

/// What buyers do, by weight: order, look it up, come to the door with a copy of the ticket, fight for seats and
/// vouchers and give them back.
fn walked() -> Vec<(Journey, u32)> {
    let folder = root().join("fixtures/journeys");
    let files = Mix::Several([("order-api".to_owned(), 2), ("check-in".to_owned(), 1)].into());
    let mut journeys = journeys::read(&folder, &files).expect("the journeys of the repository");
    let own = [("looked-up", LOOKED_UP, 1), ("seated", SEATED, 2), ("vouched", VOUCHED, 2)];
    journeys.extend(own.map(|(name, text, weight)| {
        (Journey::parse(&Source::new(name, text)).unwrap_or_else(|error| panic!("{error}")), weight)
    }));
    journeys
}

/// The strict agreement of the repository.
fn agreement() -> Sla {
    let path = root().join("fixtures/sla/strict.yaml");
    let text = std::fs::read_to_string(&path).expect("the agreement is there");
    Sla::parse(&Source::new(path.display().to_string(), text)).expect("the agreement is valid")
}
