//! Walks one journey a few times, one buyer after another, and prints every exchange: to see what a journey
//! does on a real shop.
//!
//! ```text
//! cargo run -p firedrill-load --example walk -- fixtures/journeys/web-checkout.yaml \
//!     http://127.0.0.1:8000,http://127.0.0.1:8001 localhost ORGANIZER EVENT ITEM PRICE [TIMES]
//! ```
//!
//! The API token comes from the environment (`API_TOKEN`); without one nothing that needs the API is walked.

use firedrill_core::history::{Attempt, Event, History, Operations};
use firedrill_core::ids::RunId;
use firedrill_core::load::{Journey, Load};
use firedrill_core::source::Source;
use firedrill_load::journey::Script;
use firedrill_load::money::parse_cents;
use firedrill_load::{ApiToken, Entry, Item, RunClock, Scheme, Settings, Target, Trust, start_journey};
use std::error::Error;
use std::time::Duration;
use tokio::sync::mpsc;

const USAGE: &str = "give: JOURNEY.yaml URL[,URL] HOST ORGANIZER EVENT ITEM PRICE [TIMES]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, urls, host, organizer, event, item, price, rest @ ..] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let times: u32 = rest.first().map_or(Ok(1), |times| times.parse())?;
    let entries = urls.split(',').map(|url| {
        let addr = url.trim_start_matches("http://").trim_end_matches('/');
        Ok(Entry { name: addr.into(), addr: addr.parse()?, scheme: Scheme::Http })
    });
    let target = Target {
        entries: entries.collect::<Result<_, std::net::AddrParseError>>()?,
        host_header: host.clone(),
        organizer: organizer.clone(),
        event: event.clone(),
        items: vec![(
            Item { id: item.parse()?, price_cents: parse_cents(price).ok_or("PRICE is for example 23.00")? },
            1,
        )],
        api_token: ApiToken::new(std::env::var("API_TOKEN").unwrap_or_default()),
        trust: Trust::Public,
    };
    let journey = Journey::parse(&Source::new(file.as_str(), std::fs::read_to_string(file)?))?;
    let seed = u64::from(std::process::id());
    for n in 0..times {
        // One operation begins at once, a second would ten seconds later.
        let load = Load { rate_per_s: 0.1, buyers: 1, ..Load::default() };
        let settings = Settings::of(&load, seed, RunId::new(format!("walk-{seed}-{n}")))?;
        let script = Script::new(&settings, vec![(journey.clone(), 1)])?;
        let (sender, mut records) = mpsc::channel(10_000);
        let load = start_journey(&target, &settings, script, RunClock::start(), sender)?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let drained = load.stop(Duration::from_secs(90)).await;
        let mut events = Vec::new();
        while let Ok(event) = records.try_recv() {
            if let Event::Attempt(attempt) = &event {
                println!("{}", line(attempt));
            }
            events.push(event);
        }
        for operation in Operations::of(&History::from_events(events)).iter() {
            println!("= {:?} after {:.0} ms: {:?}\n", operation.id, operation.latency_ms(), operation.outcome);
        }
        if drained.abandoned + drained.lost_buyers > 0 {
            println!("! {} abandoned, {} lost", drained.abandoned, drained.lost_buyers);
        }
    }
    Ok(())
}

fn line(attempt: &Attempt) -> String {
    format!(
        "{:>8.0} ms {:>6.0} ms  {:<8} {:<24} {:>3}  {:<24} {}",
        attempt.started.as_ms(),
        attempt.service_ms(),
        format!("{:?}", attempt.kind),
        attempt.group,
        attempt.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        format!("{:?}", attempt.outcome),
        attempt.error.as_deref().unwrap_or_default(),
    )
}
