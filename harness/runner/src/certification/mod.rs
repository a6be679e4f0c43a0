//! A certification: the drills of a commission, one after the other, on one stack for as long as it is whole.
//!
//! Nothing is injected into a sick stack. One on which a drill had to stop, or on which a fault left something, is
//! removed and booted anew, which is a finding; the drill goes on there behind the step that broke it. Whatever happens,
//! what there is is kept and concluded.

mod dir;

pub use dir::{CertificateDir, CertificationError, Concluded};

use crate::capacity::CapacityPlan;
use crate::drill::{Course, DrillError, Executed, Order};
use crate::rundir::new_run_id;
use crate::session::{Session, SessionError, SessionOptions};
use firedrill_core::capacity::Found;
use firedrill_core::certificate::{After, Certificate, Commission, Ending, Sizing};
use firedrill_core::drill::Drill;
use firedrill_engine::docker::Engine;
use firedrill_engine::guard;
use firedrill_engine::progress::Progress;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a stack is booted anew: one that cannot be drilled four times is not worth another hour.
const REBOOTS_MAX: u32 = 3;

/// How long a stack may take to be whole between two drills; it was at the end of the one before.
const WHOLE_DEADLINE: Duration = Duration::from_secs(60);

/// What a certification is made with.
pub struct Certifier<'a> {
    /// How stacks are booted.
    pub options: SessionOptions,
    /// What is to be certified.
    pub commission: Commission,
    /// The search for the capacity that comes first and sizes the load; none where that is given.
    pub measure: Option<CapacityPlan>,
    /// Turns true when somebody wants it to end.
    pub interrupt: watch::Receiver<bool>,
    /// Who listens.
    pub progress: &'a dyn Progress,
}

/// A certification that was run.
#[derive(Debug)]
pub struct Certified {
    /// Its folder.
    pub dir: CertificateDir,
    /// What it came to.
    pub certificate: Certificate,
    /// What is left on the engine or on nodes, in words.
    pub left: Vec<String>,
}

/// How far it has come.
struct Work {
    dir: CertificateDir,
    session: Option<Session>,
    reboots: u32,
    done: usize,
    since: Instant,
    left: Vec<String>,
}

/// Why no more is drilled.
enum End {
    /// Nothing can be kept: the error ends everything.
    Fatal(CertificationError),
    /// In words; what there is counts.
    Early(String),
}

impl<E: Into<CertificationError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

impl Certifier<'_> {
    /// Runs it. A stack that breaks its promises is a certificate that says so, and no error.
    ///
    /// # Errors
    /// Where nothing could be run at all, or where results cannot be kept.
    pub async fn run(mut self) -> Result<Certified, CertificationError> {
        let dir = CertificateDir::create(&self.options.runs, &self.commission)?;
        let mut work = Work { dir, session: None, reboots: 0, done: 0, since: Instant::now(), left: Vec::new() };
        let ended = self.everything(&mut work).await;
        if let Some(session) = work.session.take() {
            self.close(session, &mut work.left).await;
        }
        let early = match ended {
            Ok(()) => None,
            Err(End::Early(why)) => Some(why),
            Err(End::Fatal(error)) if work.dir.parts() == 0 => {
                work.dir.discard();
                return Err(error);
            }
            Err(End::Fatal(error)) => Some(error.to_string()),
        };
        let now = jiff::Timestamp::now();
        let valid_for = jiff::SignedDuration::from_hours(24 * i64::from(self.commission.valid_days));
        let valid_until = now.checked_add(valid_for).unwrap_or(now);
        let text = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let ending = Ending { finished: text(now), valid_until: text(valid_until), early };
        work.dir.end(ending)?;
        let concluded = work.dir.conclude(None)?;
        work.dir.write(&concluded)?;
        Ok(Certified { dir: work.dir, certificate: concluded.certificate, left: work.left })
    }

    async fn everything(&mut self, work: &mut Work) -> Result<(), End> {
        self.size(work).await?;
        let drills = self.commission.drills.clone();
        for (number, drill) in drills.iter().enumerate() {
            let mut rest = (drill.schedule().next().is_some()).then(|| drill.clone());
            while let Some(drill) = rest.take() {
                rest = self.one(work, number, &drill).await?;
            }
        }
        Ok(())
    }

    /// Measures what the stack sustains, and sizes the load of the drills by it.
    async fn size(&mut self, work: &mut Work) -> Result<(), End> {
        let Some(mut plan) = self.measure.take() else { return Ok(()) };
        self.boot(work).await?;
        let Some(session) = &work.session else { return Ok(()) };
        plan.folder = Some(work.dir.capacity());
        let Commission { sla, seed, .. } = &self.commission;
        let capacity = session.capacity(&plan, sla, *seed, self.interrupt.clone(), self.progress).await?;
        capacity.keep(&work.dir.capacity()).map_err(|source| CertificationError::file(&work.dir.capacity(), source))?;
        let per_s = match capacity.found {
            Some(Found::Confirmed(rate) | Found::AtLeast(rate)) => rate,
            Some(Found::None) => {
                return Err(End::Early(
                    "no rate of purchases at all is sustained: see the trials in capacity/".to_owned(),
                ));
            }
            None => return Err(self.interrupted()),
        };
        self.commission.size_by(per_s, "at the begin of this certification");
        let Sizing { rate_per_s, why, .. } = &self.commission.sizing;
        self.progress.note(&format!("{rate_per_s:.2} purchases per second: {why}"));
        work.dir.recommission(&self.commission)?;
        Ok(())
    }

    /// One drill, or what is left of it; gives what is left of it then.
    async fn one(&self, work: &mut Work, number: usize, drill: &Drill) -> Result<Option<Drill>, End> {
        self.boot(work).await?;
        let Some(session) = &work.session else { return Ok(None) };
        if work.done == 0 {
            // What comes before the first fault does not say how long one takes.
            work.since = Instant::now();
        }
        let name = format!("{:02}-{}", work.dir.parts() + 1, drill.name.replace([' ', ','], "-"));
        let order = Order {
            drill,
            sla: &self.commission.sla,
            seed: self.commission.seed.wrapping_add(number as u64),
            replay: &self.commission.replay,
            folder: Some(work.dir.drill(&name)),
            course: Some(Course { done: work.done, total: self.commission.faults(), since: work.since }),
        };
        let mut executed = session.order(&order, self.interrupt.clone(), self.progress).await?;
        // Of what is wrong with the audit itself every node says the same.
        executed.residue.sort();
        executed.residue.dedup();
        let steps = executed.verdict.steps.len();
        work.done += steps;
        let unfit = unfit(session, &executed).await;
        let after = After { unfit: unfit.clone(), residue: executed.residue.clone() };
        work.left.extend(executed.residue);
        work.dir.add(&name, after)?;
        if *self.interrupt.borrow() {
            return Err(self.interrupted());
        }
        let Some(unfit) = unfit else { return Ok(None) };
        self.progress.note(&format!("the stack is booted anew: {unfit}"));
        if let Some(session) = work.session.take() {
            self.close(session, &mut work.left).await;
        }
        work.reboots += 1;
        if work.reboots > REBOOTS_MAX {
            return Err(End::Early(format!("the stack had to be given up {} times, last: {unfit}", work.reboots)));
        }
        // The step that broke it counts as done; one that could not even begin is not tried again.
        Ok(drill.rest(steps.max(1)))
    }

    fn interrupted(&self) -> End {
        End::Early("interrupted by the operator".to_owned())
    }

    /// Boots a stack where there is none. The first one that cannot be had is an error; a later one ends the
    /// certification with what there is.
    async fn boot(&self, work: &mut Work) -> Result<(), End> {
        if work.session.is_some() {
            return Ok(());
        }
        let run = new_run_id();
        let stacks = self.options.stacks();
        let mut interrupt = self.interrupt.clone();
        let booted = tokio::select! {
            booted = Session::boot(self.options.clone(), run.clone(), self.progress) => Some(booted),
            // An error means that nobody can interrupt any more.
            Ok(_) = interrupt.wait_for(|interrupted| *interrupted) => None,
        };
        match booted {
            Some(Ok(session)) => work.session = Some(session),
            Some(Err(error)) if work.reboots == 0 => return Err(error.into()),
            Some(Err(error)) => return Err(End::Early(format!("the stack cannot be booted anew: {error}"))),
            None => {
                let engine = Engine::connect().await.map_err(SessionError::from)?;
                guard::clean_up(&engine, &stacks, &run).await.map_err(SessionError::from)?;
                return Err(if work.reboots == 0 {
                    CertificationError::Interrupted.into()
                } else {
                    self.interrupted()
                });
            }
        }
        Ok(())
    }

    async fn close(&self, session: Session, left: &mut Vec<String>) {
        let task = "removing the stack";
        self.progress.begin(task);
        match session.close().await {
            Ok(()) => self.progress.end(task, "nothing left"),
            Err(error) => {
                self.progress.end(task, "something is left");
                left.push(error.to_string());
            }
        }
    }
}

/// Why a stack cannot be drilled any further, if it cannot.
async fn unfit(session: &Session, executed: &Executed) -> Option<String> {
    if let Some(stopped) = &executed.stopped {
        return Some(stopped.clone());
    }
    if !executed.residue.is_empty() {
        return Some(format!("faults left something on it: {}", executed.residue.join("; ")));
    }
    session.observer.wait_whole(WHOLE_DEADLINE).await.err().map(|expired| expired.to_string())
}

impl From<DrillError> for CertificationError {
    fn from(error: DrillError) -> Self {
        Self::Drill(Box::new(error))
    }
}
