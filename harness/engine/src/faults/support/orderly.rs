//! What faults that end a node have in common: calls that the engine carries
//! on with when nobody waits for their answer any more.

use super::state;
use crate::faults::{Done, InjectorError, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use crate::wait::{self, Look};
use bollard::models::ContainerState;
use firedrill_core::fault::catalogue::node::Stop;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A node's life before the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::faults) struct Before {
    /// When it was started, as the engine tells it.
    pub(in crate::faults) started_at: String,
    /// The number of its first process.
    pub(in crate::faults) pid: i64,
}

impl Before {
    /// The life that this state is of.
    pub(in crate::faults) fn of(state: &ContainerState) -> Self {
        Self { started_at: state.started_at.clone().unwrap_or_default(), pid: state.pid.unwrap_or(0) }
    }

    /// Whether it is still the same life.
    pub(in crate::faults) fn goes_on(&self, state: &ContainerState) -> bool {
        state.running == Some(true) && state.started_at.as_deref() == Some(&self.started_at)
    }

    /// The instant of a later start, where there was one.
    pub(in crate::faults) fn later_start(&self, node: &Node, state: &ContainerState) -> Done<Option<String>> {
        let started_at = state.started_at.clone().unwrap_or_default();
        let instant = |text: &str| {
            let instant = text.parse::<jiff::Timestamp>();
            instant.map_err(|error| InjectorError::failed(node, format!("the engine's time {text:?}: {error}")))
        };
        Ok((instant(&started_at)? > instant(&self.started_at)?).then_some(started_at))
    }
}

/// How far a call of the engine has come, as this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    NotMade,
    UnderWay,
    Answered,
}

/// The calls of a fault, by node. Nothing is known of the calls of another process.
#[derive(Debug, Default)]
pub(in crate::faults) struct Calls(PerNode<Call>);

impl Calls {
    /// The fault is armed and has not been injected.
    pub(in crate::faults) fn armed(&self, node: &Node) {
        self.0.put(node, Call::NotMade);
    }

    /// The call is made.
    pub(in crate::faults) fn made(&self, node: &Node) {
        self.0.put(node, Call::UnderWay);
    }

    /// The engine has answered it.
    pub(in crate::faults) fn answered(&self, node: &Node) {
        self.0.put(node, Call::Answered);
    }

    /// Whether the engine may still be at work on a call.
    pub(in crate::faults) fn may_be_under_way(&self, node: &Node) -> bool {
        !matches!(self.0.get(node), Some(Call::NotMade | Call::Answered))
    }

    /// Waits until no end of the node can be under way any more, at most `longest`: the engine would end it
    /// after the undo has started it, or has taken it that there is nothing to start.
    pub(in crate::faults) async fn settle(&self, site: &Site<'_>, node: &Node, before: &Before, longest: Duration) {
        if !self.may_be_under_way(node) {
            return;
        }
        let what = format!("{}: an end that may be under way is over", node.name);
        let over = wait::until(&what, longest, Duration::from_millis(100), || async {
            match state::state(site.stack, node).await {
                Ok(state) if before.goes_on(&state) => Look::NotYet("runs as before".to_owned()),
                Ok(_) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        // A node that still runs was not hit at all.
        if let Err(expired) = over.await {
            tracing::debug!("{expired}");
        }
    }
}

/// How long the engine may take to hear and act, beyond what it was told to wait.
pub(in crate::faults) const ENGINE_DELAY: Duration = Duration::from_secs(2);

/// How long a stop may be under way.
pub(in crate::faults) fn longest_stop(stop: &Stop) -> Duration {
    Duration::from_millis(stop.grace_ms) + ENGINE_DELAY
}

/// The grace in whole seconds, rounded up, as the engine takes it.
pub(in crate::faults) fn grace_s(stop: &Stop) -> i32 {
    i32::try_from(stop.grace_ms.div_ceil(1_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_is_never_cut() {
        assert_eq!(grace_s(&Stop { grace_ms: 1_000 }), 1);
        assert_eq!(grace_s(&Stop { grace_ms: 1_001 }), 2);
    }

    #[test]
    fn a_life_is_told_by_its_start() {
        let state = |running: bool, at: &str| ContainerState {
            running: Some(running),
            started_at: Some(at.to_owned()),
            pid: Some(7),
            ..Default::default()
        };
        let first = state(true, "2026-11-21T08:00:00.5Z");
        let before = Before::of(&first);
        assert!(before.goes_on(&first));
        assert!(!before.goes_on(&state(false, "2026-11-21T08:00:00.5Z")));
        assert!(!before.goes_on(&state(true, "2026-11-21T08:00:01.25Z")));
    }
}
