//! How late faults are: the instant at which the injecting call has returned, minus the planned instant.
//!
//!     bash harness/engine/benches/injection.sh [N [FAULT...]]
//!
//! Boots `fixtures/topologies/cache` and injects each fault N times. A FAULT is written as in a drill file,
//! for example `{fault: pause, target: node(redis2)}`. For `kill` and `stop` the end of the node's first
//! process is measured too, as this machine's kernel tells it (as root, with a local engine).

use firedrill_core::fault::{Fault, Phase, Target};
use firedrill_core::history::{At, Event};
use firedrill_core::ids::{RunId, StepId};
use firedrill_engine::boot::{Booted, Plan, boot};
use firedrill_engine::docker::Engine;
use firedrill_engine::faults::{Injection, Site};
use firedrill_engine::guard::{Guard, Watch};
use firedrill_engine::progress::Silent;
use firedrill_engine::recorder::Recorder;
use firedrill_engine::{labels, residue};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

type Failure = Box<dyn Error + Send + Sync>;

/// How far ahead the instant is planned.
const AHEAD: Duration = Duration::from_millis(100);

/// How long the stack may take to be whole between two injections, and an undo to show.
const DEADLINE: Duration = Duration::from_secs(60);

const DEFAULT: [&str; 5] = [
    "{fault: kill, target: node(redis2)}",
    "{fault: kill-process, target: node(redis2)}",
    "{fault: freeze-process, target: node(redis2)}",
    "{fault: pause, target: node(redis2)}",
    "{fault: stop, target: node(redis2)}",
];

/// What is measured.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    fault: Fault,
    target: Target,
}

/// Milliseconds after the planned instant.
#[derive(Debug, Default)]
struct Lags {
    /// The injecting call has returned.
    returned: Vec<f64>,
    /// The first process of the node has ended.
    ended: Vec<f64>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let firedrill = args.next().ok_or("the first argument is the path of the firedrill binary")?;
    let count: usize = args.next().map_or(Ok(200), |text| text.parse())?;
    let texts: Vec<String> = args.collect();
    let texts = if texts.is_empty() { DEFAULT.map(str::to_owned).to_vec() } else { texts };
    let subjects = texts.iter().map(|text| serde_saphyr::from_str(text)).collect::<Result<Vec<Subject>, _>>()?;
    let engine = Engine::connect().await?;
    let run = RunId::new(format!("lag-{}", std::process::id()));
    let stacks = std::env::temp_dir().join("firedrill-lag");
    let guard = Guard::start(firedrill.as_ref(), &Watch { run: run.clone(), stacks, keep: false })?;
    let measured = measure_all(&engine, &run, &subjects, count).await;
    residue::remove(&engine, &run).await?;
    guard.dismiss();
    measured
}

async fn measure_all(engine: &Engine, run: &RunId, subjects: &[Subject], count: usize) -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let plan = Plan {
        run: run.clone(),
        owner: labels::this_process(),
        topology_folder: root.join("fixtures/topologies/cache"),
        events: root.join("fixtures/events/pretix-ha.yaml"),
    };
    let booted = boot(engine, &plan, &Recorder::discard(), &Silent).await?;
    println!("| fault | n | returned after (ms): p50 | p99 | max | node ended after (ms): p50 | p99 | max |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for subject in subjects {
        let mut lags = Lags::default();
        for _ in 0..count {
            measure(&booted, subject, &mut lags).await?;
        }
        let (returned, ended) = (columns(&mut lags.returned), columns(&mut lags.ended));
        println!("| {} | {count} | {returned} | {ended} |", subject.fault);
    }
    Ok(())
}

/// One injection: armed, planned, awaited, fired, undone.
async fn measure(booted: &Booted, subject: &Subject, lags: &mut Lags) -> Result<(), Failure> {
    booted.observer.wait_whole(DEADLINE).await?;
    let undo = tempfile::tempdir()?;
    let candidates = booted.observer.candidates();
    let site = Site {
        stack: &booted.stack,
        step: StepId(0),
        candidates: &candidates,
        observer: Some(&booted.observer),
        seed: 7,
    };
    let origin = Instant::now();
    let phases: Arc<Mutex<BTreeMap<String, At>>> = Arc::default();
    let kept = Arc::clone(&phases);
    let now = move || At(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let recorder = Recorder::new(now, move |event| {
        if let Event::Fault(event) = event {
            kept.lock().unwrap_or_else(PoisonError::into_inner).insert(event.phase.to_string(), event.at);
        }
    });
    let mut injection = Injection::new(site, &recorder, undo.path(), &subject.fault, &subject.target);
    injection.arm(|_| 0, &[]).await?;
    let ends = matches!(subject.fault, Fault::Kill | Fault::Stop(_));
    let watch = if ends { end_of_first_process(booted, &injection).await } else { None };
    let planned = tokio::time::Instant::now() + AHEAD;
    sleep_until(planned).await;
    let fired = injection.fire(None).await;
    injection.heal(DEADLINE).await?;
    fired?;
    let planned = planned.into_std();
    let returned = phases.lock().unwrap_or_else(PoisonError::into_inner).get(&Phase::Injected.to_string()).copied();
    let returned = returned.ok_or("it was not injected")?;
    let planned_ns = planned.duration_since(origin).as_nanos();
    lags.returned.push((returned.0 as f64 - planned_ns as f64) / 1e6);
    if let Some(watch) = watch {
        lags.ended.push(watch.await?.duration_since(planned).as_secs_f64() * 1e3);
    }
    Ok(())
}

/// Waits for the end of the node's first process, where this machine's kernel runs it.
async fn end_of_first_process(booted: &Booted, injection: &Injection<'_>) -> Option<JoinHandle<Instant>> {
    let node = booted.stack.node(injection.nodes().first()?)?;
    let inspected = booted.stack.engine.docker.inspect_container(&node.container, None).await.ok()?;
    let pid = i32::try_from(inspected.state?.pid?).ok()?;
    let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    Some(tokio::task::spawn_blocking(move || {
        // Readable means ended; an error would mean that there is nothing to wait for.
        let _ = poll(&mut [PollFd::new(&held, PollFlags::IN)], None);
        Instant::now()
    }))
}

/// p50, p99 and the largest, as columns of a table.
fn columns(values: &mut [f64]) -> String {
    if values.is_empty() {
        return "- | - | -".to_owned();
    }
    values.sort_by(f64::total_cmp);
    let rank = |share: f64| {
        let rank = (share * values.len() as f64).ceil() as usize;
        values[rank.clamp(1, values.len()) - 1]
    };
    format!("{:.2} | {:.2} | {:.2}", rank(0.5), rank(0.99), rank(1.0))
}
