//! A load without a stack of ours: against any shop, recorded and judged like that of a drill, as far as buyers
//! can judge.

use crate::journal::{Journal, JournalError};
use crate::rundir::{RunDir, RunDirError, new_run_id};
use firedrill_core::history::{Event, HISTORY_VERSION, RunHeader, Stage, StageEvent};
use firedrill_core::load::{Journey, Load};
use firedrill_core::sla::Sla;
use firedrill_load::journey::{Script, ScriptError};
use firedrill_load::settings::SettingsError;
use firedrill_load::{Drained, LoadView, RunClock, Settings, StartError, Target, start_journey};
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;

/// A load cannot be run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Its settings cannot be meant.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its journeys cannot be walked.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// It cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its folder cannot be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Its history cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Standalone {
    /// The shop.
    pub target: Target,
    /// How much.
    pub load: Load,
    /// What buyers do, by weight.
    pub journeys: Vec<(Journey, u32)>,
    /// How long purchases begin; a closed model may be through earlier.
    pub length: Duration,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder that the run's folder is created in.
    pub runs: PathBuf,
    /// The agreement that it is judged against.
    pub sla: Sla,
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// Folder with the history.
    pub dir: RunDir,
    /// The figures at the end.
    pub drained: Drained,
    /// What of the agreement was broken, as far as buyers can tell, in words; empty where nothing was.
    pub broken: Vec<String>,
}

/// What of an agreement a load broke, from its figures alone: memory does not grow with its length. Whether an
/// order was lost only the shop's database can tell.
pub fn broken(drained: &Drained, length: Duration, sla: &Sla) -> Vec<String> {
    let figures = &drained.snapshot;
    let failed = figures.gave_up + figures.rejected + figures.refused;
    let due = figures.arrivals.max(1);
    let percent = 100.0 * (1.0 - failed as f64 / due as f64);
    let per_min = figures.arrivals as f64 * 60.0 / length.as_secs_f64().max(1.0);
    let promised = &sla.availability;
    let (class, wanted) = match per_min > promised.peak_above_per_min {
        true => ("in peaks", promised.peak_percent),
        false => ("in normal use", promised.normal_percent),
    };
    let mut broken = Vec::new();
    if figures.arrivals == 0 {
        broken.push("nobody came: no purchase was due".to_owned());
    } else if percent < wanted {
        broken.push(format!("{percent:.2} % of {due} purchases served {class}, promised {wanted} %"));
    }
    let latency = drained.breakdown.operations.whole.latency;
    let limit_ms = sla.response_time.max_ms;
    if latency.max_ms > limit_ms {
        broken.push(format!("the longest purchase took {:.0} ms, promised {limit_ms:.0} ms", latency.max_ms));
    }
    if let Some(limit_ms) = sla.response_time.steady_p99_ms.filter(|limit_ms| latency.p99_ms > *limit_ms) {
        broken.push(format!("the 99th percentile is {:.0} ms, promised {limit_ms:.0} ms", latency.p99_ms));
    }
    broken
}

impl Standalone {
    /// Runs the load until its time is over, its users are through, or `interrupt` turns true; buyers may then
    /// come to an end. `look` is called once a second with the live figures.
    ///
    /// # Errors
    /// A [`LoadError`] where it cannot be run. A shop that fails is a result.
    pub async fn run(
        &self,
        mut interrupt: watch::Receiver<bool>,
        mut look: impl FnMut(&LoadView),
    ) -> Result<Ran, LoadError> {
        let run = new_run_id();
        let settings = Settings::of(&self.load, self.seed, run.clone())?;
        settings.check()?;
        let script = Script::new(&settings, self.journeys.clone())?;
        let dir = RunDir::create(&self.runs, &run)?;
        let journal = Journal::create(&dir.history())?;
        let clock = RunClock::start();
        let records = journal.sender();
        let record = async |event| {
            // An error means that the writing thread is gone, of which `finish` tells.
            let _ = records.send(event).await;
        };
        record(Event::Run(self.header(&run))).await;
        let load = start_journey(&self.target, &settings, script, clock, records.clone())?;
        let stage = |stage, detail| Event::Stage(StageEvent { at: clock.now(), stage, step: None, detail });
        record(stage(Stage::LoadStarted, self.load.journey.to_string())).await;
        let view = load.view();
        let began = clock.now();
        let end = tokio::time::sleep(self.length);
        tokio::pin!(end);
        let mut looks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = &mut end => break,
                // An error means that nobody can interrupt any more.
                Ok(_) = interrupt.wait_for(|interrupted| *interrupted) => break,
                _ = looks.tick() => {
                    look(&view);
                    if view.snapshot().over {
                        break;
                    }
                }
            }
        }
        let length = Duration::from_nanos(clock.now().0.saturating_sub(began.0));
        record(stage(Stage::LoadStopped, String::new())).await;
        let patience = Duration::from_millis(self.load.patience_ms + self.load.attempt_timeout_ms);
        let drained = load.stop(patience).await;
        if let Some(void) = &drained.void {
            record(stage(Stage::LoadVoid, void.clone())).await;
        }
        record(stage(Stage::Drained, String::new())).await;
        drop(records);
        journal.finish(clock.now(), Vec::new())?;
        Ok(Ran { broken: broken(&drained, length, &self.sla), dir, drained })
    }

    fn header(&self, run: &firedrill_core::ids::RunId) -> RunHeader {
        RunHeader {
            version: HISTORY_VERSION,
            run: run.clone(),
            started: jiff::Timestamp::now().to_string(),
            seed: self.seed,
            topology: self.target.host_header.clone(),
            drill: "load".to_owned(),
            rate_per_s: self.load.rate_per_s,
            load: Some(Box::new(self.load.clone())),
            observes: Vec::new(),
        }
    }
}
