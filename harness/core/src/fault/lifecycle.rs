//! The life cycle of one fault on one set of targets, as a state machine without side effects.
//!
//! ```text
//!             prepare ok        record ok        inject begins
//!  [Planned] ──────────▶ [Prepared] ─────▶ [Armed] ──────▶ [Injecting]
//!      │ failed             │ failed         │ failed        │      │
//!      ▼                    ▼                ▼            ok │      │ failed, or
//!    [Void]               [Void]           [Void]            ▼      │ not sure
//!                                                      [Injected]   │
//!                                                  proof │    │ no  │
//!                                                        ▼    │ proof
//!                                                 [Effective] │     │
//!                                                   heal │    │     │
//!                                                        ▼    ▼     ▼
//!                                                     [Recovering] ◀─┐
//!                                                      ok │   │ failed│
//!                                                         ▼   └──────┘ (undo is idempotent: try again)
//!                                                    [Recovered]
//! ```
//!
//! The one rule that everything else serves: **from the instant at which an injection may have begun,
//! the only way out leads through `Recovering`.** A half-applied fault is undone, never forgotten. The
//! undo record is on disk (`Armed`) before the first side effect, so that somebody else can undo the
//! fault when the harness dies.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Where a fault is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the schedule; nothing has been done.
    Planned,
    /// Targets resolved, capabilities checked; still no side effect.
    Prepared,
    /// The undo record is on disk.
    Armed,
    /// The injection has begun: from here on there may be something to undo.
    Injecting,
    /// The injection returned without an error; whether it bites is not yet proven.
    Injected,
    /// The effect was seen from outside. Without this phase a step proves nothing.
    Effective,
    /// Being undone.
    Recovering,
    /// Undone, and seen to be undone.
    Recovered,
    /// Never injected.
    Void,
}

impl Phase {
    /// All phases, in the order of a good life.
    pub const ALL: [Self; 9] = [
        Self::Planned,
        Self::Prepared,
        Self::Armed,
        Self::Injecting,
        Self::Injected,
        Self::Effective,
        Self::Recovering,
        Self::Recovered,
        Self::Void,
    ];

    /// Whether something may be in force that has to be undone.
    pub fn may_be_in_force(self) -> bool {
        matches!(self, Self::Injecting | Self::Injected | Self::Effective | Self::Recovering)
    }

    /// Whether the life is over.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Recovered | Self::Void)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Planned => "planned",
            Self::Prepared => "prepared",
            Self::Armed => "armed",
            Self::Injecting => "injecting",
            Self::Injected => "injected",
            Self::Effective => "effective",
            Self::Recovering => "recovering",
            Self::Recovered => "recovered",
            Self::Void => "void",
        })
    }
}

/// What happened to a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The targets were resolved and the capabilities are there.
    PrepareSucceeded,
    /// The undo record is on disk.
    RecordSucceeded,
    /// The next call changes the target.
    InjectBegins,
    /// The injection returned without an error.
    InjectSucceeded,
    /// The effect was seen.
    EffectProven,
    /// The fault shall end: the hold is over, the run is interrupted, the target died.
    HealRequested,
    /// The undo was done and seen.
    RecoverSucceeded,
    /// The work of the current phase failed or ran into its deadline.
    Failed,
}

impl Input {
    /// All inputs, for tests that draw from them.
    pub const ALL: [Self; 8] = [
        Self::PrepareSucceeded,
        Self::RecordSucceeded,
        Self::InjectBegins,
        Self::InjectSucceeded,
        Self::EffectProven,
        Self::HealRequested,
        Self::RecoverSucceeded,
        Self::Failed,
    ];
}

/// An input that makes no sense in a phase: a defect of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a fault that is {phase} cannot take {input:?}")]
pub struct TransitionError {
    /// The phase that it was in, and still is.
    pub phase: Phase,
    /// The refused input.
    pub input: Input,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    phase: Phase,
    proven: bool,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { phase: Phase::Planned, proven: false }
    }
}

impl Lifecycle {
    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the effect was ever proven. Stays true after recovery: a step counts if and only if this
    /// is true.
    pub fn proven(&self) -> bool {
        self.proven
    }

    /// Takes an input. A refused input leaves the machine as it was.
    pub fn apply(&mut self, input: Input) -> Result<Phase, TransitionError> {
        use Input as I;
        use Phase as P;
        let next = match (self.phase, input) {
            (P::Planned, I::PrepareSucceeded) => P::Prepared,
            (P::Prepared, I::RecordSucceeded) => P::Armed,
            (P::Armed, I::InjectBegins) => P::Injecting,
            (P::Injecting, I::InjectSucceeded) => P::Injected,
            (P::Injected, I::EffectProven) => P::Effective,
            (P::Planned | P::Prepared | P::Armed, I::Failed | I::HealRequested) => P::Void,
            (P::Injecting | P::Injected | P::Effective, I::Failed | I::HealRequested) => P::Recovering,
            (P::Recovering, I::RecoverSucceeded) => P::Recovered,
            (P::Recovering, I::Failed | I::HealRequested) => P::Recovering,
            (phase, input) => return Err(TransitionError { phase, input }),
        };
        self.phase = next;
        self.proven |= next == P::Effective;
        Ok(next)
    }
}
