//! One drill on a booted stack: load, steps, drain, final read, verdict.

use crate::journal::{Journal, JournalError};
use crate::journeys::{self, JourneyError};
use crate::pace::Pace;
use crate::rundir::{RunDir, RunDirError, Schedule, Stored, new_run_id};
use crate::session::{Session, SessionError, lock};
use crate::steps::Run;
use firedrill_core::drill::matrix::STEP;
use firedrill_core::drill::{Drill, Problem};
use firedrill_core::history::{Event, HISTORY_VERSION, Observation, RunHeader, Stage, StageEvent};
use firedrill_core::ids::{NodeName, RunId, StepId};
use firedrill_core::sla::Sla;
use firedrill_core::verdict::Verdict;
use firedrill_engine::audit;
use firedrill_engine::ledger::{self, leftovers};
use firedrill_engine::progress::Progress;
use firedrill_load::journey::{Script, ScriptError};
use firedrill_load::run::{LoadHandle, StartError};
use firedrill_load::settings::SettingsError;
use firedrill_load::{RunClock, Settings, start_journey};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::watch;

/// A drill cannot be run. A broken promise of the stack is not an error but a verdict.
#[derive(Debug, Error)]
pub enum DrillError {
    /// The session is of no use.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The run's folder cannot be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The history cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The load cannot be started.
    #[error(transparent)]
    Load(#[from] StartError),
    /// Its settings cannot be meant.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its journeys cannot be had.
    #[error(transparent)]
    Journey(#[from] JourneyError),
    /// Its journeys cannot be walked.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// This topology cannot do it.
    #[error(transparent)]
    Refused(#[from] Problem),
}

/// A drill as a session is asked for it.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The drill.
    pub drill: &'a Drill,
    /// What it is judged against.
    pub sla: &'a Sla,
    /// Seed of everything random.
    pub seed: u64,
    /// Command line that repeats it.
    pub replay: &'a str,
    /// Its folder; without it one below the runs' folder, named after its run.
    pub folder: Option<PathBuf>,
    /// What it is a part of, for those who wait.
    pub course: Option<Course>,
}

/// How far a work of several drills has come.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Faults that were injected before.
    pub done: usize,
    /// Faults in all.
    pub total: usize,
    /// Since when.
    pub since: Instant,
}

/// So many faults tell how long the next ones take; before that it is what was measured elsewhere.
const TELLING_FAULTS: usize = 3;

impl Course {
    /// How long it still takes when so many faults of the drill that runs now are done.
    fn left(&self, done: usize) -> Duration {
        let done = self.done + done;
        let each = match u32::try_from(done) {
            Ok(count) if done >= TELLING_FAULTS => self.since.elapsed() / count,
            _ => STEP,
        };
        each * u32::try_from(self.total.saturating_sub(done)).unwrap_or(u32::MAX)
    }

    /// Where a fault of the drill that runs now is: its number in all, and the time that is left.
    pub(crate) fn place(&self, done: usize) -> String {
        let left = match self.left(done).as_secs() {
            0..90 => "about a minute".to_owned(),
            seconds => format!("about {} min", (seconds + 30) / 60),
        };
        format!("{}/{}, {left} left", self.done + done + 1, self.total)
    }
}

/// A drill that was run.
#[derive(Debug)]
pub struct Executed {
    /// Its folder.
    pub dir: RunDir,
    /// Its verdict.
    pub verdict: Verdict,
    /// What faults left behind on the nodes, in words; empty where nothing is.
    pub residue: Vec<String>,
    /// Why its steps ended early, where the stack could not be drilled any further.
    pub stopped: Option<String>,
}

/// What is known of a drill that was recorded, beside its history.
struct Recorded {
    /// How often each node had been looked at before.
    samples: BTreeMap<NodeName, u64>,
    /// Why the steps ended early, where the stack could not be drilled any further.
    stopped: Option<String>,
}

/// How long standbys may take to replay what they received.
const CATCH_UP_DEADLINE: Duration = Duration::from_secs(15);

impl Session {
    /// Runs a drill on this stack and judges it, in a folder of its own below that of the runs.
    pub async fn drill(
        &self,
        drill: &Drill,
        sla: &Sla,
        seed: u64,
        replay: &str,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<Executed, DrillError> {
        let order = Order { drill, sla, seed, replay, folder: None, course: None };
        self.order(&order, interrupt, progress).await
    }

    /// Runs a drill on this stack and judges it. Each drill has a folder, a history, a clock and a verdict
    /// of its own. `interrupt` turning true ends it early, cleanly, with what there is.
    ///
    /// # Errors
    /// A [`DrillError`] where it cannot be run. A broken promise of the stack is a verdict.
    pub async fn order(
        &self,
        order: &Order<'_>,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<Executed, DrillError> {
        let Order { drill, sla, seed, replay, .. } = *order;
        drill.check_against(&self.stack.topology)?;
        let run = new_run_id();
        let dir = match &order.folder {
            Some(folder) => RunDir::create_at(folder.clone())?,
            None => RunDir::create(&self.options.runs, &run)?,
        };
        let manifest = self.manifest(&run, sla, replay);
        dir.write_manifest(&manifest)?;
        let journal = Journal::create(&dir.history())?;
        let lost = self.switch_to(&journal, self.header(&run, drill, seed));
        let recorded = self.record_drill(order, &run, &dir, &journal, interrupt, progress).await;
        let at = self.recorder.now();
        lock(&self.wire).sender = None;
        let before = recorded.as_ref().map(|recorded| recorded.samples.clone()).unwrap_or_default();
        // A record that found the channel full is missing: the trailer's count then does not match.
        let missing = lost.load(Ordering::Relaxed);
        journal.finish(at, self.samples_since(&before))?;
        let Recorded { stopped, .. } = recorded?;
        let stored = dir.read()?;
        let mut executed = conclude(stored, drill, seed, missing)?;
        let hit = executed.verdict.steps.iter().flat_map(|step| step.nodes.iter().cloned()).collect();
        executed.residue = audit::audit(&self.stack, &hit).await;
        executed.stopped = stopped;
        Ok(executed)
    }

    fn header(&self, run: &RunId, drill: &Drill, seed: u64) -> RunHeader {
        RunHeader {
            version: HISTORY_VERSION,
            run: run.clone(),
            started: jiff::Timestamp::now().to_string(),
            seed,
            topology: self.stack.topology.name.clone(),
            drill: drill.name.clone(),
            rate_per_s: drill.load.rate_per_s,
            load: Some(Box::new(drill.load.clone())),
            observes: self.observes(&drill.load),
        }
    }

    /// From here on records go into this journal, by a clock that starts now. What every node is at this
    /// moment is written down first: observers only tell what changes.
    fn switch_to(&self, journal: &Journal, header: RunHeader) -> Arc<AtomicU64> {
        let lost = Arc::<AtomicU64>::default();
        {
            let mut wire = lock(&self.wire);
            wire.clock = RunClock::start();
            wire.lost = Arc::clone(&lost);
            let sender = journal.sender();
            if sender.try_send(Event::Run(header)).is_err() {
                lost.fetch_add(1, Ordering::Relaxed);
            }
            wire.sender = Some(sender);
        }
        for report in self.observer.reports() {
            let observation = Observation {
                at: self.recorder.now(),
                role: report.role(),
                epoch: report.epoch(),
                view: report.view(),
                node: report.node,
                tier: report.tier,
            };
            self.recorder.record(Event::Observed(observation));
        }
        lost
    }

    fn samples_since(&self, before: &BTreeMap<NodeName, u64>) -> Vec<(NodeName, u64)> {
        let since = |(node, count): (NodeName, u64)| {
            let earlier = before.get(&node).copied().unwrap_or(0);
            (node, count.saturating_sub(earlier))
        };
        self.observer.samples().into_iter().map(since).collect()
    }

    /// Everything that goes into the history.
    async fn record_drill(
        &self,
        order: &Order<'_>,
        run: &RunId,
        dir: &RunDir,
        journal: &Journal,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<Recorded, DrillError> {
        let Order { drill, seed, course, .. } = *order;
        let samples: BTreeMap<NodeName, u64> = self.observer.samples().into_iter().collect();
        let known = ledger::known(&self.stack).await;
        let logs = self.follow_logs(dir).await?;
        let onlooker = self.look_on(&drill.load, &known);
        let load = self.start_load(drill, run, journal, seed)?;
        let view = load.as_ref().map(LoadHandle::view);
        let pace = Pace::default();
        let run = Run { session: self, drill, course, undo: self.undo_folder(), view, pace, interrupt, progress, seed };
        let stopped = run.steps().await;
        self.drain(load, drill).await;
        drop(onlooker);
        if drill.load.is_any() {
            // First, because what is still being worked on belongs into the final read.
            leftovers::wait_and_record(&self.stack, &self.recorder, &known, leftovers::DEADLINE).await;
            if let Err(error) = ledger::wait_caught_up(&self.stack, CATCH_UP_DEADLINE).await {
                progress.note(&format!("final read: {error}"));
            }
            ledger::read_all(&self.stack, &self.recorder, &known).await;
        }
        self.end_logs(logs);
        Ok(Recorded { samples, stopped })
    }

    /// Starts the purchases; none where nobody buys.
    fn start_load(
        &self,
        drill: &Drill,
        run: &RunId,
        journal: &Journal,
        seed: u64,
    ) -> Result<Option<LoadHandle>, DrillError> {
        if !drill.load.is_any() {
            self.stage(Stage::LoadStarted, None, "nobody buys".to_owned());
            return Ok(None);
        }
        let target = self.target(&drill.load.event, &drill.load.item).map_err(SessionError::from)?;
        let settings = Settings::of(&drill.load, seed, run.clone())?;
        let script = Script::new(&settings, journeys::read(&self.options.journeys, &drill.load.journey)?)?;
        let load = start_journey(&target, &settings, script, self.clock(), journal.sender())?;
        let (journey, rate) = (&drill.load.journey, drill.load.rate_per_s);
        let how_much = match drill.load.users {
            Some(users) => format!("{} users", users.count),
            None => format!("{rate} purchases per second"),
        };
        self.stage(Stage::LoadStarted, None, format!("{how_much}, {journey}"));
        Ok(Some(load))
    }

    /// Stops the load, lets buyers come to an end, and writes down how that went.
    async fn drain(&self, load: Option<LoadHandle>, drill: &Drill) {
        self.stage(Stage::LoadStopped, None, String::new());
        let Some(load) = load else {
            return self.stage(Stage::Drained, None, "nobody bought".to_owned());
        };
        // Longer than the most patient buyer.
        let deadline = Duration::from_millis(drill.load.patience_ms + drill.load.attempt_timeout_ms);
        let drained = load.stop(deadline).await;
        if let Some(void) = &drained.void {
            self.stage(Stage::LoadVoid, None, void.clone());
        }
        let lag = drained.snapshot.start_lag;
        let detail = format!(
            "{} cut off, {} buyers lost, {} records lost, start lag p50 {} us p99 {} us max {} us",
            drained.abandoned, drained.lost_buyers, drained.snapshot.records_lost, lag.p50_us, lag.p99_us, lag.max_us
        );
        self.stage(Stage::Drained, None, detail);
    }

    pub(crate) fn stage(&self, stage: Stage, step: Option<StepId>, detail: String) {
        self.recorder.record(Event::Stage(StageEvent { at: self.recorder.now(), stage, step, detail }));
    }
}

fn conclude(mut stored: Stored, drill: &Drill, seed: u64, missing: u64) -> Result<Executed, DrillError> {
    if missing > 0 {
        stored.damage.push(format!("{missing} records found the journal full and are missing"));
    }
    let verdict = stored.judge(None)?;
    let schedule = Schedule { drill: drill.clone(), seed, executed: verdict.steps.clone() };
    stored.dir.write_schedule(&schedule)?;
    stored.write_verdict(&verdict)?;
    stored.write_reports(&verdict)?;
    Ok(Executed { dir: stored.dir, verdict, residue: Vec::new(), stopped: None })
}
