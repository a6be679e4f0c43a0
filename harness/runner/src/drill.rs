//! One drill on a booted stack: load, steps, drain, final read, verdict.

use crate::journal::{Journal, JournalError};
use crate::rundir::{RunDir, RunDirError, Schedule, Stored, new_run_id};
use crate::session::{Session, SessionError, lock};
use firedrill_core::drill::{Drill, Step};
use firedrill_core::fault::Phase;
use firedrill_core::history::{Event, HISTORY_VERSION, Observation, RunHeader, Stage, StageEvent};
use firedrill_core::ids::{NodeName, RunId, StepId};
use firedrill_core::sla::Sla;
use firedrill_core::verdict::Verdict;
use firedrill_engine::faults::Injection;
use firedrill_engine::ledger;
use firedrill_engine::observe::LOOK_PERIOD;
use firedrill_engine::progress::Progress;
use firedrill_engine::wait::{self, Expired, Look};
use firedrill_load::run::{LoadHandle, StartError};
use firedrill_load::{LoadView, RunClock, Settings, start};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
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
    /// A target means nothing in this topology.
    #[error("step {number}: {source}")]
    Target {
        /// From 1.
        number: usize,
        /// Why.
        source: firedrill_core::fault::TargetError,
    },
}

/// A drill that was run.
#[derive(Debug)]
pub struct Executed {
    /// Its folder.
    pub dir: RunDir,
    /// Its verdict.
    pub verdict: Verdict,
}

/// How long sales must go well, without an error, to be called steady: several purchases, and longer than
/// the pause between two tries of a buyer.
const STEADY_MS: u64 = 3_000;

/// How long the stack may take to be steady before a step; it was whole already.
const STEADY_DEADLINE: Duration = Duration::from_secs(60);

/// How long a fault may take to be undone.
const HEAL_DEADLINE: Duration = Duration::from_secs(60);

/// How long standbys may take to replay what they received.
const CATCH_UP_DEADLINE: Duration = Duration::from_secs(15);

/// What the steps of one drill share.
struct Run<'a> {
    session: &'a Session,
    drill: &'a Drill,
    dir: &'a RunDir,
    view: LoadView,
    interrupt: watch::Receiver<bool>,
    progress: &'a dyn Progress,
    seed: u64,
}

impl Session {
    /// Runs a drill on this stack and judges it. Each drill has a folder, a history, a clock and a verdict
    /// of its own. `interrupt` turning true ends it early, cleanly, with what there is.
    pub async fn drill(
        &self,
        drill: &Drill,
        sla: &Sla,
        seed: u64,
        replay: &str,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<Executed, DrillError> {
        let candidates = self.observer.candidates();
        for (index, step) in drill.schedule().enumerate() {
            let checked = step.target.check(&candidates);
            checked.map_err(|source| DrillError::Target { number: index + 1, source })?;
        }
        let run = new_run_id();
        let dir = RunDir::create(&self.options.runs, &run)?;
        let manifest = self.manifest(&run, sla, replay);
        dir.write_manifest(&manifest)?;
        let journal = Journal::create(&dir.history())?;
        let lost = self.switch_to(&journal, self.header(&run, drill, seed));
        let recorded = self.record_drill(drill, &run, &dir, &journal, seed, interrupt, progress).await;
        let at = self.recorder.now();
        lock(&self.wire).sender = None;
        let before = recorded.as_ref().map(|samples| samples.clone()).unwrap_or_default();
        // A record that found the channel full is missing: the trailer's count then does not match.
        let missing = lost.load(Ordering::Relaxed);
        journal.finish(at, self.samples_since(&before))?;
        recorded?;
        let stored = dir.read()?;
        conclude(stored, drill, seed, missing)
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

    /// Everything that goes into the history. Returns the observers' counts from before.
    #[expect(clippy::too_many_arguments, reason = "the parts of one run, named once")]
    async fn record_drill(
        &self,
        drill: &Drill,
        run: &RunId,
        dir: &RunDir,
        journal: &Journal,
        seed: u64,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<BTreeMap<NodeName, u64>, DrillError> {
        let before: BTreeMap<NodeName, u64> = self.observer.samples().into_iter().collect();
        let known = ledger::known_codes(&self.stack).await;
        let logs = self.follow_logs(dir).await?;
        let target = self.target(&drill.load.event, &drill.load.item).map_err(SessionError::from)?;
        let settings = Settings::of(&drill.load, seed, run.clone());
        let load = start(&target, &settings, self.clock(), journal.sender())?;
        self.stage(Stage::LoadStarted, None, format!("{} purchases per second", drill.load.rate_per_s));
        let mut run = Run { session: self, drill, dir, view: load.view(), interrupt, progress, seed };
        run.steps().await;
        self.drain(load, drill).await;
        if let Err(error) = ledger::wait_caught_up(&self.stack, CATCH_UP_DEADLINE).await {
            progress.note(&format!("final read: {error}"));
        }
        ledger::read_all(&self.stack, &self.recorder, &known).await;
        drop(logs);
        Ok(before)
    }

    /// Stops the load, lets buyers come to an end, and writes down how that went.
    async fn drain(&self, load: LoadHandle, drill: &Drill) {
        self.stage(Stage::LoadStopped, None, String::new());
        // Longer than the most patient buyer.
        let deadline = Duration::from_millis(drill.load.patience_ms + drill.load.attempt_timeout_ms);
        let drained = load.stop(deadline).await;
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
        stored.history.damage.push(format!("{missing} records found the journal full and are missing"));
    }
    let verdict = stored.judge(None);
    let schedule = Schedule { drill: drill.clone(), seed, executed: verdict.steps.clone() };
    stored.dir.write_schedule(&schedule)?;
    stored.write_verdict(&verdict)?;
    stored.write_reports(&verdict)?;
    Ok(Executed { dir: stored.dir, verdict })
}

impl Run<'_> {
    /// All steps in order. Ends early where the stack is not whole any more, or on an interrupt.
    async fn steps(&mut self) {
        let total = self.drill.schedule().count();
        let mut went_well = true;
        for (index, step) in self.drill.schedule().enumerate() {
            if self.interrupted() || !went_well {
                break;
            }
            let number = StepId(u32::try_from(index).unwrap_or(u32::MAX));
            let task = format!("drill {}/{total} {} {}", index + 1, step.fault, step.target);
            self.progress.begin(&task);
            let told = self.step(number, step, &task).await;
            went_well = told.is_ok();
            let note = told.unwrap_or_else(|problem| format!("stopped: {problem}"));
            self.progress.end(&task, &note);
        }
        if self.interrupted() {
            self.session.stage(Stage::Interrupted, None, "by the operator".to_owned());
            return;
        }
        // A last purchase must go through after everything, and a drill without steps is a load test.
        if let Err(expired) = self.wait_steady("the end").await {
            self.progress.note(&expired.to_string());
        }
    }

    fn interrupted(&self) -> bool {
        *self.interrupt.borrow()
    }

    /// One step. The text says how it went; the error says why the stack cannot be drilled any further.
    async fn step(&mut self, number: StepId, step: &Step, task: &str) -> Result<String, String> {
        let session = self.session;
        self.progress.update(task, "waiting until the stack is whole and sells");
        if let Err(expired) = self.wait_steady(task).await {
            session.stage(Stage::NotWhole, Some(number), expired.to_string());
            return Err(expired.to_string());
        }
        session.stage(Stage::Steady, Some(number), format!("whole, and {STEADY_MS} ms of sales without an error"));
        let undo = self.dir.undo();
        let mut injection = Injection::new(&session.stack, &session.recorder, &undo, number, step.fault, &step.target);
        let mut rng = StdRng::seed_from_u64(self.seed ^ (u64::from(number.0) << 32));
        let injected = injection.inject(&session.observer.candidates(), |count| rng.random_range(0..count)).await;
        let begun = session.recorder.now();
        match injected {
            Ok(()) => self.restore_and_hold(number, step, task, &injection).await,
            Err(error) => self.progress.note(&format!("{task}: {error}")),
        }
        if injection.phase().may_be_in_force() {
            self.progress.update(task, "undoing");
            injection.heal(HEAL_DEADLINE).await.map_err(|error| error.to_string())?;
        }
        if injection.phase() == Phase::Void {
            return Ok("void: nothing was injected".to_owned());
        }
        self.progress.update(task, "waiting until redundancy is whole again");
        let healed = session.recorder.now();
        let deadline = Duration::from_millis(step.whole_deadline_ms);
        let whole = wait::until("redundancy is whole", deadline, LOOK_PERIOD, || async { self.look_whole() });
        match whole.await {
            Ok(()) => {
                let now = session.recorder.now();
                session.stage(Stage::Whole, Some(number), String::new());
                Ok(format!(
                    "whole again {:.1} s after the undo, {:.1} s in all",
                    now.ms_since(healed) / 1e3,
                    now.ms_since(begun) / 1e3
                ))
            }
            Err(expired) => {
                session.stage(Stage::NotWhole, Some(number), expired.to_string());
                Err(expired.to_string())
            }
        }
    }

    /// With the fault in force: waits until buyers are served again, which is what N+1 means, and leaves
    /// the fault in force for a while longer.
    async fn restore_and_hold(&mut self, number: StepId, step: &Step, task: &str, injection: &Injection<'_>) {
        let hit: Vec<String> = injection.nodes().iter().map(ToString::to_string).collect();
        self.progress.update(task, &format!("{} is down, waiting for sales", hit.join(", ")));
        let session = self.session;
        let effective = session.recorder.now();
        let deadline = Duration::from_millis(step.restore_deadline_ms);
        let restored = wait::until("buyers are served again", deadline, LOOK_PERIOD, || async {
            let figures = self.view.snapshot();
            let clean_ms = figures.at.ms_since(effective).min(STEADY_MS as f64);
            let served = clean_ms >= STEADY_MS as f64
                && figures.serves_cleanly_for(STEADY_MS)
                && figures.served_since(effective);
            if served || self.interrupted() {
                return Look::Ready(figures);
            }
            Look::NotYet(format!(
                "{} sales and {} errors in the last second",
                figures.acks_last_s, figures.errors_last_s
            ))
        });
        match restored.await {
            Ok(figures) if figures.served_since(effective) => {
                // Sales have gone well since the last error, not since we could be sure of it.
                let since = figures.last_error.filter(|error| *error > effective).unwrap_or(effective);
                let detail = format!("no error since, for {:.1} s", figures.at.ms_since(since) / 1e3);
                session.recorder.record(Event::Stage(StageEvent {
                    at: since,
                    stage: Stage::ServiceRestored,
                    step: Some(number),
                    detail,
                }));
            }
            Ok(_) => {}
            Err(expired) => self.progress.note(&format!("{task}: {expired}")),
        }
        let mut interrupt = self.interrupt.clone();
        let hold = tokio::time::sleep(Duration::from_millis(step.hold_ms));
        tokio::select! {
            () = hold => {}
            _ = interrupt.wait_for(|interrupted| *interrupted) => {}
        }
    }

    /// Waits until the stack is whole and sells without errors.
    async fn wait_steady(&self, what: &str) -> Result<(), Expired> {
        let what = format!("{what}: whole and steady");
        wait::until(&what, STEADY_DEADLINE, LOOK_PERIOD, || async {
            if self.interrupted() {
                return Look::Ready(());
            }
            if let Look::NotYet(missing) = self.look_whole() {
                return Look::NotYet(missing);
            }
            let figures = self.view.snapshot();
            if figures.serves_cleanly_for(STEADY_MS) {
                return Look::Ready(());
            }
            Look::NotYet(format!(
                "{} sales and {} errors in the last second",
                figures.acks_last_s, figures.errors_last_s
            ))
        })
        .await
    }

    fn look_whole(&self) -> Look<()> {
        let missing = self.session.observer.missing();
        if missing.is_empty() { Look::Ready(()) } else { Look::NotYet(missing.join("; ")) }
    }
}
