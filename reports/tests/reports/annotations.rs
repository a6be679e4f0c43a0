//! Annotations for build servers: escaped, ordered, and the same issue on every night.

use crate::fixture;
use firedrill_core::verdict::{Judgement, Verdict};
use firedrill_reports::annotations::{github, gitlab};

#[test]
fn annotations_are_stable() {
    insta::assert_snapshot!(github(&[fixture::verdict()]));
    insta::assert_snapshot!(gitlab(&[fixture::verdict()], "runs/r/report.html").expect("renders"));
}

/// What the server reads out of a command: `escapeData` and `escapeProperty` undone.
fn read(line: &str) -> (String, String, String) {
    let (head, message) = line.strip_prefix("::").expect("a command").split_once("::").expect("a message");
    let (command, properties) = head.split_once(' ').expect("properties");
    let title = properties.strip_prefix("title=").expect("a title");
    assert!(!title.contains([',', ':']), "{title:?} has further properties in it");
    let plain = |text: &str| {
        let escapes = [("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
        escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    (command.to_owned(), plain(title), plain(message))
}

#[test]
fn commands_of_github_hold_whatever_a_run_says() {
    #[track_caller]
    fn check(checker: &str, reason: &str, title: &str, message: &str) {
        let mut verdict = fixture::verdict();
        verdict.checks.truncate(1);
        verdict.steps.clear();
        let first = &mut verdict.checks[0];
        (first.judgement, first.checker, first.reason) = (Judgement::Fail, checker.to_owned(), reason.to_owned());
        let text = github(&[verdict]);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(read(text.trim_end()), ("error".to_owned(), title.to_owned(), message.to_owned()));
    }
    check("a", "b", "smoke: a fails", "b");
    check("a,b:c", "d,e:f", "smoke: a,b:c fails", "d,e:f");
    check("a", "100 % of 50 %0A", "smoke: a fails", "100 % of 50 %0A");
    // Line ends of the run are blanks like all control characters, so that they begin no command of their own.
    check("a\n::error::x", "b\r\n::stop-commands::y", "smoke: a ::error::x fails", "b  ::stop-commands::y");
    check("a", "", "smoke: a fails", "no reason was given");
    check("a", &"ä".repeat(2_000), "smoke: a fails", &format!("{} …", "ä".repeat(1_500)));
}

#[test]
fn errors_come_first_and_what_is_said_again_is_said_once() {
    let once = fixture::verdict();
    let text = github(&[once.clone(), once.clone()]);
    assert_eq!(text, github(&[once]), "a drill that was run twice");
    let commands: Vec<String> = text.lines().map(|line| read(line).0).collect();
    assert_eq!(commands, ["error", "error", "warning"]);
    let passed = Verdict { steps: Vec::new(), checks: Vec::new(), ..fixture::verdict() };
    assert_eq!(github(&[passed]), "");
}

#[test]
fn an_issue_of_gitlab_is_the_same_tomorrow_and_has_what_is_asked_for() {
    let issues = |verdict: Verdict| -> Vec<serde_json::Value> {
        serde_json::from_str(&gitlab(&[verdict], "report.html").expect("renders")).expect("JSON")
    };
    let prints = |issues: &[serde_json::Value]| -> Vec<String> {
        issues.iter().map(|issue| issue["fingerprint"].as_str().expect("a text").to_owned()).collect()
    };
    let today = issues(fixture::verdict());
    let mut other = fixture::verdict();
    other.run = "another".into();
    other.checks[2].reason = "the longest time without a sale was 9.9 s".to_owned();
    other.steps[0].reasons = vec!["nothing was sold for 9.9 s".to_owned()];
    assert_eq!(prints(&issues(other)), prints(&today));
    let mut elsewhere = fixture::verdict();
    elsewhere.topology = "minimal".to_owned();
    assert!(prints(&issues(elsewhere)).iter().all(|print| !prints(&today).contains(print)));
    for issue in &today {
        assert!(["description", "check_name"].iter().all(|key| issue[key].as_str().is_some_and(|t| !t.is_empty())));
        assert!(
            ["info", "minor", "major", "critical", "blocker"].contains(&issue["severity"].as_str().expect("a text"))
        );
        assert_eq!(issue["location"]["path"], "report.html");
        assert_eq!(issue["location"]["lines"]["begin"], 1);
    }
}
