//! Drives a fault through its life: phases in order, each with a deadline, the undo record first, and the
//! history told at every step.

use super::{Fault, UndoRecord, fault};
use crate::docker::DockerError;
use crate::recorder::Recorder;
use crate::stack::{Node, Stack};
use crate::wait::{self, Expired, Look};
use firedrill_core::fault::target::Candidate;
use firedrill_core::fault::{FaultKind, Input, Lifecycle, Phase, Target, TargetError, TransitionError};
use firedrill_core::history::{Event, FaultEvent};
use firedrill_core::ids::{NodeName, StepId, TierName};
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
    /// The engine refused a call.
    #[error(transparent)]
    Docker(#[from] DockerError),
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

/// One call of the engine takes milliseconds; this is for an engine under load.
const CALL_DEADLINE: Duration = Duration::from_secs(15);

/// How long an effect may take to show.
const EFFECT_DEADLINE: Duration = Duration::from_secs(10);

/// One fault on its way through its life.
pub struct Injection<'a> {
    stack: &'a Stack,
    recorder: &'a Recorder,
    undo_folder: &'a Path,
    step: StepId,
    kind: FaultKind,
    target: Target,
    fault: Box<dyn Fault>,
    nodes: Vec<Node>,
    life: Lifecycle,
}

impl<'a> Injection<'a> {
    /// A fault that is planned.
    pub fn new(
        stack: &'a Stack,
        recorder: &'a Recorder,
        undo_folder: &'a Path,
        step: StepId,
        kind: FaultKind,
        target: &Target,
    ) -> Self {
        let (target, fault) = (target.clone(), fault(kind));
        Self { stack, recorder, undo_folder, step, kind, target, fault, nodes: Vec::new(), life: Lifecycle::default() }
    }

    /// The nodes that it was resolved to.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.life.phase()
    }

    /// Whether its effect was proven.
    pub fn proven(&self) -> bool {
        self.life.proven()
    }

    /// Resolves the target, checks, records the undo, injects, and waits for the effect. On an error the
    /// fault is void or has to be healed ([`Phase::may_be_in_force`] says which); the caller heals in any
    /// case.
    pub async fn inject(
        &mut self,
        candidates: &[Candidate],
        draw: impl FnMut(usize) -> usize,
    ) -> Result<(), FaultError> {
        let injected = self.try_inject(candidates, draw).await;
        if let Err(error) = &injected {
            self.advance(Input::Failed, &error.to_string())?;
        }
        injected
    }

    async fn try_inject(
        &mut self,
        candidates: &[Candidate],
        draw: impl FnMut(usize) -> usize,
    ) -> Result<(), FaultError> {
        let names = self.target.resolve(candidates, draw)?;
        self.nodes = names.iter().filter_map(|name| self.stack.node(name).cloned()).collect();
        for node in &self.nodes {
            bounded(self.fault.prepare(self.stack, node), &node.name).await?;
        }
        self.advance(Input::PrepareSucceeded, "")?;
        let record = UndoRecord {
            run: self.stack.run.clone(),
            step: self.step,
            fault: self.kind,
            targets: self.nodes.iter().map(|node| (node.name.clone(), node.container.clone())).collect(),
        };
        let failed = |source| FaultError::Undo { folder: self.undo_folder.to_path_buf(), source };
        record.write(self.undo_folder).map_err(failed)?;
        self.advance(Input::RecordSucceeded, "undo record synced")?;
        self.advance(Input::InjectBegins, "")?;
        for node in &self.nodes {
            bounded(self.fault.inject(self.stack, node), &node.name).await?;
        }
        self.advance(Input::InjectSucceeded, "")?;
        let proof =
            self.wait_all("the effect shows", EFFECT_DEADLINE, |fault, stack, node| fault.effect(stack, node)).await?;
        self.advance(Input::EffectProven, &proof)?;
        Ok(())
    }

    /// Undoes the fault and waits until it is seen to be undone. Does nothing where it was never
    /// injected; tries again until `deadline`.
    pub async fn heal(&mut self, deadline: Duration) -> Result<(), FaultError> {
        if self.life.phase().is_final() {
            return Ok(());
        }
        let phase = self.advance(Input::HealRequested, "")?;
        if phase == Phase::Void {
            return Ok(());
        }
        let what = format!("{} {} is undone", self.kind, self.target);
        let undone = wait::until(&what, deadline, Duration::from_millis(500), || async {
            for node in &self.nodes {
                if let Err(error) = bounded(self.fault.undo(self.stack, node), &node.name).await {
                    return Look::NotYet(error.to_string());
                }
            }
            let seen = self.wait_all("the undo shows", EFFECT_DEADLINE, |fault, stack, node| fault.undone(stack, node));
            match seen.await {
                Ok(text) => Look::Ready(text),
                Err(error) => Look::NotYet(error.to_string()),
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
        UndoRecord::remove(self.undo_folder, self.step).map_err(failed)
    }

    /// Waits until the look gives a text for every node.
    async fn wait_all<F>(&self, what: &str, deadline: Duration, look: F) -> Result<String, Expired>
    where
        F: for<'b> Fn(&'b dyn Fault, &'b Stack, &'b Node) -> super::Step<'b, Option<String>>,
    {
        let what = format!("{}: {what}", self.target);
        wait::until(&what, deadline, Duration::from_millis(20), || async {
            let mut seen = Vec::new();
            for node in &self.nodes {
                match look(self.fault.as_ref(), self.stack, node).await {
                    Ok(Some(text)) => seen.push(text),
                    Ok(None) => return Look::NotYet(format!("{}: not yet", node.name)),
                    Err(error) => return Look::NotYet(error.to_string()),
                }
            }
            Look::Ready(seen.join("; "))
        })
        .await
    }

    /// Moves the state machine and tells the history.
    fn advance(&mut self, input: Input, detail: &str) -> Result<Phase, TransitionError> {
        let phase = self.life.apply(input)?;
        self.recorder.record(Event::Fault(FaultEvent {
            step: self.step,
            at: self.recorder.now(),
            phase,
            fault: self.kind.to_string(),
            target: self.target.to_string(),
            tier: self.tier(),
            nodes: self.nodes(),
            detail: detail.to_owned(),
        }));
        Ok(phase)
    }

    fn tier(&self) -> TierName {
        match (&self.target, self.nodes.first()) {
            (Target::InTier(_, tier), _) => tier.clone(),
            (Target::Node(_), Some(node)) => node.tier.clone(),
            (Target::Node(name), None) => TierName::new(name.as_str()),
        }
    }
}

async fn bounded<T>(call: super::Step<'_, T>, node: &NodeName) -> Result<T, FaultError> {
    match timeout(CALL_DEADLINE, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Expired {
            what: format!("{node}: a call of the engine"),
            deadline: CALL_DEADLINE,
            last: "no answer".to_owned(),
        }
        .into()),
    }
}
