//! `compare`, `history` and annotations, as a job of a build server calls them.

use crate::support::{check, firedrill};
use std::path::Path;

/// A stored verdict of a night with this outage.
pub(crate) fn night(runs: &Path, name: &str, outage_ms: u32, conclusion: &str) {
    let outage = format!(r#"{{"from":0,"until":0,"min_ms":{outage_ms},"max_ms":{outage_ms}}}"#);
    let judgement = if conclusion == "violated" { "fail" } else { "pass" };
    let step = format!(
        r#"{{"step":0,"fault":"kill","target":"primary(postgres)","tier":"postgres","nodes":["pg1"],"from":0,
        "effective":1,"healed":2,"until":3,"proof":"","operations":500,"acknowledged":500,"failed":0,"errors":3,
        "lost":0,"p50_ms":50,"p99_ms":90,"max_ms":99,"outage":{outage},"recovery":{{"restored_ms":{outage_ms}}},
        "judgement":"{judgement}","reasons":["no sale for too long, 100 % of it"]}}"#
    );
    let verdict = format!(
        r#"{{"version":1,"run":"{name}","topology":"ha","drill":"nightly","seed":1,"started":"2026-03-{name}T02:00:00Z",
        "sla":"s","conclusion":"{conclusion}","reasons":[],"totals":{{"operations":500,"attempts":500,
        "acknowledged":500,"rejected":0,"in_doubt":0,"not_applied":0,"refused":0,"recovered":0,"lost":0,
        "lost_cents":0,"load_ms":1000}},"steps":[{step}],"checks":[]}}"#
    );
    let folder = runs.join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("verdict.json"), verdict).expect("a file");
}

/// Ten nights: the first five usual, the last five with 5 s more.
fn nights() -> tempfile::TempDir {
    let runs = tempfile::tempdir().expect("a folder");
    for number in 0..10 {
        let more = if number < 5 { 0 } else { 5_000 };
        night(runs.path(), &format!("{:02}", number + 10), 8_000 + number * 10 + more, "certified");
    }
    runs
}

fn of(runs: &Path, names: &[&str]) -> String {
    names.iter().map(|name| runs.join(name).display().to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn compare_ends_with_what_it_came_to() {
    let runs = nights();
    let (before, after) = (["10", "11", "12", "13", "14"], ["15", "16", "17", "18", "19"]);
    let [before, after] = [before, after].map(|names| of(runs.path(), &names));
    check(firedrill(&["compare", &before, &after]), 1, &["WORSE", "outage", "8.0 s (n 5)", "REGRESSION: "]);
    check(firedrill(&["compare", &after, &before]), 0, &["BETTER", "NO REGRESSION: "]);
    let one = [of(runs.path(), &["10"]), of(runs.path(), &["19"])];
    check(firedrill(&["compare", &one[0], &one[1]]), 2, &["too few to tell", "8.0 s (n 1)", "13.1 s (n 1)", "needed"]);
    let json = check(firedrill(&["compare", &before, &after, "--format", "json"]), 1, &["\"outcome\": \"regression\""]);
    assert!(json.starts_with('{'), "{json}");
    check(firedrill(&["compare", &before, &after, "--format", "markdown"]), 1, &["## firedrill: REGRESSION"]);
}

#[test]
fn a_run_is_not_compared_with_itself_and_a_graver_conclusion_needs_no_repeats() {
    let runs = nights();
    night(runs.path(), "20", 8_000, "violated");
    let newest = of(runs.path(), &["20"]);
    let all = runs.path().display().to_string();
    let words = ["taken out of the baseline: 20", "conclusion graver: nightly: CERTIFIED at worst → VIOLATED"];
    check(firedrill(&["compare", &all, &newest]), 1, &words);
}

#[test]
fn folders_that_cannot_be_read_are_said() {
    let runs = nights();
    std::fs::create_dir(runs.path().join("21")).expect("a folder");
    std::fs::write(runs.path().join("21/verdict.json"), "{}").expect("a file");
    let all = runs.path().display().to_string();
    check(firedrill(&["compare", &all, "/nowhere"]), 64, &["/nowhere", "give the folder of a run"]);
    let broken = of(runs.path(), &["21"]);
    check(firedrill(&["compare", &all, &broken]), 2, &["left out", "21", "no run could be read below"]);
    check(firedrill(&["compare", &all]), 64, &["CANDIDATE"]);
    let page = runs.path().join("history.html");
    check(firedrill(&["history", &all]), 0, &["left out", &page.display().to_string()]);
    let html = std::fs::read_to_string(page).expect("the page");
    assert!(html.contains("Left out") && html.contains("nightly"), "the page names it too");
    let other = runs.path().join("other.json").display().to_string();
    check(firedrill(&["history", &all, "--format", "json", "--output", &other]), 0, &["other.json"]);
    let json = std::fs::read_to_string(other).expect("the data");
    assert!(json.contains("\"left_out\"") && json.contains("\"outage_ms\": 8000.0"), "{json}");
}

#[test]
fn annotations_are_all_that_is_printed() {
    let runs = nights();
    night(runs.path(), "20", 8_000, "violated");
    let run = of(runs.path(), &["20"]);
    let words = "::error title=nightly%3A kill primary(postgres) did not pass::no sale for too long, 100 %25 of it\n";
    assert_eq!(check(firedrill(&["report", &run, "--annotations", "github"]), 0, &[]), words);
    let text = check(firedrill(&["report", &run, "--annotations", "gitlab"]), 0, &["\"severity\": \"critical\""]);
    assert!(text.starts_with('[') && text.ends_with("]\n"), "{text}");
    assert_eq!(check(firedrill(&["report", &of(runs.path(), &["10"]), "--annotations", "github"]), 0, &[]), "");
    check(
        firedrill(&["report", &runs.path().join("none").display().to_string(), "--annotations", "github"]),
        64,
        &["none"],
    );
}
