//! `run`: a drill on a stack that is booted for it and removed after it, or on one that stands.

use super::check::show;
use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::{home, progress};
use anyhow::Context;
use firedrill_core::drill::{Drill, Written};
use firedrill_core::ids::RunId;
use firedrill_core::sla::Sla;
use firedrill_engine::boot::{BootError, read_topology};
use firedrill_engine::docker::Engine;
use firedrill_engine::guard;
use firedrill_engine::prepare::PrepareError;
use firedrill_engine::progress::Progress;
use firedrill_runner::rundir::new_run_id;
use firedrill_runner::{DrillError, Executed, Session, SessionError, SessionOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Runs a drill from a file.
pub(crate) async fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let written = home::drill(&args.drill).map_err(Failure::usage)?;
    let drill = &written.drill;
    if let Some(standing) = &args.on {
        return run_on(args, &written, &RunId::new(standing.clone())).await;
    }
    let topology = args.topology.clone().unwrap_or_else(|| drill.topology.clone());
    let folder = home::topology(&topology);
    let (_, read) = read_topology(&folder).map_err(Failure::usage)?;
    written.check_against(&read).map_err(Failure::usage)?;
    let sla_name = args.sla.clone().unwrap_or_else(|| drill.sla.clone());
    let sla = home::sla(&sla_name).map_err(Failure::usage)?;
    let seed = args.seed.unwrap_or_else(rand_seed);
    let replay = format!("firedrill run {} --topology {topology} --sla {sla_name} --seed {seed}", args.drill);
    execute(folder, drill, &sla, seed, &replay).await
}

/// Runs a drill on a stack that stands, and leaves it standing.
async fn run_on(args: &RunArgs, written: &Written, run: &RunId) -> Result<Exit, Failure> {
    let drill = &written.drill;
    let sla_name = args.sla.clone().unwrap_or_else(|| drill.sla.clone());
    let sla = home::sla(&sla_name).map_err(Failure::usage)?;
    let seed = args.seed.unwrap_or_else(rand_seed);
    let replay = format!("firedrill run {} --on {run} --sla {sla_name} --seed {seed}", args.drill);
    let progress = progress::display();
    let interrupt = on_interrupt(Arc::clone(&progress));
    let options = options(home::topology(&drill.topology))?;
    let session = Session::attach(options, run).await.map_err(refused)?;
    written.check_against(&session.stack.topology).map_err(Failure::usage)?;
    let executed = session.drill(drill, &sla, seed, &replay, interrupt, progress.as_ref()).await;
    let closed = session.close().await;
    conclude(&executed?, closed)
}

pub(super) fn options(topology_folder: PathBuf) -> Result<SessionOptions, Failure> {
    let options = SessionOptions {
        events: home::events(&topology_folder),
        topology_folder,
        journeys: home::journeys(),
        runs: home::runs(),
        guard_program: Some(std::env::current_exe()?.into_os_string()),
    };
    writable(&options.runs)?;
    Ok(options)
}

pub(super) fn rand_seed() -> u64 {
    // Short enough to be typed.
    u64::from(std::process::id()) ^ (std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos().into()))
}

/// Boots, drills, removes, and says the verdict. Ctrl-C and SIGTERM end the drill early and cleanly.
async fn execute(folder: PathBuf, drill: &Drill, sla: &Sla, seed: u64, replay: &str) -> Result<Exit, Failure> {
    let progress = progress::display();
    let interrupt = on_interrupt(Arc::clone(&progress));
    let options = options(folder)?;
    let stacks = options.stacks();
    let run = new_run_id();
    let mut interrupted = interrupt.clone();
    let booted = tokio::select! {
        booted = Session::boot(options, run.clone(), progress.as_ref()) => Some(booted),
        _ = interrupted.wait_for(|interrupted| *interrupted) => None,
    };
    let Some(booted) = booted else {
        guard::clean_up(&Engine::connect().await?, &stacks, &run).await.map_err(Failure::residue)?;
        return Err(anyhow::anyhow!("interrupted while booting; everything was removed").into());
    };
    let session = booted.map_err(refused)?;
    let executed = session.drill(drill, sla, seed, replay, interrupt, progress.as_ref()).await;
    progress.begin("removing the stack");
    let closed = session.close().await;
    progress.end("removing the stack", if closed.is_ok() { "nothing left" } else { "something is left" });
    let executed = executed.map_err(|error: DrillError| Failure::from(error))?;
    conclude(&executed, closed)
}

/// A run whose results cannot be kept is refused before it begins.
fn writable(runs: &Path) -> anyhow::Result<()> {
    let probe = runs.join(format!(".writable-{}", std::process::id()));
    let written = std::fs::create_dir_all(runs)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe));
    written
        .with_context(|| format!("the folder {} cannot be written; set FIREDRILL_RUNS to one that can", runs.display()))
}

fn conclude(executed: &Executed, closed: Result<(), SessionError>) -> Result<Exit, Failure> {
    show(&executed.verdict);
    println!("report: {}", shown(&executed.dir.report()));
    println!("again:  firedrill check {}", shown(executed.dir.path()));
    closed.map_err(Failure::residue)?;
    if !executed.residue.is_empty() {
        let left = executed.residue.join("; ");
        return Err(Failure::residue(anyhow::anyhow!("faults left something on the nodes: {left}")));
    }
    Ok(executed.verdict.conclusion.into())
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A wrong topology is the caller's; everything else could not be run.
pub(super) fn refused(error: SessionError) -> Failure {
    match error {
        SessionError::Boot(
            BootError::Topology(_)
            | BootError::Read { .. }
            | BootError::Prepare(PrepareError::Refused { .. } | PrepareError::Events(_)),
        ) => Failure::usage(error),
        SessionError::NoStack { .. } | SessionError::Busy { .. } => Failure::usage(error),
        SessionError::Residue(_) => Failure::residue(error),
        _ => error.into(),
    }
}

/// Turns true at the first Ctrl-C or SIGTERM. A second one ends the process at once; the guard cleans up.
pub(super) fn on_interrupt(progress: Arc<dyn Progress>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        for round in 0..2 {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if round == 1 {
                std::process::exit(130);
            }
            progress
                .note("interrupted: ending the drill, undoing faults and judging what there is (again to end at once)");
            let _ = sender.send(true);
        }
    });
    receiver
}
