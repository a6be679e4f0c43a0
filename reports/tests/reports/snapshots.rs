//! The short forms, as they are.

use crate::fixture;
use firedrill_core::verdict::{Verdict, conclude};
use firedrill_reports::{json, junit, markdown, openmetrics, text};

/// The same run had nothing been done to it.
fn empty() -> Verdict {
    let (conclusion, reasons) = conclude(&[], &[]);
    Verdict { steps: Vec::new(), checks: Vec::new(), conclusion, reasons, ..fixture::verdict() }
}

#[test]
fn markdown_is_stable() {
    insta::assert_snapshot!(markdown::render(&fixture::verdict()));
    insta::assert_snapshot!(markdown::render(&empty()));
}

#[test]
fn markdown_takes_no_markup_from_the_run() {
    let mut verdict = fixture::verdict();
    verdict.reasons = vec!["| <img src=x> `a` [b](c) @team #1\nnext".to_owned()];
    let text = markdown::render(&verdict);
    assert!(text.contains(r"- \| &lt;img src=x&gt; \`a\` \[b\](c) &#64;team &#35;1 next"), "{text}");
}

#[test]
fn junit_is_stable() {
    insta::assert_snapshot!(junit::render(&fixture::verdict()).expect("renders"));
    insta::assert_snapshot!(junit::render(&empty()).expect("renders"));
}

#[test]
fn text_is_stable_in_a_wide_and_in_a_narrow_terminal() {
    insta::assert_snapshot!(text::summary(&fixture::verdict(), 110));
    insta::assert_snapshot!(text::summary(&fixture::verdict(), 60));
    insta::assert_snapshot!(text::summary(&empty(), 80));
}

#[test]
fn text_keeps_its_width_and_ends_with_the_verdict() {
    let mut verdict = fixture::verdict();
    verdict.reasons.push("an \u{1b}[31mescape\u{1b}[0m and a\nline".to_owned());
    for width in [0, 40, 60, 80, 90, 110, 200] {
        let text = text::summary(&verdict, width);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(widest <= width.max(50), "{width}: {widest}\n{text}");
        assert!(text.ends_with("VIOLATED: it did not hold against tender-2026.\n"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}

#[test]
fn json_is_the_verdict() {
    let verdict = fixture::verdict();
    let text = json::render(&verdict).expect("renders");
    assert_eq!(serde_json::from_str::<Verdict>(&text).expect("parses"), verdict);
    assert_eq!(json::render(&verdict).expect("renders"), text);
}

#[test]
fn openmetrics_is_stable() {
    insta::assert_snapshot!(openmetrics::render(&fixture::verdict()));
}

#[test]
fn openmetrics_has_one_sample_a_line_whatever_the_names() {
    let mut verdict = fixture::verdict();
    verdict.drill = "a \"drill\" \\ of\ntwo lines".to_owned();
    verdict.totals.load_ms = f64::NAN;
    let text = openmetrics::render(&verdict);
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (labels, value) = line.rsplit_once(' ').expect("a value");
        assert!(labels.ends_with('}') && value.parse::<f64>().is_ok(), "{line}");
        assert!(labels.contains(r#"drill="a \"drill\" \\ of\ntwo lines""#), "{line}");
    }
}
