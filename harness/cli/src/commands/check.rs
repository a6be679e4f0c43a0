//! `check` and `report`: stored runs, without Docker.

use crate::args::{CheckArgs, ReportArgs};
use crate::exit::{Exit, Failure};
use crate::home;
use firedrill_core::verdict::Verdict;
use firedrill_runner::RunDir;

/// Judges a stored run again. Against its own agreement the verdict is byte for byte the stored one.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let sla = args.against.as_deref().map(home::sla).transpose().map_err(Failure::usage)?;
    let stored = RunDir::open(&args.run_dir).read()?;
    let verdict = stored.judge(sla.as_ref());
    show(&verdict);
    Ok(verdict.conclusion.into())
}

/// Renders the reports of a stored run again.
pub(crate) fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    let stored = RunDir::open(&args.run_dir).read()?;
    let verdict = stored.judge(None);
    stored.write_verdict(&verdict)?;
    stored.write_reports(&verdict)?;
    println!("{}", stored.dir.report().display());
    Ok(Exit::Certified)
}

/// The verdict as text, as wide as people's terminals are.
pub(crate) fn show(verdict: &Verdict) {
    println!("{}", firedrill_reports::text::summary(verdict, 100));
}
