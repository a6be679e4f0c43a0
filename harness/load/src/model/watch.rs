//! Whether a load does what was planned. One that does not says nothing about the shop.

use super::closed::hatched_until;
use super::schedule::Schedule;
use crate::settings::Settings;
use firedrill_core::history::At;
use firedrill_core::load::Model;
use std::collections::VecDeque;
use std::iter::Peekable;

/// How long a load may fall short before it is void, in seconds. A machine that is busy for a moment does
/// not void a run.
pub const WINDOW_S: u64 = 10;

/// Share of the planned arrivals that must begin, or be refused for want of buyers, in the window.
pub const REACHED_MIN: f64 = 0.9;

/// An arrival that begins so many milliseconds after it was due is late: the generator, not the shop, kept its
/// buyer waiting. Latency counts from the due time and has the wait in it, so that a short one makes the shop look
/// slower, never faster; and the stack under test shares its cores with the load. A second is what a failover
/// must not be blurred by.
pub const LATE_MS: u64 = 1_000;

/// Share of the arrivals of the window that may be late: with more, the 99th percentile of the start lag
/// is above [`LATE_MS`].
pub const LATE_SHARE_MAX: f64 = 0.01;

/// So many late arrivals in the window are needed at least: of 30 arrivals in 10 s, one is 3 %.
pub const LATE_MIN: u64 = 10;

/// What a load has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Arrivals that were due by the plan.
    pub(crate) planned: u64,
    /// Arrivals that a buyer began, or that were refused because none was free.
    pub(crate) reached: u64,
    /// Arrivals that a buyer began.
    pub(crate) began: u64,
    /// Of these, how many more than [`LATE_MS`] after they were due.
    pub(crate) late: u64,
}

/// The plan: arrivals that are due until an instant.
pub(crate) enum Plan {
    Open { dues_ns: Peekable<Schedule>, due: u64 },
    Closed(firedrill_core::load::Users),
}

impl Plan {
    pub(crate) fn of(settings: &Settings) -> Self {
        match &settings.model {
            Model::Open { curve, gaps } => {
                let dues_ns = Schedule::new(curve.clone(), *gaps, settings.seed).peekable();
                Self::Open { dues_ns, due: 0 }
            }
            Model::Closed(users) => Self::Closed(*users),
        }
    }

    /// Arrivals due so many nanoseconds after the start. Time must not fall from call to call.
    pub(crate) fn until(&mut self, passed_ns: u64) -> u64 {
        match self {
            Self::Open { dues_ns, due } => {
                while dues_ns.next_if(|due_ns| *due_ns <= passed_ns).is_some() {
                    *due += 1;
                }
                *due
            }
            // A user's later rounds are due when he is done with the one before: only hatching is planned.
            Self::Closed(users) => hatched_until(users, passed_ns),
        }
    }
}

/// Looks at the progress of a load once a second.
#[derive(Default)]
pub(crate) struct Watch {
    seen: VecDeque<(At, Progress)>,
}

impl Watch {
    /// Why the load is void; none while it is as planned.
    pub(crate) fn look(&mut self, at: At, now: Progress) -> Option<String> {
        self.seen.push_back((at, now));
        let begins = At(at.0.saturating_sub(WINDOW_S * 1_000_000_000));
        // One look at or before the beginning of the window is kept: the window is never shorter.
        while self.seen.get(1).is_some_and(|(at, _)| *at <= begins) {
            self.seen.pop_front();
        }
        let (since, before) = *self.seen.front()?;
        if since > begins || at.0 < WINDOW_S * 1_000_000_000 {
            return None;
        }
        let window_s = at.ms_since(since) / 1e3;
        let planned = now.planned.saturating_sub(before.planned);
        let reached = now.reached.saturating_sub(before.reached);
        // One arrival may be on its way.
        if (reached + 1) as f64 <= planned as f64 * REACHED_MIN {
            return Some(format!(
                "the load was not reached: {reached} of {planned} planned arrivals began within {window_s:.0} s, \
                 without a refusal; {:.0} % must. The machine is too slow or too busy for this rate: lower it, \
                 or free the machine",
                REACHED_MIN * 100.0
            ));
        }
        let (began, late) = (now.began.saturating_sub(before.began), now.late.saturating_sub(before.late));
        if late >= LATE_MIN && late as f64 > began as f64 * LATE_SHARE_MAX {
            return Some(format!(
                "the load was late: {late} of {began} arrivals within {window_s:.0} s began more than {LATE_MS} ms \
                 after they were due; {:.0} % may. Latencies would be those of the load generator: lower the \
                 rate, or free the machine",
                LATE_SHARE_MAX * 100.0
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// The first second at which a load with these figures per second is void, within a minute.
    fn void_at(planned: u64, reached: impl Fn(u64) -> u64, late: impl Fn(u64) -> u64) -> Option<(u64, String)> {
        let mut watch = Watch::default();
        let mut now = Progress::default();
        for second in 0..=60 {
            if let Some(why) = watch.look(At::from_ms(second * 1_000), now) {
                return Some((second, why));
            }
            now.planned += planned;
            now.reached += reached(second);
            now.began += reached(second);
            now.late += late(second);
        }
        None
    }

    #[rstest]
    #[case::as_planned(200, 200, 0)]
    #[case::just_enough(200, 181, 0)]
    #[case::a_few_are_late(200, 200, 2)]
    #[case::nobody(0, 0, 0)]
    fn a_load_that_reaches_its_plan_is_not_void(#[case] planned: u64, #[case] reached: u64, #[case] late: u64) {
        assert_eq!(void_at(planned, |_| reached, |_| late), None);
    }

    #[rstest]
    #[case::short(200, 179, 0, "1790 of 2000 planned arrivals")]
    #[case::nothing_begins(3, 0, 0, "0 of 30 planned arrivals")]
    #[case::late(200, 200, 3, "30 of 2000 arrivals within 10 s began more than 1000 ms")]
    fn a_load_that_does_not_is_void_after_the_window(
        #[case] planned: u64,
        #[case] reached: u64,
        #[case] late: u64,
        #[case] text: &str,
    ) {
        let (second, why) = void_at(planned, |_| reached, |_| late).expect("void");
        assert_eq!(second, WINDOW_S);
        assert!(why.contains(text), "{why}");
    }

    #[test]
    fn a_moment_in_which_little_begins_does_not_void_what_catches_up() {
        let stalled = |second| match second {
            20 => 50,
            21 => 350,
            _ => 200,
        };
        assert_eq!(void_at(200, stalled, |_| 0), None);
    }

    #[test]
    fn what_was_good_for_long_does_not_excuse_what_is_not() {
        let (second, _) = void_at(200, |second| if second < 40 { 200 } else { 100 }, |_| 0).expect("void");
        // 10 % of the window are missed after 2 s at half the rate.
        assert_eq!(second, 43);
    }

    #[test]
    fn few_late_arrivals_of_few_void_nothing() {
        assert_eq!(void_at(3, |_| 3, |second| u64::from(second % 2 == 0)), None);
        assert!(void_at(3, |_| 3, |_| 1).is_some());
    }
}
