//! A verdict as annotations: what a build server shows beside a change, without anybody opening a report.
//!
//! What failed is an error, what cannot be said a warning. What passed is not annotated.

use crate::{ReportError, units};
use firedrill_core::verdict::{CheckResult, Gate, Judgement, StepVerdict, Verdict};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

/// How long a message is at most, in characters: build servers cut at a few thousand bytes, in the middle of a word.
const MESSAGE_MAX: usize = 1_500;

/// Something to be told.
struct Annotation {
    failed: bool,
    /// Broken invariants and lost orders: nothing is worse.
    grave: bool,
    /// What it is of, the same in every run.
    subject: String,
    title: String,
    message: String,
}

/// GitHub's workflow commands, one a line, to be printed by a step of a workflow (GitHub Docs, Workflow commands for
/// GitHub Actions). The server shows ten errors and ten warnings of a step, so that the gravest come first.
pub fn github(verdicts: &[Verdict]) -> String {
    let line = |annotation: &Annotation| {
        let command = if annotation.failed { "error" } else { "warning" };
        format!("::{command} title={}::{}\n", property(&annotation.title), data(&annotation.message))
    };
    all(verdicts).iter().map(line).collect()
}

/// The message of a command: what ends a line or begins an escape is written otherwise, `%` first (`escapeData` in
/// `packages/core/src/command.ts` of actions/toolkit).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, which a comma or a colon would end as well (`escapeProperty`, as above).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// An issue as GitLab reads it: the part of CodeClimate's format that its Code Quality reports have (GitLab Docs, Code
/// Quality report format).
#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

/// GitLab's Code Quality report: a JSON list of issues. `path` is the file that issues are shown with, relative to the
/// root of the repository: verdicts are about none, so the run's report or the topology stands for them.
///
/// The fingerprint is made of what an issue is of and not of its numbers: tomorrow's outage at the same fault is the
/// same issue, neither fixed nor new.
///
/// # Errors
/// Where the list cannot be written as JSON.
pub fn gitlab(verdicts: &[Verdict], path: &str) -> Result<String, ReportError> {
    let issue = |annotation: Annotation| Issue {
        description: format!("{}: {}", annotation.title, annotation.message.replace('\n', "; ")),
        check_name: format!("firedrill/{}", annotation.subject.rsplit('\0').next().unwrap_or_default()),
        fingerprint: format!("{:032x}", xxh3_128(annotation.subject.as_bytes())),
        severity: match (annotation.failed, annotation.grave) {
            (true, true) => "blocker",
            (true, false) => "critical",
            (false, _) => "minor",
        },
        location: Location { path: path.to_owned(), lines: Lines { begin: 1 } },
    };
    let issues: Vec<Issue> = all(verdicts).into_iter().map(issue).collect();
    Ok(serde_json::to_string_pretty(&issues)? + "\n")
}

/// All annotations: errors first, and among them what is grave. A cell that was tried several times is told once for
/// each judgement, or its ten repeats would hide everything else.
fn all(verdicts: &[Verdict]) -> Vec<Annotation> {
    let mut found: Vec<Annotation> = Vec::new();
    for verdict in verdicts {
        let checks = verdict.checks.iter().filter_map(|check| of_check(verdict, check));
        let steps = verdict.steps.iter().filter_map(|step| of_step(verdict, step));
        for annotation in checks.chain(steps) {
            let known = found.iter().any(|a| a.subject == annotation.subject && a.failed == annotation.failed);
            if !known {
                found.push(annotation);
            }
        }
    }
    found.sort_by_key(|annotation| std::cmp::Reverse((annotation.failed, annotation.grave)));
    found
}

fn of_check(verdict: &Verdict, check: &CheckResult) -> Option<Annotation> {
    let failed = failed(check.judgement)?;
    let mut lines = vec![units::clean(&check.reason)];
    if let Some(first) = check.findings.first() {
        lines.push(units::clean(&first.summary));
        lines.push(units::clean(&first.remedy));
    }
    let word = if failed { "fails" } else { "is unknown" };
    Some(Annotation {
        failed,
        grave: check.gate == Gate::Invariant,
        subject: subject(verdict, &check.checker),
        title: title(verdict, &format!("{} {word}", check.checker)),
        message: message(&lines),
    })
}

fn of_step(verdict: &Verdict, step: &StepVerdict) -> Option<Annotation> {
    let failed = failed(step.judgement)?;
    let name = units::step_name(step);
    let reasons: Vec<String> = step.reasons.iter().map(|reason| units::clean(reason)).collect();
    let word = if failed { "did not pass" } else { "cannot be judged" };
    Some(Annotation {
        failed,
        grave: step.lost > 0,
        subject: subject(verdict, &name),
        title: title(verdict, &format!("{name} {word}")),
        message: message(&reasons),
    })
}

fn failed(judgement: Judgement) -> Option<bool> {
    (judgement != Judgement::Pass).then_some(judgement == Judgement::Fail)
}

fn subject(verdict: &Verdict, what: &str) -> String {
    // No name holds the separator, so that no two things have one subject.
    [verdict.topology.as_str(), verdict.drill.as_str(), what].map(units::clean).join("\0")
}

fn title(verdict: &Verdict, what: &str) -> String {
    units::clean(&format!("{}: {what}", verdict.drill))
}

fn message(lines: &[String]) -> String {
    let text = lines.iter().filter(|line| !line.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n");
    match text.char_indices().nth(MESSAGE_MAX) {
        _ if text.is_empty() => "no reason was given".to_owned(),
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}
