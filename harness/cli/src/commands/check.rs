//! `check`, `report` and `export`: stored runs, without Docker.

use super::certify;
use crate::args::{CheckArgs, ExportArgs, ExportFormat, ReportArgs};
use crate::exit::{Exit, Failure};
use crate::home;
use anyhow::Context;
use firedrill_core::verdict::Verdict;
use firedrill_runner::{CertificateDir, RunDir};
use std::fs::File;
use std::io::BufWriter;

/// Judges a stored run again. Against its own agreement the verdict is byte for byte the stored one.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let sla = args.against.as_deref().map(home::sla).transpose().map_err(Failure::usage)?;
    if CertificateDir::is_one(&args.run_dir) {
        let certificate = CertificateDir::open(&args.run_dir)?.conclude(sla.as_ref())?.certificate;
        certify::show(&certificate);
        return Ok(certificate.conclusion.into());
    }
    let stored = RunDir::open(&args.run_dir).read()?;
    let verdict = stored.judge(sla.as_ref())?;
    show(&verdict);
    Ok(verdict.conclusion.into())
}

/// Renders the reports of a stored run again, or prints its annotations.
pub(crate) fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    if let Some(server) = args.annotations {
        return super::trend::annotations(&args.run_dir, server);
    }
    if CertificateDir::is_one(&args.run_dir) {
        let dir = CertificateDir::open(&args.run_dir)?;
        dir.write(&dir.conclude(None)?)?;
        println!("{}", dir.report().display());
        return Ok(Exit::Certified);
    }
    let stored = RunDir::open(&args.run_dir).read()?;
    let verdict = stored.judge(None)?;
    stored.write_verdict(&verdict)?;
    stored.write_reports(&verdict)?;
    println!("{}", stored.dir.report().display());
    Ok(Exit::Certified)
}

/// Writes the history of a stored run for other tools. One that is damaged is written as far as it is whole.
pub(crate) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let ExportFormat::Jsonl = args.format;
    let dir = RunDir::open(&args.run_dir);
    let damage = match &args.output {
        None => dir.export(&mut BufWriter::new(std::io::stdout().lock()))?,
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
            dir.export(&mut BufWriter::new(file))?
        }
    };
    damage.iter().for_each(|damage| eprintln!("firedrill: the history is damaged: {damage}"));
    Ok(if damage.is_empty() { Exit::Certified } else { Exit::Inconclusive })
}

/// The verdict as text, as wide as people's terminals are.
pub(crate) fn show(verdict: &Verdict) {
    println!("{}", firedrill_reports::text::summary(verdict, 100));
}
