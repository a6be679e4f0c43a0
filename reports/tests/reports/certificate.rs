//! The page of a certificate: whole, closed, escaped, bounded; and its short forms, as they are.

use crate::certification::{self, Certification};
use crate::html::svgs;
use crate::page::Page;
use firedrill_core::certificate::{Cell, Certificate};
use firedrill_core::trend::Comparison;
use firedrill_core::verdict::{Judgement, Verdict};
use firedrill_reports::{certificate, history};
use std::path::Path;

/// Everything that holds of every page.
fn check(html: &str) -> Page {
    let page = Page::read(html);
    for link in page.values("href") {
        let id = link.strip_prefix('#').expect("links stay in the page");
        assert!(page.ids.contains(id), "{link} has no anchor");
    }
    for labels in page.values("aria-labelledby") {
        for id in labels.split(' ') {
            assert!(page.ids.contains(id), "{id} labels nothing");
        }
    }
    for (name, _) in &page.elements {
        assert!(!["script", "link", "iframe", "img", "object", "embed", "base"].contains(&name.as_str()));
    }
    assert_eq!(page.values("src").count(), 0);
    for foreign in
        ["http://", "https://", "@import", "@font-face", "javascript:", "<script", "<b onclick", "\u{1b}", "\0"]
    {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for table in html.split("<table").skip(1) {
        assert!(table.split("</table>").next().is_some_and(|table| table.contains("<caption")), "{}", &table[..80]);
    }
    page
}

#[test]
fn every_page_is_whole() {
    let cases = [
        ("certified", certification::certified(), "Certified"),
        ("refused", certification::refused(), "Refused"),
        ("nothing", certification::nothing(), "Inconclusive"),
        ("hostile", certification::hostile(), "Refused"),
    ];
    for (case, certification, word) in cases {
        let html = certification.html();
        check(&html);
        assert!(html.contains(&format!("</span> {word}</h1>")), "{case}");
        assert_eq!(html, certification.html(), "{case}");
    }
}

#[test]
fn a_drill_that_is_not_given_has_no_links() {
    let mut certification = certification::refused();
    certification.verdicts.pop();
    let page = check(&certification.html());
    assert!(page.ids.contains("d1-drill") && !page.ids.contains("d2-drill"));
}

#[test]
fn a_number_links_to_the_step_that_was_worst() {
    let mut certification = certification::certified();
    let cell = |certification: &Certification, name: &str| {
        let html = certification.html();
        let row = html.split("id=\"cell-3\"").nth(1).and_then(|rest| rest.split("</tr>").next()).map(str::to_owned);
        let row = row.expect("the cell of both pauses");
        let field = row.split(&format!("data-label=\"{name}\"")).nth(1).and_then(|rest| rest.split("</td>").next());
        field.expect("the field").to_owned()
    };
    assert!(cell(&certification, "Outage").contains("#d2-step-1-numbers"));
    assert!(cell(&certification, "RTO").contains("#d2-step-1-recovery"));
    certification.verdicts[1].steps[1].recovery.restored_ms = Some(30_000.0);
    assert!(cell(&certification, "RTO").contains("#d2-step-2-recovery"));
    certification.verdicts[1].steps[0].recovery.restored_ms = None;
    let pauses = &mut certification.certificate.matrix[2];
    (pauses.restored_ms, pauses.unserved) = (None, 1);
    let never = cell(&certification, "RTO");
    assert!(never.contains("#d2-step-1-recovery") && never.contains("not in 1 of 2"), "{never}");
    assert!(certification.html().contains("in 1 repetition buyers were not served again"));
    assert!(!cell(&certification, "Done").contains("href"));
}

#[test]
fn what_was_planned_and_not_done_is_seen() {
    let html = certification::refused().html();
    let fields: Vec<&str> = html.split("class=\"cell full ").skip(1).collect();
    let undone = fields.iter().find(|field| field.contains("standby(redis)")).expect("the cell of the partition");
    assert!(undone.starts_with("c-unknown undone") && undone.contains("<p class=\"missing\">not done</p>"), "{undone}");
    assert!(html.contains("<span class=\"none\">not tried</span>"));
}

#[test]
fn of_many_faults_the_marks_come_first() {
    let mut certification = certification::refused();
    assert!(!certification.html().contains("class=\"glance\""), "a few can be seen at once");
    let matrix = &mut certification.certificate.matrix;
    let more = (0..9).map(|number| Cell { fault: format!("fault-{number}"), ..matrix[0].clone() });
    let more: Vec<Cell> = more.collect();
    matrix.extend(more);
    let cells = matrix.clone();
    let html = certification.html();
    check(&html);
    let table = html.split("class=\"glance\"").nth(1).and_then(|rest| rest.split("</table>").next());
    let table = table.expect("nine faults and more cannot be seen at once");
    let marks: Vec<&str> = table.split("<a class=\"mark ").skip(1).collect();
    assert_eq!(marks.len(), cells.len(), "a mark for every cell");
    for (number, cell) in (1..).zip(&cells) {
        let link = format!("href=\"#cell-{number}\"");
        let mark = marks.iter().find(|mark| mark.contains(&link)).expect("a mark leads to its cell");
        let word = match cell.judgement {
            Judgement::Pass => "pass",
            Judgement::Unknown => "unknown",
            Judgement::Fail => "fail",
        };
        assert!(mark.starts_with(&format!("c-{word}")) && mark.contains(&format!(">{word} ")), "{mark}");
        assert_eq!(mark.contains("not done"), cell.executed == 0, "{mark}");
    }
}

#[test]
fn a_hundred_steps_stay_small() {
    let certification = certification::long();
    let html = certification.html();
    let page = check(&html);
    assert_eq!(page.ids.iter().filter(|id| id.ends_with("-recovery")).count(), 100);
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    assert!(svgs(&html).all(|svg| svg.len() < 100_000));
}

#[test]
fn the_short_forms_are_stable() {
    for certification in [certification::certified(), certification::refused()] {
        insta::assert_snapshot!(certificate::markdown(&certification.certificate));
        insta::assert_snapshot!(certificate::text(&certification.certificate, 110));
    }
    insta::assert_snapshot!(certificate::text(&certification::refused().certificate, 60));
    insta::assert_snapshot!(certificate::markdown(&certification::nothing().certificate));
    insta::assert_snapshot!(certificate::openmetrics(&certification::refused().certificate));
}

#[test]
fn the_text_keeps_its_width() {
    for certification in [certification::certified(), certification::refused(), certification::nothing()] {
        for width in [0, 40, 60, 80, 110, 200] {
            let text = certificate::text(&certification.certificate, width);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
            assert!(widest <= width.max(50), "{width}: {widest}\n{text}");
            assert!(text.ends_with('\n'), "{text}");
        }
    }
}

#[test]
fn no_short_form_takes_markup_or_control_characters() {
    let certificate = certification::hostile().certificate;
    for text in [certificate::markdown(&certificate), certificate::text(&certificate, 80)] {
        assert!(!text.contains(['\u{1b}', '\0']), "{text}");
    }
    // Between backticks everything is text.
    assert!(certificate::markdown(&certificate).split('`').step_by(2).all(|text| !text.contains('<')));
    let metrics = certificate::openmetrics(&certificate);
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (labels, value) = line.rsplit_once(' ').expect("a value");
        assert!(labels.ends_with('}') && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn only_a_good_certificate_has_an_end_that_can_be_watched() {
    let until = |certificate: &Certificate| {
        let metrics = certificate::openmetrics(certificate);
        let line = metrics.lines().find(|line| line.starts_with("firedrill_certificate_valid_until"))?.to_owned();
        line.rsplit_once(' ').map(|(_, value)| value.to_owned())
    };
    let mut good = certification::certified().certificate;
    assert_eq!(until(&good).as_deref(), Some("1774951500"));
    "in a month".clone_into(&mut good.valid_until);
    assert_eq!(until(&good), None);
    assert_eq!(until(&certification::refused().certificate), None);
}

/// `FIREDRILL_WRITE=1 cargo test -p firedrill-reports` writes the published schemas anew.
fn published(file: &str, current: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("FIREDRILL_WRITE").is_some() {
        std::fs::write(&path, current).expect("writes");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == current, "{file} is not current: run FIREDRILL_WRITE=1 cargo test -p firedrill-reports");
}

#[test]
fn the_published_schemas_are_current() {
    published("certificate.schema.json", &Certificate::json_schema());
    published("verdict.schema.json", &Verdict::json_schema());
    published("comparison.schema.json", &Comparison::json_schema());
    published("history.schema.json", &history::json_schema());
}

#[test]
fn the_published_schema_takes_a_certificate() {
    let schema = serde_json::from_str(&Certificate::json_schema()).expect("parses");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for certification in [certification::certified(), certification::refused(), certification::nothing()] {
        let text = certificate::json(&certification.certificate).expect("renders");
        let mut json: serde_json::Value = serde_json::from_str(&text).expect("parses");
        assert!(validator.is_valid(&json), "{text}");
        assert_eq!(serde_json::from_str::<Certificate>(&text).expect("parses"), certification.certificate);
        json["conclusion"] = "perhaps".into();
        assert!(!validator.is_valid(&json));
    }
}

/// Writes the pages where `FIREDRILL_SAMPLE` says, for people who work on their looks.
#[test]
fn pages_can_be_looked_at() {
    let Some(path) = std::env::var_os("FIREDRILL_SAMPLE") else { return };
    let pages = [
        ("certified.html", certification::certified()),
        ("refused.html", certification::refused()),
        ("certificate.long.html", certification::long()),
    ];
    for (extension, certification) in pages {
        std::fs::write(Path::new(&path).with_extension(extension), certification.html()).expect("writes");
        let verdicts: Vec<&Verdict> = certification.verdicts.iter().collect();
        let xml = certificate::junit(&certification.certificate, &verdicts).expect("renders");
        std::fs::write(Path::new(&path).with_extension(extension.replace("html", "xml")), xml).expect("writes");
    }
}
