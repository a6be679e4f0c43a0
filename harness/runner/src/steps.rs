//! The steps of a drill: each waits for its trigger, bites, is proven, and is undone; those that overlap
//! are in force together.

use crate::drill::Course;
use crate::pace::Pace;
use crate::session::Session;
use crate::trigger::Moment;
use firedrill_core::drill::{Drill, Step, Trigger};
use firedrill_core::fault::Phase;
use firedrill_core::fault::target::Candidate;
use firedrill_core::history::{At, Event, Stage, StageEvent};
use firedrill_core::ids::StepId;
use firedrill_engine::faults::{FaultError, Injection, Site};
use firedrill_engine::observe::LOOK_PERIOD;
use firedrill_engine::progress::Progress;
use firedrill_engine::wait::{self, Expired, Look};
use firedrill_load::{LoadView, Snapshot};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::watch;

/// How long sales must go well, without an error, to be called steady: several purchases, and longer than
/// the pause between two tries of a buyer.
const STEADY_MS: u64 = 3_000;

/// How long the stack may take to be steady before a step; it was whole already. At 90 % of what it sustains, the queue
/// of an outage of 10 s takes 90 s to be worked off.
const STEADY_DEADLINE: Duration = Duration::from_secs(120);

/// How long a fault may take to be undone.
const HEAL_DEADLINE: Duration = Duration::from_secs(60);

/// Getting a fault ready takes up to this long (a helper container has to start): so long before a planned
/// instant it is begun.
const ARM_LEAD: Duration = Duration::from_secs(5);

/// What the steps of one drill share.
pub(crate) struct Run<'a> {
    pub(crate) session: &'a Session,
    pub(crate) drill: &'a Drill,
    /// What the drill is a part of, for those who wait.
    pub(crate) course: Option<Course>,
    pub(crate) undo: PathBuf,
    /// What the buyers see; none where nobody buys.
    pub(crate) view: Option<LoadView>,
    pub(crate) pace: Pace,
    pub(crate) interrupt: watch::Receiver<bool>,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) seed: u64,
}

/// One step of a group that overlaps.
struct Member<'a> {
    number: StepId,
    step: &'a Step,
}

/// What there has to be beside a whole stack and sales without an error.
#[derive(Clone, Copy)]
enum Wanted {
    /// A purchase that began at this instant or later was served.
    Sale(At),
    /// Purchases are as fast as they were: what a fault held up has been served.
    NoQueue,
}

fn last_second(figures: &Snapshot) -> String {
    format!("{} sales and {} errors in the last second", figures.acks_last_s, figures.errors_last_s)
}

/// A step and those that overlap it, for people.
fn named(group: &[&Step]) -> String {
    group.iter().map(|step| format!("{} {}", step.fault, step.target)).collect::<Vec<_>>().join(" + ")
}

impl Run<'_> {
    /// All steps in order. Ends early where the stack is not whole any more, where the load does not do what was
    /// planned, or on an interrupt. Says why the stack cannot be drilled any further, where it cannot.
    pub(crate) async fn steps(&self) -> Option<String> {
        let drill = self.drill;
        let total = drill.schedule().count();
        let mut number = 0;
        let mut stopped = None;
        let groups = drill.groups();
        for (place, group) in groups.iter().enumerate() {
            if self.ends_early() {
                break;
            }
            let members: Vec<Member<'_>> =
                group.iter().zip(number..).map(|(step, number)| Member { number: StepId(number), step }).collect();
            number += u32::try_from(members.len()).unwrap_or(u32::MAX);
            let first = number + 1 - u32::try_from(members.len()).unwrap_or(0);
            let number_in_words = match self.course {
                Some(course) => course.place(first.saturating_sub(1) as usize),
                None if first == number => format!("{number}/{total}"),
                None => format!("{first}-{number}/{total}"),
            };
            let task = format!("drill {number_in_words}: {}", named(group));
            self.progress.begin(&task);
            let next = groups.get(place + 1).map(|next| format!("; next is {}", named(next))).unwrap_or_default();
            self.progress.update(&task, &format!("waiting until the stack is whole and sells{next}"));
            let told = self.group(&members, &task).await;
            stopped = told.as_ref().err().cloned();
            let note = told.unwrap_or_else(|problem| format!("stopped: {problem}"));
            self.progress.end(&task, &note);
            if stopped.is_some() {
                break;
            }
        }
        self.soak().await;
        if self.interrupted() {
            self.session.stage(Stage::Interrupted, None, "by the operator".to_owned());
            return stopped;
        }
        if let Some(void) = self.view.as_ref().and_then(LoadView::void) {
            self.progress.note(&format!("the load is void: {void}"));
            return stopped;
        }
        // A last purchase must go through after everything. A load test may ask for more than the stack can
        // take: it ends on time, whatever buyers see.
        if total == 0 && drill.soak_ms > 0 {
            return stopped;
        }
        if let Err(expired) = self.wait_steady("the end", Wanted::Sale(self.session.recorder.now())).await {
            self.progress.note(&expired.to_string());
        }
        stopped
    }

    /// Lets the load run on for as long as the drill asks for.
    async fn soak(&self) {
        let soak = Duration::from_millis(self.drill.soak_ms);
        if soak.is_zero() {
            return;
        }
        let task = format!("load for {:.0} s", soak.as_secs_f64());
        self.progress.begin(&task);
        let end = tokio::time::sleep(soak);
        tokio::pin!(end);
        let mut interrupt = self.interrupt.clone();
        let mut looks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = &mut end => break,
                // An error means that nobody can interrupt any more.
                Ok(_) = interrupt.wait_for(|interrupted| *interrupted) => break,
                _ = looks.tick() => {
                    if self.ends_early() {
                        break;
                    }
                    if let Some(figures) = self.view.as_ref().map(LoadView::snapshot) {
                        let text = format!("{} sold, {}/s, {} under way", figures.acknowledged, figures.acks_last_s, figures.in_flight);
                        self.progress.update(&task, &text);
                    }
                }
            }
        }
        self.progress.end(&task, "over");
    }

    pub(crate) fn interrupted(&self) -> bool {
        *self.interrupt.borrow()
    }

    /// Whether there is nothing left to wait for: the run was interrupted, or the load has ended because it did not
    /// do what was planned, and nobody buys any more.
    pub(crate) fn ends_early(&self) -> bool {
        self.interrupted() || self.view.as_ref().is_some_and(|view| view.void().is_some())
    }

    /// A step and those that overlap it. The text says how it went; the error says why the stack cannot be
    /// drilled any further.
    async fn group(&self, members: &[Member<'_>], task: &str) -> Result<String, String> {
        let session = self.session;
        if let Err(expired) = self.wait_before(members, task).await {
            self.stage_all(members, Stage::NotWhole, &expired.to_string());
            return Err(expired.to_string());
        }
        let undo = self.undo.clone();
        let seen: Vec<OnceLock<Vec<Candidate>>> = members.iter().map(|_| OnceLock::new()).collect();
        let mut injections: Vec<Injection<'_>> = Vec::new();
        let mut moment = Moment { at: session.recorder.now(), roles: self.roles(None) };
        for (member, seen) in members.iter().zip(&seen) {
            if self.ends_early() {
                break;
            }
            let seed = self.seed ^ (u64::from(member.number.0) << 32);
            let site = |candidates| Site {
                stack: &session.stack,
                step: member.number,
                candidates,
                observer: Some(&session.observer),
                seed,
            };
            let planned = match self.wait_trigger(member, &moment, seed, task).await {
                Ok(planned) => planned,
                Err(expired) => {
                    self.progress.note(&format!("{task}: {expired}"));
                    session.stage(Stage::Untriggered, Some(member.number), expired.to_string());
                    break;
                }
            };
            let candidates = seen.get_or_init(|| session.observer.candidates());
            let mut injection =
                Injection::new(site(candidates), &session.recorder, &undo, &member.step.fault, &member.step.target);
            let fired = self.fire(&mut injection, seed, planned, &injections).await;
            if let Err(error) = &fired {
                self.progress.note(&format!("{task}: {error}"));
            }
            injections.push(injection);
            moment.at = session.recorder.now();
        }
        if injections.iter().any(Injection::proven) {
            self.restore_and_hold(members, task, &injections).await;
        }
        self.recover(members, task, injections).await
    }

    /// Arms, waits for the planned instant, and fires.
    async fn fire(
        &self,
        injection: &mut Injection<'_>,
        seed: u64,
        planned: Option<At>,
        in_force: &[Injection<'_>],
    ) -> Result<(), FaultError> {
        let mut rng = StdRng::seed_from_u64(seed);
        injection.arm(|count| rng.random_range(0..count), in_force).await?;
        if let Some(planned) = planned {
            let now = self.session.recorder.now();
            tokio::time::sleep(Duration::from_nanos(planned.0.saturating_sub(now.0))).await;
        }
        injection.fire(planned).await
    }

    /// Before the first fault of a group: whole and steady. A trigger that does not ask for sales only
    /// needs the stack to be whole: nothing is injected into a sick one.
    async fn wait_before(&self, members: &[Member<'_>], task: &str) -> Result<(), Expired> {
        let observer = &self.session.observer;
        let trigger = members.first().map(|member| member.step.trigger());
        match trigger {
            Some(Trigger::AtMs(_) | Trigger::FirstSale) => {
                let what = format!("{task}: whole");
                wait::until(&what, STEADY_DEADLINE, LOOK_PERIOD, || async { observer.look_whole() }).await?;
                self.stage_all(members, Stage::Steady, "whole");
            }
            _ => {
                self.wait_steady(task, Wanted::NoQueue).await?;
                if self.ends_early() {
                    return Ok(());
                }
                let detail = match self.view {
                    Some(_) => format!("whole, {STEADY_MS} ms of sales without an error, and no queue"),
                    None => "whole; nobody buys".to_owned(),
                };
                self.stage_all(members, Stage::Steady, &detail);
            }
        }
        Ok(())
    }

    /// Waits for the trigger of a step; gives the planned instant where there is one. What happens at an
    /// instant is armed before it.
    async fn wait_trigger(
        &self,
        member: &Member<'_>,
        before: &Moment,
        seed: u64,
        task: &str,
    ) -> Result<Option<At>, Expired> {
        let step = member.step;
        let jitter_ms = match step.jitter_ms {
            0 => 0,
            most => StdRng::seed_from_u64(seed.rotate_left(17)).random_range(0..=most),
        };
        let trigger = step.trigger();
        if trigger != Trigger::Steady {
            self.progress.update(task, &format!("waiting for {trigger}"));
        }
        let planned = match trigger {
            Trigger::AtMs(ms) => Some(At::from_ms(ms)),
            Trigger::AfterMs(ms) if ms + jitter_ms > 0 => Some(before.at.plus_ms(ms)),
            Trigger::AfterMs(_) => None,
            Trigger::Steady if jitter_ms > 0 => Some(self.session.recorder.now()),
            Trigger::Steady => None,
            waits => {
                self.wait_condition(&waits, before, Duration::from_millis(step.trigger_deadline_ms)).await?;
                (jitter_ms > 0).then(|| self.session.recorder.now())
            }
        };
        let planned = planned.map(|at| at.plus_ms(jitter_ms));
        if let Some(planned) = planned {
            let now = self.session.recorder.now();
            let lead = Duration::from_nanos(planned.0.saturating_sub(now.0)).saturating_sub(ARM_LEAD);
            let mut interrupt = self.interrupt.clone();
            tokio::select! {
                () = tokio::time::sleep(lead) => {}
                _ = interrupt.wait_for(|interrupted| *interrupted) => {}
            }
        }
        Ok(planned)
    }

    /// Undoes everything, the last one first, and waits until the stack is whole again.
    async fn recover(
        &self,
        members: &[Member<'_>],
        task: &str,
        mut injections: Vec<Injection<'_>>,
    ) -> Result<String, String> {
        let session = self.session;
        let begun = injections.iter().any(|injection| injection.phase().may_be_in_force() || injection.proven());
        let began_at = session.recorder.now();
        self.progress.update(task, "undoing");
        let mut stuck = Vec::new();
        for injection in injections.iter_mut().rev() {
            if let Err(error) = injection.heal(HEAL_DEADLINE).await {
                stuck.push(error.to_string());
            }
        }
        if !stuck.is_empty() {
            return Err(stuck.join("; "));
        }
        if !begun && injections.iter().all(|injection| injection.phase() == Phase::Void) {
            return Ok("void: nothing was injected".to_owned());
        }
        self.progress.update(task, "waiting until redundancy is whole again");
        let healed = session.recorder.now();
        let deadline_ms = members.iter().map(|member| member.step.whole_deadline_ms).max().unwrap_or(0);
        let deadline = Duration::from_millis(deadline_ms);
        let whole =
            wait::until("redundancy is whole", deadline, LOOK_PERIOD, || async { session.observer.look_whole() });
        match whole.await {
            Ok(()) => {
                let now = session.recorder.now();
                self.stage_all(members, Stage::Whole, "");
                Ok(format!(
                    "whole again {:.1} s after the undo, {:.1} s after it began",
                    now.ms_since(healed) / 1e3,
                    now.ms_since(began_at) / 1e3
                ))
            }
            Err(expired) => {
                self.stage_all(members, Stage::NotWhole, &expired.to_string());
                Err(expired.to_string())
            }
        }
    }

    fn stage_all(&self, members: &[Member<'_>], stage: Stage, detail: &str) {
        for member in members {
            self.session.stage(stage, Some(member.number), detail.to_owned());
        }
    }

    /// With the faults in force: waits until buyers are served again, which is what N+1 means, and leaves
    /// the faults in force for a while longer.
    async fn restore_and_hold(&self, members: &[Member<'_>], task: &str, injections: &[Injection<'_>]) {
        let hit: Vec<String> = injections.iter().flat_map(Injection::nodes).map(|node| node.to_string()).collect();
        self.progress.update(task, &format!("in force on {}, waiting for sales", hit.join(", ")));
        let session = self.session;
        if let Some(view) = &self.view {
            let effective = session.recorder.now();
            let longest = |of: fn(&Step) -> u64| members.iter().map(|member| of(member.step)).max().unwrap_or(0);
            let deadline = Duration::from_millis(longest(|step| step.restore_deadline_ms));
            match self.wait_restored(view, effective, deadline).await {
                Ok(Some(since)) => {
                    let detail = format!("no error since, for {:.1} s", session.recorder.now().ms_since(since) / 1e3);
                    for member in members {
                        session.recorder.record(Event::Stage(StageEvent {
                            at: since,
                            stage: Stage::ServiceRestored,
                            step: Some(member.number),
                            detail: detail.clone(),
                        }));
                    }
                }
                Ok(None) => {}
                Err(expired) => self.progress.note(&format!("{task}: {expired}")),
            }
        }
        let hold_ms = members.iter().map(|member| member.step.hold_ms).max().unwrap_or(0);
        self.progress.update(task, &format!("in force on {}, held for {:.1} s", hit.join(", "), hold_ms as f64 / 1e3));
        let mut interrupt = self.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(hold_ms)) => {}
            _ = interrupt.wait_for(|interrupted| *interrupted) => {}
        }
    }

    /// Since when sales have gone well: since the last error, not since we could be sure of it. None where
    /// the run ended first.
    async fn wait_restored(&self, view: &LoadView, effective: At, deadline: Duration) -> Result<Option<At>, Expired> {
        let restored = wait::until("buyers are served again", deadline, LOOK_PERIOD, || async {
            let figures = view.snapshot();
            let clean_ms = figures.at.ms_since(effective).min(STEADY_MS as f64);
            let served = clean_ms >= STEADY_MS as f64
                && figures.serves_cleanly_for(STEADY_MS)
                && figures.served_since(effective);
            if served || self.ends_early() {
                return Look::Ready(figures);
            }
            Look::NotYet(last_second(&figures))
        });
        let figures = restored.await?;
        let since = figures.last_error.filter(|error| *error > effective).unwrap_or(effective);
        Ok(figures.served_since(effective).then_some(since))
    }

    /// Waits until the stack is whole and sells without errors, and until what else is wanted.
    async fn wait_steady(&self, what: &str, wanted: Wanted) -> Result<(), Expired> {
        let what = format!("{what}: whole and steady");
        wait::until(&what, STEADY_DEADLINE, LOOK_PERIOD, || async {
            if self.ends_early() {
                return Look::Ready(());
            }
            if let Look::NotYet(missing) = self.session.observer.look_whole() {
                return Look::NotYet(missing);
            }
            let Some(view) = &self.view else { return Look::Ready(()) };
            let figures = view.snapshot();
            if !figures.serves_cleanly_for(STEADY_MS) {
                return Look::NotYet(last_second(&figures));
            }
            match wanted {
                Wanted::Sale(since) if !figures.served_since(since) => Look::NotYet(last_second(&figures)),
                Wanted::Sale(_) => Look::Ready(()),
                Wanted::NoQueue => self.pace.queue(figures.latency_p50_ms).map_or(Look::Ready(()), Look::NotYet),
            }
        })
        .await
    }
}
