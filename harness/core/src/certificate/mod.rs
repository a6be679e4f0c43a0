//! The certificate: what several drills on one topology come to together.
//!
//! A [`Commission`] says what is to be drilled, before anything is booted; every drill that was run for it is a
//! [`Part`]. [`Certificate::conclude`] is a pure function of both, so that a stored certification can be concluded
//! again by anybody. What a certificate rests on is its [`Basis`]; where that is not the same any more, it is void.

mod basis;
mod beforehand;
mod cell;
mod confidence;

pub use basis::{Basis, Drift};
pub use beforehand::objections;
pub use cell::{Cell, StepRef};
pub use confidence::{Confidence, upper_bound_percent};

use crate::drill::Drill;
use crate::drill::matrix::Profile;
use crate::drill::profile::Gap;
use crate::ids::RunId;
use crate::manifest::Manifest;
use crate::sla::Sla;
use crate::verdict::{Conclusion, Finding, Judgement, Totals, Verdict};
use crate::words::counted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the certificate's JSON form.
pub const CERTIFICATE_VERSION: u32 = 1;

/// Something that is wrong beside the drills' own verdicts: with the topology, with the agreement, with the plan, or
/// with the stack between two drills.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Objection {
    /// `fail` where the certificate has to be refused for it, `unknown` where it leaves a question open.
    pub judgement: Judgement,
    /// What is wrong, and what to do.
    pub finding: Finding,
}

impl Objection {
    /// One for which the certificate is refused.
    pub fn fail(finding: Finding) -> Self {
        Self { judgement: Judgement::Fail, finding }
    }

    /// One that leaves a question open.
    pub fn unknown(finding: Finding) -> Self {
        Self { judgement: Judgement::Unknown, finding }
    }
}

/// How the load of the drills was sized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sizing {
    /// Purchases that begin per second in every drill.
    pub rate_per_s: f64,
    /// Why so many, in words.
    pub why: String,
    /// What the stack sustains within the agreement, in purchases per second, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_per_s: Option<f64>,
    /// Where that was measured: in a file, or at the begin of this certification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_from: Option<String>,
    /// The peak that the operator expects, in purchases a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_per_min: Option<f64>,
}

impl Sizing {
    /// How much more than the expected peak the stack sustains, in percent of the peak; below 0 it is less.
    pub fn headroom_percent(&self) -> Option<f64> {
        let (capacity, forecast) = (self.capacity_per_s?, self.forecast_per_min?);
        (forecast > 0.0).then(|| (capacity * 60.0 / forecast - 1.0) * 100.0)
    }

    fn objection(&self) -> Option<Objection> {
        let short = self.headroom_percent().filter(|percent| *percent < 0.0)?;
        let (capacity, forecast) = (self.capacity_per_s? * 60.0, self.forecast_per_min?);
        let summary = format!(
            "the expected peak of {forecast:.0} purchases a minute is {:.0} % more than can be relied on: the stack \
             sustains {capacity:.0} a minute",
            -short / (100.0 + short) * 100.0
        );
        let remedy = "add web nodes and cores, or sell in waves; then measure with `firedrill capacity`";
        Some(Objection::fail(Finding::new(summary).with_remedy(remedy)))
    }
}

/// What is to be certified, and how: everything that is known before anything is booted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commission {
    /// The certification, and the name of its folder.
    pub id: RunId,
    /// How much is drilled.
    pub profile: Profile,
    /// Name of the topology.
    pub topology: String,
    /// When it began: RFC 3339, wall clock, for people.
    pub started: String,
    /// For how many days the certificate is good.
    pub valid_days: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Command line that repeats it.
    pub replay: String,
    /// The agreement, whole.
    pub sla: Sla,
    /// The load's size.
    pub sizing: Sizing,
    /// The drills, in order.
    pub drills: Vec<Drill>,
    /// What is not tried, and why.
    pub gaps: Vec<Gap>,
    /// What was wrong before anything was killed.
    pub objections: Vec<Objection>,
}

impl Commission {
    /// Sizes the load of every drill by what the stack sustains: the share of it that the profile asks for, or the expected
    /// peak where the profile drills the peak and that is less.
    pub fn size_by(&mut self, capacity_per_s: f64, from: &str) {
        let share = self.profile.load_share();
        let peak = self.sizing.forecast_per_min.map(|per_min| per_min / 60.0);
        let peak = peak.filter(|peak| self.profile == Profile::Event && *peak < capacity_per_s);
        let rate_per_s = peak.unwrap_or(capacity_per_s * share);
        let why = match peak {
            Some(_) => "the expected peak".to_owned(),
            None => format!("{:.0} % of what the stack sustains, {capacity_per_s:.2} per second", share * 100.0),
        };
        for drill in &mut self.drills {
            drill.load.rate_per_s = rate_per_s;
        }
        self.sizing = Sizing {
            rate_per_s,
            why,
            capacity_per_s: Some(capacity_per_s),
            capacity_from: Some(from.to_owned()),
            forecast_per_min: self.sizing.forecast_per_min,
        };
    }

    /// The faults to be injected, repetitions counted.
    pub fn faults(&self) -> usize {
        self.drills.iter().map(|drill| drill.schedule().count()).sum()
    }
}

/// A drill that was run for a commission.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its folder, relative to the certification's.
    pub folder: String,
    /// What it came to.
    pub verdict: Verdict,
    /// What it was run on.
    pub manifest: Manifest,
    /// SHA-256 of its history as it was stored.
    pub history_sha256: String,
    /// What happened to the stack after it.
    pub after: After,
}

/// What happened to the stack after a drill.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct After {
    /// Why the stack could not be drilled any further and was removed, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
    /// What faults left behind on the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residue: Vec<String>,
}

/// How a certification ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ending {
    /// When: RFC 3339, wall clock.
    pub finished: String,
    /// Until when the certificate is good: RFC 3339.
    pub valid_until: String,
    /// Why it ended before everything was drilled, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<String>,
}

/// A drill as the certificate lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartSummary {
    /// Its folder, relative to the certificate.
    pub folder: String,
    /// Its run.
    pub run: RunId,
    /// Its name.
    pub drill: String,
    /// When it began.
    pub started: String,
    /// What it came to.
    pub conclusion: Conclusion,
    /// Why, gravest first.
    pub reasons: Vec<String>,
    /// Its totals.
    pub totals: Totals,
    /// Every checker's answer.
    pub checks: Vec<CheckSummary>,
    /// SHA-256 of its history.
    pub history_sha256: String,
}

/// What a checker said of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckSummary {
    /// The checker.
    pub checker: String,
    /// Its answer.
    pub judgement: Judgement,
    /// In words.
    pub reason: String,
}

/// Says of a topology whether it keeps its agreement while its nodes fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// [`CERTIFICATE_VERSION`].
    pub version: u32,
    /// The certification.
    pub id: RunId,
    /// Name of the topology.
    pub topology: String,
    /// How much was drilled.
    pub profile: Profile,
    /// In one word.
    pub conclusion: Conclusion,
    /// Why, gravest first; of a good one what carries it.
    pub reasons: Vec<String>,
    /// When it began: RFC 3339.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// Until when it is good, as long as its basis is the same.
    pub valid_until: String,
    /// Command line that repeats it.
    pub replay: String,
    /// Seed of everything random.
    pub seed: u64,
    /// The agreement, whole.
    pub sla: Sla,
    /// The load, what the stack sustains, and what is expected.
    pub sizing: Sizing,
    /// How much more than the expected peak the stack sustains, in percent of the peak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom_percent: Option<f64>,
    /// How sure the drills make it.
    pub confidence: Vec<Confidence>,
    /// What was wrong beside the drills' own verdicts.
    pub objections: Vec<Objection>,
    /// The matrix: every tier against every fault that was planned.
    pub matrix: Vec<Cell>,
    /// What was not tried, and why.
    pub not_covered: Vec<Gap>,
    /// The drills.
    pub drills: Vec<PartSummary>,
    /// All drills together.
    pub totals: Totals,
    /// What it rests on.
    pub basis: Basis,
    /// SHA-256 of the configuration that it rests on ([`Basis::configuration_sha256`]).
    pub configuration_sha256: String,
}

impl Certificate {
    /// The JSON Schema of `certificate.json`.
    pub fn json_schema() -> String {
        crate::schema::of::<Self>()
    }

    /// Concludes: the gravest of everything that was objected to, of every drill, and of every cell. What was planned
    /// and not done is unknown, and so is a commission of which nothing was run.
    pub fn conclude(commission: &Commission, parts: &[Part], ending: &Ending) -> Self {
        let matrix = cell::matrix(commission, parts);
        let mut objections = commission.objections.clone();
        objections.extend(commission.sizing.objection());
        objections.extend(parts.iter().flat_map(objections_to));
        if let Some(early) = &ending.early {
            let finding = Finding::new(format!("it ended before everything was drilled: {early}"));
            objections.push(Objection::unknown(finding));
        }
        let judgements = objections.iter().map(|objection| objection.judgement);
        let judgements = judgements.chain(parts.iter().map(|part| part.verdict.conclusion.judgement()));
        let worst = Judgement::all(judgements.chain(matrix.iter().map(|cell| cell.judgement)));
        let confidence = confidence::of(commission, parts);
        let basis = Basis::of(parts, &commission.sla);
        let nothing = if parts.is_empty() { Judgement::Unknown } else { Judgement::Pass };
        let conclusion = Conclusion::of(worst.and(nothing));
        let reasons = match conclusion {
            Conclusion::Certified => what_carries(parts, &matrix, &confidence),
            _ => reasons(&objections, parts, &matrix),
        };
        Self {
            version: CERTIFICATE_VERSION,
            id: commission.id.clone(),
            topology: commission.topology.clone(),
            profile: commission.profile,
            conclusion,
            reasons,
            started: commission.started.clone(),
            finished: ending.finished.clone(),
            valid_until: ending.valid_until.clone(),
            replay: commission.replay.clone(),
            seed: commission.seed,
            sla: commission.sla.clone(),
            headroom_percent: commission.sizing.headroom_percent(),
            sizing: commission.sizing.clone(),
            confidence,
            objections,
            matrix,
            not_covered: commission.gaps.clone(),
            drills: parts.iter().map(summary).collect(),
            totals: totals(parts),
            configuration_sha256: basis.configuration_sha256(),
            basis,
        }
    }
}

/// A stack that had to be removed in the midst of it, and what faults left behind.
fn objections_to(part: &Part) -> Vec<Objection> {
    let mut objections = Vec::new();
    if let Some(why) = &part.after.unfit {
        let finding =
            Finding::new(format!("after {} the stack was not whole and was booted anew: {why}", part.verdict.drill))
                .with_remedy("see the last step of that drill: a stack must become whole again without anybody's help");
        objections.push(Objection::fail(finding));
    }
    for left in &part.after.residue {
        let finding = Finding::new(format!("{} left something behind: {left}", part.verdict.drill));
        objections.push(Objection::unknown(finding));
    }
    objections
}

/// So many cells that were not done at all are named: an `event` that ends early leaves hundreds.
const UNDONE_MAX: usize = 10;

/// Everything that speaks against it: failures before what is unknown, and of each the objections first.
fn reasons(objections: &[Objection], parts: &[Part], matrix: &[Cell]) -> Vec<String> {
    let mut reasons = Vec::new();
    if parts.is_empty() {
        reasons.push("no drill was run".to_owned());
    }
    for wanted in [Judgement::Fail, Judgement::Unknown] {
        let objected = objections.iter().filter(|objection| objection.judgement == wanted);
        reasons.extend(objected.map(|objection| objection.finding.summary.clone()));
        for part in parts.iter().filter(|part| part.verdict.conclusion.judgement() == wanted) {
            reasons.extend(part.verdict.reasons.iter().map(|reason| format!("{}: {reason}", part.verdict.drill)));
        }
        // What a step says is among its drill's reasons; what was not done at all is in no drill.
        let untold = |cell: &&Cell| cell.judgement == wanted && (cell.executed < cell.planned || reasons.is_empty());
        let untold: Vec<&Cell> = matrix.iter().filter(untold).collect();
        let (undone, others): (Vec<&Cell>, Vec<&Cell>) = untold.into_iter().partition(|cell| cell.executed == 0);
        reasons.extend(others.into_iter().map(Cell::in_words));
        reasons.extend(undone.iter().take(UNDONE_MAX).map(|cell| cell.in_words()));
        if let Some(more) = undone.len().checked_sub(UNDONE_MAX).filter(|more| *more > 0) {
            reasons.push(format!("{} more of {}: not done either", counted(more, "cell"), matrix.len()));
        }
    }
    reasons
}

/// What a good certificate rests on, in a few lines.
fn what_carries(parts: &[Part], matrix: &[Cell], confidence: &[Confidence]) -> Vec<String> {
    let totals = totals(parts);
    let faults: u32 = matrix.iter().map(|cell| cell.executed).sum();
    let mut reasons = vec![format!(
        "{faults} faults in {} cells were survived during a running sale: {} purchases confirmed, none lost",
        matrix.len(),
        totals.acknowledged
    )];
    let worst = matrix.iter().filter_map(|cell| Some((cell.outage_ms?, cell))).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((ms, cell)) = worst {
        reasons.push(format!("the longest time without a sale was {:.1} s ({} {})", ms / 1e3, cell.fault, cell.target));
    }
    reasons.extend(confidence.iter().map(Confidence::to_string));
    reasons
}

fn summary(part: &Part) -> PartSummary {
    let verdict = &part.verdict;
    let check = |check: &crate::verdict::CheckResult| CheckSummary {
        checker: check.checker.clone(),
        judgement: check.judgement,
        reason: check.reason.clone(),
    };
    PartSummary {
        folder: part.folder.clone(),
        run: verdict.run.clone(),
        drill: verdict.drill.clone(),
        started: verdict.started.clone(),
        conclusion: verdict.conclusion,
        reasons: verdict.reasons.clone(),
        totals: verdict.totals,
        checks: verdict.checks.iter().map(check).collect(),
        history_sha256: part.history_sha256.clone(),
    }
}

fn totals(parts: &[Part]) -> Totals {
    parts.iter().fold(Totals::default(), |sum, part| sum.and(&part.verdict.totals))
}
