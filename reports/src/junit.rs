//! The verdict for build servers: one test case for every step and for every check.

use crate::{ReportError, units};
use firedrill_core::verdict::{CheckResult, Finding, Gate, Judgement, StepVerdict, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// How many findings a test case spells out.
const FINDINGS_MAX: usize = 20;

/// The verdict as JUnit XML. What failed is a failure; what cannot be said is an error, because a build
/// that could not be judged must not be green either.
pub fn render(verdict: &Verdict) -> Result<String, ReportError> {
    let mut report = Report::new(format!("firedrill {}", units::clean(&verdict.drill)));
    report.set_time(millis(verdict.totals.load_ms));

    let mut steps = TestSuite::new("steps");
    describe(&mut steps, verdict);
    steps.add_test_cases(verdict.steps.iter().map(step));
    steps.set_time(millis(verdict.steps.iter().map(length_ms).sum()));
    report.add_test_suite(steps);

    let mut checks = TestSuite::new("checks");
    describe(&mut checks, verdict);
    checks.add_test_cases(verdict.checks.iter().map(check));
    report.add_test_suite(checks);

    write(&report)
}

/// The report as XML that keeps to `reports/junit.xsd`: build servers know no count of what was skipped at the root.
pub(crate) fn write(report: &Report) -> Result<String, ReportError> {
    let mut xml = report.to_string()?.replacen(" skipped=\"0\"", "", 1);
    if !xml.ends_with('\n') {
        xml.push('\n');
    }
    Ok(xml)
}

fn describe(suite: &mut TestSuite, verdict: &Verdict) {
    let properties = [
        ("run", verdict.run.to_string()),
        ("topology", verdict.topology.clone()),
        ("sla", verdict.sla.clone()),
        ("seed", verdict.seed.to_string()),
        ("started", verdict.started.clone()),
        ("conclusion", verdict.conclusion.to_string()),
    ];
    add_properties(suite, properties);
}

/// Says of a suite what it is about.
pub(crate) fn add_properties(suite: &mut TestSuite, properties: impl IntoIterator<Item = (&'static str, String)>) {
    suite.add_properties(properties.into_iter().map(|(name, value)| (name.to_owned(), units::clean(&value))));
}

fn step(step: &StepVerdict) -> TestCase {
    let name = format!("{}: {}", step.step, units::step_name(step));
    let status = status(step.judgement, "step", &step.reasons, step_text(step));
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("firedrill.{}", units::clean(step.tier.as_str())));
    case.set_time(millis(length_ms(step)));
    let mut numbers = vec![
        ("nodes", units::joined(&step.nodes)),
        ("errors", step.errors.to_string()),
        ("lost", step.lost.to_string()),
        ("p99_ms", format!("{:.1}", step.p99_ms)),
    ];
    if let Some(outage) = &step.outage {
        numbers.push(("outage_min_ms", format!("{:.1}", outage.min_ms)));
        numbers.push(("outage_max_ms", format!("{:.1}", outage.max_ms)));
    }
    case.set_system_out(lines(numbers));
    case
}

/// Named values as the output of a test case: few build servers know properties of a test case, and some refuse them.
pub(crate) fn lines(values: impl IntoIterator<Item = (&'static str, String)>) -> String {
    values.into_iter().map(|(name, value)| format!("{name}: {}\n", units::clean(&value))).collect()
}

/// A check as a test case.
pub(crate) fn check(check: &CheckResult) -> TestCase {
    let kind = match check.gate {
        Gate::Invariant => "invariant",
        Gate::Objective => "objective",
        Gate::Precondition => "precondition",
    };
    let reasons = [check.reason.clone()];
    let status = status(check.judgement, kind, &reasons, check_text(check));
    let mut case = TestCase::new(units::clean(&check.checker), status);
    case.set_classname(format!("firedrill.{kind}"));
    // Checkers are functions of the history and take no time that says anything.
    case.set_time(Duration::ZERO);
    case
}

/// How a test case ended, with the first reason as its message.
pub(crate) fn status(judgement: Judgement, kind: &str, reasons: &[String], text: String) -> TestCaseStatus {
    let non_success = match judgement {
        Judgement::Pass => return TestCaseStatus::success(),
        Judgement::Fail => NonSuccessKind::Failure,
        Judgement::Unknown => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(non_success);
    let message = reasons.first().map_or_else(|| "no reason was given".to_owned(), |r| units::clean(r));
    status.set_message(message).set_type(kind).set_description(text);
    status
}

fn step_text(step: &StepVerdict) -> String {
    let mut lines: Vec<String> = step.reasons.iter().map(|reason| units::clean(reason)).collect();
    lines.push(format!(
        "outage {}, recovery {}, {} with an error, p99 {}, {} lost",
        units::maybe_bracket(step.outage.as_ref()),
        units::recovery_time(&step.recovery),
        units::plural(step.errors, "exchange", "exchanges"),
        units::duration(step.p99_ms),
        units::count(step.lost),
    ));
    lines.join("\n")
}

fn check_text(check: &CheckResult) -> String {
    let mut lines = vec![units::clean(&check.question), units::clean(&check.reason)];
    lines.extend(check.findings.iter().take(FINDINGS_MAX).map(finding_text));
    if check.findings.len() > FINDINGS_MAX {
        lines.push(format!("... and {} more findings", check.findings.len() - FINDINGS_MAX));
    }
    lines.join("\n")
}

/// A finding in one line.
pub(crate) fn finding_text(finding: &Finding) -> String {
    let mut line = format!("- {}", units::clean(&finding.summary));
    if let Some(at) = finding.at {
        line.push_str(&format!(" [at {}]", units::instant(at)));
    }
    if !finding.ops.is_empty() {
        line.push_str(&format!(" [{}]", units::joined(&finding.ops)));
    }
    if !finding.remedy.is_empty() {
        line.push_str(&format!(" Remedy: {}", units::clean(&finding.remedy)));
    }
    line
}

/// How long the window of a step was, in milliseconds.
pub(crate) fn length_ms(step: &StepVerdict) -> f64 {
    step.until.ms_since(step.from)
}

/// A duration; what is not a number is none.
pub(crate) fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default()
}
