//! The comparison for a pull request or the summary of a job.

use super::{beside, cell_name, changed, differing, flake, hard_kind, sentence, side, word};
use crate::units;
use firedrill_core::trend::{Cell, Change, Changed, Comparison, Outcome};

/// How many rows the table has at most; the JSON form has them all.
const ROWS_MAX: usize = 60;

/// The comparison as Markdown: what it came to, what was never seen before, what changed as a table.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = format!("## firedrill: {}\n\n{}\n\n", word(comparison.outcome), plain(&sentence(comparison)));
    let (a, b) = (&comparison.baseline, &comparison.candidate);
    out += &format!(
        "{} compared with {} before.\n\n",
        units::plural(b.runs.len() as u64, "run", "runs"),
        units::plural(a.runs.len() as u64, "run", "runs")
    );
    for note in &comparison.notes {
        out += &format!("> {}\n\n", plain(note));
    }
    for hard in &comparison.hard {
        let sides = format!("{} → {}", plain(&hard.baseline), plain(&hard.candidate));
        out += &format!("- **{}**: {}: {sides}\n", hard_kind(hard.kind), plain(&hard.what));
    }
    if !comparison.hard.is_empty() {
        out.push('\n');
    }
    table(&mut out, comparison);
    for (whose, cells) in [("baseline", &comparison.only_in_baseline), ("candidate", &comparison.only_in_candidate)] {
        if !cells.is_empty() {
            let names: Vec<String> = cells.iter().map(|cell| plain(&cell_name(cell))).collect();
            out += &format!("Only in the {whose}: {}.\n\n", names.join("; "));
        }
    }
    if !comparison.flakes.is_empty() {
        out += "Judged now so, now otherwise in the candidate:\n\n";
        out.extend(comparison.flakes.iter().map(|of| format!("- {}\n", plain(&flake(of)))));
    }
    out.trim_end().to_owned() + "\n"
}

fn table(out: &mut String, comparison: &Comparison) {
    // Where nothing could be told, the numbers are all there is.
    let rows: Vec<(&Cell, &Change)> = match comparison.outcome {
        Outcome::NothingTold => differing(comparison).0,
        _ => [Changed::Worse, Changed::Better].into_iter().flat_map(|wanted| comparison.changed(wanted)).collect(),
    };
    if !rows.is_empty() {
        *out += "| Cell | Measure | Before | Now | | By |\n|:-----|:--------|-------:|----:|:--|:---|\n";
    }
    for (cell, change) in rows.iter().take(ROWS_MAX) {
        let word = changed(change.changed);
        let word = if change.changed == Changed::Worse { format!("**{word}**") } else { word.to_owned() };
        *out += &format!(
            "| {} | {} | {} | {} | {word} | {} |\n",
            plain(&cell_name(cell)),
            change.measure.label(),
            side(change.measure, &change.baseline),
            side(change.measure, &change.candidate),
            plain(&beside(change)),
        );
    }
    if !rows.is_empty() {
        out.push('\n');
    }
    if let Some(more) = rows.len().checked_sub(ROWS_MAX).filter(|more| *more > 0) {
        *out += &format!("… and {more} more\n\n");
    }
    if comparison.outcome != Outcome::NothingTold {
        let [same, few] = [Changed::Same, Changed::TooFewToTell].map(|c| comparison.changed(c).count() as u64);
        let same = units::plural(same, "measure is", "measures are");
        *out += &format!("{same} the same, {} too few to tell.\n\n", units::count(few));
    }
}

/// Foreign text, of which nothing is markup.
fn plain(text: &str) -> String {
    crate::markdown::text(text)
}
