//! The checks with what they found.

use super::records::Records;
use super::view::{Badge, Fact, OpRef, gate};
use crate::units;
use firedrill_core::verdict::{CheckResult, Finding, Verdict};

/// How many findings of a check are written out.
const FINDINGS_MAX: usize = 40;

/// A check.
#[derive(Debug)]
pub(super) struct CheckView {
    pub(super) anchor: usize,
    pub(super) name: String,
    pub(super) question: String,
    pub(super) gate: &'static str,
    pub(super) badge: Badge,
    pub(super) reason: String,
    pub(super) numbers: Vec<Fact>,
    pub(super) findings: Vec<FindingView>,
    pub(super) more: usize,
}

/// A finding.
#[derive(Debug)]
pub(super) struct FindingView {
    pub(super) summary: String,
    pub(super) at: Option<String>,
    /// Number of the step and whether the page has its section.
    pub(super) step: Option<(u32, bool)>,
    pub(super) nodes: String,
    pub(super) ops: Vec<OpRef>,
    pub(super) remedy: String,
}

/// The checks of a verdict.
pub(super) fn views(verdict: &Verdict, records: &mut Records<'_>) -> Vec<CheckView> {
    let checks = verdict.checks.iter().enumerate();
    checks.map(|(i, check)| view(i + 1, check, verdict, records)).collect()
}

fn view(anchor: usize, check: &CheckResult, verdict: &Verdict, records: &mut Records<'_>) -> CheckView {
    let numbers = check.numbers.iter().map(|(name, value)| units::named(name, *value));
    let findings = check.findings.iter().take(FINDINGS_MAX);
    CheckView {
        anchor,
        name: units::clean(&check.checker),
        question: units::clean(&check.question),
        gate: gate(check.gate),
        badge: Badge::of(check.judgement),
        reason: units::clean(&check.reason),
        numbers: numbers.map(|(name, value)| Fact::new(name, value)).collect(),
        findings: findings.map(|finding| finding_view(finding, verdict, records)).collect(),
        more: check.findings.len().saturating_sub(FINDINGS_MAX),
    }
}

fn finding_view(finding: &Finding, verdict: &Verdict, records: &mut Records<'_>) -> FindingView {
    let has_section = |step| verdict.steps.iter().any(|s| s.step == step);
    FindingView {
        summary: units::clean(&finding.summary),
        at: finding.at.map(units::instant),
        step: finding.step.map(|step| (step.0 + 1, has_section(step))),
        nodes: units::clean(&units::joined(&finding.nodes)),
        ops: records.name(finding.ops.iter().copied()),
        remedy: units::clean(&finding.remedy),
    }
}
