//! The pass that makes the digest.

use super::ops::{BARE, ODD, ONE_PURCHASE, ONE_SALE, OWN_CODE, Op, PENDING, THERE};
use super::prints::{self, Printer};
use super::rows::Sorted;
use super::{Digest, Sale};
use crate::history::ops::Known;
use crate::history::record::{AttemptRef, OrderRef, Record, TicketRef};
use crate::history::{AttemptKind, Event, Outcome};

#[derive(Debug, Default)]
pub(super) struct Folding {
    pub(super) digest: Digest,
    printer: Printer,
}

impl Folding {
    pub(super) fn take(&mut self, place: u64, record: &Record<'_>) {
        let digest = &mut self.digest;
        digest.records += 1;
        match record {
            Record::Attempt(attempt) => self.attempt(attempt),
            Record::Ledger(row) => digest.ledgers.put(row, &mut self.printer, &mut digest.baskets),
            Record::Refused(refusal) => digest.refusals.push(*refusal),
            Record::Other(Event::End(trailer)) => {
                digest.records -= 1;
                digest.trailer = Some(trailer.clone());
            }
            Record::Other(Event::Source(read)) => {
                digest.ledgers.close(place, read);
                digest.sources.push(read.clone());
            }
            Record::Other(other) => digest.keep(other),
        }
    }

    fn attempt(&mut self, attempt: &AttemptRef<'_>) {
        let digest = &mut self.digest;
        digest.attempts += 1;
        digest.last_attempt = digest.last_attempt.max(attempt.ended);
        if matches!(attempt.outcome, Outcome::InDoubt | Outcome::NotApplied | Outcome::NotSent) {
            digest.error_ends.push(attempt.ended);
        }
        let op = digest.operations.entry(attempt.op);
        let code = prints::code(attempt.code);
        if op.has(THERE) {
            // What only attempts have is kept beside from the second attempt of an operation on.
            if let Some((started, ended)) = op.one_sale() {
                digest.sales.push(Sale { ended, started });
            }
            digest.purchases_ms.extend(op.one_purchase_ms());
            op.set(ONE_SALE | ONE_PURCHASE, false);
            op.set(ODD, op.is_odd() || (op.has_own_code() && op.code != code));
            if is_sale(attempt) {
                digest.sales.push(Sale { ended: attempt.ended, started: attempt.started });
            }
            if attempt.kind == AttemptKind::Purchase {
                digest.purchases_ms.push(attempt.ended.ms_since(attempt.started));
            }
        } else {
            *op = begin(attempt, code);
            digest.has_web |= !op.has_own_code();
        }
        let was = op.known;
        op.intended = op.intended.min(attempt.intended);
        op.invoked = op.invoked.min(attempt.started);
        op.completed = op.completed.max(attempt.ended);
        let mut pending = op.has(PENDING);
        op.known = was.raised_by(&mut pending, attempt.kind, attempt.outcome, attempt.order.is_some());
        op.set(PENDING, pending);
        match (was, op.known, &attempt.order) {
            (Known::Acknowledged, ..) => {}
            (_, Known::Acknowledged, Some(order)) => {
                (op.due, op.confirmed) = (attempt.intended, attempt.ended);
                let email = op.order;
                let (baskets, tickets) = (&mut digest.baskets, &mut digest.tickets);
                confirm(op, attempt, order, Parts { baskets, tickets, printer: &mut self.printer });
                if !op.has_own_code() {
                    digest.web.push((attempt.op, email));
                }
            }
            _ => op.due = op.due.max(attempt.intended),
        }
        // All that is beside purchases comes after a confirmation, or names what it wants.
        if was == Known::Acknowledged || attempt.claim.is_some() || attempt.ticket.is_some() {
            digest.beside.take(attempt, was, op.known, op.code);
        }
    }
}

impl Digest {
    fn keep(&mut self, event: &Event) {
        match event {
            Event::Run(header) => {
                self.header.get_or_insert_with(|| header.clone());
            }
            Event::Fault(fault) => self.faults.push(fault.clone()),
            Event::Stage(stage) => self.stages.push(stage.clone()),
            Event::Observed(seen) => self.observations.push(seen.clone()),
            Event::Quota(row) => self.quotas.push(row.clone()),
            Event::Seen(seen) => self.read.quotas_seen.push(seen.clone()),
            Event::Invoice(invoice) => self.read.invoices.push(invoice.clone()),
            Event::Leftover(leftover) => self.read.leftovers.push(leftover.clone()),
            Event::Log(lines) => self.read.logs.push(lines.clone()),
            // The checkers do not look at usage; everything else has been taken.
            _ => {}
        }
    }
}

fn begin(attempt: &AttemptRef<'_>, code: u64) -> Op {
    let mut op = Op {
        intended: attempt.intended,
        due: attempt.intended,
        invoked: attempt.started,
        completed: attempt.ended,
        code,
        order: prints::text(attempt.email),
        bits: THERE,
        ..Op::NONE
    };
    op.set(OWN_CODE, !attempt.code.is_empty());
    op.set(ONE_SALE, is_sale(attempt));
    op.set(ONE_PURCHASE, attempt.kind == AttemptKind::Purchase);
    op
}

/// Whether an attempt served a buyer. By the page of the order a buyer in the browser learns what he bought: his
/// last look-up is his sale. Other look-ups prove a purchase, but not when it was made.
fn is_sale(attempt: &AttemptRef<'_>) -> bool {
    let counts = match attempt.kind {
        AttemptKind::Purchase => true,
        AttemptKind::Lookup => attempt.code.is_empty(),
        AttemptKind::Prepare => attempt.outcome != Outcome::Acknowledged,
        AttemptKind::Visit | AttemptKind::Redeem | AttemptKind::Cancel => false,
    };
    let serves = match attempt.outcome {
        Outcome::Acknowledged => true,
        Outcome::Rejected(reason) => reason.is_gone(),
        _ => false,
    };
    counts && serves
}

/// What a confirmation is folded into, besides its operation.
struct Parts<'d> {
    baskets: &'d mut super::Baskets,
    tickets: &'d mut Vec<u64>,
    printer: &'d mut Printer,
}

fn confirm(op: &mut Op, attempt: &AttemptRef<'_>, order: &OrderRef<'_>, parts: Parts<'_>) {
    let sorted = Sorted::of(order.positions);
    let email = if order.email == attempt.email { None } else { Some(prints::text(order.email)) };
    let email = email.unwrap_or_else(|| prints::text(attempt.email));
    let mut odd = op.order != email;
    if op.has_own_code() {
        odd |= order.code != attempt.code;
    } else {
        op.code = prints::code(order.code);
        // He is found by his e-mail address then, under a code that was never confirmed.
        odd |= order.code.is_empty();
    }
    let told = |ticket: &TicketRef<'_>| ticket.id.is_some() && ticket.secret.is_some();
    let silent = |ticket: &TicketRef<'_>| ticket.id.is_none() && ticket.secret.is_none();
    op.basket = parts.baskets.number(order.total_cents, sorted.iter());
    if sorted.iter().all(told) {
        op.order = parts.printer.order(order.total_cents, order.email, sorted.iter(), None);
    } else {
        odd |= !sorted.iter().all(silent);
        op.order = email;
        op.set(BARE, true);
    }
    op.set(ODD, op.is_odd() || odd);
    for ticket in order.positions {
        parts.tickets.extend(ticket.id.map(prints::ticket_id));
        parts.tickets.extend(ticket.secret.map(prints::ticket_secret));
    }
}
