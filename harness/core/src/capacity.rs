//! Capacity: the highest rate of purchases that a stack sustains within its agreement.
//!
//! The search goes up by steps until a rate is not sustained, narrows the gap between the highest rate that
//! was and the lowest that was not, and then confirms what it found by a longer trial; a rate that is not
//! confirmed is taken down a step and tried again. A single good trial is luck, and so is a single bad one (a
//! cold cache, a log rotation): a rate counts as not sustained when it was not twice in a row. A stack that is
//! pushed beyond its capacity needs a while to get rid of the queue: the runner waits for that between two
//! trials.
//!
//! [`Search`] is a state machine without a clock: it says which trial comes next, and is told how it went.

use crate::checker::stats::Durations;
use crate::checker::{Evidence, availability, response_time};
use crate::digest::{Op, Recorded};
use crate::history::At;
use crate::history::ops::Known;
use crate::sla::Sla;
use crate::verdict::Judgement;
use serde::{Deserialize, Serialize};

/// A queue builds up where more purchases are under way in the last third of a trial than in the second, by more
/// than this share of what was due meanwhile: in a stack that falls behind, the queue grows with every second. How
/// many are under way in a stack that keeps up does not matter (Little 1961: rate times time).
const QUEUE_SHARE: f64 = 0.05;

/// And by more than so many: of few purchases, one or two more are under way by chance.
const QUEUE_MIN: f64 = 2.0;

/// The search ends when the lowest rate that was not sustained is at most this multiple of the highest that
/// was: finer steps would be lost in the noise between two trials.
const CLOSE: f64 = 1.1;

/// From one rate to the next while everything is sustained.
const UP: f64 = 1.5;

/// From one rate to the next when a confirmation fails.
const DOWN: f64 = 0.9;

/// Rates below this, in purchases per second, are not tried: one in 20 s.
const RATE_MIN_PER_S: f64 = 0.05;

/// One trial to make.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Purchases per second.
    pub rate_per_s: f64,
    /// Whether it confirms what was found, and is to be a longer one.
    pub confirms: bool,
}

/// How a trial went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub trial: Trial,
    /// Purchases served per second, over the whole trial.
    pub served_per_s: f64,
    /// Purchases that were due.
    pub due: u64,
    /// Median latency from the intended time, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Why it was not sustained; none if it was.
    pub broke: Option<String>,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Found {
    /// The highest rate that was sustained and confirmed.
    Confirmed(f64),
    /// The highest rate that was allowed to be tried was sustained and confirmed: there may be more.
    AtLeast(f64),
    /// Not even the lowest rate was sustained.
    None,
}

/// The search.
#[derive(Debug, Clone)]
pub struct Search {
    highest_per_s: f64,
    /// Highest rate that was sustained.
    good: Option<f64>,
    /// Lowest rate that was not, twice.
    bad: Option<f64>,
    /// Whether the trial that comes next repeats one that was not sustained.
    repeats: bool,
    next: Option<Trial>,
    found: Option<Found>,
}

impl Search {
    /// A search that begins at a rate and goes no higher than another.
    ///
    /// # Errors
    /// In words, which rate cannot be meant.
    pub fn new(first_per_s: f64, highest_per_s: f64) -> Result<Self, String> {
        if !(RATE_MIN_PER_S..=crate::load::curve::RATE_MAX_PER_S).contains(&first_per_s) {
            return Err(format!("the first rate is {first_per_s} per second: give {RATE_MIN_PER_S} or more"));
        }
        if !(highest_per_s >= first_per_s && highest_per_s.is_finite()) {
            return Err(format!("the highest rate is {highest_per_s} per second: give at least {first_per_s}"));
        }
        let next = Some(Trial { rate_per_s: first_per_s, confirms: false });
        Ok(Self { highest_per_s, good: None, bad: None, repeats: false, next, found: None })
    }

    /// The trial that comes next; none when the search is over.
    pub fn next(&self) -> Option<Trial> {
        self.next
    }

    /// What was found, once the search is over.
    pub fn found(&self) -> Option<Found> {
        self.found
    }

    /// How many rates lie between what is known to be sustained and what is known not to be, at most: 1 and
    /// below is close enough.
    pub fn gap(&self) -> Option<f64> {
        Some(self.bad? / self.good?)
    }

    /// Takes the result of the trial that came next.
    pub fn take(&mut self, sustained: bool) {
        let Some(trial) = self.next else { return };
        let rate = trial.rate_per_s;
        self.repeats = !sustained && !trial.confirms && !self.repeats;
        if self.repeats {
            return;
        }
        if sustained {
            self.good = Some(self.good.map_or(rate, |good| good.max(rate)));
        } else {
            self.bad = Some(self.bad.map_or(rate, |bad| bad.min(rate)));
            // What was sustained once and is not now was luck.
            self.good = self.good.filter(|good| *good < rate);
        }
        if trial.confirms && sustained {
            let whole = rate >= self.highest_per_s;
            return self.end(if whole { Found::AtLeast(rate) } else { Found::Confirmed(rate) });
        }
        let next = if trial.confirms { rate * DOWN } else { self.next_rate() };
        if next < RATE_MIN_PER_S {
            return self.end(Found::None);
        }
        let close = self.gap().is_some_and(|gap| gap <= CLOSE) || self.good == Some(self.highest_per_s);
        self.next = Some(match self.good {
            Some(good) if close && !trial.confirms => Trial { rate_per_s: good, confirms: true },
            _ => Trial { rate_per_s: next, confirms: trial.confirms },
        });
    }

    fn next_rate(&self) -> f64 {
        match (self.good, self.bad) {
            (Some(good), None) => (good * UP).min(self.highest_per_s),
            // In the middle by ratio, because steps are ratios.
            (Some(good), Some(bad)) => (good * bad).sqrt(),
            (None, bad) => bad.unwrap_or(self.highest_per_s) / UP,
        }
    }

    fn end(&mut self, found: Found) {
        self.next = None;
        self.found = Some(found);
    }
}

/// Says how a trial went, from its history.
///
/// # Errors
/// Where the history cannot be read at all.
pub fn measure<R: Recorded>(trial: Trial, history: &mut R, sla: &Sla) -> Result<Measured, R::Error> {
    let evidence = Evidence::gather(history, sla)?;
    let demand = &evidence.demand;
    let length_s = (demand.end.ms_since(demand.begin) / 1e3).max(1e-3);
    let served = || evidence.history.operations.iter().filter_map(|(_, op)| Some((op.served_at()?, op)));
    let in_time = served().filter(|(at, _)| *at <= demand.end).count();
    let mut latencies = Durations::of(served().map(|(_, op)| op.latency_ms()));
    Ok(Measured {
        trial,
        served_per_s: in_time as f64 / length_s,
        due: demand.dues.len() as u64,
        p50_ms: latencies.percentile_ms(50.0),
        p99_ms: latencies.percentile_ms(99.0),
        broke: broke(&evidence),
    })
}

/// Why a trial was not sustained.
fn broke(evidence: &Evidence<'_>) -> Option<String> {
    if let Some(damage) = evidence.damage() {
        return Some(damage);
    }
    for check in [availability::check(evidence), response_time::check(evidence)] {
        if check.judgement != Judgement::Pass {
            return Some(check.reason);
        }
    }
    if let Some(queue) = queue(evidence) {
        return Some(queue);
    }
    let in_doubt = evidence.history.operations.iter().filter(|(_, op)| op.known == Known::InDoubt).count();
    (in_doubt > 0).then(|| format!("{in_doubt} purchases came to nothing that their buyers know"))
}

/// Whether a queue builds up.
fn queue(evidence: &Evidence<'_>) -> Option<String> {
    let demand = &evidence.demand;
    let operations = &evidence.history.operations;
    let span = |op: &Op| (op.intended, op.served_at().unwrap_or(op.completed));
    let (before, last) = under_way(operations.iter().map(|(_, op)| span(op)), demand.begin, demand.end);
    let third = demand.end.0.saturating_sub(demand.begin.0) / 3;
    let due = demand.between(At(demand.end.0 - third), demand.end).len();
    let grows = last - before > QUEUE_MIN.max(QUEUE_SHARE * due as f64);
    grows.then(|| {
        format!("{before:.1} purchases were under way in the second third of the load, {last:.1} in the last: a queue builds up")
    })
}

/// How many purchases were under way in the second and in the last third of a load, on the mean.
fn under_way(spans: impl Iterator<Item = (At, At)>, begin: At, end: At) -> (f64, f64) {
    let third = (end.0.saturating_sub(begin.0) / 3).max(1);
    let (second, last) = (begin.0 + third, end.0.saturating_sub(third));
    let (mut before_ns, mut last_ns) = (0u64, 0u64);
    for (from, until) in spans {
        let inside = |from_ns: u64, until_ns: u64| until.0.min(until_ns).saturating_sub(from.0.max(from_ns));
        before_ns += inside(second, second + third);
        last_ns += inside(last, last + third);
    }
    (before_ns as f64 / third as f64, last_ns as f64 / third as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Searches a stack that sustains up to a rate.
    fn search(first: f64, highest: f64, capacity: f64) -> (Found, usize) {
        let mut search = Search::new(first, highest).expect("rates");
        let mut trials = 0;
        while let Some(trial) = search.next() {
            trials += 1;
            assert!(trials < 200, "the search does not end");
            search.take(trial.rate_per_s <= capacity);
        }
        (search.found().expect("an end"), trials)
    }

    #[test]
    fn a_stack_without_bounds_is_said_to_have_at_least_what_was_tried() {
        assert_eq!(search(1.0, 8.0, 1e9), (Found::AtLeast(8.0), 8));
    }

    #[test]
    fn a_stack_that_sells_nothing_has_none() {
        assert_eq!(search(1.0, 8.0, 0.0).0, Found::None);
    }

    /// Purchases under way in both thirds of 30 s, at a rate, by how long the one that is due at an instant takes.
    fn thirds(rate_per_s: u64, takes_ms: impl Fn(u64) -> u64) -> (f64, f64) {
        let due = (0..30 * rate_per_s).map(|n| n * 1_000 / rate_per_s);
        let spans = due.map(|ms| (At::from_ms(ms), At::from_ms(ms + takes_ms(ms))));
        under_way(spans, At(0), At::from_ms(30_000))
    }

    #[test]
    fn a_slow_stack_that_keeps_up_has_no_queue() {
        let (before, last) = thirds(10, |_| 2_000);
        assert!((before - 20.0).abs() < 1e-6 && (last - 20.0).abs() < 1e-6, "{before} {last}");
    }

    #[test]
    fn a_stack_that_falls_behind_has_one() {
        // Of ten a second nine are served: the wait grows by a ninth of the time.
        let (before, last) = thirds(10, |ms| ms / 9);
        assert!(last - before > 0.05 * 100.0, "{before} {last}");
    }

    #[test]
    fn what_was_luck_is_not_confirmed() {
        let mut search = Search::new(1.0, 100.0).expect("rates");
        let mut confirmations = 0;
        while let Some(trial) = search.next() {
            // Up to 10 in a short trial, up to 7 in a long one.
            let sustained = trial.rate_per_s <= if trial.confirms { 7.0 } else { 10.0 };
            confirmations += usize::from(trial.confirms);
            search.take(sustained);
        }
        let Some(Found::Confirmed(rate)) = search.found() else { panic!("{:?}", search.found()) };
        assert!((5.6..=7.0).contains(&rate) && confirmations > 2, "{rate} after {confirmations}");
    }

    #[test]
    fn a_single_bad_trial_is_luck() {
        let mut search = Search::new(1.0, 100.0).expect("rates");
        let mut trials = 0;
        while let Some(trial) = search.next() {
            trials += 1;
            // The first trial above 3 a second meets a cold cache.
            let is_cold = trials == 4;
            search.take(trial.rate_per_s <= 10.0 && !is_cold);
        }
        let Some(Found::Confirmed(rate)) = search.found() else { panic!("{:?}", search.found()) };
        assert!((9.0..=10.0).contains(&rate), "{rate}");
    }

    #[test]
    fn rates_that_cannot_be_meant_are_refused() {
        for (first, highest) in [(0.0, 1.0), (f64::NAN, 1.0), (2.0, 1.0), (1.0, f64::NAN), (1.0, f64::INFINITY)] {
            assert!(Search::new(first, highest).is_err(), "{first} to {highest}");
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_sustained_and_close(first in 0.05f64..50.0, capacity in 0.05f64..500.0) {
            let (found, trials) = search(first, 1_000.0, capacity);
            let Found::Confirmed(rate) = found else {
                prop_assert!(capacity < RATE_MIN_PER_S * UP * CLOSE, "{found:?}");
                return Ok(());
            };
            prop_assert!(rate <= capacity && rate * CLOSE >= capacity * 0.999, "{rate} of {capacity}");
            prop_assert!(trials <= 60, "{trials} trials");
        }
    }
}
