//! `delay`: every packet waits before it goes on, uniform around a mean; the order of one direction is kept.
//!
//! Proof of effect: enough packets were held, and the mean of the times that the queue measured is the one
//! that was asked for. See [`super::support::shaping`].

use super::support::shaping::{Counted, Shape};
use firedrill_core::fault::catalogue::network::{Delay, Traffic};
use std::time::Duration;

/// Packets that must have been held before their mean says something.
const PACKETS: u64 = 10;

/// How late the queue may be on average on a machine that is busy, in microseconds. Early it never is.
const LATE_US: u64 = 10_000;

impl Shape for Delay {
    const NAME: &'static str = "delay";

    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn arguments(&self) -> Vec<String> {
        let us = |ms: u32| (u64::from(ms) * 1_000).to_string();
        ["--mode", "delay", "--delay-us", &us(self.delay_ms), "--jitter-us", &us(self.jitter_ms)]
            .map(str::to_owned)
            .to_vec()
    }

    fn proven(&self, counted: &Counted) -> Option<String> {
        let held = &counted.held_us;
        let asked_us = u64::from(self.delay_ms) * 1_000;
        // The mean of few packets scatters with the jitter.
        let scatter_us = u64::from(self.jitter_ms) * 500 + asked_us / 50;
        let range = asked_us - scatter_us.min(asked_us)..=asked_us + scatter_us + LATE_US;
        if held.count < PACKETS || !range.contains(&held.mean) {
            return None;
        }
        let ms = |us: u64| us as f64 / 1e3;
        Some(format!(
            "{} packets were held, {:.1} ms on average (half of them at most {:.1} ms, 99 of 100 {:.1} ms), asked for \
             were {} +- {} ms",
            held.count,
            ms(held.mean),
            ms(held.p50),
            ms(held.p99),
            self.delay_ms,
            self.jitter_ms
        ))
    }

    fn netem(&self) -> Option<(Duration, Duration)> {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        Some((ms(self.delay_ms), ms(self.jitter_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::as_asked(20, 101_000, true)]
    #[case::few(9, 100_000, false)]
    #[case::short(20, 80_000, false)]
    #[case::long(20, 130_000, false)]
    #[case::late(20, 117_000, true)]
    fn the_mean_is_the_one_asked_for(#[case] count: u64, #[case] mean: u64, #[case] proven: bool) {
        let mut counted = Counted::default();
        (counted.held_us.count, counted.held_us.mean) = (count, mean);
        assert_eq!(Delay::default().proven(&counted).is_some(), proven);
    }

    #[test]
    fn it_is_asked_for_in_microseconds() {
        let arguments = Delay::default().arguments().join(" ");
        assert_eq!(arguments, "--mode delay --delay-us 100000 --jitter-us 20000");
    }
}
