//! How punctual the fault `delay` is: packets from one container of the cache laboratory to another, asked for
//! 50 +- 10 ms one way, with the machine idle and with every core busy. Prints a table for
//! `docs/delay-accuracy.md`.
//!
//!     cargo run --release -p firedrill-engine --example delay

use firedrill_core::fault::{Fault, Target};
use firedrill_core::ids::{NodeName, RunId, StepId};
use firedrill_engine::boot::{Plan, boot};
use firedrill_engine::docker::Engine;
use firedrill_engine::faults::{Injection, Site};
use firedrill_engine::progress::Silent;
use firedrill_engine::recorder::Recorder;
use firedrill_engine::stack::Stack;
use firedrill_engine::{labels, residue};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PACKETS: u32 = 2_000;
const PER_S: u32 = 100;
const FAULT: &str = r#"{"delay": {"delay_ms": 50, "jitter_ms": 10}}"#;

/// The receiver prints the one-way times in microseconds: both ends read the same clock of the same kernel.
const RECEIVE: &str = "
import socket, struct, time
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS: when the kernel had it
link.bind(('', 7777))
link.settimeout(10)
try:
    while True:
        data, notes, _, _ = link.recvmsg(64, 64)
        link.settimeout(2)
        seconds, ns = struct.unpack('qq', notes[0][2])
        number, sent = struct.unpack('!QQ', data)
        print(number, (seconds * 1_000_000_000 + ns - sent) // 1000)
except TimeoutError:
    pass
";

const SEND: &str = "
import socket, struct, sys, time
address, count, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
time.sleep(1)
begin = time.monotonic()
for number in range(count):
    time.sleep(max(0, begin + number / rate - time.monotonic()))
    link.sendto(struct.pack('!QQ', number, time.time_ns()), (address, 7777))
";

struct Series {
    name: String,
    times_us: Vec<i64>,
    overtaken: usize,
}

async fn measure(stack: &Stack, name: &str, per_s: u32) -> Result<Series, Box<dyn Error>> {
    let node = |name: &str| stack.node(&NodeName::new(name)).ok_or("no such node");
    let (from, to) = (node("redis2")?, node("redis1")?);
    let address = to.addresses.first().ok_or("no address")?.to_string();
    let (count, rate) = (PACKETS.to_string(), per_s.to_string());
    let deadline = Duration::from_secs(120);
    let receive = ["python3", "-c", RECEIVE];
    let send = ["python3", "-c", SEND, &address, &count, &rate];
    let (received, sent) = tokio::join!(
        stack.engine.exec_ok(&to.container, &receive, &[], deadline),
        stack.engine.exec_ok(&from.container, &send, &[], deadline)
    );
    sent?;
    let received = received?;
    let pairs: Vec<(u64, i64)> = received
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(number, us)| Some((number.parse().ok()?, us.parse().ok()?)))
        .collect();
    let overtaken = pairs.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
    let mut times_us: Vec<i64> = pairs.into_iter().map(|(_, us)| us).collect();
    times_us.sort_unstable();
    Ok(Series { name: name.to_owned(), times_us, overtaken })
}

/// Largest distance between what was measured and the uniform distribution from 40 to 60 ms, in percent
/// (Kolmogorov and Smirnov).
fn distance_percent(times_us: &[i64]) -> f64 {
    let count = times_us.len() as f64;
    let asked = |us: i64| ((us as f64 - 40_000.0) / 20_000.0).clamp(0.0, 1.0);
    let steps = times_us.iter().enumerate();
    let distance = steps.map(|(i, us)| {
        let wanted = asked(*us);
        (wanted - i as f64 / count).abs().max((wanted - (i + 1) as f64 / count).abs())
    });
    distance.fold(0.0, f64::max) * 100.0
}

fn print(series: &[Series]) {
    println!("| | packets | min | p1 | p10 | p50 | p90 | p99 | max | mean | overtaken | from uniform |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for Series { name, times_us, overtaken } in series {
        let count = times_us.len();
        let ms = |us: i64| format!("{:.2}", us as f64 / 1e3);
        let at = |percent: usize| times_us.get((count * percent / 100).min(count.saturating_sub(1))).copied();
        let points = [0, 1, 10, 50, 90, 99, 100].map(|percent| ms(at(percent).unwrap_or(0)));
        let mean = ms(times_us.iter().sum::<i64>() / count.max(1) as i64);
        let distance = distance_percent(times_us);
        println!("| {name} | {count} | {} | {mean} | {overtaken} | {distance:.1} % |", points.join(" | "));
    }
}

/// Threads that use up every core.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {});
        }
        Self(stop)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn series(stack: &Stack, site: Site<'_>) -> Result<Vec<Series>, Box<dyn Error>> {
    let mut all = vec![measure(stack, "no fault", PER_S).await?];
    let undo = std::env::temp_dir().join(format!("firedrill-delay-{}", std::process::id()));
    let recorder = Recorder::discard();
    let fault: Fault = serde_json::from_str(FAULT)?;
    let mut injection = Injection::new(site, &recorder, &undo, &fault, &Target::node("redis2"));
    injection.arm(|_| 0, &[]).await?;
    let fired = injection.fire(None).await;
    let measured = async {
        fired?;
        all.push(measure(stack, "idle, 100 packets/s", PER_S).await?);
        all.push(measure(stack, "idle, 1,000 packets/s", 10 * PER_S).await?);
        let busy = Busy::start();
        all.push(measure(stack, "busy, 100 packets/s", PER_S).await?);
        all.push(measure(stack, "busy, 1,000 packets/s", 10 * PER_S).await?);
        drop(busy);
        Ok(all)
    }
    .await;
    injection.heal(Duration::from_secs(30)).await?;
    std::fs::remove_dir_all(&undo)?;
    measured
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let engine = Engine::connect().await?;
    let run = RunId::new(format!("delay-{}", std::process::id()));
    let plan = Plan {
        run: run.clone(),
        owner: labels::this_process(),
        topology_folder: root.join("fixtures/topologies/cache"),
        events: root.join("fixtures/events/pretix-ha.yaml"),
    };
    let booted = boot(&engine, &plan, &Recorder::discard(), &Silent).await;
    let measured = match &booted {
        Ok(booted) => {
            let candidates = booted.observer.candidates();
            let site = Site {
                stack: &booted.stack,
                step: StepId(0),
                candidates: &candidates,
                observer: Some(&booted.observer),
                seed: 7,
            };
            series(&booted.stack, site).await
        }
        Err(error) => Err(error.to_string().into()),
    };
    drop(booted);
    residue::remove(&engine, &run).await?;
    println!("Kernel {}, {} cores, Docker {}\n", engine.host.kernel, engine.host.cores, engine.host.engine);
    print(&measured?);
    Ok(())
}
