//! How much is bought, and how patient buyers are.

use firedrill_core::ids::RunId;
use firedrill_core::load::{BUYERS_MAX, Curve, Gaps, Load, Model};

/// How long a connection may take to be made, in milliseconds, before a buyer tries the next entry point.
///
/// Two seconds allow one lost SYN (Linux repeats it after one second).
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;

/// The settings of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// When purchases begin.
    pub model: Model,
    /// Virtual buyers of an open model; an arrival that finds none free is refused and counted. A closed
    /// model has its own number of users.
    pub buyers: u32,
    /// How long a buyer tries, in milliseconds from the instant at which his purchase was due.
    pub patience_ms: u64,
    /// How long one exchange may take, in milliseconds, connecting included.
    pub attempt_timeout_ms: u64,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Seed of order codes, of Poisson gaps and of the jitter of back-offs.
    pub seed: u64,
    /// The run, which keeps the order codes of two runs with one seed apart.
    pub run: RunId,
}

/// Settings that cannot be meant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// The model cannot be meant.
    #[error("the load cannot be meant: {0}")]
    Model(String),
    /// Nothing is ever due.
    #[error("the load's rate is 0 all the time: nobody would buy; give a rate above 0")]
    NobodyBuys,
    /// Nobody buys, or more than a machine has ports for.
    #[error("the load has {0} buyers: give 1 to {BUYERS_MAX}")]
    Buyers(u32),
    /// A time of 0.
    #[error("the load's {0} is 0 ms: nothing could ever succeed; give more")]
    ZeroTime(&'static str),
}

/// An open model of a constant rate with equal gaps.
///
/// # Errors
/// [`SettingsError::Model`] for what is no rate, [`SettingsError::NobodyBuys`] for 0.
pub fn even(rate_per_s: f64) -> Result<Model, SettingsError> {
    let curve = Curve::constant(rate_per_s).map_err(SettingsError::Model)?;
    let model = Model::Open { curve, gaps: Gaps::Even };
    check_model(&model)?;
    Ok(model)
}

fn check_model(model: &Model) -> Result<(), SettingsError> {
    match model {
        Model::Open { curve, .. } if curve.peak_per_s() == 0.0 => Err(SettingsError::NobodyBuys),
        Model::Closed(users) if users.count == 0 || users.count > BUYERS_MAX => Err(SettingsError::Buyers(users.count)),
        Model::Closed(users) if !(users.hatch_per_s > 0.0 && users.hatch_per_s.is_finite()) => {
            Err(SettingsError::Model(format!("users hatch at {} per second", users.hatch_per_s)))
        }
        _ => Ok(()),
    }
}

impl Settings {
    /// The settings of a drill's load.
    ///
    /// # Errors
    /// [`SettingsError::Model`] where the load has a model that cannot be meant.
    pub fn of(load: &Load, seed: u64, run: RunId) -> Result<Self, SettingsError> {
        Ok(Self {
            model: load.model().map_err(SettingsError::Model)?,
            buyers: load.buyers,
            patience_ms: load.patience_ms,
            attempt_timeout_ms: load.attempt_timeout_ms,
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            seed,
            run,
        })
    }

    /// Number of virtual users, whatever the model.
    pub fn people(&self) -> u32 {
        match &self.model {
            Model::Open { .. } => self.buyers,
            Model::Closed(users) => users.count,
        }
    }

    /// Refuses numbers that cannot be meant.
    ///
    /// # Errors
    /// A [`SettingsError`] that says which one.
    pub fn check(&self) -> Result<(), SettingsError> {
        check_model(&self.model)?;
        if self.people() == 0 || self.people() > BUYERS_MAX {
            return Err(SettingsError::Buyers(self.people()));
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
    use firedrill_core::load::Users;
    use rstest::rstest;

    fn settings() -> Settings {
        Settings::of(&Load::default(), 1, RunId::new("r")).expect("the default load")
    }

    #[test]
    fn the_default_load_can_be_run() {
        assert_eq!(settings().check(), Ok(()));
        assert_eq!(even(3.0), Ok(settings().model));
    }

    #[rstest]
    #[case(-1.0)]
    #[case(f64::NAN)]
    #[case(f64::INFINITY)]
    fn rates_that_cannot_be_meant_are_refused(#[case] rate_per_s: f64) {
        let load = Load { rate_per_s, ..Load::default() };
        assert!(matches!(Settings::of(&load, 1, RunId::new("r")), Err(SettingsError::Model(_))));
        assert!(matches!(even(rate_per_s), Err(SettingsError::Model(_))));
    }

    #[test]
    fn nobody_and_no_time_are_refused() {
        assert_eq!(even(0.0), Err(SettingsError::NobodyBuys));
        assert_eq!(Settings { buyers: 0, ..settings() }.check(), Err(SettingsError::Buyers(0)));
        let users = Users { count: 0, hatch_per_s: 1.0, rounds: 0, think_ms: 0 };
        let nobody = Settings { model: Model::Closed(users), ..settings() };
        assert_eq!(nobody.check(), Err(SettingsError::Buyers(0)));
        let never = Users { count: 1, hatch_per_s: 0.0, ..users };
        let result = Settings { model: Model::Closed(never), ..settings() }.check();
        assert!(matches!(result, Err(SettingsError::Model(_))));
        let hasty = Settings { patience_ms: 0, ..settings() };
        assert_eq!(hasty.check(), Err(SettingsError::ZeroTime("patience_ms")));
    }
}
