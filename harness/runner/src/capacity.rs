//! The search for a stack's capacity: trials on one booted stack, each a load without faults that is recorded
//! and judged like a drill.

use crate::drill::{DrillError, Order};
use crate::rundir::new_run_id;
use crate::session::Session;
use firedrill_core::capacity::{Found, Measured, Search, Trial};
use firedrill_core::drill::{Drill, Problem};
use firedrill_core::load::Load;
use firedrill_core::sla::Sla;
use firedrill_engine::progress::Progress;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

/// How long the stack may take to be whole before a trial.
const WHOLE_DEADLINE: Duration = Duration::from_secs(60);

/// What is searched, and how.
#[derive(Debug, Clone)]
pub struct CapacityPlan {
    /// The load; its rate is what is searched.
    pub load: Load,
    /// Rate of the first trial, in purchases per second.
    pub first_per_s: f64,
    /// No rate above this is tried.
    pub highest_per_s: f64,
    /// Length of a trial.
    pub trial: Duration,
    /// Length of the trial that confirms.
    pub confirm: Duration,
    /// Folder of the trials' runs; that of all runs without it.
    pub folder: Option<PathBuf>,
}

/// What a search has found, with every trial.
#[derive(Debug, Clone, Serialize)]
pub struct Capacity {
    /// Name of the topology.
    pub topology: String,
    /// What the buyers did.
    pub journey: String,
    /// What they bought.
    pub event: String,
    /// The agreement.
    pub sla: String,
    /// The answer; none where the search was interrupted.
    pub found: Option<Found>,
    /// The trials, in order.
    pub trials: Vec<TrialRun>,
}

/// One trial.
#[derive(Debug, Clone, Serialize)]
pub struct TrialRun {
    /// The run that recorded it.
    pub run: String,
    /// How it went.
    #[serde(flatten)]
    pub measured: Measured,
}

impl Session {
    /// Searches the highest rate that this stack sustains within an agreement. `interrupt` turning true ends
    /// the search with what there is.
    ///
    /// # Errors
    /// A [`DrillError`] where a trial cannot be run at all; a trial that breaks the agreement is a result.
    pub async fn capacity(
        &self,
        plan: &CapacityPlan,
        sla: &Sla,
        seed: u64,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<Capacity, DrillError> {
        let refused = |message| Problem { step: None, message };
        let mut search = Search::new(plan.first_per_s, plan.highest_per_s).map_err(refused)?;
        let mut capacity = Capacity {
            topology: self.stack.topology.name.clone(),
            journey: plan.load.journey.to_string(),
            event: plan.load.event.clone(),
            sla: sla.name.clone(),
            found: None,
            trials: Vec::new(),
        };
        while let Some(trial) = search.next() {
            let task = task(trial, capacity.trials.len());
            progress.begin(&task);
            let ran = self.trial(plan, trial, sla, seed, interrupt.clone(), progress).await;
            let note = ran.as_ref().map_or_else(|_| "it could not be run".to_owned(), |ran| in_words(&ran.measured));
            progress.end(&task, &note);
            let ran = ran?;
            let sustained = ran.measured.broke.is_none();
            capacity.trials.push(ran);
            if *interrupt.borrow() {
                return Ok(capacity);
            }
            search.take(sustained);
        }
        capacity.found = search.found();
        Ok(capacity)
    }

    async fn trial(
        &self,
        plan: &CapacityPlan,
        trial: Trial,
        sla: &Sla,
        seed: u64,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Progress,
    ) -> Result<TrialRun, DrillError> {
        if let Err(expired) = self.observer.wait_whole(WHOLE_DEADLINE).await {
            progress.note(&format!("before the trial: {expired}"));
        }
        let length = if trial.confirms { plan.confirm } else { plan.trial };
        let load = Load { rate_per_s: trial.rate_per_s, ..plan.load.clone() };
        let topology = self.stack.topology.name.clone();
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let drill = Drill::new("capacity", &topology).sla(&sla.name).load(load).soak(length_ms);
        let rate = trial.rate_per_s;
        let replay = format!("firedrill capacity --topology {topology} --first {rate} --highest {rate} --seed {seed}");
        let run = new_run_id();
        let folder = Some(plan.folder.as_ref().unwrap_or(&self.options.runs).join(run.as_str()));
        let order = Order { drill: &drill, sla, seed, replay: &replay, folder, course: None };
        let executed = self.order(&order, interrupt, progress).await?;
        let stored = executed.dir.read()?;
        let run = run.to_string();
        Ok(TrialRun { run, measured: stored.measure(trial, sla)? })
    }
}

fn task(trial: Trial, before: usize) -> String {
    let what = if trial.confirms { "confirm" } else { "trial" };
    format!("{what} {}: {:.2} purchases per second", before + 1, trial.rate_per_s)
}

/// One trial in a line.
pub fn in_words(measured: &Measured) -> String {
    let Measured { served_per_s, p50_ms, p99_ms, .. } = measured;
    let figures = format!("{served_per_s:.2}/s served, p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms");
    match &measured.broke {
        None => format!("sustained: {figures}"),
        Some(why) => format!("not sustained: {figures}; {why}"),
    }
}

impl Capacity {
    /// As a Markdown table, with the answer above it.
    pub fn markdown(&self) -> String {
        let answer = match self.found {
            Some(Found::Confirmed(rate)) => format!("**{rate:.2} per second ({:.0} a minute)**", rate * 60.0),
            Some(Found::AtLeast(rate)) => format!("**at least {rate:.2} per second**: no more was tried"),
            Some(Found::None) => "**none**: not even the lowest rate is sustained".to_owned(),
            None => "interrupted before there was an answer".to_owned(),
        };
        let Self { topology, journey, event, sla, .. } = self;
        let mut text = format!(
            "Capacity of {topology} by {journey} on {event}, within {sla}: {answer}\n\n\
             | trial | asked per s | served per s | p50 ms | p99 ms | sustained | run |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n"
        );
        for (number, TrialRun { run, measured }) in self.trials.iter().enumerate() {
            let kind = if measured.trial.confirms { " (confirms)" } else { "" };
            let sustained = measured.broke.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
            let Measured { trial, served_per_s, p50_ms, p99_ms, .. } = measured;
            text += &format!(
                "| {}{kind} | {:.2} | {served_per_s:.2} | {p50_ms:.0} | {p99_ms:.0} | {sustained} | {run} |\n",
                number + 1,
                trial.rate_per_s
            );
        }
        text
    }

    /// Keeps it in the folder of its last run, as `capacity.json` and `capacity.md`.
    ///
    /// # Errors
    /// A file system error, with the path.
    pub fn keep(&self, runs: &std::path::Path) -> std::io::Result<Option<std::path::PathBuf>> {
        let Some(last) = self.trials.last() else { return Ok(None) };
        let folder = runs.join(&last.run);
        std::fs::write(folder.join("capacity.md"), self.markdown())?;
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        std::fs::write(folder.join("capacity.json"), json)?;
        Ok(Some(folder))
    }
}
