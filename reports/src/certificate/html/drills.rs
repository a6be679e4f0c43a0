//! The drills: a table of all of them, and everything about each.

use crate::html::run::{Place, RunView, anchor};
use crate::html::tiles;
use crate::html::view::{Badge, Fact};
use crate::{CertificateInput, ReportError, ReportInput, units};
use firedrill_core::certificate::PartSummary;

/// A drill in the table.
#[derive(Debug)]
pub(super) struct DrillRow {
    pub(super) number: usize,
    pub(super) prefix: String,
    /// Whether the page has its section.
    pub(super) linked: bool,
    pub(super) name: String,
    pub(super) badge: Badge,
    pub(super) started: String,
    pub(super) load: String,
    pub(super) faults: String,
    pub(super) purchases: String,
    pub(super) lost: String,
    pub(super) any_lost: bool,
    pub(super) folder: String,
    pub(super) history_sha256: String,
}

/// Everything about a drill.
#[derive(Debug)]
pub(super) struct DrillView {
    pub(super) number: usize,
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) badge: Badge,
    pub(super) about: String,
    pub(super) reasons: Vec<String>,
    pub(super) tiles: Vec<Fact>,
    pub(super) parts: RunView,
}

/// All drills of the certificate.
pub(super) fn rows(input: &CertificateInput<'_>) -> Vec<DrillRow> {
    input.certificate.drills.iter().enumerate().map(|(i, drill)| row(i, drill, input)).collect()
}

fn row(place: usize, drill: &PartSummary, input: &CertificateInput<'_>) -> DrillRow {
    let steps = input.certificate.matrix.iter().flat_map(|cell| &cell.steps).filter(|step| step.drill == place);
    DrillRow {
        number: place + 1,
        prefix: anchor(place + 1),
        linked: place < input.drills.len(),
        name: units::clean(&drill.drill),
        badge: Badge::of_conclusion(drill.conclusion),
        started: units::clean(&units::wall_clock(&drill.started)),
        load: units::duration(drill.totals.load_ms),
        faults: units::count(steps.count() as u64),
        purchases: units::count(drill.totals.operations),
        lost: units::count(drill.totals.lost),
        any_lost: drill.totals.lost > 0,
        folder: units::clean(&drill.folder),
        history_sha256: units::clean(&drill.history_sha256),
    }
}

/// The sections of all drills that were given.
pub(super) fn views(input: &CertificateInput<'_>) -> Result<Vec<DrillView>, ReportError> {
    let steps = input.drills.iter().map(|drill| drill.verdict.steps.len()).sum();
    let view = |(i, drill): (usize, &ReportInput<'_>)| {
        let place = Place::among(i + 1, input.drills.len(), steps);
        let verdict = drill.verdict;
        let about = format!(
            "Run {}, begun {}, {} of load, seed {}.",
            verdict.run,
            units::wall_clock(&verdict.started),
            units::duration(verdict.totals.load_ms),
            verdict.seed
        );
        Ok(DrillView {
            number: i + 1,
            prefix: anchor(i + 1),
            name: units::clean(&verdict.drill),
            badge: Badge::of_conclusion(verdict.conclusion),
            about: units::clean(&about),
            reasons: verdict.reasons.iter().map(|reason| units::clean(reason)).collect(),
            tiles: tiles(drill),
            parts: RunView::of(drill, place)?,
        })
    };
    input.drills.iter().enumerate().map(view).collect()
}
