//! Measures the load generator itself, by the same buyers, connections and records as a drill's load.
//!
//! ```text
//! bench_load get URL [CONNECTIONS [SECONDS]]     GETs of a page, closed model
//! bench_load step URL [CONNECTIONS [SECONDS]]    orders with cookies, JSON and a history on disk, closed model
//! bench_load open URL RATE [SECONDS [BUYERS]]    GETs at a rate, open model: start lag and latency
//! bench_load users URL COUNT                     memory of a virtual user: idle, and in use
//! bench_load memory COUNT pages|assets           memory of a buyer in the browser, with a page open
//! ```
//!
//! Prints one JSON object. `cpu_s_per_100k` is user plus system time of this process, for all that it does.

mod browser;
mod journeys;
mod measure;

use firedrill_core::history::Event;
use firedrill_core::ids::RunId;
use firedrill_load::model::{Model, Users};
use firedrill_load::settings::{CONNECT_TIMEOUT_MS, even};
use firedrill_load::{ApiToken, Drained, Entry, Item, RunClock, Scheme, Settings, Target, Trust, run};
use journeys::{Get, Step};
use measure::{Sink, Usage, rss_kb};
use serde_json::{Value, json};
use std::error::Error;
use std::net::ToSocketAddrs;
use std::time::Duration;
use tokio::sync::mpsc;

type Failed = Box<dyn Error + Send + Sync>;

/// The channel of records, as a drill's.
const CHANNEL: usize = 65_536;

/// Buyers of the open model, for each purchase per second: a shop may stall for 2 s until one is refused.
const BUYERS_PER_RATE: f64 = 2.0;

/// How long the last operations may take, once the time is over.
const DRAIN: Duration = Duration::from_secs(30);

const USAGE: &str = "bench_load get|step URL [CONNECTIONS [SECONDS]] | open URL RATE [SECONDS [BUYERS]] | users URL COUNT | memory COUNT pages|assets";

fn main() -> Result<(), Failed> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // As many workers as the machine, or `taskset`, allows: what `firedrill` itself uses.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work(&args))?;
    println!("{result}");
    Ok(())
}

async fn work(args: &[String]) -> Result<Value, Failed> {
    let number = |index: usize, default: f64| args.get(index).map_or(Ok(default), |text| text.parse::<f64>());
    match (args.first().map(String::as_str), args.get(2).map(String::as_str)) {
        (Some("memory"), Some(what @ ("pages" | "assets"))) => {
            return browser::memory(number(1, 1_000.0)? as u32, what == "assets").await;
        }
        (Some("serve"), _) => return browser::serve().await,
        _ => {}
    }
    let (Some(mode), Some(url)) = (args.first(), args.get(1)) else { return Err(USAGE.into()) };
    let place = Place::parse(url)?;
    match mode.as_str() {
        "get" => closed(place, number(2, 50.0)? as u32, number(3, 10.0)?, false).await,
        "step" => closed(place, number(2, 50.0)? as u32, number(3, 10.0)?, true).await,
        "open" => {
            let rate = number(2, 2_000.0)?;
            let buyers = number(4, (rate * BUYERS_PER_RATE).max(120.0))? as u32;
            open(place, rate, number(3, 10.0)?, buyers).await
        }
        "users" => users(place, number(2, 1_000.0)? as u32).await,
        _ => Err(USAGE.into()),
    }
}

/// Where to, in the parts that the load generator takes.
struct Place {
    target: Target,
    path: String,
}

impl Place {
    fn parse(url: &str) -> Result<Self, Failed> {
        let (scheme, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (Scheme::Http, rest),
            (_, Some(rest)) => (Scheme::Https, rest),
            _ => return Err(format!("{url}: give a URL with http:// or https:// and a port").into()),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let addr = authority.to_socket_addrs()?.next().ok_or("the host has no address")?;
        if !addr.ip().is_loopback() {
            return Err(format!("{addr} is not this machine: the benchmark loads 127.0.0.1 only").into());
        }
        let target = Target {
            entries: vec![Entry { name: "bench".into(), addr, scheme }],
            host_header: authority.to_owned(),
            organizer: "org".to_owned(),
            event: "fair".to_owned(),
            items: vec![(Item { id: 1, price_cents: 2_300 }, 1)],
            api_token: ApiToken::new("token"),
            // The benchmark's own server has a certificate that nobody signed.
            trust: Trust::Insecure,
        };
        Ok(Self { target, path: format!("/{path}") })
    }
}

fn settings(model: Model, buyers: u32) -> Settings {
    Settings {
        model,
        buyers,
        patience_ms: 45_000,
        attempt_timeout_ms: 10_000,
        connect_timeout_ms: CONNECT_TIMEOUT_MS,
        seed: 1,
        run: RunId::new("bench"),
    }
}

fn all_at_once(count: u32, think_ms: u64) -> Model {
    Model::Closed(Users { count, hatch_per_s: 20_000.0, rounds: 0, think_ms })
}

/// N users who begin again at once, for some seconds.
async fn closed(place: Place, connections: u32, seconds: f64, is_step: bool) -> Result<Value, Failed> {
    let settings = settings(all_at_once(connections, 0), connections);
    let (sender, receiver) = mpsc::channel(CHANNEL);
    let clock = RunClock::start();
    let before = Usage::now()?;
    let (sink, load) = if is_step {
        let journey = Step::new(place.path, connections);
        (Sink::history()?.start(receiver), run::start_journey(&place.target, &settings, journey, clock, sender)?)
    } else {
        (
            Sink::nothing().start(receiver),
            run::start_journey(&place.target, &settings, Get::new(place.path), clock, sender)?,
        )
    };
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let drained = load.stop(DRAIN).await;
    let passed_s = clock.now().as_s();
    let (records, bytes) = sink.join()?;
    let used_s = Usage::now()?.since(&before);
    let requests = drained.snapshot.attempts;
    let mut result = json!({
        "requests": requests,
        "requests_per_s": requests as f64 / passed_s,
        "cpu_s_per_100k": used_s * 1e5 / requests.max(1) as f64,
        "records": records,
        "bytes_per_record": bytes as f64 / records.max(1) as f64,
    });
    tell(&mut result, &drained);
    Ok(result)
}

/// A rate, whatever the server does.
async fn open(place: Place, rate: f64, seconds: f64, buyers: u32) -> Result<Value, Failed> {
    let settings = settings(even(rate)?, buyers);
    let (sender, receiver) = mpsc::channel(CHANNEL);
    let sink = Sink::nothing().start(receiver);
    let before = Usage::now()?;
    let load = run::start_journey(&place.target, &settings, Get::new(place.path), RunClock::start(), sender)?;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let drained = load.stop(DRAIN).await;
    sink.join()?;
    let mut result = json!({
        "rate": rate,
        "arrivals": drained.snapshot.arrivals,
        "refused": drained.snapshot.refused,
        "cpu_s_per_100k": Usage::now()?.since(&before) * 1e5 / drained.snapshot.attempts.max(1) as f64,
    });
    tell(&mut result, &drained);
    Ok(result)
}

/// How much memory a virtual user takes: once all have made an exchange and idle, and at the end of some
/// seconds in which each makes one a second.
async fn users(place: Place, count: u32) -> Result<Value, Failed> {
    let (sender, receiver) = mpsc::channel::<Event>(CHANNEL);
    let sink = Sink::nothing().start(receiver);
    let before_kb = rss_kb()?;
    let model = Model::Closed(Users { count, hatch_per_s: 2_000.0, rounds: 0, think_ms: 5_000 });
    let load =
        run::start_journey(&place.target, &settings(model, count), Get::new(place.path), RunClock::start(), sender)?;
    let mut kb = Vec::new();
    for rounds in [1, 4] {
        // All have been through so often; most of them think now.
        let wanted = u64::from(count) * rounds;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        while load.snapshot().attempts < wanted {
            if tokio::time::Instant::now() > deadline {
                return Err(format!("{} of {wanted} exchanges in 120 s", load.snapshot().attempts).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        kb.push((rss_kb()?.saturating_sub(before_kb)) as f64 / f64::from(count));
    }
    let drained = load.stop(DRAIN).await;
    sink.join()?;
    let mut result = json!({"users": count, "kb_per_user_idle": kb[0], "kb_per_user_used": kb[1], "rss_before_mb": before_kb / 1024});
    tell(&mut result, &drained);
    Ok(result)
}

/// What is worth knowing of every load.
fn tell(result: &mut Value, drained: &Drained) {
    let lag = drained.snapshot.start_lag;
    let whole = drained.breakdown.operations.whole;
    result["start_lag_us"] = json!({"p50": lag.p50_us, "p99": lag.p99_us, "max": lag.max_us});
    result["latency_ms"] =
        json!({"p50": whole.latency.p50_ms, "p99": whole.latency.p99_ms, "max": whole.latency.max_ms});
    result["service_ms"] =
        json!({"p50": whole.service.p50_ms, "p99": whole.service.p99_ms, "max": whole.service.max_ms});
    let errors: Vec<String> =
        drained.snapshot.by_kind.counted().iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    result["errors"] = json!(errors);
    result["void"] = json!(drained.void);
    result["peak_mb"] = json!(measure::peak_mb().ok());
}
