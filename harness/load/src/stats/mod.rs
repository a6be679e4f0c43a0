//! Live figures of a load, in memory that does not grow with the number of purchases.

mod entries;
mod errors;
mod snapshot;
mod timing;
mod window;

pub use errors::Errors;
pub use snapshot::{Answer, Breakdown, GroupFigures, Lag, Snapshot};
pub use timing::{Figures, Percentiles, Timing};

use crate::journey::Ending;
use crate::model::watch::{LATE_MS, Progress};
use crate::operation::{Access, Ended};
use crate::wire::TIMEOUT;
use entries::Entries;
use firedrill_core::history::{At, Attempt, AttemptKind, Outcome};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use timing::Recorder;
use window::{Counts, histogram, record};

/// Most groups that have figures of their own; what comes after counts under [`OTHERS`].
const GROUPS_MAX: usize = 64;

/// Name of the figures of groups beyond [`GROUPS_MAX`].
const OTHERS: &str = "others";

/// Collects the figures. The pacing thread touches atomics only: it must not wait for a lock.
pub(crate) struct Stats {
    started: At,
    arrivals: AtomicU64,
    refused: AtomicU64,
    /// Instant of the last refused arrival plus 1; 0 for none.
    last_refused: AtomicU64,
    in_flight: AtomicU64,
    users_active: AtomicU64,
    hatched: AtomicU64,
    records_lost: AtomicU64,
    over: AtomicBool,
    void: OnceLock<String>,
    inner: Mutex<Inner>,
}

struct Inner {
    acknowledged: u64,
    sold_out: u64,
    rejected: u64,
    gave_up: u64,
    attempts: u64,
    errors: u64,
    not_sent: u64,
    late: u64,
    by_kind: Errors,
    entries: Entries,
    acks: Counts,
    recent_errors: Counts,
    last_answer: Option<Answer>,
    last_error: Option<At>,
    start_lag: Histogram<u64>,
    operations: Recorder,
    /// In the order in which they came: a journey has few, and the first ones are the frequent ones.
    groups: Vec<Group>,
}

struct Group {
    name: String,
    recorder: Recorder,
    errors: Errors,
}

/// A virtual user at work, until it is dropped.
pub(crate) struct AtWork<'a>(&'a AtomicU64);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stats {
    pub(crate) fn new(started: At) -> Self {
        let inner = Inner {
            acknowledged: 0,
            sold_out: 0,
            rejected: 0,
            gave_up: 0,
            attempts: 0,
            errors: 0,
            not_sent: 0,
            late: 0,
            by_kind: Errors::default(),
            entries: Entries::default(),
            acks: Counts::default(),
            recent_errors: Counts::default(),
            last_answer: None,
            last_error: None,
            start_lag: histogram(),
            operations: Recorder::new(),
            groups: Vec::new(),
        };
        Self {
            started,
            arrivals: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last_refused: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            users_active: AtomicU64::new(0),
            hatched: AtomicU64::new(0),
            records_lost: AtomicU64::new(0),
            over: AtomicBool::new(false),
            void: OnceLock::new(),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves counters that are at worst off by one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the first purchase is due.
    pub(crate) fn started(&self) -> At {
        self.started
    }

    pub(crate) fn arrived(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// An arrival found no free buyer.
    pub(crate) fn refused(&self, intended: At) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.last_refused.fetch_max(intended.0.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn record_lost(&self) {
        self.records_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// No more purchases will begin.
    pub(crate) fn over(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The load does not do what was planned. The first reason is kept.
    pub(crate) fn voided(&self, why: String) {
        let _ = self.void.set(why);
    }

    /// Why the load is void, where it is.
    pub(crate) fn void(&self) -> Option<&str> {
        self.void.get().map(String::as_str)
    }

    /// A virtual user is at work until the guard is dropped.
    pub(crate) fn user_at_work(&self) -> AtWork<'_> {
        self.users_active.fetch_add(1, Ordering::Relaxed);
        AtWork(&self.users_active)
    }

    /// A user of a closed model began for the first time.
    pub(crate) fn hatched(&self) {
        self.hatched.fetch_add(1, Ordering::Relaxed);
    }

    /// A buyer began with an operation that was due at `due`.
    pub(crate) fn began(&self, due: At, began: At) {
        let lag_ns = began.0.saturating_sub(due.0);
        let mut inner = self.lock();
        record(&mut inner.start_lag, lag_ns / 1_000);
        if lag_ns > LATE_MS * 1_000_000 {
            inner.late += 1;
        }
    }

    /// An exchange ended. Whoever was not let in by one entry point and goes on to another is no error yet: that one may be
    /// closed, or hang. It hangs where it has answered nobody since he asked, and another one has. He waits until his time
    /// is out, which is judged as such, and every second buyer does as long as the fault lasts; but they are served.
    pub(crate) fn attempted(&self, attempt: &Attempt, access: Access) {
        let mut inner = self.lock();
        inner.attempts += 1;
        inner.by_kind.add(attempt);
        inner.entries.add(attempt);
        let hangs = attempt.error.as_deref() == Some(TIMEOUT) && inner.entries.is_silent(attempt);
        let group = inner.group(attempt);
        group.recorder.record(attempt.intended, attempt.started, attempt.ended);
        group.errors.add(attempt);
        match attempt.outcome {
            Outcome::InDoubt if access == Access::Elsewhere || hangs => {}
            Outcome::InDoubt | Outcome::NotApplied => inner.error(attempt.ended),
            Outcome::NotSent => {
                inner.not_sent += 1;
                if access == Access::Nowhere {
                    inner.error(attempt.ended);
                }
            }
            Outcome::Acknowledged => {
                inner.acks.add(attempt.ended);
                inner.answered(Answer { began: attempt.started, ended: attempt.ended });
            }
            // "Sold out" is an answer: the shop serves, it only has nothing left.
            Outcome::Rejected(reason) if reason.is_gone() => {
                inner.answered(Answer { began: attempt.started, ended: attempt.ended });
            }
            Outcome::Rejected(_) | Outcome::Passed | Outcome::Pending => {}
        }
    }

    /// An operation ended. How long it took is what the history says, without the buyer's own waits; one in which
    /// nothing was asked took no time at all and is not among those times.
    pub(crate) fn ended(&self, now: At, Ended { ending, times }: Ended) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.lock();
        if let Some(times) = times {
            inner.operations.record(times.due, times.began, times.ended);
        }
        match ending {
            Ending::Acknowledged => inner.acknowledged += 1,
            Ending::Visited => {}
            Ending::Rejected(reason) if reason.is_gone() => inner.sold_out += 1,
            Ending::Rejected(_) => {
                inner.rejected += 1;
                inner.error(now);
            }
            Ending::GaveUp => {
                inner.gave_up += 1;
                inner.error(now);
            }
        }
    }

    /// What has been reached of a plan. `is_closed`: of the plan of users.
    pub(crate) fn progress(&self, planned: u64, is_closed: bool) -> Progress {
        let (began, late) = {
            let inner = self.lock();
            (inner.start_lag.len(), inner.late)
        };
        let reached = match is_closed {
            true => self.hatched.load(Ordering::Relaxed),
            false => began + self.refused.load(Ordering::Relaxed),
        };
        Progress { planned, reached, began, late }
    }

    pub(crate) fn snapshot(&self, at: At) -> Snapshot {
        let refused_at = self.last_refused.load(Ordering::Relaxed).checked_sub(1).map(At);
        let inner = self.lock();
        let latency = inner.operations.recent_latency(at);
        let if_any = |ms: f64| (latency.count > 0).then_some(ms);
        Snapshot {
            at,
            started: self.started,
            arrivals: self.arrivals.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            late: inner.late,
            in_flight: self.in_flight(),
            users_active: self.users_active.load(Ordering::Relaxed),
            over: self.over.load(Ordering::Relaxed),
            acknowledged: inner.acknowledged,
            sold_out: inner.sold_out,
            rejected: inner.rejected,
            gave_up: inner.gave_up,
            attempts: inner.attempts,
            errors: inner.errors,
            by_kind: inner.by_kind,
            not_sent: inner.not_sent,
            acks_last_s: inner.acks.sum(at),
            errors_last_s: inner.recent_errors.sum(at),
            last_answer: inner.last_answer,
            last_error: inner.last_error.max(refused_at),
            latency_p50_ms: if_any(latency.p50_ms),
            latency_p99_ms: if_any(latency.p99_ms),
            start_lag: Lag {
                count: inner.start_lag.len(),
                p50_us: inner.start_lag.value_at_quantile(0.5),
                p99_us: inner.start_lag.value_at_quantile(0.99),
                max_us: inner.start_lag.max(),
            },
            records_lost: self.records_lost.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn breakdown(&self, at: At) -> Breakdown {
        let operations = self.lock().operations.figures(at);
        let mut breakdown = Breakdown { operations, ..Breakdown::default() };
        // The lock is given back after each group: buyers wait for one of them at most. Groups are never
        // removed, so that none is missed.
        for index in 0.. {
            let inner = self.lock();
            let Some(group) = inner.groups.get(index) else { break };
            let figures = GroupFigures { figures: group.recorder.figures(at), errors: group.errors };
            breakdown.groups.insert(group.name.clone(), figures);
        }
        breakdown
    }
}

/// The name of an exchange's figures.
fn group_name(attempt: &Attempt) -> &str {
    match (attempt.group.as_str(), attempt.kind) {
        ("", AttemptKind::Purchase) => "purchase",
        ("", AttemptKind::Lookup) => "lookup",
        ("", AttemptKind::Prepare) => "prepare",
        ("", AttemptKind::Visit) => "visit",
        ("", AttemptKind::Redeem) => "redeem",
        ("", AttemptKind::Cancel) => "cancel",
        (group, _) => group,
    }
}

impl Inner {
    fn group(&mut self, attempt: &Attempt) -> &mut Group {
        let mut name = group_name(attempt);
        let found = self.groups.iter().position(|group| group.name == name);
        if found.is_none() && self.groups.len() >= GROUPS_MAX - 1 {
            name = OTHERS;
        }
        let index = found.or_else(|| self.groups.iter().position(|group| group.name == name));
        let index = index.unwrap_or_else(|| {
            self.groups.push(Group { name: name.to_owned(), recorder: Recorder::new(), errors: Errors::default() });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }

    fn error(&mut self, at: At) {
        self.errors += 1;
        self.recent_errors.add(at);
        self.last_error = self.last_error.max(Some(at));
    }

    fn answered(&mut self, answer: Answer) {
        if self.last_answer.is_none_or(|last| last.began < answer.began) {
            self.last_answer = Some(answer);
        }
    }
}

#[cfg(test)]
mod tests;
