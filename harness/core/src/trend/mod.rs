//! Whether runs became better or worse than the ones before them.
//!
//! One run against one run says nothing: the same shop on the same machine has outages of 8 s and of 11 s. So a *cell*
//! (tier, fault, target as asked) is compared by all of its repeats on both sides, by ranks ([`rank`]), with the number
//! of cells taken into account ([`multiple`]); what is found must matter too ([`Measure::practical`]). Where there are
//! too few repeats, that is the answer, with the number that it takes.
//!
//! Some things need no statistics: an order lost where none was, an invariant broken that held, a conclusion graver
//! than any before are regressions at once ([`hard`]).
//!
//! A repeat is an executed fault. Repeats of one run share a boot, a machine and a night: what changed with the night
//! looks as if the shop had changed. A [`Comparison`] says so where one side has a single run.

pub mod compare;
pub mod flake;
pub mod hard;
pub mod measure;
pub mod multiple;
pub mod rank;
pub mod series;

pub use compare::{CellChange, Change, Changed, Comparison, Outcome, Side, Summary, compare};
pub use flake::{Flake, Repeated, flakes};
pub use hard::{Hard, HardKind};
pub use measure::{Measure, Practical};
pub use series::{CellSeries, Point, RunPoint, Series, series};

use crate::ids::TierName;
use crate::verdict::{StepVerdict, Verdict};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// One execution: a run of one drill has one verdict, a certification one for each of its drills.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Name of its folder.
    pub name: String,
    /// What it came to.
    pub verdicts: Vec<Verdict>,
}

/// What is compared: the same fault on the same target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct Cell {
    /// The tier that was hit.
    pub tier: TierName,
    /// Name of the fault.
    pub fault: String,
    /// The target as asked, for example `primary(postgres)`.
    pub target: String,
}

impl Cell {
    /// The cell that a step belongs to.
    pub fn of(step: &StepVerdict) -> Self {
        Self { tier: step.tier.clone(), fault: step.fault.clone(), target: step.target.clone() }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.fault, self.target)
    }
}
