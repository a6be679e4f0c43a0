//! The history as bytes: everything comes back, and damage is told, not hidden.

use firedrill_core::fault::Phase;
use firedrill_core::history::codec::{ReadError, Writer, read, write_line};
use firedrill_core::history::{
    At, Attempt, AttemptKind, Event, FaultEvent, HISTORY_VERSION, LedgerPosition, LedgerRow, NodeState, Observation,
    OrderAck, Outcome, PositionAck, QuotaRow, Refusal, RejectReason, Role, RowBooks, RunHeader, RunTrailer, SourceRead,
    Stage, StageEvent, Usage,
};
use firedrill_core::ids::{BuyerId, NodeName, OpId, StepId};
use proptest::prelude::*;

pub(super) fn header() -> Event {
    Event::Run(RunHeader {
        version: HISTORY_VERSION,
        run: "r1".into(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        seed: u64::MAX,
        topology: "t".to_owned(),
        drill: "d".to_owned(),
        rate_per_s: 0.1,
        load: Some(Box::default()),
        observes: Vec::new(),
    })
}

pub(super) fn trailer(records: u64) -> Event {
    Event::End(RunTrailer { at: At(9), records, samples: vec![("pg1".into(), 3)] })
}

pub(super) fn refused(op: u64) -> Event {
    Event::Refused(Refusal { op: OpId(op), intended: At(op) })
}

fn node() -> impl Strategy<Value = NodeName> {
    "[a-z0-9-]{1,8}".prop_map(NodeName::new)
}

fn at() -> impl Strategy<Value = At> {
    any::<u64>().prop_map(At)
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Primary, Role::Standby, Role::Serving, Role::NotServing, Role::Unreachable])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Acknowledged,
        Outcome::Rejected(RejectReason::SoldOut),
        Outcome::Rejected(RejectReason::DuplicateCode),
        Outcome::Rejected(RejectReason::Unauthorized),
        Outcome::Rejected(RejectReason::NotFound),
        Outcome::Rejected(RejectReason::Invalid),
        Outcome::NotApplied,
        Outcome::InDoubt,
        Outcome::NotSent,
        Outcome::Passed,
        Outcome::Pending,
        Outcome::Rejected(RejectReason::AlreadyRedeemed),
    ])
}

fn order() -> impl Strategy<Value = OrderAck> {
    let position = (any::<Option<u64>>(), any::<u64>(), any::<i64>(), prop::option::of("\\PC{0,8}"))
        .prop_map(|(id, item, price_cents, secret)| PositionAck { id, item, price_cents, secret });
    ("\\PC{0,8}", any::<i64>(), prop::collection::vec(position, 0..3)).prop_map(|(text, total_cents, positions)| {
        OrderAck {
            code: text.clone(),
            secret: text.clone(),
            status: "n".to_owned(),
            total_cents,
            email: text,
            positions,
        }
    })
}

fn attempt() -> impl Strategy<Value = Event> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u32>(), prop::option::of(any::<u16>()));
    let kind = prop::sample::select(vec![
        AttemptKind::Purchase,
        AttemptKind::Lookup,
        AttemptKind::Prepare,
        AttemptKind::Visit,
        AttemptKind::Redeem,
    ]);
    (
        numbers,
        kind,
        node(),
        [at(), at(), at()],
        outcome(),
        "\\PC{0,12}",
        prop::option::of(order()),
        prop::option::of("\\PC{0,12}"),
    )
        .prop_map(
            |((op, buyer, number, status), kind, entry, [intended, started, ended], outcome, text, order, error)| {
                let (code, email) = (text.clone(), text);
                let (op, buyer) = (OpId(op), BuyerId(buyer));
                Event::Attempt(Attempt {
                    op,
                    buyer,
                    number,
                    kind,
                    entry,
                    intended,
                    started,
                    ended,
                    status,
                    outcome,
                    group: error.clone().unwrap_or_default(),
                    code,
                    email,
                    order,
                    ticket: error.clone(),
                    claim: error.clone().filter(|text| text.len() > 2),
                    error,
                })
            },
        )
}

fn ledger_row() -> impl Strategy<Value = Event> {
    let books =
        (any::<[i64; 3]>(), any::<[u32; 2]>()).prop_map(|([lines_cents, ledger_cents, paid_cents], [placed, paid])| {
            RowBooks { lines_cents, ledger_cents, paid_cents, placed, paid }
        });
    let books = prop::option::of(books);
    (node(), order(), prop::option::of("\\PC{0,8}"), any::<bool>(), books).prop_map(
        |(source, order, token, canceled, books)| {
            let row = |p: PositionAck| LedgerPosition {
                id: p.id.unwrap_or(0),
                item: p.item,
                price_cents: p.price_cents,
                secret: p.secret.unwrap_or_default(),
                canceled,
                entries: u32::from(canceled) * 3,
            };
            Event::Ledger(LedgerRow {
                source,
                code: order.code,
                token,
                status: order.status,
                total_cents: order.total_cents,
                email: order.email,
                positions: order.positions.into_iter().map(row).collect(),
                books,
            })
        },
    )
}

fn fault() -> impl Strategy<Value = Event> {
    (any::<u32>(), at(), prop::sample::select(Phase::ALL.to_vec()), "\\PC{0,12}", prop::collection::vec(node(), 0..3))
        .prop_map(|(step, at, phase, detail, nodes)| {
            Event::Fault(FaultEvent {
                step: StepId(step),
                at,
                phase,
                fault: detail.clone(),
                parameters: String::new(),
                target: detail.clone(),
                tier: detail.as_str().into(),
                nodes,
                detail,
            })
        })
}

fn stage() -> impl Strategy<Value = Event> {
    let stages = vec![
        Stage::LoadStarted,
        Stage::Steady,
        Stage::ServiceRestored,
        Stage::Whole,
        Stage::NotWhole,
        Stage::LoadStopped,
        Stage::Drained,
        Stage::Interrupted,
        Stage::LoadVoid,
    ];
    (at(), prop::sample::select(stages), prop::option::of(any::<u32>()), "\\PC{0,12}")
        .prop_map(|(at, stage, step, detail)| Event::Stage(StageEvent { at, stage, step: step.map(StepId), detail }))
}

fn seen() -> impl Strategy<Value = Event> {
    (at(), node(), role(), prop::option::of(any::<u64>()), "\\PC{0,12}").prop_map(|(at, node, role, epoch, view)| {
        Event::Observed(Observation { at, node, tier: "t".into(), role, epoch, view })
    })
}

fn rest() -> impl Strategy<Value = Event> {
    let states = vec![NodeState::Running, NodeState::Paused, NodeState::Exited, NodeState::Gone];
    let usage = (at(), node(), prop::sample::select(states), 0..10_000u32, any::<u64>()).prop_map(
        |(at, node, state, cpu, memory_bytes)| {
            Event::Usage(Usage { at, node, state, cpu_percent: f64::from(cpu) / 7.0, memory_bytes })
        },
    );
    let quota = (at(), node(), prop::option::of(any::<u64>()), any::<u64>(), prop::collection::vec(any::<u64>(), 0..3))
        .prop_map(|(at, source, size, sold, items)| {
            Event::Quota(QuotaRow { at, asked: Some(at), source, id: 1, name: "e/q".to_owned(), size, sold, items })
        });
    let source =
        (at(), node(), role(), any::<bool>(), "\\PC{0,12}").prop_map(|(at, source, role, complete, detail)| {
            Event::Source(SourceRead { at, source, role, complete, detail })
        });
    prop_oneof![usage, quota, source, any::<u64>().prop_map(refused), Just(header()), any::<u64>().prop_map(trailer)]
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![attempt(), ledger_row(), fault(), stage(), seen(), rest()]
}

pub(super) fn write(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for event in events {
        writer.write(event).unwrap();
    }
    assert_eq!(writer.records(), events.len() as u64);
    writer.finish().unwrap()
}

/// A file of version 1: the export, compressed.
pub(super) fn write_v1(events: &[Event]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    events.iter().for_each(|event| write_line(&mut encoder, event).unwrap());
    encoder.finish().unwrap()
}

proptest! {
    #[test]
    fn every_record_comes_back(events in prop::collection::vec(event(), 0..20)) {
        let mut whole = vec![header()];
        whole.extend(events);
        whole.push(trailer(whole.len() as u64));
        for bytes in [write(&whole), write_v1(&whole)] {
            let history = read(bytes.as_slice()).unwrap();
            prop_assert_eq!(&history.events, &whole);
            prop_assert!(history.damage.is_empty(), "{:?}", history.damage);
        }
    }

    #[test]
    fn a_corrupted_byte_is_never_silent(
        position in any::<prop::sample::Index>(),
        flip in 1..=255u8,
        first_version in any::<bool>(),
    ) {
        let whole = long();
        let mut bytes = if first_version { write_v1(&whole) } else { write(&whole) };
        let position = position.index(bytes.len());
        bytes[position] ^= flip;
        if let Ok(history) = read(bytes.as_slice()) {
            prop_assert!(history.events == whole || !history.damage.is_empty(), "byte {position} was changed unseen");
        }
    }
}

/// 60 records with header and trailer.
pub(super) fn long() -> Vec<Event> {
    let mut events = vec![header()];
    events.extend((0..58).map(refused));
    events.push(trailer(59));
    events
}

#[test]
fn a_torn_file_keeps_every_flushed_record() {
    let events = long();
    let mut writer = Writer::new(Vec::new()).unwrap();
    let mut flushed = Vec::new();
    // The length of the file after each flush is only known by writing it again up to there.
    for (index, event) in events.iter().enumerate() {
        writer.write(event).unwrap();
        if index % 10 == 9 {
            writer.flush().unwrap();
            flushed.push((flushed_length(&events[..=index]), index + 1));
        }
    }
    let bytes = writer.finish().unwrap();
    assert!(flushed.len() == 6 && flushed.windows(2).all(|pair| pair[0].0 < pair[1].0), "{flushed:?}");
    for length in 0..bytes.len() {
        let Ok(history) = read(&bytes[..length]) else {
            assert!(flushed.iter().all(|(end, _)| *end > length), "{length} bytes hold flushed records");
            continue;
        };
        let kept = flushed.iter().filter(|(end, _)| *end <= length).map(|(_, records)| *records).max().unwrap_or(0);
        let found = history.events.len();
        assert!(found >= kept, "{found} records of {kept} flushed ones in {length} bytes");
        assert_eq!(history.events, events[..found], "{length} bytes");
        if found < events.len() {
            let told = history.damage.iter().any(|text| text.starts_with(&format!("record {}: ", found + 1)));
            assert!(told, "{length} bytes, {found} records: {:?}", history.damage);
        }
    }
}

/// Bytes in the file after the last of these records was flushed, with a flush after every tenth.
fn flushed_length(events: &[Event]) -> usize {
    struct Counted(std::rc::Rc<std::cell::Cell<usize>>);
    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.set(self.0.get() + bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let length = std::rc::Rc::new(std::cell::Cell::new(0));
    let mut writer = Writer::new(Counted(length.clone())).unwrap();
    for (index, event) in events.iter().enumerate() {
        writer.write(event).unwrap();
        if index % 10 == 9 {
            writer.flush().unwrap();
        }
    }
    length.get()
}

fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[test]
fn a_line_that_is_no_record_is_reported_with_its_number() {
    let lines: Vec<String> =
        [header(), refused(1), trailer(2)].iter().map(|e| serde_json::to_string(e).unwrap()).collect();
    let text = format!("{}\n{{\"attempt\":{{\n{}\n{}\n", lines[0], lines[1], lines[2]);
    let history = read(compressed(&text).as_slice()).unwrap();
    assert_eq!(history.events, [header(), refused(1), trailer(2)]);
    assert_eq!(history.damage.len(), 1, "{:?}", history.damage);
    assert!(history.damage[0].starts_with("line 2: not a record of version 1:"), "{:?}", history.damage);
}

#[test]
fn missing_records_header_and_trailer_are_reported() {
    type Write = fn(&[Event]) -> Vec<u8>;
    for (unit, write) in [("line", write_v1 as Write), ("record", write)] {
        let damage = |events: &[Event]| read(write(events).as_slice()).unwrap().damage;
        assert_eq!(damage(&[header(), trailer(1)]), Vec::<String>::new());
        assert_eq!(damage(&[header(), trailer(5)]), ["the trailer counts 5 records before it, 1 are there"]);
        let cut = format!("{unit} 2: the history ends without its trailer: the run was cut off");
        assert_eq!(damage(&[header()]), [cut]);
        assert_eq!(damage(&[refused(1), trailer(1)]), [format!("{unit} 1: the header of the run is missing")]);
        assert_eq!(damage(&[]).len(), 2);
    }
}

#[test]
fn what_is_no_history_of_this_version_is_refused() {
    let other = serde_json::to_string(&header()).unwrap().replace("\"version\":1", "\"version\":99");
    let error = read(compressed(&(other + "\n")).as_slice()).expect_err("version 99");
    assert!(matches!(error, ReadError::Version { record: 1, found: 99 }), "{error}");
    assert!(error.to_string().contains("use the firedrill that wrote it"), "{error}");
    for bytes in [&b"no zstd at all"[..], b""] {
        match read(bytes) {
            Ok(history) => assert!(history.events.is_empty() && !history.damage.is_empty(), "{history:?}"),
            Err(error) => assert!(matches!(error, ReadError::Stream(_)), "{error}"),
        }
    }
}
