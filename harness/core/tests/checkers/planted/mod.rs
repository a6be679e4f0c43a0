//! Random correct histories: no false alarm, and with one planted anomaly exactly the right checker fires.

use super::story::{Story, code, row, seen, sold, unsold};
use firedrill_core::checker::{REGISTRY, judge};
use firedrill_core::history::{At, Attempt, AttemptKind, Outcome, Refusal, RejectReason, Role};
use firedrill_core::ids::OpId;
use firedrill_core::verdict::Judgement::{Fail, Pass};
use proptest::prelude::*;

mod beside;

/// Checkers that random purchases, which may all come to nothing, can leave open.
const OBJECTIVES: [&str; 3] = ["availability", "response_time", "preconditions"];

/// One purchase of the generator.
#[derive(Debug, Clone)]
struct Purchase {
    tickets: u64,
    latency_ms: u64,
    retries: u32,
    end: End,
}

/// How its last attempt ends when there is room.
#[derive(Debug, Clone, Copy)]
enum End {
    Confirmed,
    FoundByLookup,
    DoubtApplied,
    DoubtNotApplied,
    NotSent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anomaly {
    Lost,
    RowTwice,
    TwoCodes,
    Phantom,
    Resurrected,
    Altered,
    SecretTwice,
    OversoldInDatabase,
    OversoldInHands,
    OnlyOnStandby,
    MissingOnStandby,
    TwoPrimaries,
    Refused,
    Slow,
    WrongBuyer,
    InvoiceReissued,
    InvoiceLeftOut,
    SeenLate,
    SeenNoMore,
    OldCount,
    StaleShop,
    SeatTwice,
    TakenTooEarly,
    AdmittedTwice,
    TurnedAway,
    AdmissionForgotten,
    FeeMissing,
    Orphaned,
    FalseSoldOut,
    StuckKey,
    StrangeLine,
}

const ANOMALIES: [(Anomaly, &str); 31] = [
    (Anomaly::Lost, "conservation"),
    (Anomaly::RowTwice, "conservation"),
    (Anomaly::TwoCodes, "exactly_once"),
    (Anomaly::Phantom, "conservation"),
    (Anomaly::Resurrected, "conservation"),
    (Anomaly::Altered, "conservation"),
    (Anomaly::SecretTwice, "unique"),
    (Anomaly::OversoldInDatabase, "oversell"),
    (Anomaly::OversoldInHands, "oversell"),
    (Anomaly::OnlyOnStandby, "replicas"),
    (Anomaly::MissingOnStandby, "replicas"),
    (Anomaly::TwoPrimaries, "primaries"),
    (Anomaly::Refused, "availability"),
    (Anomaly::Slow, "response_time"),
    (Anomaly::WrongBuyer, "exactly_once"),
    (Anomaly::InvoiceReissued, "unique"),
    (Anomaly::InvoiceLeftOut, "unique"),
    (Anomaly::SeenLate, "reads"),
    (Anomaly::SeenNoMore, "reads"),
    (Anomaly::OldCount, "quota_reads"),
    (Anomaly::StaleShop, "quota_reads"),
    (Anomaly::SeatTwice, "claims"),
    (Anomaly::TakenTooEarly, "claims"),
    (Anomaly::AdmittedTwice, "door"),
    (Anomaly::TurnedAway, "door"),
    (Anomaly::AdmissionForgotten, "door"),
    (Anomaly::FeeMissing, "money"),
    (Anomaly::Orphaned, "money"),
    (Anomaly::FalseSoldOut, "sold_out"),
    (Anomaly::StuckKey, "leftovers"),
    (Anomaly::StrangeLine, "logs"),
];

/// So many of them, the first, are wrong with a purchase itself.
const OF_PURCHASES: usize = 14;

/// Tickets of the largest order.
const LARGEST: u64 = 3;

fn purchase() -> impl Strategy<Value = Purchase> {
    let end = prop_oneof![
        50 => Just(End::Confirmed),
        3 => Just(End::FoundByLookup),
        1 => Just(End::DoubtApplied),
        1 => Just(End::DoubtNotApplied),
        1 => Just(End::NotSent),
    ];
    (1..=LARGEST, 10..1_500u64, 0..3u32, end).prop_map(|(tickets, latency_ms, retries, end)| Purchase {
        tickets,
        latency_ms,
        retries,
        end,
    })
}

/// Two purchases a second for a minute; the shop sells first come, first served until the quota is empty.
fn story(purchases: &[Purchase], size: u64) -> Story {
    let mut story = Story::empty(2.0);
    let mut in_database = 0;
    for (op, purchase) in purchases.iter().enumerate() {
        let (op, due_ms) = (op as u64, op as u64 * 500);
        let mut at_ms = due_ms;
        for _ in 0..purchase.retries {
            story.attempts.push(unsold(op, due_ms, at_ms, at_ms + 5, Outcome::NotApplied));
            at_ms += 10;
        }
        let last = sold(op, due_ms, at_ms, at_ms + purchase.latency_ms, purchase.tickets);
        let has_room = in_database + purchase.tickets <= size;
        let as_outcome = |outcome| Attempt { outcome, order: None, ..last.clone() };
        match purchase.end {
            End::NotSent => story.attempts.push(as_outcome(Outcome::NotSent)),
            End::DoubtNotApplied => story.attempts.push(as_outcome(Outcome::InDoubt)),
            _ if !has_room => story.attempts.push(as_outcome(Outcome::Rejected(RejectReason::SoldOut))),
            End::Confirmed => story.attempts.push(last.clone()),
            End::FoundByLookup => {
                story.attempts.push(as_outcome(Outcome::InDoubt));
                story.attempts.push(Attempt {
                    kind: AttemptKind::Lookup,
                    ended: last.ended.plus_ms(20),
                    ..last.clone()
                });
            }
            End::DoubtApplied => story.attempts.push(as_outcome(Outcome::InDoubt)),
        }
        if has_room && !matches!(purchase.end, End::NotSent | End::DoubtNotApplied) {
            in_database += purchase.tickets;
            story.put(&last);
        }
    }
    story.read_quota(size, in_database);
    beside::add(&mut story, size);
    story
}

fn plant(story: &mut Story, anomaly: Anomaly, draw: usize) {
    let bought = story.attempts.iter().filter(|a| a.order.is_some() && a.claim.is_none() && a.number != 9);
    let acked: Vec<u64> = bought.map(|a| a.op.0).collect();
    let victim = acked[draw % acked.len()];
    let other = acked[(draw + 1) % acked.len()];
    let stranger = sold(9_000, 0, 0, 0, 1);
    if ANOMALIES.iter().position(|(other, _)| *other == anomaly) < Some(OF_PURCHASES) {
        beside::forget(story, victim);
        beside::forget(story, other);
    }
    match anomaly {
        Anomaly::Lost => story.rows.retain(|row| row.code != code(victim)),
        Anomaly::RowTwice => {
            let copies: Vec<_> = story.rows_of(victim).map(|row| row.clone()).collect();
            story.rows.extend(copies);
        }
        Anomaly::TwoCodes => {
            let mut copies: Vec<_> = story.rows_of(victim).map(|row| row.clone()).collect();
            copies.iter_mut().for_each(|row| row.code = "OTHER".to_owned());
            story.rows.extend(copies);
        }
        Anomaly::Phantom => story.put(&stranger),
        Anomaly::Resurrected => {
            story.attempts.push(unsold(9_000, 100, 100, 110, Outcome::Rejected(RejectReason::Invalid)));
            story.put(&stranger);
        }
        Anomaly::Altered => story.rows_of(victim).for_each(|row| row.email = "x@example.org".to_owned()),
        Anomaly::SecretTwice => {
            let secret = format!("secret-{victim}-0");
            let orders = story.of_op(other).filter_map(|attempt| attempt.order.as_mut());
            orders.for_each(|order| order.positions[0].secret = Some(secret.clone()));
            story.rows_of(other).for_each(|row| row.positions[0].secret.clone_from(&secret));
        }
        Anomaly::OversoldInDatabase => {
            let last = story.quotas.iter_mut().filter(|quota| quota.asked.is_none());
            last.for_each(|quota| quota.sold = quota.size.expect("a limited quota") + 1);
        }
        Anomaly::OversoldInHands => {
            let bought = story.attempts.iter().filter(|attempt| attempt.claim.is_none() && attempt.number != 9);
            let orders = bought.filter_map(|attempt| attempt.order.as_ref());
            let held: u64 = orders.map(|order| order.positions.len() as u64).sum();
            story.read_quota(held - 1, held - 1);
        }
        Anomaly::OnlyOnStandby => story.rows.push(row("pg3", &stranger)),
        Anomaly::MissingOnStandby => {
            story.rows.retain(|row| row.code != code(victim) || row.source.as_str() != "pg1");
        }
        Anomaly::TwoPrimaries => story.observations.push(seen(45_000, "pg1", Role::Primary)),
        Anomaly::Refused => {
            let refusal = |n: u64| Refusal { op: OpId(10_000 + n), intended: At::from_ms(n * 300) };
            story.refusals.extend((0..200).map(refusal));
        }
        Anomaly::Slow => story.of_op(victim).for_each(|attempt| attempt.ended = attempt.intended.plus_ms(50_001)),
        other => beside::plant(story, other, victim),
    }
}

fn failed(story: &Story) -> Vec<String> {
    let verdict = judge(&story.history(), &story.sla);
    verdict.checks.into_iter().filter(|check| check.judgement == Fail).map(|check| check.checker).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn exactly_the_right_checker_fires(
        mut purchases in prop::collection::vec(purchase(), 120),
        size in 20..400u64,
        planted in prop::sample::select(ANOMALIES.to_vec()),
        draw in 0..1_000usize,
    ) {
        // How much a refused buyer wanted, no history says: the largest order has to be among those confirmed.
        purchases[0] = Purchase { tickets: LARGEST, end: End::Confirmed, ..purchases[0].clone() };
        let good = story(&purchases, size);
        prop_assert_eq!(failed(&good), Vec::<String>::new());
        for invariant in REGISTRY.iter().map(|(name, _)| *name).filter(|name| !OBJECTIVES.contains(name)) {
            let result = good.ask(invariant);
            prop_assert_eq!(result.judgement, Pass, "{:#?}", result);
            prop_assert!(result.findings.is_empty(), "{:#?}", result.findings);
        }
        let (anomaly, checker) = planted;
        let spoiled = good.with(|story| plant(story, anomaly, draw));
        prop_assert_eq!(failed(&spoiled), vec![checker.to_owned()], "{:?}", anomaly);
    }
}
