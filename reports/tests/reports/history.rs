//! The page over many runs: whole, closed, escaped, bounded.

use crate::page::Page;
use crate::trend::{night, nights};
use firedrill_core::trend::{Run, series};
use firedrill_core::verdict::{Conclusion, Judgement};
use firedrill_reports::history::{HistoryInput, LeftOut, json, json_schema, render};

/// Sixteen nights, of which the last five have a longer outage, and two runs of another drill.
fn runs() -> Vec<Run> {
    let mut runs = nights(0, 11, 0.0);
    runs.extend(nights(11, 5, 4_500.0));
    let never = &mut runs[13].verdicts[0];
    (never.conclusion, never.steps[0].judgement, never.steps[0].recovery.restored_ms) =
        (Conclusion::Violated, Judgement::Fail, None);
    let unknown = &mut runs[5].verdicts[0];
    (unknown.conclusion, unknown.steps[1].judgement) = (Conclusion::Inconclusive, Judgement::Unknown);
    for number in [3, 9] {
        let mut other = night(number, 0.0);
        other.drill = "event".to_owned();
        runs.push(Run { name: format!("event-{number}"), verdicts: vec![other] });
    }
    runs
}

fn left_out() -> Vec<LeftOut> {
    vec![LeftOut { folder: "runs/20260309-020000-bbbb".to_owned(), why: "it has no verdict.json".to_owned() }]
}

fn page(runs: &[Run]) -> String {
    render(HistoryInput { series: &series(runs, None), left_out: &left_out() }).expect("renders")
}

#[test]
fn the_page_is_balanced_and_every_link_has_its_anchor() {
    let html = page(&runs());
    let page = Page::read(&html);
    let links: Vec<&str> = page.values("href").collect();
    assert!(links.contains(&"#h-1") && links.contains(&"#h-left-out"), "{links:?}");
    for link in links {
        assert!(page.ids.contains(link.strip_prefix('#').expect("links stay in the page")), "{link} has no anchor");
    }
    for foreign in ["http://", "https://", "@import", "@font-face", "javascript:", "<script", "<img", "url(http"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let style = html.split("</style>").next().expect("has a style");
    for ink in page.values("class").filter(|class| class.starts_with("s-") || class.starts_with("f-")) {
        assert!(style.contains(&format!(".{ink} ")), "no style for {ink}");
    }
    assert!(!html.contains("#F00D"), "a colour that should have become a class");
}

#[test]
fn the_page_says_what_became_worse_and_what_is_missing() {
    let html = page(&runs());
    for words in [
        "Regression",
        "nightly",
        "event",
        "The newest 5 runs against the 11 before.",
        "outage: 8.4 s (n 11) → 12.8 s (n 5)",
        "Judged now so, now otherwise",
        "runs/20260309-020000-bbbb",
    ] {
        assert!(html.contains(words), "{words:?} is missing");
    }
}

#[test]
fn a_history_of_nothing_and_of_one_run_renders() {
    #[track_caller]
    fn check(runs: &[Run], words: &str) {
        let html = page(runs);
        Page::read(&html);
        assert!(html.contains(words), "{words:?} is missing");
    }
    check(&[], "There is no run that could be read.");
    check(&nights(0, 1, 0.0), "One run has nothing to be compared with.");
    let mut bare = nights(0, 2, 0.0);
    bare.iter_mut().for_each(|run| run.verdicts[0].steps.clear());
    check(&bare, "No step was executed in any of these runs.");
}

#[test]
fn nothing_from_runs_becomes_markup() {
    const EVIL: &str = "\"'><script>alert(1)</script>&amp;\u{1b}[31m";
    let mut runs = runs();
    for run in &mut runs {
        EVIL.clone_into(&mut run.name);
        for verdict in &mut run.verdicts {
            for text in [&mut verdict.topology, &mut verdict.drill, &mut verdict.sla, &mut verdict.started] {
                EVIL.clone_into(text);
            }
            for step in &mut verdict.steps {
                (step.fault, step.target, step.tier) = (EVIL.to_owned(), EVIL.to_owned(), EVIL.into());
            }
            verdict.checks.iter_mut().for_each(|check| EVIL.clone_into(&mut check.checker));
        }
    }
    let left_out = [LeftOut { folder: EVIL.to_owned(), why: EVIL.to_owned() }];
    let html = render(HistoryInput { series: &series(&runs, None), left_out: &left_out }).expect("renders");
    let page = Page::read(&html);
    assert!(page.elements.iter().all(|(name, _)| name != "script"));
    assert!(!html.contains("<script") && !html.contains('\u{1b}'));
}

/// A year of nights.
fn year() -> Vec<Run> {
    let one = |number: u32| {
        let mut verdict = night(number % 28, 0.0);
        verdict.started = format!("2026-{:02}-{:02}T02:00:00Z", number / 28 % 12 + 1, number % 28 + 1);
        let first = verdict.steps[0].clone();
        verdict.steps = (0..30)
            .map(|cell| {
                let mut step = first.clone();
                step.target = format!("one(tier{cell})");
                step
            })
            .collect();
        Run { name: format!("n{number:03}"), verdicts: vec![verdict] }
    };
    (0..336).map(one).collect()
}

#[test]
fn a_year_of_nights_stays_a_page() {
    let html = page(&year());
    Page::read(&html);
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    assert!(html.contains("Shown are the newest; 236 older ones are in the JSON form."));
}

#[test]
fn json_has_every_repeat() {
    let runs = runs();
    let series = series(&runs, None);
    let text = json(HistoryInput { series: &series, left_out: &left_out() }).expect("renders");
    let mut parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let schema = serde_json::from_str(&json_schema()).expect("parses");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&parsed), "{text}");
    let nightly = parsed["series"].as_array().expect("a list").iter().find(|one| one["drill"] == "nightly");
    let nightly = nightly.expect("the drill is there");
    assert_eq!(nightly["runs"].as_array().map(Vec::len), Some(16));
    let database = &nightly["cells"][0];
    assert_eq!(database["points"].as_array().map(Vec::len), Some(16));
    let never = &database["points"][13];
    assert!(never["values"]["restored_ms"].is_null() && never["values"].get("restored_ms").is_some(), "{never}");
    assert_eq!(parsed["left_out"][0]["folder"], "runs/20260309-020000-bbbb");
    parsed["left_out"] = "nothing".into();
    assert!(!validator.is_valid(&parsed));
}

/// Writes the page where `FIREDRILL_HISTORY_SAMPLE` says, for people who work on its looks.
#[test]
fn sample_can_be_looked_at() {
    if let Some(path) = std::env::var_os("FIREDRILL_HISTORY_SAMPLE") {
        std::fs::write(path, page(&runs())).expect("writes");
    }
}
