//! The certificate for a terminal: plain text, no boxes, no colours (the caller colours).

use super::words::{self, Numbers};
use crate::layout::{aligned, columns, wrap};
use crate::text::{WIDTH_MIN, word};
use crate::units;
use firedrill_core::certificate::{Cell, Certificate};

/// The certificate in at most `width` columns (long words stay whole): the verdict first, its validity last.
pub fn text(certificate: &Certificate, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let mut lines = Vec::new();
    let title = words::conclusion(certificate).to_uppercase();
    let against = units::clean(&format!(
        "{title}: {} against {}, profile {}",
        certificate.topology, certificate.sla.name, certificate.profile
    ));
    wrap(&mut lines, "", &against, width);
    wrap(&mut lines, "", &words::lead(certificate), width);
    for reason in &certificate.reasons {
        wrap(&mut lines, "- ", &units::clean(reason), width);
    }
    lines.push(String::new());
    matrix(&mut lines, &certificate.matrix, width);
    lines.push(String::new());
    let sizing = format!(
        "load: {}; expected peak: {}; sustained: {}; headroom: {}",
        words::load(certificate),
        words::forecast(certificate),
        words::capacity(certificate),
        words::headroom(certificate)
    );
    wrap(&mut lines, "", &sizing, width);
    remedies(&mut lines, certificate, width);
    if !certificate.not_covered.is_empty() {
        lines.push(String::new());
        lines.push("not covered:".to_owned());
    }
    for gap in &certificate.not_covered {
        wrap(&mut lines, "- ", &units::clean(&gap.to_string()), width);
    }
    lines.push(String::new());
    wrap(&mut lines, "", &words::validity(certificate), width);
    if let Some((drift, verify)) = words::drift(certificate) {
        wrap(&mut lines, "", &format!("{drift}: {verify}"), width);
    }
    lines.push(String::new());
    lines.join("\n")
}

fn remedies(lines: &mut Vec<String>, certificate: &Certificate, width: usize) {
    let remedies: Vec<&str> = certificate
        .objections
        .iter()
        .map(|objection| objection.finding.remedy.as_str())
        .filter(|remedy| !remedy.is_empty())
        .collect();
    let remedies = units::distinct(remedies.into_iter());
    if !remedies.is_empty() {
        lines.push(String::new());
        lines.push("what to do:".to_owned());
    }
    for remedy in remedies {
        wrap(lines, "- ", &units::clean(remedy), width);
    }
}

const HEAD: [&str; 9] = ["tier", "fault", "done", "outage", "RTO", "errors", "worst s", "lost", "judgement"];

/// Whether a column is of numbers, which are aligned to the right.
const RIGHT: [bool; 9] = [false, false, true, true, true, true, true, true, false];

fn matrix(lines: &mut Vec<String>, cells: &[Cell], width: usize) {
    if cells.is_empty() {
        lines.push("Nothing was planned.".to_owned());
        return;
    }
    let rows: Vec<[String; 9]> = std::iter::once(HEAD.map(str::to_owned)).chain(cells.iter().map(row)).collect();
    let table = aligned(&rows, RIGHT);
    if table.iter().all(|line| columns(line) <= width) {
        lines.extend(table);
        return;
    }
    for [_, name, done, outage, restored, errors, worst_second, lost, judgement] in rows.into_iter().skip(1) {
        wrap(lines, "", &format!("{judgement}: {name}, done {done}"), width);
        let numbers =
            format!("outage {outage}, RTO {restored}, errors {errors}, worst second {worst_second}, lost {lost}");
        wrap(lines, "   ", &numbers, width);
    }
}

fn row(cell: &Cell) -> [String; 9] {
    let numbers = Numbers::of(cell);
    [
        units::clean(cell.tier.as_str()),
        words::cell(cell),
        numbers.done,
        numbers.outage,
        numbers.restored,
        numbers.errors,
        numbers.worst_second,
        numbers.lost,
        word(cell.judgement).to_owned(),
    ]
}
