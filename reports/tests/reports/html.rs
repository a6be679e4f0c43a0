//! The page: whole, closed, escaped, bounded.

use crate::page::Page;
use crate::{fixture, load};
use firedrill_core::history::{Event, History};
use firedrill_core::ids::StepId;
use firedrill_core::manifest::Manifest;
use firedrill_core::verdict::{Verdict, conclude};
use firedrill_reports::{LogLine, ReportInput, html};
use std::time::{Duration, Instant};

fn render(verdict: &Verdict, manifest: &Manifest, history: &History, logs: &[LogLine]) -> String {
    let input = ReportInput { verdict, manifest, history, one_in: 1, log_excerpts: logs };
    html::render(&input).expect("renders")
}

fn sample() -> String {
    let history = load::history(2_200, 50_000);
    render(&fixture::verdict(), &fixture::manifest(), &history, &fixture::logs())
}

pub(crate) fn svgs(html: &str) -> impl Iterator<Item = &str> {
    html.split("<svg class=\"plot").skip(1).filter_map(|rest| rest.split("</svg>").next())
}

#[test]
fn the_page_is_balanced_and_every_link_has_its_anchor() {
    let page = Page::read(&sample());
    let links: Vec<&str> = page.values("href").collect();
    assert!(links.contains(&"#op-600") && links.contains(&"#step-1"), "{links:?}");
    for link in links {
        let id = link.strip_prefix('#').expect("links stay in the page");
        assert!(page.ids.contains(id), "{link} has no anchor");
    }
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let html = sample();
    let page = Page::read(&html);
    for (name, _) in &page.elements {
        assert!(!["script", "link", "iframe", "img", "object", "embed", "base"].contains(&name.as_str()));
    }
    assert_eq!(page.values("src").count(), 0);
    for foreign in ["http://", "https://", "@import", "@font-face", "javascript:"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert!(html.match_indices("url(").all(|(i, _)| html[i..].starts_with("url(#")));
}

#[test]
fn patterns_and_classes_of_the_plots_are_in_the_style_sheet() {
    let html = sample();
    let page = Page::read(&html);
    for (i, _) in html.match_indices("url(#") {
        let id = html[i + 5..].split(')').next().expect("ends");
        assert!(page.ids.contains(id), "no pattern {id}");
    }
    let style = html.split("</style>").next().expect("has a style");
    let inks = page.values("class").filter(|class| class.starts_with("s-") || class.starts_with("f-"));
    for ink in inks {
        assert!(style.contains(&format!(".{ink} ")), "no style for {ink}");
    }
    assert!(svgs(&html).all(|svg| !svg.contains("#F00D")));
}

#[test]
fn tables_have_captions_and_heads_have_scopes() {
    let html = sample();
    for table in html.split("<table").skip(1) {
        let table = table.split("</table>").next().expect("ends");
        assert!(table.contains("<caption"), "{}", &table[..80]);
        assert!(table.match_indices("<th").all(|(i, _)| {
            let tag = table[i..].split('>').next().unwrap_or_default();
            tag == "<thead" || tag.starts_with("<thead ") || tag.contains("scope=")
        }));
    }
}

/// What a run could hold if somebody meant harm.
pub(crate) const EVIL: &str = "\"'><script>alert(1)</script><b onclick='x'>&amp;";

pub(crate) fn hostile_verdict() -> Verdict {
    let mut verdict = fixture::verdict();
    for step in &mut verdict.steps {
        step.fault = EVIL.to_owned();
        step.target = EVIL.to_owned();
        step.tier = EVIL.into();
        step.nodes = vec![EVIL.into()];
        step.proof = EVIL.to_owned();
        step.parameters = EVIL.to_owned();
        step.reasons = vec![EVIL.to_owned()];
    }
    for check in &mut verdict.checks {
        check.checker = EVIL.to_owned();
        check.question = EVIL.to_owned();
        check.reason = EVIL.to_owned();
        check.numbers.insert(EVIL.to_owned(), 1.0);
        for finding in &mut check.findings {
            finding.summary = EVIL.to_owned();
            finding.remedy = EVIL.to_owned();
            finding.nodes = vec![EVIL.into()];
            finding.step = Some(StepId(99));
        }
    }
    for text in [&mut verdict.topology, &mut verdict.drill, &mut verdict.sla, &mut verdict.started] {
        EVIL.clone_into(text);
    }
    verdict.reasons = vec![EVIL.to_owned()];
    verdict.run = EVIL.into();
    verdict
}

pub(crate) fn hostile_manifest() -> Manifest {
    let mut manifest = fixture::manifest();
    manifest.replay = EVIL.to_owned();
    manifest.not_covered = vec![EVIL.to_owned()];
    for node in &mut manifest.nodes {
        node.name = EVIL.into();
        node.tier = EVIL.into();
        node.single = Some(EVIL.to_owned());
    }
    manifest.images[0].versions = vec![(EVIL.to_owned(), EVIL.to_owned())];
    manifest.boot[0].what = EVIL.to_owned();
    manifest
}

pub(crate) fn hostile_history() -> History {
    let mut history = load::history(2_200, 50_000);
    for event in &mut history.events {
        match event {
            Event::Observed(o) if o.node.as_str() == "pg1" => o.node = EVIL.into(),
            Event::Usage(u) => u.node = EVIL.into(),
            Event::Attempt(a) => {
                a.code = EVIL.to_owned();
                a.entry = EVIL.into();
                a.error = Some(EVIL.to_owned());
            }
            _ => {}
        }
    }
    history.damage = vec![EVIL.to_owned()];
    history
}

#[test]
fn nothing_from_the_run_becomes_markup() {
    let verdict = hostile_verdict();
    let manifest = hostile_manifest();
    let history = hostile_history();
    let mut logs = fixture::logs();
    logs.iter_mut().for_each(|line| line.text = format!("{EVIL}\u{1b}[31m\0"));
    logs[0].node = EVIL.into();

    let html = render(&verdict, &manifest, &history, &logs);
    let page = Page::read(&html);
    assert!(!html.contains("<script") && !html.contains("<b onclick"));
    assert!(page.elements.iter().all(|(name, _)| name != "script"));
    assert!(!html.contains(['\u{1b}', '\0']));
    assert!(svgs(&html).any(|svg| svg.contains("&lt;script&gt;") || svg.contains("&quot;&apos;&gt;")));
}

#[test]
fn a_run_without_anything_renders() {
    let (conclusion, reasons) = conclude(&[], &[]);
    let verdict = Verdict { steps: Vec::new(), checks: Vec::new(), conclusion, reasons, ..fixture::verdict() };
    let mut manifest = fixture::manifest();
    manifest.images.clear();
    manifest.nodes.clear();
    manifest.boot.clear();
    manifest.not_covered.clear();
    let html = render(&verdict, &manifest, &History::default(), &[]);
    Page::read(&html);
    assert!(html.contains("Inconclusive") && html.contains("No step was executed."));

    // Steps without a history, as a damaged run may leave them.
    let html = render(&fixture::verdict(), &manifest, &History::default(), &[]);
    Page::read(&html);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(sample(), sample());
}

/// The first step again and again, two minutes apart.
fn many_steps(n: u32) -> Verdict {
    let mut verdict = fixture::verdict();
    let first = verdict.steps[0].clone();
    let step = |i: u32| {
        let later = u64::from(i) * 120_000;
        let mut step = first.clone();
        step.step = StepId(i);
        step.from = first.from.plus_ms(later);
        step.until = first.until.plus_ms(later);
        step.effective = first.effective.map(|at| at.plus_ms(later));
        step.healed = first.healed.map(|at| at.plus_ms(later));
        if let Some(outage) = &mut step.outage {
            outage.from = outage.from.plus_ms(later);
            outage.until = outage.until.plus_ms(later);
        }
        step
    };
    verdict.steps = (0..n).map(step).collect();
    verdict
}

#[test]
fn a_long_run_stays_small() {
    let history = load::history(200_000, 18_000);
    let verdict = many_steps(24);
    let began = Instant::now();
    let html = render(&verdict, &fixture::manifest(), &history, &fixture::logs());
    let took = began.elapsed();
    Page::read(&html);
    // Two seconds are the aim of an optimised build; a debug build on a busy machine gets more.
    let limit = if cfg!(debug_assertions) { 10 } else { 2 };
    assert!(took < Duration::from_secs(limit), "{took:?}");
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    for svg in svgs(&html) {
        assert!(svg.len() < 200_000, "a plot of {} bytes", svg.len());
    }
}

/// Writes the samples where `FIREDRILL_SAMPLE` says, for people who work on the page's looks.
#[test]
fn sample_can_be_looked_at() {
    if let Some(path) = std::env::var_os("FIREDRILL_SAMPLE") {
        std::fs::write(&path, sample()).expect("writes");
        let history = load::history(200_000, 18_000);
        let html = render(&many_steps(24), &fixture::manifest(), &history, &fixture::logs());
        std::fs::write(std::path::Path::new(&path).with_extension("long.html"), html).expect("writes");
    }
}
