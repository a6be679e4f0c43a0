//! The run around the purchases: header, stages, faults, what was observed, the final read.

use crate::Plan;
use crate::purchase::{ITEM, Purchase};
use firedrill_core::fault::Phase;
use firedrill_core::history::{
    At, Attempt, Event, FaultEvent, HISTORY_VERSION, NodeState, Observation, QuotaRow, Role, RunHeader, RunTrailer,
    SourceRead, Stage, StageEvent, Subject, Usage,
};
use firedrill_core::ids::{NodeName, StepId};
use std::collections::BTreeMap;
use std::io;

type Put<'p> = &'p mut dyn FnMut(Event) -> io::Result<()>;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

pub(crate) fn records(plan: &Plan, put: Put<'_>) -> io::Result<()> {
    let mut count = 0;
    let mut counted = |event| {
        count += 1;
        put(event)
    };
    let end = At(plan.operations * SECOND / plan.rate_per_s);
    counted(header(plan))?;
    load(plan, end, &mut counted)?;
    final_read(plan, At(end.0 + 60 * SECOND), &mut counted)?;
    let samples = plan.databases.iter().map(|name| (NodeName::new(name), 4 * end.0 / SECOND + 1)).collect();
    put(Event::End(RunTrailer { at: At(end.0 + 61 * SECOND), records: count, samples }))
}

fn header(plan: &Plan) -> Event {
    Event::Run(RunHeader {
        version: HISTORY_VERSION,
        run: "synthetic".into(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        seed: plan.seed,
        topology: "synthetic".to_owned(),
        drill: "rush".to_owned(),
        rate_per_s: plan.rate_per_s as f64,
        load: None,
        observes: vec![Subject::Books],
    })
}

/// Attempts by their ends, between everything else that has a time.
fn load(plan: &Plan, end: At, put: Put<'_>) -> io::Result<()> {
    let mut waiting: BTreeMap<(At, u64), Event> = BTreeMap::new();
    let mut number = 0;
    let mut wait = |waiting: &mut BTreeMap<(At, u64), Event>, at: At, event: Event| {
        number += 1;
        waiting.insert((at, number), event);
    };
    for (at, event) in around(plan, end) {
        wait(&mut waiting, at, event);
    }
    for op in 0..plan.operations {
        let purchase = Purchase::of(plan, op);
        while let Some(next) = waiting.first_entry().filter(|next| next.key().0 <= purchase.due()) {
            put(next.remove())?;
        }
        for attempt in purchase.attempts() {
            let Attempt { ended, .. } = attempt;
            wait(&mut waiting, ended, Event::Attempt(attempt));
        }
    }
    waiting.into_values().try_for_each(put)
}

/// Stages, faults, roles and usage of the whole load.
fn around(plan: &Plan, end: At) -> Vec<(At, Event)> {
    let stage = |at: u64, stage, step: Option<u32>| {
        let event = StageEvent { at: At(at), stage, step: step.map(StepId), detail: String::new() };
        (At(at), Event::Stage(event))
    };
    let mut events = vec![stage(0, Stage::LoadStarted, None)];
    let last = plan.databases.len() - 1;
    events.extend((0..plan.databases.len()).map(|node| seen(plan, 0, node, role(node == last))));
    let span = end.0 / u64::from(plan.faults + 1);
    for step in 0..plan.faults {
        let from = span * u64::from(step + 1);
        // All times of a fault lie in the first half of its span, so that the next one finds everything whole.
        let part = (span / 20).min(SECOND);
        let at = |parts: u64| from + parts * part;
        let phases = [
            (0, Phase::Planned),
            (1, Phase::Prepared),
            (1, Phase::Armed),
            (2, Phase::Injecting),
            (2, Phase::Injected),
            (3, Phase::Effective),
            (6, Phase::Recovering),
            (7, Phase::Recovered),
        ];
        events.extend(phases.into_iter().map(|(parts, phase)| (At(at(parts)), fault(plan, step, at(parts), phase))));
        events.push(stage(at(5), Stage::ServiceRestored, Some(step)));
        events.push(stage(at(9), Stage::Whole, Some(step)));
        events.push(seen(plan, at(3), 0, Role::Unreachable));
        events.push(seen(plan, at(8), 0, Role::Standby));
    }
    events.push(stage(end.0, Stage::LoadStopped, None));
    events.push(stage(end.0 + 30 * SECOND, Stage::Drained, None));
    // A sample every ten seconds, as a run takes them, but not more than a small share of the records.
    let every = (end.0 / 1_000).max(10 * SECOND);
    events.extend((1..end.0 / every).map(|sample| (At(sample * every), usage(plan, sample * every))));
    events
}

fn role(primary: bool) -> Role {
    if primary { Role::Primary } else { Role::Standby }
}

fn seen(plan: &Plan, at: u64, node: usize, role: Role) -> (At, Event) {
    let node = NodeName::new(&plan.databases[node]);
    let view = String::new();
    (At(at), Event::Observed(Observation { at: At(at), node, tier: "postgres".into(), role, epoch: None, view }))
}

fn usage(plan: &Plan, at: u64) -> Event {
    let node = NodeName::new(&plan.databases[0]);
    Event::Usage(Usage { at: At(at), node, state: NodeState::Running, cpu_percent: 12.5, memory_bytes: 1 << 28 })
}

fn fault(plan: &Plan, step: u32, at: u64, phase: Phase) -> Event {
    Event::Fault(FaultEvent {
        step: StepId(step),
        at: At(at),
        phase,
        fault: "kill".to_owned(),
        parameters: String::new(),
        target: "one(postgres)".to_owned(),
        tier: "postgres".into(),
        nodes: vec![NodeName::new(&plan.databases[0])],
        detail: format!("{phase}"),
    })
}

fn final_read(plan: &Plan, at: At, put: Put<'_>) -> io::Result<()> {
    let last = plan.databases.len() - 1;
    let mut sold = 0;
    for (node, source) in plan.databases.iter().enumerate() {
        sold = 0;
        // Operations behind the end of the quota have no rows.
        for op in 0..plan.sold() {
            let purchase = Purchase::of(plan, op);
            sold += purchase.sold();
            purchase.rows(source, node == 0 && last > 0).into_iter().try_for_each(|row| put(Event::Ledger(row)))?;
        }
        let role = role(node == last);
        let detail = String::new();
        let read = SourceRead { at, source: NodeName::new(source), role, complete: true, detail };
        put(Event::Source(read))?;
    }
    plan.databases.iter().try_for_each(|source| {
        put(Event::Quota(QuotaRow {
            at,
            asked: None,
            source: NodeName::new(source),
            id: 1,
            name: "rush/q".to_owned(),
            size: Some(sold),
            sold,
            items: vec![ITEM],
        }))
    })
}
