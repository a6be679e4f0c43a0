//! `compare`, `history` and the annotations of `report`: what verdicts of stored runs say, without their histories.

use crate::args::{Annotations, CompareArgs, CompareFormat, HistoryArgs, HistoryFormat};
use crate::exit::{Exit, Failure};
use crate::home;
use anyhow::Context;
use firedrill_core::trend::{self, Outcome};
use firedrill_reports::history::{self, HistoryInput};
use firedrill_reports::{annotations, trend as rendered};
use firedrill_runner::{Archive, ArchiveError};
use std::path::{Path, PathBuf};

/// Compares runs with the ones before them.
pub(crate) fn compare(args: &CompareArgs) -> Result<Exit, Failure> {
    let [mut baseline, candidate] = [read(&args.baseline)?, read(&args.candidate)?];
    for archive in [&baseline, &candidate] {
        say_left_out(archive);
    }
    let both = baseline.without(&candidate);
    if !both.is_empty() {
        eprintln!("firedrill: on both sides, and taken out of the baseline: {}", both.join(", "));
    }
    for (archive, named) in [(&baseline, &args.baseline), (&candidate, &args.candidate)] {
        if archive.runs.is_empty() {
            eprintln!("firedrill: no run could be read below {named}");
        }
    }
    let comparison = trend::compare(&baseline.runs, &candidate.runs);
    let text = match args.format {
        CompareFormat::Text => rendered::text(&comparison),
        CompareFormat::Markdown => rendered::markdown(&comparison),
        CompareFormat::Json => rendered::json(&comparison)?,
    };
    print!("{text}");
    Ok(match comparison.outcome {
        Outcome::NoRegression => Exit::Certified,
        Outcome::Regression => Exit::Violated,
        Outcome::NothingTold => Exit::Inconclusive,
    })
}

/// Writes the page over many runs, or its data.
pub(crate) fn history(args: &HistoryArgs) -> Result<Exit, Failure> {
    let named = args.runs_dir.clone().unwrap_or_else(|| home::runs().display().to_string());
    let archive = read(&named)?;
    say_left_out(&archive);
    let series = trend::series(&archive.runs, args.newest);
    let input = HistoryInput { series: &series, left_out: &archive.left_out };
    let (text, name) = match args.format {
        HistoryFormat::Html => (history::render(input)?, "history.html"),
        HistoryFormat::Json => (history::json(input)?, "history.json"),
    };
    let first = folders(&named).into_iter().next().unwrap_or_default();
    let path = args.output.clone().unwrap_or_else(|| first.join(name));
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written; see --output", path.display()))?;
    println!("{}", path.display());
    if archive.runs.is_empty() {
        eprintln!("firedrill: no run could be read below {named}");
        return Ok(Exit::Inconclusive);
    }
    Ok(Exit::Certified)
}

/// Prints what failed, as a build server reads it.
pub(crate) fn annotations(run_dir: &Path, server: Annotations) -> Result<Exit, Failure> {
    let archive = Archive::read(&[run_dir.to_path_buf()]).map_err(Failure::usage)?;
    say_left_out(&archive);
    let verdicts: Vec<_> = archive.runs.into_iter().flat_map(|run| run.verdicts).collect();
    if verdicts.is_empty() {
        return Err(anyhow::anyhow!("{} has no verdict that could be read", run_dir.display()).into());
    }
    match server {
        Annotations::Github => print!("{}", annotations::github(&verdicts)),
        Annotations::Gitlab => {
            let path = run_dir.join("report.html").display().to_string();
            print!("{}", annotations::gitlab(&verdicts, path.trim_start_matches("./"))?);
        }
    }
    Ok(Exit::Certified)
}

fn read(named: &str) -> Result<Archive, Failure> {
    Archive::read(&folders(named)).map_err(|error: ArchiveError| Failure::usage(error))
}

/// A folder, or several separated by commas. One whose own name has a comma is that folder.
fn folders(named: &str) -> Vec<PathBuf> {
    if Path::new(named).is_dir() || !named.contains(',') {
        return vec![PathBuf::from(named)];
    }
    named.split(',').map(str::trim).filter(|part| !part.is_empty()).map(PathBuf::from).collect()
}

fn say_left_out(archive: &Archive) {
    for left in &archive.left_out {
        eprintln!("firedrill: left out {}: {}", left.folder, left.why);
    }
}
