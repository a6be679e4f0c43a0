//! `load`: purchases against any Pretix, without a drill.

use super::drill::{on_interrupt, rand_seed, shown};
use crate::args::LoadArgs;
use crate::exit::{Exit, Failure};
use crate::{home, progress};
use anyhow::{Context, Result, bail};
use firedrill_core::load::{Curve, Gaps, Journey, Load, Mix, Users};
use firedrill_load::stats::{Breakdown, Percentiles};
use firedrill_load::{ApiToken, Entry, Item, LoadView, Scheme, Snapshot, Target, Trust, Uses, preflight};
use firedrill_runner::journeys;
use firedrill_runner::standalone::{Ran, Standalone};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::net::ToSocketAddrs;
use std::time::Duration;

/// How long the first look at the shop may take.
const PREFLIGHT_DEADLINE: Duration = Duration::from_secs(10);

/// Without a terminal the figures are told this often, in seconds.
const LINE_EVERY_S: u64 = 5;

/// Buys for a while and prints what came of it. Exit code 1 where the agreement was broken, 2 where the load
/// generator itself did not do what was asked.
pub(crate) async fn load(args: &LoadArgs) -> Result<Exit, Failure> {
    let target = target(args).map_err(Failure::usage)?;
    let mix = home::mix(&args.journey).map_err(Failure::usage)?;
    let journeys = journeys::read(&home::journeys(), &mix).map_err(Failure::usage)?;
    let sla = home::sla(&args.sla).map_err(Failure::usage)?;
    let load = asked(args, mix, &journeys).map_err(Failure::usage)?;
    let uses = Uses::of(journeys.iter().map(|(journey, _)| journey));
    preflight(&target, uses, PREFLIGHT_DEADLINE).await?;
    let standalone = Standalone {
        target,
        load,
        journeys,
        length: Duration::from_secs(args.duration_s),
        seed: args.seed.unwrap_or_else(rand_seed),
        runs: home::runs(),
        sla,
    };
    let interrupt = on_interrupt(progress::display());
    let mut second = 0;
    let ran = standalone
        .run(interrupt, |view| {
            tell(view, second);
            second += 1;
        })
        .await?;
    let _ = writeln!(std::io::stderr());
    if args.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&ran, &standalone)).map_err(anyhow::Error::from)?);
    } else {
        print!("{}", summary(&ran));
    }
    Ok(match (&ran.drained.void, ran.broken.is_empty()) {
        (Some(_), _) => Exit::Inconclusive,
        (None, true) => Exit::Certified,
        (None, false) => Exit::Violated,
    })
}

/// The load as asked for: users where they are named or the journey has them and no rate is given.
fn asked(args: &LoadArgs, mix: Mix, journeys: &[(Journey, u32)]) -> Result<Load> {
    let own = match journeys {
        [(journey, _)] => journey.users,
        _ => None,
    };
    let users = match (args.users, args.rate, own) {
        (Some(count), None, own) => {
            let hatch_per_s = args.hatch.or(own.map(|own| own.hatch_per_s)).unwrap_or(10.0);
            Some(Users { count, hatch_per_s, rounds: args.rounds, think_ms: args.think_ms })
        }
        (None, None, Some(own)) => {
            let count = (f64::from(own.count) * args.peak).round().max(1.0) as u32;
            Some(Users { count, hatch_per_s: args.hatch.unwrap_or(own.hatch_per_s), ..own })
        }
        (Some(_), Some(_), _) => bail!("--users and --rate: a load has users or a rate, not both"),
        (None, ..) => None,
    };
    let rate_per_s = args.rate.unwrap_or(1.0);
    let load = Load {
        journey: mix,
        rate_per_s,
        profile: match (&args.profile, args.ramp_s) {
            (Some(name), _) => home::profile(name)?,
            (None, Some(ramp_s)) => Curve::ramp(ramp_s).to_vec(),
            (None, None) => Vec::new(),
        },
        gaps: if args.poisson { Gaps::Poisson } else { Gaps::Even },
        users,
        buyers: args.buyers,
        event: args.event.clone(),
        item: home::mix(&args.item)?,
        patience_ms: args.patience_s * 1_000,
        attempt_timeout_ms: args.timeout_s * 1_000,
    };
    load.check().map_err(anyhow::Error::msg)?;
    if load.users.is_none() && rate_per_s == 0.0 {
        bail!("--rate is 0: nobody would buy");
    }
    Ok(load)
}

/// The live figures: one line that is written over on a terminal, a line every few seconds elsewhere.
fn tell(view: &LoadView, second: u64) {
    let line = line(&view.snapshot());
    if std::io::stderr().is_terminal() {
        eprint!("\r{line}\x1b[K");
    } else if second.is_multiple_of(LINE_EVERY_S) {
        eprintln!("{line}");
    }
}

fn line(figures: &Snapshot) -> String {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
    format!(
        "{:>6.0} s  {} sold, {}/s, {} errors/s, {} users, p50 {}, p99 {}",
        figures.at.as_s(),
        figures.acknowledged,
        figures.acks_last_s,
        figures.errors_last_s,
        figures.users_active,
        ms(figures.latency_p50_ms),
        ms(figures.latency_p99_ms)
    )
}

/// What people read at the end.
fn summary(ran: &Ran) -> String {
    let (figures, breakdown) = (&ran.drained.snapshot, &ran.drained.breakdown);
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(
        text,
        "{} due, {} sold, {} sold out, {} rejected, {} gave up, {} found no free buyer, {} begun late",
        figures.arrivals,
        figures.acknowledged,
        figures.sold_out,
        figures.rejected,
        figures.gave_up,
        figures.refused,
        figures.late
    );
    let _ = writeln!(text, "\n{:<28} {:>8} {:>40} {:>40}", "", "count", "from the due time (ms)", "service alone (ms)");
    let header = format!("{:>9} {:>9} {:>9} {:>10}", "p50", "p95", "p99", "max");
    let _ = writeln!(text, "{:<28} {:>8} {header:>40} {header:>40}", "", "");
    for (name, latency, service) in rows(breakdown) {
        let four =
            |p: &Percentiles| format!("{:>9.1} {:>9.1} {:>9.1} {:>10.1}", p.p50_ms, p.p95_ms, p.p99_ms, p.max_ms);
        let _ = writeln!(text, "{name:<28} {:>8} {:>40} {:>40}", latency.count, four(&latency), four(&service));
    }
    let lag = figures.start_lag;
    let _ = writeln!(text, "\nstart lag p50 {} us, p99 {} us, max {} us", lag.p50_us, lag.p99_us, lag.max_us);
    let errors: Vec<String> = figures.by_kind.counted().iter().map(|(name, count)| format!("{count} {name}")).collect();
    let _ = writeln!(text, "errors: {}", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") });
    if let Some(void) = &ran.drained.void {
        let _ = writeln!(text, "VOID: {void}");
    }
    for broken in &ran.broken {
        let _ = writeln!(text, "broken: {broken}");
    }
    let _ = writeln!(text, "records: {}", shown(&ran.dir.history()));
    text
}

/// Whole operations first, then the groups by name.
fn rows(breakdown: &Breakdown) -> Vec<(&str, Percentiles, Percentiles)> {
    let whole = breakdown.operations.whole;
    let groups = breakdown.groups.iter().map(|(name, group)| {
        let whole = group.figures.whole;
        (name.as_str(), whole.latency, whole.service)
    });
    std::iter::once(("whole operations", whole.latency, whole.service)).chain(groups).collect()
}

/// The same for machines.
fn as_json(ran: &Ran, asked: &Standalone) -> serde_json::Value {
    let figures = &ran.drained.snapshot;
    let percentiles = |p: Percentiles| serde_json::json!({"count": p.count, "p50_ms": p.p50_ms, "p95_ms": p.p95_ms, "p99_ms": p.p99_ms, "max_ms": p.max_ms});
    let groups: BTreeMap<&str, serde_json::Value> = rows(&ran.drained.breakdown)
        .into_iter()
        .map(|(name, latency, service)| {
            (name, serde_json::json!({"latency": percentiles(latency), "service": percentiles(service)}))
        })
        .collect();
    serde_json::json!({
        "load": asked.load,
        "sla": asked.sla.name,
        "seed": asked.seed,
        "due": figures.arrivals,
        "sold": figures.acknowledged,
        "sold_out": figures.sold_out,
        "rejected": figures.rejected,
        "gave_up": figures.gave_up,
        "refused": figures.refused,
        "late": figures.late,
        "exchanges": figures.attempts,
        "errors": figures.by_kind.counted().into_iter().collect::<BTreeMap<_, _>>(),
        "start_lag_us": {"p50": figures.start_lag.p50_us, "p99": figures.start_lag.p99_us, "max": figures.start_lag.max_us},
        "timing": groups,
        "void": ran.drained.void,
        "broken": ran.broken,
        "history": ran.dir.history(),
    })
}

fn target(args: &LoadArgs) -> Result<Target> {
    let mut entries = Vec::new();
    let mut host = args.host.clone();
    for url in &args.urls {
        let (scheme, port, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (Scheme::Http, 80, rest),
            (_, Some(rest)) => (Scheme::Https, 443, rest),
            _ => bail!("{url}: the URL must begin with http:// or https://"),
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
    let price_cents = firedrill_load::money::parse_cents(&args.price)
        .with_context(|| format!("{:?} is not a price: write for example 23.00", args.price))?;
    let mix = home::mix(&args.item)?;
    let items = mix.parts().into_iter().map(|(id, weight)| {
        let id = id.parse().with_context(|| format!("--item {id:?}: an item has a number"))?;
        Ok((Item { id, price_cents }, weight))
    });
    Ok(Target {
        entries,
        host_header: host.unwrap_or_default(),
        organizer: args.organizer.clone(),
        event: args.event.clone(),
        items: items.collect::<Result<_>>()?,
        api_token: ApiToken::new(args.token.clone()),
        trust: match (&args.ca, args.insecure) {
            (Some(_), true) => bail!("--ca and --insecure: either certificates are checked, or not"),
            (Some(file), false) => Trust::PublicAnd(file.clone()),
            (None, true) => Trust::Insecure,
            (None, false) => Trust::Public,
        },
    })
}
