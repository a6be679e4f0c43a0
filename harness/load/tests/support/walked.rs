//! One buyer's walk through a journey, and what the history says about it.

use super::web::WebShop;
use super::{attempts, collect, settings, target};
use firedrill_core::history::{Attempt, AttemptKind, OperationOutcome, Operations, Outcome};
use firedrill_core::load::Journey;
use firedrill_core::source::Source;
use firedrill_load::journey::Script;
use firedrill_load::{Breakdown, RunClock, Settings, Snapshot, Target, start_journey};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// The journey `web-checkout` without its waits.
pub(crate) const CHECKOUT: &str = r#"
name: web-checkout
description: d
steps:
  - page: {group: event, path: "/{organizer}/{event}/", assets: true}
  - submit: {group: cart, form: cart/add, fill: {"item_*": "0", "item_{item}": "1"}, background: true}
  - page: {group: start, path: "/{organizer}/{event}/checkout/start", assets: true}
  - submit: {group: questions, form: checkout/questions, fill: {email: "{email}", "*question_*": "3"}}
  - submit: {group: payment, form: checkout/payment, fill: {payment: manual}}
  - submit: {group: confirm, form: checkout/confirm, background: true, purchase: true}
"#;

pub(crate) fn journey(text: &str) -> Journey {
    Journey::parse(&Source::new("j.yaml", text)).expect("a journey")
}

pub(crate) struct Walked {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) outcome: OperationOutcome,
    pub(crate) figures: Snapshot,
    pub(crate) breakdown: Breakdown,
    /// Of the operation, as the history has it.
    pub(crate) latency_ms: f64,
}

impl Walked {
    /// Kinds, groups and outcomes, those that follow one another and are alike once.
    pub(crate) fn story(&self) -> Vec<(AttemptKind, &str, Outcome)> {
        let mut story: Vec<_> =
            self.attempts.iter().map(|attempt| (attempt.kind, attempt.group.as_str(), attempt.outcome)).collect();
        story.dedup();
        story
    }

    /// Outcomes of one group.
    pub(crate) fn of(&self, group: &str) -> Vec<(AttemptKind, Outcome)> {
        let mut of: Vec<_> = self.attempts.iter().filter(|attempt| attempt.group == group).collect();
        of.dedup_by_key(|attempt| (attempt.kind, attempt.outcome));
        of.iter().map(|attempt| (attempt.kind, attempt.outcome)).collect()
    }

    pub(crate) fn is_acknowledged(&self) -> bool {
        matches!(self.outcome, OperationOutcome::Acknowledged { .. })
    }
}

/// Lets exactly one buyer walk to his end.
pub(crate) async fn walk_with(target: &Target, settings: &Settings, text: &str) -> Walked {
    let script = Script::new(settings, vec![(journey(text), 1)]).expect("a script");
    let (tx, rx) = mpsc::channel(10_000);
    let load = start_journey(target, settings, script, RunClock::start(), tx).expect("a load");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let drained = load.stop(Duration::from_secs(30)).await;
    assert_eq!((drained.abandoned, drained.lost_buyers, drained.snapshot.records_lost), (0, 0, 0));
    let history = collect(rx);
    let operations = Operations::of(&history);
    assert_eq!(operations.len(), 1, "{history:?}");
    let operation = operations.iter().next().expect("one operation");
    Walked {
        attempts: attempts(&history),
        outcome: operation.outcome.clone(),
        figures: drained.snapshot,
        breakdown: drained.breakdown,
        latency_ms: operation.latency_ms(),
    }
}

pub(crate) async fn walk_at(shop: &WebShop, text: &str) -> Walked {
    let node = shop.node().await;
    walk_with(&shop_target(&[("web-1", node)]), &patient(), text).await
}

pub(crate) fn shop_target(entries: &[(&str, SocketAddr)]) -> Target {
    target(entries)
}

pub(crate) fn patient() -> Settings {
    Settings { attempt_timeout_ms: 2_000, ..settings() }
}
