//! A builder of histories: a good run with one failover, which tests then spoil in one place.

use firedrill_core::checker::{Evidence, REGISTRY};
use firedrill_core::fault::Phase;
use firedrill_core::history::{
    At, Attempt, AttemptKind, Event, FaultEvent, HISTORY_VERSION, History, InvoiceRow, LedgerPosition, LedgerRow,
    Leftover, LogLines, Observation, OrderAck, Outcome, PositionAck, QuotaRow, QuotaSeen, Refusal, RejectReason, Role,
    RowBooks, RunHeader, RunTrailer, SourceRead, Stage, StageEvent, Subject,
};
use firedrill_core::ids::{BuyerId, NodeName, OpId, StepId};
use firedrill_core::sla::{Availability, Logs, RecoveryObjective, ResponseTime, Sla};
use firedrill_core::verdict::{CheckResult, Judgement};

/// The databases; `pg2` is the primary at the end.
pub(crate) const DATABASES: [&str; 3] = ["pg1", "pg2", "pg3"];
/// The one item on sale, and what it costs.
pub(crate) const ITEM: u64 = 7;
pub(crate) const PRICE_CENTS: i64 = 2_300;

/// The parts of a history, open to every test.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) rate_per_s: f64,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) faults: Vec<FaultEvent>,
    pub(crate) stages: Vec<StageEvent>,
    pub(crate) observations: Vec<Observation>,
    pub(crate) rows: Vec<LedgerRow>,
    pub(crate) quotas: Vec<QuotaRow>,
    pub(crate) observes: Vec<Subject>,
    pub(crate) quotas_seen: Vec<QuotaSeen>,
    pub(crate) invoices: Vec<InvoiceRow>,
    pub(crate) leftovers: Vec<Leftover>,
    pub(crate) logs: Vec<LogLines>,
    pub(crate) reads: Vec<SourceRead>,
    pub(crate) samples: Vec<(NodeName, u64)>,
    pub(crate) trailer: bool,
    pub(crate) damage: Vec<String>,
    pub(crate) sla: Sla,
}

pub(crate) fn sla() -> Sla {
    Sla {
        name: "test".to_owned(),
        source: "test".to_owned(),
        availability: Availability { normal_percent: 100.0, peak_percent: 70.0, peak_above_per_min: 50.0 },
        response_time: ResponseTime { max_ms: 50_000.0, steady_p99_ms: Some(2_000.0) },
        recovery: RecoveryObjective { outage_max_ms: Some(15_000.0), whole_max_ms: Some(60_000.0) },
        logs: Logs::default(),
    }
}

pub(crate) fn code(op: u64) -> String {
    format!("FD{op:05}")
}

/// An attempt that was confirmed, with `tickets` tickets.
pub(crate) fn sold(op: u64, intended_ms: u64, started_ms: u64, ended_ms: u64, tickets: u64) -> Attempt {
    let positions = (0..tickets).map(|n| PositionAck {
        id: Some(op * 10 + n),
        item: ITEM,
        price_cents: PRICE_CENTS,
        secret: Some(format!("secret-{op}-{n}")),
    });
    let order = OrderAck {
        code: code(op),
        secret: format!("order-{op}"),
        status: "n".to_owned(),
        total_cents: PRICE_CENTS * tickets as i64,
        email: format!("buyer-{op}@example.org"),
        positions: positions.collect(),
    };
    Attempt { order: Some(order), ..unsold(op, intended_ms, started_ms, ended_ms, Outcome::Acknowledged) }
}

/// An attempt that came to something else.
pub(crate) fn unsold(op: u64, intended_ms: u64, started_ms: u64, ended_ms: u64, outcome: Outcome) -> Attempt {
    Attempt {
        op: OpId(op),
        buyer: BuyerId(op as u32 % 50),
        number: 1,
        kind: AttemptKind::Purchase,
        entry: "nginx-1".into(),
        intended: At::from_ms(intended_ms),
        started: At::from_ms(started_ms),
        ended: At::from_ms(ended_ms),
        status: None,
        outcome,
        group: String::new(),
        code: code(op),
        email: format!("buyer-{op}@example.org"),
        order: None,
        ticket: None,
        claim: None,
        error: None,
    }
}

/// The row that a confirmed attempt leaves in a database.
pub(crate) fn row(source: &str, attempt: &Attempt) -> LedgerRow {
    let order = attempt.order.as_ref().expect("only confirmed attempts have a row to build");
    let positions = order.positions.iter().map(|p| LedgerPosition {
        id: p.id.expect("told"),
        item: p.item,
        price_cents: p.price_cents,
        secret: p.secret.clone().expect("told"),
        canceled: false,
        entries: 0,
    });
    LedgerRow {
        source: source.into(),
        code: order.code.clone(),
        token: Some(attempt.code.clone()),
        status: "n".to_owned(),
        total_cents: order.total_cents,
        email: order.email.clone(),
        positions: positions.collect(),
        // Pending: owed, and nothing is paid yet.
        books: Some(RowBooks {
            lines_cents: order.total_cents,
            ledger_cents: order.total_cents,
            paid_cents: 0,
            placed: 1,
            paid: 0,
        }),
    }
}

pub(crate) fn stage(at_ms: u64, stage: Stage, step: Option<u32>) -> StageEvent {
    StageEvent { at: At::from_ms(at_ms), stage, step: step.map(StepId), detail: String::new() }
}

pub(crate) fn seen(at_ms: u64, node: &str, role: Role) -> Observation {
    Observation {
        at: At::from_ms(at_ms),
        node: node.into(),
        tier: "postgres".into(),
        role,
        epoch: None,
        view: String::new(),
    }
}

/// A kill of the primary of PostgreSQL, with all phases of a good life from 15 s to 28 s.
fn kill_of_primary() -> Vec<FaultEvent> {
    let phases = [
        (15_000, Phase::Planned),
        (19_800, Phase::Prepared),
        (19_900, Phase::Armed),
        (20_000, Phase::Injecting),
        (20_050, Phase::Injected),
        (20_100, Phase::Effective),
        (27_000, Phase::Recovering),
        (28_000, Phase::Recovered),
    ];
    let event = |(at_ms, phase)| FaultEvent {
        step: StepId(0),
        at: At::from_ms(at_ms),
        phase,
        fault: "kill".to_owned(),
        parameters: String::new(),
        target: "primary(postgres)".to_owned(),
        tier: "postgres".into(),
        nodes: if phase == Phase::Planned { Vec::new() } else { vec!["pg1".into()] },
        detail: format!("{phase}"),
    };
    phases.into_iter().map(event).collect()
}

impl Story {
    /// A run without purchases: 60 s of load, a failover from 20 s to 40 s, a final read at 200 s.
    pub(crate) fn empty(rate_per_s: f64) -> Self {
        let read = |source: &str| SourceRead {
            at: At::from_ms(200_000),
            source: source.into(),
            role: if source == "pg2" { Role::Primary } else { Role::Standby },
            complete: true,
            detail: String::new(),
        };
        Self {
            rate_per_s,
            attempts: Vec::new(),
            refusals: Vec::new(),
            faults: kill_of_primary(),
            stages: vec![
                stage(0, Stage::LoadStarted, None),
                stage(15_000, Stage::Steady, None),
                stage(25_000, Stage::ServiceRestored, Some(0)),
                stage(40_000, Stage::Whole, Some(0)),
                stage(60_000, Stage::LoadStopped, None),
                stage(150_000, Stage::Drained, None),
            ],
            observations: vec![
                seen(0, "pg1", Role::Primary),
                seen(0, "pg2", Role::Standby),
                seen(0, "pg3", Role::Standby),
                seen(20_900, "pg1", Role::Unreachable),
                seen(21_500, "pg2", Role::Primary),
                seen(35_000, "pg1", Role::Standby),
            ],
            rows: Vec::new(),
            quotas: Vec::new(),
            observes: Vec::new(),
            quotas_seen: Vec::new(),
            invoices: Vec::new(),
            leftovers: Vec::new(),
            logs: Vec::new(),
            reads: DATABASES.iter().map(|source| read(source)).collect(),
            samples: DATABASES.iter().map(|node| ((*node).into(), 240)).collect(),
            trailer: true,
            damage: Vec::new(),
            sla: sla(),
        }
    }

    /// 600 purchases at 10 a second. Those due in the first two seconds of the fault are in doubt at
    /// first, and confirmed when the buyer tries again after the failover.
    pub(crate) fn good() -> Self {
        let mut story = Self::empty(10.0);
        for op in 0..600 {
            let due_ms = op * 100;
            let mut last = sold(op, due_ms, due_ms, due_ms + 40, 1);
            if (20_000..22_000).contains(&due_ms) {
                story.attempts.push(unsold(op, due_ms, due_ms, due_ms + 30, Outcome::InDoubt));
                last = Attempt { number: 2, ..sold(op, due_ms, 22_100 + op, 22_150 + op, 1) };
            }
            story.put(&last);
            story.attempts.push(last);
        }
        story.read_quota(1_000, 600);
        story
    }

    /// Puts the row of a confirmed attempt into every database.
    pub(crate) fn put(&mut self, attempt: &Attempt) {
        self.rows.extend(DATABASES.iter().map(|source| row(source, attempt)));
    }

    /// The buyer of an operation asks to have his order cancelled, and is told this.
    pub(crate) fn give_back(&mut self, op: u64, outcome: Outcome) {
        let attempt = unsold(op, op * 100, 55_000 + op, 55_010 + op, outcome);
        self.attempts.push(Attempt { kind: AttemptKind::Cancel, number: 9, ..attempt });
    }

    /// The buyer of an operation looks at his order, and this is shown.
    pub(crate) fn look(&mut self, op: u64, at_ms: u64, shown: Option<OrderAck>) {
        let outcome = match shown {
            Some(_) => Outcome::Acknowledged,
            None => Outcome::Rejected(RejectReason::NotFound),
        };
        let attempt = unsold(op, op * 100, at_ms, at_ms + 5, outcome);
        self.attempts.push(Attempt { kind: AttemptKind::Lookup, number: 9, order: shown, ..attempt });
    }

    /// Every database counts the quota at the end.
    pub(crate) fn read_quota(&mut self, size: u64, sold: u64) {
        self.quotas = DATABASES
            .iter()
            .map(|source| QuotaRow {
                at: At::from_ms(200_000),
                asked: None,
                source: (*source).into(),
                id: 1,
                name: "rush/q".to_owned(),
                size: Some(size),
                sold,
                items: vec![ITEM],
            })
            .collect();
    }

    /// A second fault that comes and goes while the first one is in force: from 22 s to 24 s.
    pub(crate) fn overlap(&mut self) {
        let inside = |at: At| At::from_ms(22_000 + at.0.saturating_sub(20_000_000_000) / 10_000_000);
        let mut faults = self.faults.clone();
        faults.iter_mut().for_each(|fault| (fault.at, fault.step) = (inside(fault.at), StepId(1)));
        self.faults.extend(faults);
        let mut stages = self.stages.clone();
        stages.retain(|stage| stage.step.is_some());
        stages.iter_mut().for_each(|stage| (stage.at, stage.step) = (inside(stage.at), Some(StepId(1))));
        self.stages.extend(stages);
    }

    /// The attempts of one operation.
    pub(crate) fn of_op(&mut self, op: u64) -> impl Iterator<Item = &mut Attempt> {
        self.attempts.iter_mut().filter(move |attempt| attempt.op == OpId(op))
    }

    /// The rows of one operation in all databases.
    pub(crate) fn rows_of(&mut self, op: u64) -> impl Iterator<Item = &mut LedgerRow> {
        self.rows.iter_mut().filter(move |row| row.code == code(op))
    }

    /// The same story, spoiled.
    pub(crate) fn with(mut self, spoil: impl FnOnce(&mut Self)) -> Self {
        spoil(&mut self);
        self
    }

    /// The history, in the order of time, the final read last.
    pub(crate) fn history(&self) -> History {
        let mut timed: Vec<(At, Event)> = Vec::new();
        timed.extend(self.attempts.iter().map(|a| (a.ended, Event::Attempt(a.clone()))));
        timed.extend(self.refusals.iter().map(|r| (r.intended, Event::Refused(*r))));
        timed.extend(self.faults.iter().map(|f| (f.at, Event::Fault(f.clone()))));
        timed.extend(self.stages.iter().map(|s| (s.at, Event::Stage(s.clone()))));
        timed.extend(self.observations.iter().map(|o| (o.at, Event::Observed(o.clone()))));
        timed.extend(self.quotas_seen.iter().map(|s| (s.at, Event::Seen(s.clone()))));
        timed.extend(self.logs.iter().map(|l| (l.at, Event::Log(l.clone()))));
        timed.sort_by_key(|(at, _)| *at);
        let mut events = vec![Event::Run(RunHeader {
            version: HISTORY_VERSION,
            run: "test".into(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            seed: 1,
            topology: "test".to_owned(),
            drill: "test".to_owned(),
            rate_per_s: self.rate_per_s,
            load: None,
            observes: self.observes.clone(),
        })];
        events.extend(timed.into_iter().map(|(_, event)| event));
        events.extend(self.rows.iter().cloned().map(Event::Ledger));
        events.extend(self.quotas.iter().cloned().map(Event::Quota));
        events.extend(self.invoices.iter().cloned().map(Event::Invoice));
        events.extend(self.leftovers.iter().cloned().map(Event::Leftover));
        events.extend(self.reads.iter().cloned().map(Event::Source));
        if self.trailer {
            let records = events.len() as u64;
            let at = At::from_ms(210_000);
            events.push(Event::End(RunTrailer { at, records, samples: self.samples.clone() }));
        }
        History { events, damage: self.damage.clone() }
    }

    /// The answer of one checker.
    pub(crate) fn ask(&self, checker: &str) -> CheckResult {
        let history = self.history();
        let (_, check) = REGISTRY.iter().find(|(name, _)| *name == checker).expect("a checker of the registry");
        check(&Evidence::of(&history, &self.sla))
    }
}

/// Makes a purchase one in the browser: no code and no token of its own, and a page that tells no keys.
pub(crate) fn in_the_browser(story: &mut Story, op: u64) {
    for attempt in story.of_op(op) {
        attempt.code.clear();
        for ticket in attempt.order.iter_mut().flat_map(|order| &mut order.positions) {
            (ticket.id, ticket.secret) = (None, None);
        }
    }
    story.rows_of(op).for_each(|row| row.token = None);
}

/// A row of a table: what the story is, how it is spoiled, the judgement, a part of the reason.
pub(crate) type Case = (&'static str, fn(&mut Story), Judgement, &'static str);

/// Spoils the good story in the way of every case and compares the answer of the checker: its judgement, a part of its
/// reason, and, as a snapshot, all that it says.
pub(crate) fn check(checker: &str, cases: &[Case]) {
    let good = Story::good().ask(checker);
    let numbers = good.numbers.iter().map(|(name, value)| format!("{name} {value}\n"));
    let mut said = format!("# The good story's numbers\n{}\n", numbers.collect::<String>());
    for (name, spoil, judgement, reason) in cases {
        let result = Story::good().with(spoil).ask(checker);
        assert_eq!(result.judgement, *judgement, "{name}: {result:#?}");
        assert!(result.reason.contains(reason), "{name}: {:?} does not contain {reason:?}", result.reason);
        assert!(
            *judgement != Judgement::Fail || !result.findings.is_empty(),
            "{name}: a failure must come with a finding"
        );
        said += &format!("# {name}: {judgement}\n{}", words(&result, &good));
    }
    insta::assert_snapshot!(format!("{checker}__{}", named_by_first(cases)), said);
}

/// A table's name among the snapshots.
pub(crate) fn named_by_first(cases: &[Case]) -> String {
    cases.first().map_or("", |(name, ..)| name).replace([' ', ','], "_")
}

/// An answer in full, but of its numbers only those that the good story does not have.
fn words(result: &CheckResult, good: &CheckResult) -> String {
    let mut out = format!("{}\n", result.reason);
    for finding in &result.findings {
        out += &format!("- {}\n", finding.summary);
        let place = [
            finding.at.map(|at| format!("at {at}")),
            finding.step.map(|step| step.to_string()),
            (!finding.nodes.is_empty()).then(|| format!("nodes {}", joined(&finding.nodes))),
            (!finding.ops.is_empty()).then(|| joined(&finding.ops)),
        ];
        let place: Vec<String> = place.into_iter().flatten().collect();
        let rest = [place.join("; "), finding.remedy.clone()];
        out.extend(rest.iter().filter(|line| !line.is_empty()).map(|line| format!("  {line}\n")));
    }
    let other = result.numbers.iter().filter(|(name, value)| good.numbers.get(*name) != Some(value));
    let other: Vec<String> = other.map(|(name, value)| format!("{name} {value}")).collect();
    let gone = good.numbers.keys().filter(|name| !result.numbers.contains_key(*name)).map(|name| format!("no {name}"));
    let numbers: Vec<String> = other.into_iter().chain(gone).collect();
    out + &if numbers.is_empty() { "\n".to_owned() } else { format!("= {}\n\n", numbers.join(", ")) }
}

fn joined<T: std::fmt::Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
