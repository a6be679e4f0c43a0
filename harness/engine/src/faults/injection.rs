//! Drives a fault through its life: phases in order, each with a deadline, the undo record first, and the
//! history told at every step.
//!
//! The way is split where the plan needs it: [`Injection::arm`] does everything that takes time,
//! [`Injection::fire`] is the planned instant, [`Injection::heal`] the way back.

use super::{Done, Injector, InjectorError, Memo, Site, UndoRecord, injector};
use crate::recorder::Recorder;
use crate::stack::Node;
use crate::wait::{self, Expired, Look};
use firedrill_core::fault::target::Candidate;
use firedrill_core::fault::{Fault, Input, Lifecycle, Phase, Target, TargetError, TransitionError};
use firedrill_core::history::{At, Event, FaultEvent};
use firedrill_core::ids::{NodeName, TierName};
use futures_util::future::join_all;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// A fault went wrong.
#[derive(Debug, Error)]
pub enum FaultError {
    /// Nobody to hit.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The injector could not do its work.
    #[error(transparent)]
    Injector(#[from] InjectorError),
    /// Another fault that is in force owns the same thing of the same node.
    #[error("{fault} on {node} would get in the way of {other}, which is in force there; nothing was injected")]
    Conflict {
        /// The fault.
        fault: &'static str,
        /// The node.
        node: NodeName,
        /// The one that is in force.
        other: &'static str,
    },
    /// The undo record cannot be written: nothing is injected without it.
    #[error("the undo record in {folder} cannot be written: {source}; nothing was injected")]
    Undo {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A phase ran into its deadline.
    #[error(transparent)]
    Expired(#[from] Expired),
    /// A defect of ours.
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

/// One call of the engine takes milliseconds; this is for an engine under load, and for the start of a
/// helper container.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// How long an undo may take to show.
const UNDONE_DEADLINE: Duration = Duration::from_secs(20);

/// One fault on its way through its life.
pub struct Injection<'a> {
    site: Site<'a>,
    recorder: &'a Recorder,
    undo_folder: &'a Path,
    fault: Fault,
    target: Target,
    injector: Box<dyn Injector>,
    nodes: Vec<(Node, Memo)>,
    life: Lifecycle,
}

impl<'a> Injection<'a> {
    /// A fault that is planned. The site's candidates are what the target is resolved by.
    pub fn new(site: Site<'a>, recorder: &'a Recorder, undo_folder: &'a Path, fault: &Fault, target: &Target) -> Self {
        Self {
            site,
            recorder,
            undo_folder,
            fault: fault.clone(),
            target: target.clone(),
            injector: injector(fault),
            nodes: Vec::new(),
            life: Lifecycle::default(),
        }
    }

    /// The nodes that it was resolved to.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.nodes.iter().map(|(node, _)| node.name.clone()).collect()
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.life.phase()
    }

    /// Whether its effect was proven.
    pub fn proven(&self) -> bool {
        self.life.proven()
    }

    /// The fault.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Everything up to the planned instant: resolves the target, checks, records the undo, and gets ready
    /// what is slow. `in_force` are the faults that it must not get in the way of. On an error the fault is
    /// void.
    pub async fn arm(
        &mut self,
        draw: impl FnMut(usize) -> usize,
        in_force: &[Injection<'_>],
    ) -> Result<(), FaultError> {
        let armed = self.try_arm(draw, in_force).await;
        if let Err(error) = &armed {
            // A helper that was started already has to go: what was armed is undone like what was injected.
            if self.life.phase() == Phase::Armed {
                self.advance(Input::InjectBegins, "getting ready failed")?;
            }
            self.advance(Input::Failed, &error.to_string())?;
        }
        armed
    }

    async fn try_arm(
        &mut self,
        draw: impl FnMut(usize) -> usize,
        in_force: &[Injection<'_>],
    ) -> Result<(), FaultError> {
        let names = self.target.resolve(self.site.candidates, draw)?;
        let found: Vec<Node> = names.iter().filter_map(|name| self.site.stack.node(name).cloned()).collect();
        self.check_conflicts(&found, in_force)?;
        let prepared = join_all(found.iter().map(|node| {
            let (injector, site) = (self.injector.as_ref(), &self.site);
            async move { Ok((node.clone(), bounded(&node.name, injector.prepare(site, node)).await?)) }
        }))
        .await;
        // Known before it is decided whether all can be had, so that a void names its targets too.
        self.nodes = found.into_iter().map(|node| (node, Memo::none())).collect();
        self.nodes = prepared.into_iter().collect::<Result<_, FaultError>>()?;
        self.advance(Input::PrepareSucceeded, &self.seen())?;
        let record = UndoRecord {
            run: self.site.stack.run.clone(),
            step: self.site.step,
            fault: self.fault.clone(),
            targets: self.nodes.iter().map(|(node, memo)| (node.name.clone(), memo.clone())).collect(),
        };
        let failed = |source| FaultError::Undo { folder: self.undo_folder.to_path_buf(), source };
        record.write(self.undo_folder).map_err(failed)?;
        self.advance(Input::RecordSucceeded, "undo record synced")?;
        self.on_all(|injector, site, node, memo| injector.arm(site, node, memo), CALL_DEADLINE).await
    }

    fn check_conflicts(&self, nodes: &[Node], in_force: &[Injection<'_>]) -> Result<(), FaultError> {
        for other in in_force.iter().filter(|other| other.phase().may_be_in_force()) {
            let shared = nodes.iter().find(|node| other.nodes.iter().any(|(hit, _)| hit.name == node.name));
            if let Some(node) = shared
                && self.fault.about().conflicts(other.fault.about())
            {
                let (fault, other) = (self.fault.name(), other.fault.name());
                return Err(FaultError::Conflict { fault, node: node.name.clone(), other });
            }
        }
        Ok(())
    }

    /// Injects, and waits for the effect. `planned` is the instant that was planned, if one was: the history
    /// gets the difference. On an error the fault has to be healed; the caller heals in any case.
    pub async fn fire(&mut self, planned: Option<At>) -> Result<(), FaultError> {
        let fired = self.try_fire(planned).await;
        if let Err(error) = &fired {
            self.advance(Input::Failed, &error.to_string())?;
        }
        fired
    }

    async fn try_fire(&mut self, planned: Option<At>) -> Result<(), FaultError> {
        let late = planned.map(|at| format!("{:.1} ms after the planned instant", self.recorder.now().ms_since(at)));
        self.advance(Input::InjectBegins, &late.unwrap_or_default())?;
        let deadline = self.fault.about().effect_deadline;
        if self.injector.one_by_one() {
            for index in 0..self.nodes.len() {
                let (node, memo) = &self.nodes[index];
                let call = self.injector.inject(&self.site, node, memo);
                timed(&node.name, call, deadline).await?;
                self.wait_effect(&self.nodes[index..=index], deadline).await?;
            }
        } else {
            self.on_all(|injector, site, node, memo| injector.inject(site, node, memo), deadline).await?;
        }
        self.advance(Input::InjectSucceeded, "")?;
        let proof = self.wait_effect(&self.nodes, deadline).await?;
        self.advance(Input::EffectProven, &proof)?;
        Ok(())
    }

    /// Undoes the fault and waits until it is seen to be undone. Does nothing where it was never
    /// injected; tries again until `deadline`.
    pub async fn heal(&mut self, deadline: Duration) -> Result<(), FaultError> {
        if self.life.phase().is_final() {
            return Ok(());
        }
        // What was only armed may have a helper that waits for the instant.
        if self.life.phase() == Phase::Armed {
            self.advance(Input::InjectBegins, "not fired")?;
        }
        if self.advance(Input::HealRequested, "")? == Phase::Void {
            return Ok(());
        }
        let what = format!("{} {} is undone", self.fault, self.target);
        let undone = wait::until(&what, deadline, Duration::from_millis(500), || async {
            if let Err(error) =
                self.on_all(|injector, site, node, memo| injector.undo(site, node, memo), CALL_DEADLINE).await
            {
                return Look::NotYet(error.to_string());
            }
            match self.wait_undone().await {
                Ok(text) => Look::Ready(text),
                Err(expired) => Look::NotYet(expired.last),
            }
        });
        match undone.await {
            Ok(text) => self.advance(Input::RecoverSucceeded, &text)?,
            Err(expired) => {
                self.advance(Input::Failed, &expired.to_string())?;
                return Err(expired.into());
            }
        };
        let failed = |source| FaultError::Undo { folder: self.undo_folder.to_path_buf(), source };
        UndoRecord::remove(self.undo_folder, self.site.step).map_err(failed)
    }

    /// Does something to all nodes at once; the first error, after all have ended.
    async fn on_all<'b, F, R>(&'b self, work: F, deadline: Duration) -> Result<(), FaultError>
    where
        F: Fn(&'b dyn Injector, &'b Site<'a>, &'b Node, &'b Memo) -> R,
        R: Future<Output = Done<()>> + 'b,
    {
        let works = self.nodes.iter().map(|(node, memo)| {
            let work = work(self.injector.as_ref(), &self.site, node, memo);
            timed(&node.name, work, deadline)
        });
        join_all(works).await.into_iter().collect()
    }

    async fn wait_effect(&self, nodes: &[(Node, Memo)], deadline: Duration) -> Result<String, Expired> {
        let what = format!("{}: the effect shows", self.target);
        let injector = self.injector.as_ref();
        wait::until(&what, deadline, Duration::from_millis(20), || async {
            let looks = nodes.iter().map(|(node, memo)| injector.effect(&self.site, node, memo));
            gathered(nodes, join_all(looks).await)
        })
        .await
    }

    async fn wait_undone(&self) -> Result<String, Expired> {
        let what = format!("{}: the undo shows", self.target);
        let injector = self.injector.as_ref();
        wait::until(&what, UNDONE_DEADLINE, Duration::from_millis(20), || async {
            let looks = self.nodes.iter().map(|(node, memo)| injector.undone(&self.site, node, memo));
            gathered(&self.nodes, join_all(looks).await)
        })
        .await
    }

    /// Moves the state machine and tells the history.
    fn advance(&mut self, input: Input, detail: &str) -> Result<Phase, TransitionError> {
        let phase = self.life.apply(input)?;
        self.recorder.record(Event::Fault(FaultEvent {
            step: self.site.step,
            at: self.recorder.now(),
            phase,
            fault: self.fault.to_string(),
            parameters: self.fault.parameters(),
            target: self.target.to_string(),
            tier: self.tier(),
            nodes: self.nodes(),
            detail: detail.to_owned(),
        }));
        Ok(phase)
    }

    /// What the chosen nodes were when they were chosen, by their own word and their authorities'.
    fn seen(&self) -> String {
        let chosen = self.site.candidates.iter().filter(|c| self.nodes.iter().any(|(node, _)| node.name == c.node));
        chosen.map(Candidate::describe).collect::<Vec<_>>().join(", ")
    }

    fn tier(&self) -> TierName {
        match (self.target.tier(), self.nodes.first()) {
            (Some(tier), _) => tier.clone(),
            (None, Some((node, _))) => node.tier.clone(),
            (None, None) => TierName::new(self.target.to_string()),
        }
    }
}

/// All looks together: ready when every node has shown it.
fn gathered(nodes: &[(Node, Memo)], looks: Vec<Done<Option<String>>>) -> Look<String> {
    let mut seen = Vec::new();
    for ((node, _), look) in nodes.iter().zip(looks) {
        match look {
            Ok(Some(text)) => seen.push(text),
            Ok(None) => return Look::NotYet(format!("{}: not yet", node.name)),
            Err(error) => return Look::NotYet(error.to_string()),
        }
    }
    Look::Ready(seen.join("; "))
}

async fn bounded<T>(node: &NodeName, call: impl Future<Output = Done<T>>) -> Result<T, FaultError> {
    timed(node, call, CALL_DEADLINE).await
}

async fn timed<T>(node: &NodeName, call: impl Future<Output = Done<T>>, deadline: Duration) -> Result<T, FaultError> {
    match timeout(deadline, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Expired { what: format!("{node}: a call"), deadline, last: "no answer".to_owned() }.into()),
    }
}
