//! The certificate for a pull request.

use super::words::{self, Numbers};
use crate::markdown::{judgement, push, text};
use crate::units;
use firedrill_core::certificate::{Cell, Certificate};
use firedrill_core::verdict::Totals;

/// How many reasons, objections and gaps are written out; the page of the certificate has them all.
const LINES_MAX: usize = 12;

/// The certificate as Markdown: conclusion, reasons, the matrix as a table, how sure it is, what is not covered.
pub fn markdown(certificate: &Certificate) -> String {
    let mut out = String::new();
    push(&mut out, format_args!("## firedrill: {}\n\n", words::conclusion(certificate).to_uppercase()));
    let what = format!(
        "Topology **{}**, profile **{}**, judged against **{}**. {}\n\n",
        text(&certificate.topology),
        certificate.profile,
        text(&certificate.sla.name),
        words::lead(certificate),
    );
    out.push_str(&what);
    capped(&mut out, &certificate.reasons.iter().map(|reason| text(reason)).collect::<Vec<_>>());
    matrix(&mut out, &certificate.matrix);
    rests(&mut out, certificate);
    objections(&mut out, certificate);
    not_covered(&mut out, certificate);
    drills(&mut out, certificate);
    let repeat = units::clean(&certificate.replay).replace('`', "'");
    push(&mut out, format_args!("Repeat it with `{repeat}`.\n"));
    out
}

fn capped(out: &mut String, lines: &[String]) {
    for line in lines.iter().take(LINES_MAX) {
        push(out, format_args!("- {line}\n"));
    }
    if let Some(more) = lines.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
        push(out, format_args!("- … and {more} more in the report\n"));
    }
    if !lines.is_empty() {
        out.push('\n');
    }
}

fn matrix(out: &mut String, cells: &[Cell]) {
    if cells.is_empty() {
        out.push_str("Nothing was planned.\n\n");
        return;
    }
    out.push_str("| Tier | Fault | Done | Outage | RTO | Errors | Worst second | Lost | Judgement |\n");
    out.push_str("|:-----|:------|-----:|-------:|----:|-------:|-------------:|-----:|:----------|\n");
    for cell in cells {
        let numbers = Numbers::of(cell);
        let money = if numbers.lost_money.is_empty() { String::new() } else { format!(" ({})", numbers.lost_money) };
        let row = format!(
            "| {} | {} | {} | {} | {} | {} | {} | {}{money} | {} |\n",
            text(cell.tier.as_str()),
            text(&words::cell(cell)),
            numbers.done,
            numbers.outage,
            numbers.restored,
            numbers.errors,
            numbers.worst_second,
            numbers.lost,
            judgement(cell.judgement),
        );
        out.push_str(&row);
    }
    out.push('\n');
}

fn rests(out: &mut String, certificate: &Certificate) {
    push(out, format_args!("- **{}**", text(&words::validity(certificate))));
    if let Some((drift, verify)) = words::drift(certificate) {
        push(out, format_args!(" {drift} `{}`.", verify.replace('`', "'")));
    }
    out.push('\n');
    let load = format!(
        "- **Load**: {}; expected peak {}; sustained {}; headroom: {}.\n",
        words::load(certificate),
        words::forecast(certificate),
        text(&words::capacity(certificate)),
        words::headroom(certificate),
    );
    out.push_str(&load);
    for confidence in &certificate.confidence {
        push(out, format_args!("- **How sure**: {}.\n", text(&confidence.to_string())));
    }
    if !certificate.drills.is_empty() {
        totals(out, &certificate.totals);
    }
    out.push('\n');
}

fn totals(out: &mut String, totals: &Totals) {
    let line = format!(
        "- **All drills**: {}, {} acknowledged, {} in doubt ({} found applied), **{} lost**, {} in money.\n",
        units::plural(totals.operations, "purchase", "purchases"),
        units::count(totals.acknowledged),
        units::count(totals.in_doubt),
        units::count(totals.recovered),
        units::count(totals.lost),
        units::money(totals.lost_cents),
    );
    out.push_str(&line);
}

/// What was objected to is among the reasons; this is what to do about it.
fn objections(out: &mut String, certificate: &Certificate) {
    let with_remedy = certificate.objections.iter().filter(|objection| !objection.finding.remedy.is_empty());
    let lines: Vec<String> = with_remedy
        .map(|objection| format!("{}: {}", text(&objection.finding.summary), text(&objection.finding.remedy)))
        .collect();
    if !lines.is_empty() {
        out.push_str("What to do:\n\n");
    }
    capped(out, &lines);
}

fn not_covered(out: &mut String, certificate: &Certificate) {
    if !certificate.not_covered.is_empty() {
        out.push_str("Not covered:\n\n");
    }
    capped(out, &certificate.not_covered.iter().map(|gap| text(&gap.to_string())).collect::<Vec<_>>());
}

fn drills(out: &mut String, certificate: &Certificate) {
    if certificate.drills.is_empty() {
        out.push_str("No drill was run.\n\n");
        return;
    }
    out.push_str("| Drill | Run | Purchases | Lost | Conclusion |\n|:------|:----|----------:|-----:|:-----------|\n");
    for drill in &certificate.drills {
        let row = format!(
            "| {} | {} | {} | {} | {} |\n",
            text(&drill.drill),
            text(drill.run.as_str()),
            units::count(drill.totals.operations),
            units::count(drill.totals.lost),
            drill.conclusion,
        );
        out.push_str(&row);
    }
    out.push('\n');
}
