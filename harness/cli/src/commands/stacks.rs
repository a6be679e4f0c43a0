//! `up`, `down`, `reap` and the guard: stacks that stay, and stacks that nobody owns any more.

use crate::args::{DownArgs, UpArgs};
use crate::exit::{Exit, Failure};
use crate::{home, progress};
use firedrill_core::ids::RunId;
use firedrill_engine::docker::Engine;
use firedrill_engine::guard::{self, Watch};
use firedrill_engine::{labels, residue, standing};
use firedrill_runner::rundir::new_run_id;
use firedrill_runner::{Session, SessionOptions, stacks_folder};
use std::path::PathBuf;
use std::time::Duration;

/// How long the undo of faults of a dead run may take.
const UNDO_DEADLINE: Duration = Duration::from_secs(60);

/// Boots a stack that stays until `down`.
pub(crate) async fn up(args: &UpArgs) -> Result<Exit, Failure> {
    let folder = home::topology(&args.topology);
    let options = SessionOptions {
        events: home::events(&folder),
        topology_folder: folder,
        journeys: home::journeys(),
        runs: home::runs(),
        guard_program: None,
    };
    let run = new_run_id();
    let session =
        Session::boot(options, run.clone(), progress::display().as_ref()).await.map_err(super::drill::refused)?;
    println!("{run} is up:");
    for (node, address) in session.stack.entries() {
        println!("  {node:<10} http://{address}/  (Host: localhost)");
    }
    for event in session.seed.events.keys() {
        println!("  event      /{}/{event}/", session.seed.organizer);
    }
    if !session.seed.token.is_empty() {
        println!("  API token  {}", session.seed.token);
    }
    println!("`firedrill run DRILL --on {run}` drills it, `firedrill down {run}` removes it.");
    Ok(Exit::Certified)
}

/// Removes one stack, or all that `up` started.
pub(crate) async fn down(args: &DownArgs) -> Result<Exit, Failure> {
    let engine = Engine::connect().await?;
    let runs = residue::runs(&engine).await?;
    let chosen: Vec<RunId> = match &args.run {
        Some(run) => vec![RunId::new(run.clone())],
        None => runs.iter().filter(|(_, owner)| *owner == labels::OWNER_NOBODY).map(|(run, _)| run.clone()).collect(),
    };
    if let Some(run) = chosen.iter().find(|run| !runs.contains_key(run)) {
        let known = runs.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(anyhow::anyhow!("there is no run {run}; there are: {known}")));
    }
    remove(&engine, &chosen).await
}

/// Undoes what dead runs left in force on stacks that stay, and removes what they left otherwise.
pub(crate) async fn reap() -> Result<Exit, Failure> {
    let engine = Engine::connect().await?;
    let stacks = stacks_folder(&home::runs());
    let runs = residue::runs(&engine).await?;
    for (run, _) in runs.iter().filter(|(_, owner)| *owner == labels::OWNER_NOBODY) {
        // Whoever holds the lock is alive, and undoes his faults himself.
        let Some(_lock) = standing::lock(&stacks, run)? else { continue };
        let undone = guard::undo_standing(&engine, &stacks, run, UNDO_DEADLINE).await.map_err(Failure::residue)?;
        for record in undone {
            println!("{run}: undone {}", record.fault);
        }
    }
    let dead = runs.into_iter().filter(|(_, owner)| !labels::owner_is_alive(owner)).map(|(run, _)| run);
    remove(&engine, &dead.collect::<Vec<_>>()).await
}

async fn remove(engine: &Engine, runs: &[RunId]) -> Result<Exit, Failure> {
    if runs.is_empty() {
        println!("nothing to remove");
    }
    let stacks = stacks_folder(&home::runs());
    for run in runs {
        let found = residue::find(engine, run).await?;
        guard::clean_up(engine, &stacks, run).await.map_err(Failure::residue)?;
        println!("{run}: removed {}", found.describe());
    }
    Ok(Exit::Certified)
}

/// The dead man's switch.
pub(crate) async fn watch(run: &str, stacks: PathBuf, keep: bool) -> Result<Exit, Failure> {
    guard::watch(&Watch { run: RunId::new(run), stacks, keep }).await.map_err(Failure::residue)?;
    Ok(Exit::Certified)
}
