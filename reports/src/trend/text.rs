//! The comparison for a terminal: plain text, without colours.

use super::{beside, cell_name, changed, differing, flake, hard_kind, headline, side, word};
use crate::units;
use firedrill_core::trend::{Cell, Change, Changed, Comparison, Outcome};

/// The comparison as text; the last line is what it came to. What is the same is counted, not listed.
pub fn text(comparison: &Comparison) -> String {
    let mut lines = vec![
        format!("baseline:  {}", runs(&comparison.baseline.runs)),
        format!("candidate: {}", runs(&comparison.candidate.runs)),
    ];
    lines.extend(comparison.notes.iter().map(|note| format!("note: {}", units::clean(note))));
    for hard in &comparison.hard {
        let what = units::clean(&hard.what);
        let sides = format!("{} → {}", units::clean(&hard.baseline), units::clean(&hard.candidate));
        lines.push(String::new());
        lines.push(format!("REGRESSION  {}: {what}: {sides}", hard_kind(hard.kind)));
        lines.push(format!("            in {}", runs(&hard.runs)));
    }
    for wanted in [Changed::Worse, Changed::Better] {
        let found: Vec<(&Cell, &Change)> = comparison.changed(wanted).collect();
        section(&mut lines, &changed(wanted).to_uppercase(), &found);
    }
    // One against one is shown with its numbers: a person may know more than a test does.
    if comparison.outcome == Outcome::NothingTold {
        let (differing, alike) = differing(comparison);
        section(&mut lines, changed(Changed::TooFewToTell), &differing);
        if alike > 0 {
            let alike = units::plural(alike, "measure is", "measures are");
            lines.extend([String::new(), format!("{alike} the same number on both sides")]);
        }
    } else {
        let [same, few] = [Changed::Same, Changed::TooFewToTell].map(|c| comparison.changed(c).count() as u64);
        lines.push(String::new());
        lines.push(format!(
            "{} the same, {} too few to tell",
            units::plural(same, "measure is", "measures are"),
            units::count(few)
        ));
    }
    for (whose, cells) in [("baseline", &comparison.only_in_baseline), ("candidate", &comparison.only_in_candidate)] {
        if !cells.is_empty() {
            lines.push(format!("only in the {whose}: {}", names(cells)));
        }
    }
    if !comparison.flakes.is_empty() {
        lines.push(String::new());
        lines.push("judged now so, now otherwise in the candidate:".to_owned());
        lines.extend(comparison.flakes.iter().map(|of| format!("  {}", flake(of))));
    }
    lines.push(String::new());
    lines.push(format!("{}: {}.", word(comparison.outcome), headline(comparison)));
    lines.join("\n") + "\n"
}

/// Changes of one kind, by cell, in columns.
fn section(lines: &mut Vec<String>, title: &str, found: &[(&Cell, &Change)]) {
    if found.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(title.to_owned());
    for group in found.chunk_by(|(a, _), (b, _)| a == b) {
        let rows: Vec<[String; 4]> = group.iter().map(|(_, change)| row(change)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let [label, before, after] = [width(0), width(1), width(2)];
        lines.extend(group.first().map(|(cell, _)| format!("  {}", cell_name(cell))));
        for [name, a, b, more] in &rows {
            lines.push(format!("    {name:<label$}  {a:>before$} → {b:>after$}  {more}"));
        }
    }
}

fn row(change: &Change) -> [String; 4] {
    let measure = change.measure;
    let sides = [&change.baseline, &change.candidate].map(|summary| side(measure, summary));
    let [before, after] = sides;
    [measure.label().to_owned(), before, after, beside(change)]
}

/// Up to three names, and the number of the rest.
fn runs(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| units::clean(name)).collect();
    match names.len() {
        0 => "no run".to_owned(),
        n if n <= SHOWN => shown.join(", "),
        n => format!("{} and {} more", shown.join(", "), n - SHOWN),
    }
}

fn names(cells: &[Cell]) -> String {
    cells.iter().map(cell_name).collect::<Vec<_>>().join("; ")
}
