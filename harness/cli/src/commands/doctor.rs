//! `doctor`: whether this machine can run drills.

use crate::exit::{Exit, Failure};
use firedrill_engine::docker::Engine;
use firedrill_engine::prepare::cache_folder;
use firedrill_engine::{faults, labels, residue, toolbox};
use firedrill_runner::rundir::new_run_id;

/// 24 nodes use 3 GiB at boot and 4.4 GiB after 2,000 orders.
const MEMORY_WANTED: u64 = 6 << 30;

/// Checks everything that a run needs and says what is missing.
pub(crate) async fn doctor() -> Result<Exit, Failure> {
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(error) => {
            println!("FAIL  engine    {error}");
            return Ok(Exit::CouldNotRun);
        }
    };
    let host = &engine.host;
    let mut healthy = true;
    let mut line = |good: bool, name: &str, text: String| {
        healthy &= good;
        println!("{}  {name:<9} {text}", if good { "ok  " } else { "FAIL" });
    };
    line(true, "engine", format!("Docker {}, API {}, {}", host.engine, host.api, host.details));
    line(true, "kernel", format!("{}, {} cores", host.kernel, host.cores));
    let gib = host.memory_bytes as f64 / f64::from(1 << 30);
    line(host.memory_bytes >= MEMORY_WANTED, "memory", format!("{gib:.1} GiB (a drill of pretix-ha wants 6)"));
    let cache = cache_folder();
    let writable = std::fs::create_dir_all(&cache);
    let problem = writable.as_ref().err().map_or_else(String::new, |error| format!(": {error}"));
    line(writable.is_ok(), "cache", format!("{}{problem}", cache.display()));
    line(true, "delay", delay_backend(&engine).await);
    let runs = residue::runs(&engine).await?;
    let dead: Vec<String> =
        runs.iter().filter(|(_, owner)| !labels::owner_is_alive(owner)).map(|(run, _)| run.to_string()).collect();
    let text = if dead.is_empty() {
        format!("{} stacks of living runs", runs.len())
    } else {
        format!("dead runs left something: {}; run `firedrill reap`", dead.join(", "))
    };
    line(dead.is_empty(), "residue", text);
    Ok(if healthy { Exit::Certified } else { Exit::CouldNotRun })
}

/// What holds packets back in the faults that delay them. Either is good; it is said because the kernel's own
/// is more punctual on a busy machine.
async fn delay_backend(engine: &Engine) -> String {
    let Ok(image) = engine.docker.inspect_image(toolbox::IMAGE).await else {
        return format!("not known yet whether by tc netem: {} is built with the first stack", toolbox::IMAGE);
    };
    match faults::netem_in_kernel(engine, &image.id.unwrap_or_default(), &new_run_id()).await {
        Ok(true) => "tc netem for what leaves a node, a user-space queue for everything else".to_owned(),
        Ok(false) => "a user-space queue: this kernel has no tc netem".to_owned(),
        Err(error) => format!("not known whether by tc netem: {error}"),
    }
}
