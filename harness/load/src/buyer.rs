//! A virtual buyer: one connection, one operation at a time, every exchange a record.

use crate::classify::Classified;
use crate::clock::RunClock;
use crate::journey::Arrival;
use crate::line::Line;
use crate::operation::Operation;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::target::Prepared;
use crate::wire::{Answer, Failure, Keep};
use bytes::Bytes;
use firedrill_core::history::{At, Attempt, AttemptKind, Event, Outcome};
use firedrill_core::ids::BuyerId;
use http_body_util::Full;
use hyper::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// Least time, in milliseconds, that must be left of a buyer's patience for one more attempt: one that is
/// cut off as it begins would sell nothing and leave an operation in doubt that was not.
const SHORTEST_TRY_MS: u64 = 250;

/// What all buyers of a load share.
pub(crate) struct Shared {
    pub(crate) target: Prepared,
    pub(crate) settings: Settings,
    pub(crate) clock: RunClock,
    pub(crate) stats: Arc<Stats>,
    pub(crate) records: mpsc::Sender<Event>,
}

/// What an exchange is for, and what is kept of its answer.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is asked.
    pub kind: AttemptKind,
    /// Name of its figures: the step of the journey.
    pub group: &'a str,
    /// What is kept.
    pub keep: Keep,
    /// Secret of the ticket that is shown.
    pub ticket: Option<&'a str>,
    /// What there is only one of, and is asked for.
    pub claim: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// An exchange with the API.
    pub fn api(kind: AttemptKind, group: &'a str) -> Self {
        Self { kind, group, keep: Keep::ANSWER, ticket: None, claim: None }
    }
}

/// An attempt under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    started: At,
    /// Index of its entry point.
    pub(crate) entry: usize,
    /// When it ends at the latest.
    pub(crate) until: At,
}

impl Shared {
    /// An attempt of an operation begins now.
    pub(crate) fn begin(&self, operation: &Operation) -> Try {
        let started = self.clock.now();
        let until = started.plus_ms(self.settings.attempt_timeout_ms).min(operation.deadline());
        Try { started, entry: operation.entry(), until }
    }

    /// It ended now: what it means, and its record, which is counted already.
    pub(crate) fn end(
        &self,
        buyer: BuyerId,
        operation: &mut Operation,
        ask: Ask<'_>,
        attempt: Try,
        exchanged: &Result<Answer, Failure>,
        judge: impl FnOnce(&Answer) -> Classified,
    ) -> (Classified, Event) {
        let Try { started, entry, .. } = attempt;
        let ended = self.clock.now();
        let (status, result) = settle(exchanged, judge);
        let number = operation.attempted(entry, (started, ended), result.outcome, exchanged.as_ref().err());
        let attempt = Attempt {
            op: operation.id(),
            buyer,
            number,
            kind: ask.kind,
            entry: self.target.entries()[entry].name.clone(),
            intended: operation.intended(),
            started,
            ended,
            status,
            outcome: result.outcome,
            group: ask.group.to_owned(),
            code: operation.code().to_owned(),
            email: operation.email().to_owned(),
            order: result.order.clone(),
            ticket: ask.ticket.map(str::to_owned),
            claim: ask.claim.map(str::to_owned),
            error: result.note.clone(),
        };
        self.stats.attempted(&attempt, operation.access());
        (result, Event::Attempt(attempt))
    }

    /// Hands a record to the history. Waiting for a slow disk here delays the buyer, whose times are taken
    /// already, and never the pacing.
    pub(crate) async fn record(&self, event: Event) {
        // There is room nearly always, and then there is nothing to wait for.
        let sent = match self.records.try_send(event) {
            Err(TrySendError::Full(event)) => self.records.send(event).await.is_ok(),
            sent => sent.is_ok(),
        };
        if !sent {
            self.stats.record_lost();
        }
    }

    /// Whether there is time for one more attempt of an operation.
    pub(crate) fn has_time(&self, operation: &Operation) -> bool {
        self.clock.now().plus_ms(SHORTEST_TRY_MS) < operation.deadline()
    }
}

/// A virtual buyer.
pub struct Buyer {
    id: BuyerId,
    line: Line,
}

impl Buyer {
    pub(crate) fn new(id: BuyerId, shared: Arc<Shared>, hang_up: watch::Receiver<bool>) -> Self {
        Self { id, line: Line::new(shared, hang_up) }
    }

    fn shared(&self) -> &Shared {
        self.line.shared()
    }

    /// The shop.
    pub fn target(&self) -> &Prepared {
        &self.shared().target
    }

    /// Who he is, and his line: for those who make exchanges side by side.
    pub(crate) fn parts(&mut self) -> (BuyerId, &mut Line) {
        (self.id, &mut self.line)
    }

    /// Begins an operation at the buyer's own entry point: number n of n entry points, round robin.
    pub fn begin(&self, arrival: Arrival, code: String, email: String) -> Operation {
        let entries = self.target().entries().len();
        let patience_ms = self.shared().settings.patience_ms;
        let entry = self.id.0 as usize % entries;
        Operation::new(arrival.op, arrival.intended, patience_ms, entry, entries).of(code, email)
    }

    /// Makes one exchange at the operation's entry point and records it. `judge` says what an answer means.
    pub async fn attempt(
        &mut self,
        operation: &mut Operation,
        ask: Ask<'_>,
        request: Request<Full<Bytes>>,
        judge: impl FnOnce(&Answer) -> Classified,
    ) -> Classified {
        let attempt = self.shared().begin(operation);
        let exchanged = self.line.exchange(attempt.entry, request, ask.keep, attempt.until).await;
        let (result, record) = self.shared().end(self.id, operation, ask, attempt, &exchanged, judge);
        self.shared().record(record).await;
        result
    }

    /// Waits before the next attempt. False where there is none: patience is over, or the load is.
    pub async fn wait(&mut self, operation: &Operation, wait: Duration) -> bool {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let until = self.shared().clock.now().plus_ms(ms).min(operation.deadline());
        if !wait.is_zero() && self.line.wait(until).await {
            return false;
        }
        !self.line.is_hung_up() && self.shared().has_time(operation)
    }

    /// Waits as a person does who reads: neither patience nor latency counts it. False where the load has
    /// ended meanwhile.
    pub async fn think(&mut self, operation: &mut Operation, time: Duration) -> bool {
        let began = self.shared().clock.now();
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let is_over = self.line.wait(began.plus_ms(ms)).await;
        operation.thought(self.shared().clock.now().0.saturating_sub(began.0));
        !is_over
    }

    /// How much of the buyer's patience is left, from 0 to 1.
    pub fn patience_left(&self, operation: &Operation) -> f64 {
        operation.deadline().ms_since(self.shared().clock.now()) / self.shared().settings.patience_ms as f64
    }

    /// Waits for the end of an idle connection, so that it is not used any more; for ever without one.
    pub(crate) async fn idle(&mut self) {
        self.line.idle().await;
    }
}

/// Status and meaning of an exchange.
pub(crate) fn settle(
    exchanged: &Result<Answer, Failure>,
    judge: impl FnOnce(&Answer) -> Classified,
) -> (Option<u16>, Classified) {
    match exchanged {
        Ok(answer) => (Some(answer.status.as_u16()), judge(answer)),
        Err(failure) => {
            let outcome = if failure.sent { Outcome::InDoubt } else { Outcome::NotSent };
            (failure.status, Classified::plain(outcome, failure.text.clone()))
        }
    }
}
