//! A virtual buyer: one connection, one operation at a time, every exchange a record.

use crate::classify::Classified;
use crate::clock::RunClock;
use crate::journey::Arrival;
use crate::settings::Settings;
use crate::stats::Stats;
use crate::target::Prepared;
use crate::wire::{Answer, Cut, Failure, Keep, Link};
use bytes::Bytes;
use firedrill_core::history::{At, Attempt, AttemptKind, Event, Outcome};
use firedrill_core::ids::{BuyerId, OpId};
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
    pub(crate) stats: Stats,
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
}

impl<'a> Ask<'a> {
    /// An exchange with the API.
    pub fn api(kind: AttemptKind, group: &'a str) -> Self {
        Self { kind, group, keep: Keep::ANSWER, ticket: None }
    }
}

/// A virtual buyer.
pub struct Buyer {
    id: BuyerId,
    shared: Arc<Shared>,
    /// The open connection and the index of its entry point.
    link: Option<(usize, Link)>,
    /// Becomes true when operations under way must end at once.
    hang_up: watch::Receiver<bool>,
}

/// An operation of a buyer under way.
#[derive(Debug)]
pub struct Operation {
    id: OpId,
    /// When it was due, moved on by the time for which the buyer himself waited.
    intended: At,
    /// When the buyer's patience is over. What he waits himself does not wear it out.
    deadline: At,
    code: String,
    email: String,
    /// Index of the entry point of the next attempt.
    entry: usize,
    entries: u32,
    attempts: u32,
    /// Attempts in a row that found no entry point.
    unsent: u32,
}

impl Operation {
    /// Its number.
    pub fn id(&self) -> OpId {
        self.id
    }

    /// Its order code; empty where the shop chooses it.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The buyer's e-mail address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Whether every entry point has just been tried in vain.
    pub fn is_nowhere(&self) -> bool {
        self.unsent > 0 && self.unsent.is_multiple_of(self.entries)
    }

    /// Chooses the entry point of the next attempt, as a browser does that knows several addresses: on to
    /// the next one when the present one could not be reached, broke the connection or did not answer. An
    /// answer, even a bad one, keeps him where he is.
    fn move_on(&mut self, failure: Option<&Failure>) {
        match failure {
            None => self.unsent = 0,
            // The end of an idle connection says nothing about the entry point.
            Some(failure) if !failure.sent && failure.reused => {}
            Some(failure) => {
                self.unsent = if failure.sent { 0 } else { self.unsent + 1 };
                self.entry = (self.entry + 1) % self.entries as usize;
            }
        }
    }
}

impl Buyer {
    pub(crate) fn new(id: BuyerId, shared: Arc<Shared>, hang_up: watch::Receiver<bool>) -> Self {
        Self { id, shared, link: None, hang_up }
    }

    /// The shop.
    pub fn target(&self) -> &Prepared {
        &self.shared.target
    }

    /// Begins an operation at the buyer's own entry point: number n of n entry points, round robin.
    pub fn begin(&self, arrival: Arrival, code: String, email: String) -> Operation {
        let entries = self.target().entries().len();
        Operation {
            id: arrival.op,
            intended: arrival.intended,
            deadline: arrival.intended.plus_ms(self.shared.settings.patience_ms),
            code,
            email,
            entry: self.id.0 as usize % entries,
            entries: u32::try_from(entries).unwrap_or(u32::MAX),
            attempts: 0,
            unsent: 0,
        }
    }

    /// Makes one exchange at the operation's entry point and records it. `judge` says what an answer means.
    pub async fn attempt(
        &mut self,
        operation: &mut Operation,
        ask: Ask<'_>,
        request: Request<Full<Bytes>>,
        judge: impl FnOnce(&Answer) -> Classified,
    ) -> Classified {
        let started = self.shared.clock.now();
        let entry = operation.entry;
        let until = started.plus_ms(self.shared.settings.attempt_timeout_ms).min(operation.deadline);
        let exchanged = self.exchange(entry, request, ask.keep, until).await;
        let ended = self.shared.clock.now();
        let (status, result) = settle(&exchanged, judge);
        operation.move_on(exchanged.as_ref().err());
        operation.attempts += 1;
        let attempt = Attempt {
            op: operation.id,
            buyer: self.id,
            number: operation.attempts,
            kind: ask.kind,
            entry: self.target().entries()[entry].name.clone(),
            intended: operation.intended,
            started,
            ended,
            status,
            outcome: result.outcome,
            group: ask.group.to_owned(),
            code: operation.code.clone(),
            email: operation.email.clone(),
            order: result.order.clone(),
            ticket: ask.ticket.map(str::to_owned),
            error: result.note.clone(),
        };
        self.shared.stats.attempted(&attempt, operation.is_nowhere());
        self.record(Event::Attempt(attempt)).await;
        result
    }

    /// Waits before the next attempt. False where there is none: patience is over, or the load is.
    pub async fn wait(&mut self, operation: &Operation, wait: Duration) -> bool {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let until = self.shared.clock.now().plus_ms(ms).min(operation.deadline);
        if !wait.is_zero() && cut_at(&self.shared.clock, &mut self.hang_up, until).await == Cut::HungUp {
            return false;
        }
        !*self.hang_up.borrow() && self.shared.clock.now().plus_ms(SHORTEST_TRY_MS) < operation.deadline
    }

    /// Waits as a person does who reads: neither patience nor latency counts it. False where the load has
    /// ended meanwhile.
    pub async fn think(&mut self, operation: &mut Operation, time: Duration) -> bool {
        let began = self.shared.clock.now();
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let is_over = cut_at(&self.shared.clock, &mut self.hang_up, began.plus_ms(ms)).await == Cut::HungUp;
        let thought = self.shared.clock.now().0.saturating_sub(began.0);
        operation.intended = At(operation.intended.0.saturating_add(thought));
        operation.deadline = At(operation.deadline.0.saturating_add(thought));
        !is_over
    }

    /// How much of the buyer's patience is left, from 0 to 1.
    pub fn patience_left(&self, operation: &Operation) -> f64 {
        operation.deadline.ms_since(self.shared.clock.now()) / self.shared.settings.patience_ms as f64
    }

    /// Waits for the end of an idle connection, so that it is not used any more; for ever without one.
    pub(crate) async fn idle(&mut self) {
        match &mut self.link {
            Some((_, link)) => link.closed().await,
            None => std::future::pending().await,
        }
        self.link = None;
    }

    async fn exchange(
        &mut self,
        entry: usize,
        request: Request<Full<Bytes>>,
        keep: Keep,
        until: At,
    ) -> Result<Answer, Failure> {
        let clock = self.shared.clock;
        let link = match self.usable_link(entry).await {
            Some(link) => link,
            None => {
                let way = self.target().way(&self.target().entries()[entry]);
                let timeout = Duration::from_millis(self.shared.settings.connect_timeout_ms);
                Link::open(&way, timeout, cut_at(&clock, &mut self.hang_up, until)).await?
            }
        };
        let (_, link) = self.link.insert((entry, link));
        let exchanged = link.exchange(request, keep, cut_at(&clock, &mut self.hang_up, until)).await;
        if exchanged.is_err() {
            self.link = None;
        }
        exchanged
    }

    /// The open connection, if it leads to this entry point and the other end has not closed it meanwhile.
    /// A connection that was closed between two requests is no attempt: nothing was asked.
    async fn usable_link(&mut self, entry: usize) -> Option<Link> {
        let (at, mut link) = self.link.take()?;
        (at == entry && link.is_open().await).then_some(link)
    }

    /// Hands a record to the history. Waiting for a slow disk here delays the buyer, whose times are taken
    /// already, and never the pacing.
    async fn record(&self, event: Event) {
        // There is room nearly always, and then there is nothing to wait for.
        let sent = match self.shared.records.try_send(event) {
            Err(TrySendError::Full(event)) => self.shared.records.send(event).await.is_ok(),
            sent => sent.is_ok(),
        };
        if !sent {
            self.shared.stats.record_lost();
        }
    }
}

/// Ends at an instant of the run, or when the load hangs up.
async fn cut_at(clock: &RunClock, hang_up: &mut watch::Receiver<bool>, until: At) -> Cut {
    tokio::select! {
        // An error means that the load's handle is gone, which is a hang-up too.
        _ = hang_up.wait_for(|hung_up| *hung_up) => Cut::HungUp,
        () = tokio::time::sleep_until(clock.instant(until).into()) => Cut::Timeout,
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
