//! The matrix of steps: which tier survived which fault.

use super::view::Badge;
use crate::units;
use firedrill_core::verdict::{StepVerdict, Verdict};

/// The matrix and its rows.
#[derive(Debug)]
pub(super) struct MatrixView {
    /// Faults, in the order in which they first came.
    pub(super) faults: Vec<String>,
    /// One for every tier that was hit.
    pub(super) tiers: Vec<TierRow>,
    /// One for every step.
    pub(super) rows: Vec<StepRow>,
}

/// A tier against all faults.
#[derive(Debug)]
pub(super) struct TierRow {
    pub(super) tier: String,
    pub(super) cells: Vec<Vec<Cell>>,
}

/// A step in a cell.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) number: u32,
    pub(super) target: String,
    pub(super) outage: String,
    pub(super) badge: Badge,
}

/// A step with its numbers.
#[derive(Debug)]
pub(super) struct StepRow {
    pub(super) number: u32,
    pub(super) tier: String,
    pub(super) name: String,
    pub(super) nodes: String,
    pub(super) outage: String,
    pub(super) recovery: String,
    pub(super) whole: String,
    pub(super) errors: String,
    pub(super) p99: String,
    pub(super) lost: String,
    pub(super) any_lost: bool,
    pub(super) badge: Badge,
}

/// Builds the matrix.
pub(super) fn view(verdict: &Verdict) -> MatrixView {
    let faults = units::distinct(verdict.steps.iter().map(|step| step.fault.as_str()));
    let tiers = units::distinct(verdict.steps.iter().map(|step| step.tier.as_str()));
    let cells = |tier: &str, fault: &str| {
        let here = verdict.steps.iter().filter(|s| s.tier.as_str() == tier && s.fault == fault);
        here.map(cell).collect()
    };
    let row = |tier: &&str| TierRow {
        tier: units::clean(tier),
        cells: faults.iter().map(|fault| cells(tier, fault)).collect(),
    };
    MatrixView {
        tiers: tiers.iter().map(row).collect(),
        faults: faults.iter().map(|fault| units::clean(fault)).collect(),
        rows: verdict.steps.iter().map(step_row).collect(),
    }
}

fn cell(step: &StepVerdict) -> Cell {
    Cell {
        number: step.step.0 + 1,
        target: units::clean(&step.target),
        outage: match &step.outage {
            Some(outage) => format!("≤ {}", units::duration(outage.max_ms)),
            None => "no outage".to_owned(),
        },
        badge: Badge::of(step.judgement),
    }
}

fn step_row(step: &StepVerdict) -> StepRow {
    StepRow {
        number: step.step.0 + 1,
        tier: units::clean(step.tier.as_str()),
        name: units::step_name(step),
        nodes: units::clean(&units::joined(&step.nodes)),
        outage: units::maybe_bracket(step.outage.as_ref()),
        recovery: units::recovery_time(&step.recovery),
        whole: units::maybe_duration(step.recovery.whole_ms),
        errors: units::count(step.errors),
        p99: units::duration(step.p99_ms),
        lost: units::count(step.lost),
        any_lost: step.lost > 0,
        badge: Badge::of(step.judgement),
    }
}
