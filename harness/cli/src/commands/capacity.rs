//! `capacity`: how many purchases a stack sustains within its agreement.

use super::drill::{on_interrupt, options, rand_seed, refused, shown};
use crate::args::CapacityArgs;
use crate::exit::{Exit, Failure};
use crate::{home, progress};
use anyhow::Result;
use firedrill_core::capacity::Found;
use firedrill_core::ids::RunId;
use firedrill_core::load::Load;
use firedrill_core::sla::Sla;
use firedrill_engine::progress::Progress;
use firedrill_runner::rundir::new_run_id;
use firedrill_runner::{Capacity, CapacityPlan, Session};
use std::sync::Arc;
use std::time::Duration;

/// Searches, prints the answer, and keeps it beside its last run. Exit code 0 where a rate was found, 1 where
/// not even the lowest is sustained, 2 where the search was interrupted.
pub(crate) async fn capacity(args: &CapacityArgs) -> Result<Exit, Failure> {
    let sla = home::sla(&args.sla).map_err(Failure::usage)?;
    let plan = plan(args).map_err(Failure::usage)?;
    let progress = progress::display();
    let options = options(home::topology(&args.topology))?;
    let runs = options.runs.clone();
    let session = match &args.on {
        Some(standing) => Session::attach(options, &RunId::new(standing.clone())).await,
        None => Session::boot(options, new_run_id(), progress.as_ref()).await,
    };
    let session = session.map_err(refused)?;
    let searched = search(&session, &plan, &sla, args, &progress).await;
    progress.begin("closing the stack");
    let closed = session.close().await;
    progress.end("closing the stack", if closed.is_ok() { "nothing left" } else { "something is left" });
    let capacity = searched?;
    let kept = capacity.keep(&runs)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&capacity).map_err(anyhow::Error::from)?);
    } else {
        println!("{}", capacity.markdown());
        if let Some(folder) = kept {
            println!("kept as {}", shown(&folder.join("capacity.json")));
        }
    }
    closed.map_err(Failure::residue)?;
    Ok(match capacity.found {
        Some(Found::Confirmed(_) | Found::AtLeast(_)) => Exit::Certified,
        Some(Found::None) => Exit::Violated,
        None => Exit::Inconclusive,
    })
}

async fn search(
    session: &Session,
    plan: &CapacityPlan,
    sla: &Sla,
    args: &CapacityArgs,
    progress: &Arc<dyn Progress>,
) -> Result<Capacity, Failure> {
    let interrupt = on_interrupt(Arc::clone(progress));
    let seed = args.seed.unwrap_or_else(rand_seed);
    Ok(session.capacity(plan, sla, seed, interrupt, progress.as_ref()).await?)
}

fn plan(args: &CapacityArgs) -> Result<CapacityPlan> {
    let load = Load {
        journey: home::mix(&args.journey)?,
        event: args.event.clone(),
        item: home::mix(&args.item)?,
        buyers: args.buyers,
        ..Load::default()
    };
    load.check().map_err(anyhow::Error::msg)?;
    Ok(CapacityPlan {
        load,
        first_per_s: args.first,
        highest_per_s: args.highest,
        trial: Duration::from_secs(args.trial_s),
        confirm: Duration::from_secs(args.confirm_s),
        folder: None,
    })
}
