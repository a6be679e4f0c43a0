//! `doctor`: whether this machine can run drills.

use crate::exit::{Exit, Failure};
use firedrill_engine::docker::Engine;
use firedrill_engine::prepare::cache_folder;
use firedrill_engine::{labels, residue};

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
