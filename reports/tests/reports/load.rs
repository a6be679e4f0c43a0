//! The made-up history.

use firedrill_core::fault::Phase;
use firedrill_core::history::{
    At, Attempt, AttemptKind, Event, FaultEvent, History, LedgerRow, NodeState, Observation, OrderAck, Outcome, Role,
    RunHeader, RunTrailer, SourceRead, Usage,
};
use firedrill_core::ids::{BuyerId, OpId, StepId};
use firedrill_core::verdict::Outage;

/// Service is gone from here ...
pub(crate) const GONE_MS: u64 = 30_050;
/// ... to here.
pub(crate) const BACK_MS: u64 = 38_000;

/// Nodes with their tiers and their first roles.
pub(crate) const NODES: [(&str, &str, Role); 8] = [
    ("lb-1", "lb", Role::Serving),
    ("web-1", "web", Role::Serving),
    ("web-2", "web", Role::Serving),
    ("pg1", "postgres", Role::Primary),
    ("pg2", "postgres", Role::Standby),
    ("pg3", "postgres", Role::Standby),
    ("redis-1", "redis", Role::Primary),
    ("redis-2", "redis", Role::Standby),
];

/// The same numbers every time, without a generator of random ones.
fn noise(i: u64) -> u64 {
    let x = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40
}

/// A history of `n` purchases, `every_us` microseconds apart.
pub(crate) fn history(n: u64, every_us: u64) -> History {
    let header = RunHeader {
        version: firedrill_core::history::HISTORY_VERSION,
        run: "2026-03-01-smoke-7".into(),
        started: "2026-03-01T09:30:00Z".to_owned(),
        seed: 7,
        topology: "ha".to_owned(),
        drill: "smoke".to_owned(),
        rate_per_s: 1e6 / every_us as f64,
        load: None,
        observes: Vec::new(),
    };
    let mut events = vec![Event::Run(header)];
    for i in 0..n {
        purchase(i, i * every_us / 1_000, &mut events);
    }
    faults(&mut events);
    roles(&mut events);
    usage(n * every_us / 1_000_000, &mut events);
    let at = At::from_ms(n * every_us / 1_000 + 3_000);
    events.push(Event::Source(SourceRead {
        at,
        source: "pg2".into(),
        role: Role::Primary,
        complete: true,
        detail: "2,199 orders".to_owned(),
    }));
    // Everything that was confirmed is there, and one order whose buyer never knew.
    let confirmed = |event: &Event| match event {
        Event::Attempt(a) if a.outcome == Outcome::Acknowledged => Some(ledger_row(&a.code, &a.email)),
        _ => None,
    };
    let rows: Vec<Event> = events.iter().filter_map(confirmed).collect();
    events.extend(rows);
    events.push(ledger_row("FD00601", "601@example.org"));
    let records = events.len() as u64;
    events.push(Event::End(RunTrailer { at, records, samples: Vec::new() }));
    History::from_events(events)
}

fn ledger_row(code: &str, email: &str) -> Event {
    Event::Ledger(LedgerRow {
        source: "pg2".into(),
        code: code.to_owned(),
        token: None,
        status: "p".to_owned(),
        total_cents: 2_300,
        email: email.to_owned(),
        positions: Vec::new(),
        books: None,
    })
}

fn purchase(i: u64, due: u64, events: &mut Vec<Event>) {
    let mut at = due;
    let mut number = 1;
    if (GONE_MS..BACK_MS).contains(&due) {
        // Patient buyers come back every two seconds; one in forty has had enough after three times.
        while at < BACK_MS {
            let ended = (at + 1_900).min(BACK_MS - 10 + noise(i) % 9);
            let error = "502 Bad Gateway: upstream prematurely closed connection";
            events.push(attempt(i, number, due, at, ended, Outcome::InDoubt, Some(error)));
            number += 1;
            at = ended + 100 + noise(i + 9) % 60;
            if number > 3 && i % 40 == 1 {
                return;
            }
        }
    }
    if (75_000..75_400).contains(&due) && i.is_multiple_of(2) {
        let error = "connection reset by peer";
        events.push(attempt(i, number, due, at, at + 120, Outcome::InDoubt, Some(error)));
        number += 1;
        at += 320;
    }
    let took = 38 + noise(i) % 45 + if noise(i + 3).is_multiple_of(60) { 160 } else { 0 };
    events.push(attempt(i, number, due, at, at + took, Outcome::Acknowledged, None));
}

fn attempt(i: u64, number: u32, due: u64, from: u64, to: u64, outcome: Outcome, error: Option<&str>) -> Event {
    let code = format!("FD{i:05}");
    let email = format!("{i}@example.org");
    let order = (outcome == Outcome::Acknowledged).then(|| OrderAck {
        code: code.clone(),
        secret: format!("s{i}"),
        status: "p".to_owned(),
        total_cents: 2_300,
        email: email.clone(),
        positions: Vec::new(),
    });
    Event::Attempt(Attempt {
        op: OpId(i),
        buyer: BuyerId((i % 50) as u32),
        number,
        kind: AttemptKind::Purchase,
        entry: "lb-1".into(),
        intended: At::from_ms(due),
        started: At::from_ms(from),
        ended: At::from_ms(to),
        status: Some(if order.is_some() { 201 } else { 502 }),
        outcome,
        group: String::new(),
        code,
        email,
        order,
        ticket: None,
        claim: None,
        error: error.map(str::to_owned),
    })
}

/// The last purchase that was confirmed before the outage and the first one after it.
pub(crate) fn outage() -> Outage {
    let history = history(2_200, 50_000);
    let acks: Vec<_> = history.attempts().filter(|a| a.outcome == Outcome::Acknowledged).collect();
    let middle = At::from_ms((GONE_MS + BACK_MS) / 2);
    let last = acks.iter().filter(|a| a.ended < middle).max_by_key(|a| a.ended).expect("sold before");
    let first = acks.iter().filter(|a| a.ended > middle).min_by_key(|a| a.ended).expect("sold after");
    Outage {
        from: last.ended,
        until: first.ended,
        min_ms: first.started.ms_since(last.ended),
        max_ms: first.ended.ms_since(last.started),
    }
}

fn faults(events: &mut Vec<Event>) {
    let phases = [
        (0, 30_000, Phase::Injecting, "primary(postgres)", "postgres", "pg1"),
        (0, 30_200, Phase::Effective, "primary(postgres)", "postgres", "pg1"),
        (0, 50_000, Phase::Recovering, "primary(postgres)", "postgres", "pg1"),
        (1, 75_000, Phase::Injecting, "one(web)", "web", "web-1"),
        (1, 75_100, Phase::Effective, "one(web)", "web", "web-1"),
        (1, 88_000, Phase::Recovering, "one(web)", "web", "web-1"),
    ];
    for (step, at, phase, target, tier, node) in phases {
        events.push(Event::Fault(FaultEvent {
            step: StepId(step),
            at: At::from_ms(at),
            phase,
            fault: "kill".to_owned(),
            parameters: String::new(),
            target: target.to_owned(),
            tier: tier.into(),
            nodes: vec![node.into()],
            detail: String::new(),
        }));
    }
}

fn roles(events: &mut Vec<Event>) {
    let first = NODES.iter().map(|(node, _, role)| (0, *node, *role));
    let later = [
        (30_210, "pg1", Role::Unreachable),
        (30_600, "web-1", Role::NotServing),
        (30_700, "web-2", Role::NotServing),
        (35_600, "pg2", Role::Primary),
        (37_900, "web-1", Role::Serving),
        (38_000, "web-2", Role::Serving),
        (56_900, "pg1", Role::Standby),
        (75_110, "web-1", Role::Unreachable),
        (90_100, "web-1", Role::NotServing),
        (91_800, "web-1", Role::Serving),
    ];
    for (at, node, role) in first.chain(later) {
        let tier = NODES.iter().find(|(name, ..)| *name == node).map_or("?", |(_, tier, _)| tier);
        events.push(Event::Observed(Observation {
            at: At::from_ms(at),
            node: node.into(),
            tier: tier.into(),
            role,
            epoch: None,
            view: String::new(),
        }));
    }
}

fn usage(seconds: u64, events: &mut Vec<Event>) {
    for s in 0..seconds {
        for (i, (node, tier, _)) in NODES.iter().enumerate() {
            let gone = (30..38).contains(&s);
            let base = match (*tier, gone) {
                ("web", false) => 62,
                ("web", true) => 20,
                ("postgres", false) => 31,
                ("postgres", true) => 9,
                ("lb", _) => 6,
                _ => 4,
            };
            let dead = (*node == "pg1" && (30..54).contains(&s)) || (*node == "web-1" && (75..89).contains(&s));
            events.push(Event::Usage(Usage {
                at: At::from_ms(s * 1_000 + 400),
                node: (*node).into(),
                state: if dead { NodeState::Exited } else { NodeState::Running },
                cpu_percent: if dead { 0.0 } else { (base + noise(s * 8 + i as u64) % 12) as f64 },
                memory_bytes: (180 + 40 * i as u64) << 20,
            }));
        }
    }
}
