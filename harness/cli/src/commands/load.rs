//! `load`: purchases against any Pretix, without a drill.

use crate::args::LoadArgs;
use crate::exit::{Exit, Failure};
use anyhow::{Context, Result, bail};
use firedrill_load::{ApiToken, Entry, RunClock, Scheme, Settings, Snapshot, Target, Trust, preflight, start};
use firedrill_runner::rundir::new_run_id;
use std::io::IsTerminal;
use std::net::ToSocketAddrs;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the first look at the shop may take.
const PREFLIGHT_DEADLINE: Duration = Duration::from_secs(10);

/// Buys for a while and prints what came of it. Exit code 1 where a purchase failed.
pub(crate) async fn load(args: &LoadArgs) -> Result<Exit, Failure> {
    let target = target(args).map_err(Failure::usage)?;
    preflight(&target, PREFLIGHT_DEADLINE).await?;
    let settings = Settings {
        model: firedrill_load::settings::even(args.rate).map_err(Failure::usage)?,
        buyers: args.buyers,
        patience_ms: 45_000,
        attempt_timeout_ms: 10_000,
        connect_timeout_ms: firedrill_load::settings::CONNECT_TIMEOUT_MS,
        seed: u64::from(std::process::id()),
        run: new_run_id(),
    };
    settings.check().map_err(Failure::usage)?;
    let (sender, mut receiver) = mpsc::channel(4096);
    // Nobody wants the records of a load without a run; the figures are kept by the load itself.
    let sink = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
    let load = start(&target, &settings, RunClock::start(), sender)?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let end = tokio::time::sleep(Duration::from_secs(args.duration_s));
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = tokio::signal::ctrl_c() => break,
            _ = ticks.tick() => {
                let figures = load.snapshot();
                if std::io::stderr().is_terminal() {
                    eprint!("\r{}\x1b[K", line(&figures));
                } else {
                    eprintln!("{}", line(&figures));
                }
            }
        }
    }
    let drained = load.stop(Duration::from_secs(60)).await;
    sink.await.context("the records could not be taken")?;
    let figures = drained.snapshot;
    println!("\n{}", line(&figures));
    let lag = figures.start_lag;
    println!("start lag p50 {} us, p99 {} us, max {} us", lag.p50_us, lag.p99_us, lag.max_us);
    let failed = figures.gave_up + figures.rejected + figures.refused;
    println!("{} acknowledged, {} sold out, {failed} failed", figures.acknowledged, figures.sold_out);
    Ok(if failed == 0 && figures.acknowledged > 0 { Exit::Certified } else { Exit::Violated })
}

fn line(figures: &Snapshot) -> String {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
    format!(
        "{:>6.0} s  {} acknowledged, {}/s, {} errors/s, {} under way, p50 {}, p99 {}",
        figures.at.as_s(),
        figures.acknowledged,
        figures.acks_last_s,
        figures.errors_last_s,
        figures.in_flight,
        ms(figures.latency_p50_ms),
        ms(figures.latency_p99_ms)
    )
}

fn target(args: &LoadArgs) -> Result<Target> {
    let mut entries = Vec::new();
    let mut host = args.host.clone();
    for url in &args.urls {
        let (scheme, rest, port) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (Scheme::Http, rest, 80),
            (_, Some(rest)) => (Scheme::Https, rest, 443),
            _ => bail!("{url}: only http:// and https:// URLs are understood"),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() {
            bail!("{url}: the URL has no host");
        }
        let with_port = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:{port}") };
        let mut addresses =
            with_port.to_socket_addrs().with_context(|| format!("{url}: the host cannot be resolved"))?;
        let addr = addresses.next().with_context(|| format!("{url}: the host has no address"))?;
        entries.push(Entry { name: authority.into(), addr, scheme });
        host.get_or_insert_with(|| authority.to_owned());
    }
    let price_cents = firedrill_load::money::parse_cents(&args.price);
    Ok(Target {
        entries,
        host_header: host.unwrap_or_default(),
        organizer: args.organizer.clone(),
        event: args.event.clone(),
        item_id: args.item,
        price_cents: price_cents
            .with_context(|| format!("{:?} is not a price: write for example 23.00", args.price))?,
        api_token: ApiToken::new(args.token.clone()),
        trust: Trust::Public,
    })
}
