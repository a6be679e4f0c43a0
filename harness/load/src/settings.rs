//! How much is bought, and how patient buyers are.

use firedrill_core::drill;
use firedrill_core::ids::RunId;

/// How long a connection may take to be made, in milliseconds, before a buyer tries the next entry point.
///
/// Two seconds allow one lost SYN (Linux repeats it after one second).
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;

/// The settings of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Purchases that begin per second.
    pub rate_per_s: f64,
    /// Virtual buyers; an arrival that finds none free is refused and counted.
    pub buyers: u32,
    /// How long a buyer tries, in milliseconds from the instant at which his purchase was due.
    pub patience_ms: u64,
    /// How long one exchange may take, in milliseconds, connecting included.
    pub attempt_timeout_ms: u64,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Seed of order codes and of the jitter of back-offs.
    pub seed: u64,
    /// The run, which keeps the order codes of two runs with one seed apart.
    pub run: RunId,
}

/// Settings that cannot be meant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The rate is not a positive number.
    #[error("the load's rate is {0} per second: give a number above 0 and at most 10000")]
    Rate(f64),
    /// Nobody buys.
    #[error("the load has no buyers: give at least 1")]
    NoBuyers,
    /// A time of 0.
    #[error("the load's {0} is 0 ms: nothing could ever succeed; give more")]
    ZeroTime(&'static str),
}

impl Settings {
    /// The settings of a drill's load.
    pub fn of(load: &drill::Load, seed: u64, run: RunId) -> Self {
        Self {
            rate_per_s: load.rate_per_s,
            buyers: load.buyers,
            patience_ms: load.patience_ms,
            attempt_timeout_ms: load.attempt_timeout_ms,
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            seed,
            run,
        }
    }

    /// Refuses numbers that cannot be meant.
    ///
    /// # Errors
    /// A [`SettingsError`] that says which one.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(self.rate_per_s > 0.0 && self.rate_per_s <= 10_000.0) {
            return Err(SettingsError::Rate(self.rate_per_s));
        }
        if self.buyers == 0 {
            return Err(SettingsError::NoBuyers);
        }
        let times = [
            ("patience_ms", self.patience_ms),
            ("attempt_timeout_ms", self.attempt_timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
        ];
        match times.into_iter().find(|(_, ms)| *ms == 0) {
            Some((field, _)) => Err(SettingsError::ZeroTime(field)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> Settings {
        Settings::of(&drill::Load::default(), 1, RunId::new("r"))
    }

    #[test]
    fn the_default_load_can_be_run() {
        assert_eq!(settings().check(), Ok(()));
    }

    #[rstest]
    #[case(0.0)]
    #[case(-1.0)]
    #[case(f64::NAN)]
    #[case(f64::INFINITY)]
    fn rates_that_cannot_be_meant_are_refused(#[case] rate_per_s: f64) {
        let result = Settings { rate_per_s, ..settings() }.check();
        assert!(matches!(result, Err(SettingsError::Rate(_))));
    }

    #[test]
    fn nobody_and_no_time_are_refused() {
        assert_eq!(Settings { buyers: 0, ..settings() }.check(), Err(SettingsError::NoBuyers));
        let hasty = Settings { patience_ms: 0, ..settings() };
        assert_eq!(hasty.check(), Err(SettingsError::ZeroTime("patience_ms")));
    }
}
