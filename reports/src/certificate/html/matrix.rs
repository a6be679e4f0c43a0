//! The matrix: every tier against every fault, and all numbers of every cell.

use crate::certificate::words::{self, Numbers};
use crate::html::run::anchor;
use crate::html::view::Badge;
use crate::{CertificateInput, units};
use firedrill_core::certificate::{Cell, StepRef};
use firedrill_core::verdict::StepVerdict;

/// How many faults stand beside each other: as many as fit on a sheet of paper.
const FAULTS_BESIDE: usize = 4;
/// Of more blocks than these nobody sees at once how it went, and the marks of all cells come first.
const BLOCKS_AT_ONCE: usize = 2;
/// How many reasons a cell has room for; its steps say all of theirs.
const REASONS_MAX: usize = 4;

/// The matrix and its rows.
#[derive(Debug)]
pub(super) struct MatrixView {
    /// All tiers, in the order of the plan.
    pub(super) tiers: Vec<String>,
    /// Every fault against every tier in marks alone; empty where the blocks can be seen at once.
    pub(super) glance: Vec<FaultRow>,
    /// The faults in groups that fit beside each other, in the order of the plan.
    pub(super) blocks: Vec<Block>,
    /// Every cell, in the order of the plan.
    pub(super) cells: Vec<CellView>,
}

/// A fault against all tiers.
#[derive(Debug)]
pub(super) struct FaultRow {
    pub(super) fault: String,
    pub(super) fields: Vec<Field>,
}

/// All tiers against some of the faults.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) faults: Vec<String>,
    pub(super) tiers: Vec<TierRow>,
}

/// A tier against some of the faults.
#[derive(Debug)]
pub(super) struct TierRow {
    pub(super) tier: String,
    pub(super) fields: Vec<Field>,
}

/// What a fault did to a tier, on all targets in it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) fault: String,
    pub(super) cells: Vec<CellView>,
}

/// A fault on a target.
#[derive(Debug, Clone)]
pub(super) struct CellView {
    /// Its place in the plan, from 1.
    pub(super) number: usize,
    pub(super) tier: String,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) nodes: String,
    pub(super) badge: Badge,
    /// What is missing of it, where something is.
    pub(super) missing: String,
    pub(super) numbers: Vec<Number>,
    pub(super) reasons: Vec<String>,
    pub(super) more_reasons: usize,
    pub(super) steps: Vec<StepLink>,
}

/// A number of a cell.
#[derive(Debug, Clone)]
pub(super) struct Number {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
    /// Where it was read: the step that was worst.
    pub(super) href: Option<String>,
    pub(super) alarming: bool,
    /// Whether the matrix itself has it too.
    pub(super) brief: bool,
}

/// A step of a cell.
#[derive(Debug, Clone)]
pub(super) struct StepLink {
    /// `2.1` is step 1 of drill 2.
    pub(super) name: String,
    pub(super) href: Option<String>,
}

/// Builds the matrix.
pub(super) fn view(input: &CertificateInput<'_>) -> MatrixView {
    let matrix = &input.certificate.matrix;
    let views: Vec<CellView> = matrix.iter().enumerate().map(|(i, cell)| cell_view(i + 1, cell, input)).collect();
    let faults = units::distinct(matrix.iter().map(|cell| cell.fault.as_str()));
    let tiers = units::distinct(matrix.iter().map(|cell| cell.tier.as_str()));
    let field = |tier: &str, fault: &str| {
        let here = matrix.iter().zip(&views).filter(|(cell, _)| cell.tier.as_str() == tier && cell.fault == fault);
        Field { fault: units::clean(fault), cells: here.map(|(_, view)| view.clone()).collect() }
    };
    let block = |faults: &[&str]| Block {
        faults: faults.iter().map(|fault| units::clean(fault)).collect(),
        tiers: tiers
            .iter()
            .map(|tier| TierRow {
                tier: units::clean(tier),
                fields: faults.iter().map(|fault| field(tier, fault)).collect(),
            })
            .collect(),
    };
    let blocks: Vec<Block> = faults.chunks(FAULTS_BESIDE).map(block).collect();
    let mark = |fault: &&str| FaultRow {
        fault: units::clean(fault),
        fields: tiers.iter().map(|tier| field(tier, fault)).collect(),
    };
    let glance = if blocks.len() > BLOCKS_AT_ONCE { faults.iter().map(mark).collect() } else { Vec::new() };
    MatrixView { tiers: tiers.iter().map(|tier| units::clean(tier)).collect(), glance, blocks, cells: views }
}

fn cell_view(number: usize, cell: &Cell, input: &CertificateInput<'_>) -> CellView {
    let missing = match (cell.executed, cell.planned) {
        (0, _) => "not done".to_owned(),
        (done, planned) if done < planned => format!("done {done} of {planned}"),
        _ => String::new(),
    };
    CellView {
        number,
        tier: units::clean(cell.tier.as_str()),
        name: words::cell(cell),
        target: units::clean(&cell.target),
        nodes: units::clean(&units::joined(&cell.nodes)),
        badge: Badge::of(cell.judgement),
        missing,
        numbers: numbers(cell, input),
        reasons: cell.reasons.iter().take(REASONS_MAX).map(|reason| units::clean(reason)).collect(),
        more_reasons: cell.reasons.len().saturating_sub(REASONS_MAX),
        steps: cell.steps.iter().map(|place| step_link(place, input)).collect(),
    }
}

fn step_link(place: &StepRef, input: &CertificateInput<'_>) -> StepLink {
    StepLink {
        name: format!("{}.{}", place.drill + 1, place.step.0 + 1),
        href: step(place, input).map(|_| href(place, "")),
    }
}

fn numbers(cell: &Cell, input: &CertificateInput<'_>) -> Vec<Number> {
    let Numbers { done, outage, restored, whole, failed, errors, p99, worst_second, lost, lost_money } =
        Numbers::of(cell);
    let at = |part: &str, worst: &dyn Fn(&StepVerdict) -> Option<f64>| worst_step(cell, input, part, worst);
    let number = |name, value, href, brief| Number { name, value, note: String::new(), href, alarming: false, brief };
    let outage_at = at("-numbers", &|step| step.outage.map(|outage| outage.max_ms));
    vec![
        Number { alarming: cell.executed < cell.planned, ..number("Done", done, None, false) },
        number("Outage", outage, outage_at, true),
        Number { alarming: cell.unserved > 0, ..number("RTO", restored, at("-recovery", &served_after), true) },
        number("Whole", whole, at("-recovery", &|step| step.recovery.whole_ms), false),
        number("Failed", failed, at("-numbers", &|step| Some(step.failed as f64)), false),
        number("Errors", errors, at("-numbers", &|step| Some(step.errors as f64)), true),
        number("p99", p99, at("-numbers", &|step| Some(step.p99_ms)), false),
        number("Worst second", worst_second, at("-numbers", &|step| step.worst_second_ms), true),
        Number {
            note: lost_money,
            alarming: cell.lost > 0,
            ..number("Lost", lost, at("-numbers", &|step| Some(step.lost as f64)), true)
        },
    ]
}

/// When buyers were served again; never is later than ever.
fn served_after(step: &StepVerdict) -> Option<f64> {
    step.recovery.restored_ms.or(step.effective.map(|_| f64::INFINITY))
}

/// The link to the step of a cell whose number is the highest, the first of several.
fn worst_step(
    cell: &Cell,
    input: &CertificateInput<'_>,
    part: &str,
    number: &dyn Fn(&StepVerdict) -> Option<f64>,
) -> Option<String> {
    let seen = cell.steps.iter().filter_map(|place| Some((place, number(step(place, input)?)?)));
    let worst = seen.reduce(|worst, other| if other.1 > worst.1 { other } else { worst });
    worst.map(|(place, _)| href(place, part))
}

/// The step, where its drill is on the page.
fn step<'a>(place: &StepRef, input: &CertificateInput<'a>) -> Option<&'a StepVerdict> {
    input.drills.get(place.drill)?.verdict.steps.iter().find(|step| step.step == place.step)
}

fn href(place: &StepRef, part: &str) -> String {
    format!("#{}step-{}{part}", anchor(place.drill + 1), place.step.0 + 1)
}
