//! What a good run shows beside purchases, and what can be wrong with it.

use super::super::story::{DATABASES, Story, code, sold, unsold};
use super::Anomaly;
use firedrill_core::history::{
    At, Attempt, AttemptKind, InvoiceRow, LedgerRow, Leftover, LogLines, Outcome, QuotaRow, QuotaSeen, RejectReason,
    RowBooks, Subject,
};
use firedrill_core::ids::OpId;

/// An item of no quota, so that seats take no tickets away.
const SEAT: u64 = 99;

/// When the quota is counted while the load runs.
const COUNTED_MS: [u64; 3] = [10_000, 25_000, 50_000];

const TAKEN: Outcome = Outcome::Rejected(RejectReason::Taken);
const USED: Outcome = Outcome::Rejected(RejectReason::AlreadyRedeemed);

/// Adds all that a run may look at, as it is right.
pub(super) fn add(story: &mut Story, size: u64) {
    use Subject::{Books, Entries, Invoices, Leftovers, Logs, QuotasSeen};
    story.observes = vec![Books, Entries, Invoices, Leftovers, Logs, QuotasSeen];
    counts(story, size);
    seats(story);
    invoices(story);
    let confirmed = confirmed(story);
    if let [first, second, ..] = &confirmed[..] {
        let end_ms = |attempt: &Attempt| attempt.ended.as_ms() as u64;
        for wait_ms in [1_000, 2_000] {
            story.look(first.op.0, end_ms(first) + wait_ms, first.order.clone());
        }
        scan(story, second.op.0, end_ms(second) + 1_000, Outcome::Passed);
        scan(story, second.op.0, end_ms(second) + 1_500, USED);
        entries(story, second.op.0, 1);
    }
    let (at, node) = (At::from_ms(200_000), "pg2".into());
    story.leftovers.push(Leftover { at, node, what: "locked keys".to_owned(), count: Some(0), detail: String::new() });
    line(story, 10_000, "ERROR: canceling statement due to lock timeout");
    line(story, 21_000, "FATAL: the database system is shutting down");
}

/// Forgets what was seen of a purchase beside it, so that one anomaly has one consequence.
pub(super) fn forget(story: &mut Story, op: u64) {
    story.attempts.retain(|attempt| attempt.op != OpId(op) || attempt.number != 9);
    entries(story, op, 0);
}

/// The purchases that were confirmed, in the order of their ids.
fn confirmed(story: &Story) -> Vec<Attempt> {
    let is_one = |attempt: &&Attempt| attempt.order.is_some() && attempt.number != 9 && attempt.claim.is_none();
    let mut all: Vec<Attempt> = story.attempts.iter().filter(is_one).cloned().collect();
    all.sort_by_key(|attempt| attempt.op);
    all.dedup_by_key(|attempt| attempt.op);
    all
}

/// A purchase is in the database when its last attempt ends.
fn counts(story: &mut Story, size: u64) {
    let last = story.quotas[0].clone();
    for at_ms in COUNTED_MS {
        let at = At::from_ms(at_ms);
        let is_in = |row: &&LedgerRow| {
            let of_row = story.attempts.iter().filter(|a| a.code == row.code && a.kind == AttemptKind::Purchase);
            row.source.as_str() == "pg2" && of_row.map(|a| a.ended).max() <= Some(at)
        };
        let sold: u64 = story.rows.iter().filter(is_in).map(|row| row.positions.len() as u64).sum();
        let row = QuotaRow { at, asked: Some(at), source: "pg1".into(), sold, ..last.clone() };
        story.quotas.insert(0, row);
        let left = Some(size as i64 - sold as i64);
        let entry = "nginx-1".into();
        story.quotas_seen.push(QuotaSeen { asked: at, at, entry, id: 1, size: Some(size), left });
    }
}

/// Three buyers want one seat.
fn seats(story: &mut Story) {
    let first = seat(8_000, 5_000, Outcome::Acknowledged);
    story.put(&first);
    story.attempts.extend([first, seat(8_001, 5_020, TAKEN), seat(8_002, 6_000, TAKEN)]);
}

fn seat(op: u64, at_ms: u64, outcome: Outcome) -> Attempt {
    let mut attempt = match outcome {
        Outcome::Acknowledged => sold(op, at_ms, at_ms, at_ms + 100, 1),
        _ => unsold(op, at_ms, at_ms, at_ms + 100, outcome),
    };
    attempt.claim = Some("seat A1".to_owned());
    attempt.order.iter_mut().for_each(|order| order.positions[0].item = SEAT);
    attempt
}

/// One for every confirmed purchase; the primary was asked once while the load ran.
fn invoices(story: &mut Story) {
    for (attempt, number) in confirmed(story).iter().zip(1..) {
        let order = attempt.order.as_ref().unwrap();
        let invoice = |at, source: &str| InvoiceRow {
            at,
            source: source.into(),
            series: "FAIR-".to_owned(),
            number,
            code: order.code.clone(),
            cents: order.total_cents,
        };
        let early = At::from_ms(30_000);
        story.invoices.extend((attempt.ended < early).then(|| invoice(early, "pg1")));
        story.invoices.extend(DATABASES.iter().map(|source| invoice(At::from_ms(200_000), source)));
    }
}

fn scan(story: &mut Story, op: u64, at_ms: u64, outcome: Outcome) {
    let attempt = unsold(op, op * 500, at_ms, at_ms + 10, outcome);
    let ticket = Some(format!("secret-{op}-0"));
    story.attempts.push(Attempt { kind: AttemptKind::Redeem, number: 9, ticket, ..attempt });
}

fn entries(story: &mut Story, op: u64, count: u32) {
    story.rows_of(op).flat_map(|row| row.positions.first_mut()).for_each(|ticket| ticket.entries = count);
}

fn line(story: &mut Story, at_ms: u64, line: &str) {
    story.logs.push(LogLines { node: "web1".into(), at: At::from_ms(at_ms), count: 1, line: line.to_owned() });
}

fn spoil_books(story: &mut Story, op: u64, spoil: impl Fn(&mut RowBooks)) {
    story.rows_of(op).flat_map(|row| row.books.as_mut()).for_each(spoil);
}

/// Plants an anomaly. `victim` is a confirmed purchase.
pub(super) fn plant(story: &mut Story, anomaly: Anomaly, victim: u64) {
    let looked_at = story.attempts.iter().find(|a| a.kind == AttemptKind::Lookup && a.number == 9).map(|a| a.op.0);
    let scanned = story.attempts.iter().find(|a| a.kind == AttemptKind::Redeem).map(|a| (a.op.0, a.started));
    let (Some(looked_at), Some((scanned, scanned_at))) = (looked_at, scanned) else { unreachable!("see `add`") };
    let scanned_ms = scanned_at.as_ms() as u64;
    match anomaly {
        Anomaly::WrongBuyer => {
            // Whoever looks again would be shown somebody else's order too.
            forget(story, victim);
            let orders = story.of_op(victim).filter_map(|attempt| attempt.order.as_mut());
            orders.for_each(|order| order.email = "somebody@else.example.org".to_owned());
        }
        Anomaly::InvoiceReissued => {
            let first = story.invoices.iter().find(|row| row.number == 1).cloned().unwrap();
            story.invoices.push(InvoiceRow { at: At::from_ms(20_000), code: code(7_777), ..first });
        }
        Anomaly::InvoiceLeftOut => {
            story.invoices.iter_mut().filter(|row| row.number > 1).for_each(|row| row.number += 1);
        }
        Anomaly::SeenLate => {
            let first_ms = story.of_op(looked_at).filter(|a| a.number == 9).map(|a| a.started).min().unwrap().as_ms();
            story.look(looked_at, first_ms as u64 - 500, None);
        }
        Anomaly::SeenNoMore => story.look(looked_at, 120_000, None),
        Anomaly::OldCount => story.quotas[0].sold = 0,
        Anomaly::StaleShop => {
            let last = story.quotas_seen.last_mut().unwrap();
            last.left = last.size.map(|size| size as i64);
        }
        Anomaly::SeatTwice => {
            let second = seat(8_003, 7_000, Outcome::Acknowledged);
            story.put(&second);
            story.attempts.push(second);
        }
        Anomaly::TakenTooEarly => story.attempts.push(seat(8_003, 4_000, TAKEN)),
        Anomaly::AdmittedTwice => scan(story, scanned, scanned_ms + 5_000, Outcome::Passed),
        Anomaly::TurnedAway => scan(story, scanned, scanned_ms - 100, USED),
        Anomaly::AdmissionForgotten => entries(story, scanned, 0),
        Anomaly::FeeMissing => spoil_books(story, victim, |books| books.lines_cents -= 1),
        Anomaly::Orphaned => {
            story.rows_of(victim).for_each(|row| row.status = "p".to_owned());
            let total = story.rows_of(victim).next().unwrap().total_cents;
            spoil_books(story, victim, |books| books.paid_cents = total);
        }
        Anomaly::FalseSoldOut => {
            story.attempts.push(unsold(8_004, 100, 100, 110, Outcome::Rejected(RejectReason::SoldOut)));
        }
        Anomaly::StuckKey => story.leftovers[0].count = Some(1),
        Anomaly::StrangeLine => line(story, 55_000, "KeyError: 7"),
        _ => unreachable!("planted by the caller"),
    }
}
