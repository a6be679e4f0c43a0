//! The books: what buyers were told against what the databases have, and the databases against each other.
//!
//! It is drawn up from the digest by prints ([`join`], [`replicas`]), which sorts out the many with which nothing
//! is wrong. The few others are read again from the history and judged by their texts; should they be many, in portions
//! ([`shelves`]). Two texts with one print can therefore not cause a false alarm.

#[cfg(test)]
mod against_exact;
#[cfg(test)]
mod fixture;
mod join;
mod replicas;
mod shelves;

use super::conservation::exact::Exact;
use super::conservation::{Account, Anomaly, Kind};
use super::ledger;
use super::replicas::Difference;
use super::step::Window;
use crate::digest::money::Money;
use crate::digest::{BasketId, Digest, Ledger, Place, Recorded, Row, Token, prints};
use crate::history::codec::Shelf;
use crate::history::record::{AttemptRef, Record, RowRef};
use crate::history::{AttemptKind, Operations, Outcome, SourceRead};
use join::{Join, Sorted};
use replicas::Pair;
use shelves::{Shelves, Suspects};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The books of a run.
#[derive(Debug, Default)]
pub struct Books {
    /// Buyers against the database.
    pub account: Account,
    /// Every other database that was read completely, with how it differs from the authority.
    pub(super) others: Vec<(SourceRead, Difference)>,
    /// How many live rows of the authority are the load's, by what is in them.
    pub(super) ours: Vec<(BasketId, u64)>,
    /// What other tables of the authority say of its orders.
    pub(super) money: Money,
    /// Prints of the tickets that somebody was admitted with, by the authority, with how often, by print.
    pub(super) entries: Vec<(u64, u32)>,
    /// What the orders with an invoice cost in cents, by the print of their code.
    pub(super) invoiced: HashMap<u64, i64>,
}

impl Books {
    /// Draws them up. Without a complete read of a primary nothing can be said against anybody.
    ///
    /// # Errors
    /// Where the history cannot be read again.
    pub fn draw<R: Recorded>(history: &mut R, digest: &mut Digest, windows: &[Window]) -> Result<Self, R::Error> {
        let acknowledged = digest.operations.iter().filter(|(_, op)| op.is_acknowledged()).count() as u64;
        let mut books = Self { account: Account { acknowledged, ..Account::default() }, ..Self::default() };
        let Some(authority) = digest.authority().cloned() else {
            digest.drop_ledgers();
            digest.tickets = Vec::new();
            return Ok(books);
        };
        let shared = shared_tickets(history, digest)?;
        let mut ledger = by_code(digest.take_ledger(&authority));
        let others: Vec<SourceRead> = ledger::others(digest, &authority).into_iter().cloned().collect();
        let compare = |read: &SourceRead| Pair::of(&ledger.rows, by_code(digest.take_ledger(read)));
        let mut pairs: Vec<Pair> = others.iter().filter(|read| read.complete).map(compare).collect();
        digest.drop_ledgers();
        (books.account.read, books.account.rows) = (true, ledger.rows.len() as u64);
        books.ours = ours(digest, &ledger);
        books.invoiced = invoiced(digest, &ledger);
        books.money = std::mem::take(&mut ledger.money);
        books.entries = std::mem::take(&mut ledger.entries);
        let sorted = Join::new(digest, &ledger, shared).sort_out();
        ledger.rows = Vec::new();
        let counts = sorted.counts;
        books.account.recovered = counts.recovered;
        books.account.vanished = counts.vanished;
        books.account.foreign = counts.foreign;
        books.read_again(history, digest, windows, &ledger, &mut pairs, sorted)?;
        books.others = pairs.into_iter().map(|pair| (pair.read().clone(), pair.difference)).collect();
        Ok(books)
    }

    /// Judges by texts what prints could not.
    fn read_again<R: Recorded>(
        &mut self,
        history: &mut R,
        digest: &Digest,
        windows: &[Window],
        ledger: &Ledger,
        pairs: &mut [Pair],
        sorted: Sorted,
    ) -> Result<(), R::Error> {
        let Sorted { suspects, mut lost, .. } = sorted;
        let certain =
            lost.contains(&true) || pairs.iter().any(|pair| !pair.missing.is_empty() || !pair.extra.is_empty());
        let passes = pairs.iter().map(|pair| &pair.suspects).chain([&suspects]).map(Suspects::passes).max();
        for pass in 0..passes.unwrap_or(0).max(u32::from(certain)) {
            let mut found = Found::default();
            found.replicas.resize_with(pairs.len(), Shelves::default);
            history.scan(&mut |place, record| match &record {
                Record::Attempt(attempt) => {
                    if let Some(shelf) = suspects.of_op(attempt.op, pass) {
                        found.ours.put(shelf, &record);
                    }
                    if pass == 0 {
                        self.lose(attempt, digest, &mut lost, windows);
                    }
                }
                Record::Ledger(row) => found.row(pass, place, row, ledger, &suspects, pairs),
                Record::Refused(_) | Record::Other(_) => {}
            })?;
            found.ours.empty().for_each(|shelf| self.enter(&shelf, windows));
            for (pair, shelves) in pairs.iter_mut().zip(found.replicas) {
                shelves.empty().for_each(|shelf| pair.compare(&shelf));
            }
        }
        Ok(())
    }

    /// Enters a purchase that is certainly lost when its confirmation comes by.
    fn lose(&mut self, attempt: &AttemptRef<'_>, digest: &Digest, lost: &mut [bool], windows: &[Window]) {
        let Some(order) = &attempt.order else { return };
        let confirms = matches!(attempt.kind, AttemptKind::Purchase | AttemptKind::Lookup);
        if !confirms || attempt.outcome != Outcome::Acknowledged {
            return;
        }
        let Some(place) = digest.operations.place(attempt.op) else { return };
        if !std::mem::take(&mut lost[place.0 as usize]) {
            return;
        }
        let own_code = digest.operations.at(place).has_own_code();
        let anomaly = Anomaly {
            kind: Kind::Lost,
            op: Some(attempt.op),
            at: Some(attempt.ended),
            code: if own_code { attempt.code } else { order.code }.to_owned(),
            cents: order.total_cents,
            detail: LOST.to_owned(),
        };
        self.account.add(anomaly, windows);
    }

    /// Judges by their texts what lies on a shelf.
    fn enter(&mut self, shelf: &Shelf, windows: &[Window]) {
        let (mut attempts, mut rows) = (Vec::new(), Vec::new());
        shelf.each(|record| match record {
            Record::Attempt(attempt) => attempts.push(attempt.to_attempt()),
            Record::Ledger(row) => rows.push(row.to_row()),
            Record::Refused(_) | Record::Other(_) => {}
        });
        let exact = Exact::of(&Operations::fold(&attempts), rows.iter().collect());
        self.account.recovered += exact.recovered;
        self.account.vanished += exact.vanished;
        self.account.foreign += exact.foreign;
        for anomaly in exact.anomalies {
            self.account.add(anomaly, windows);
        }
    }
}

/// What is said of a lost order.
pub(super) const LOST: &str = "not in the database";

/// The texts of one pass.
#[derive(Debug, Default)]
struct Found {
    /// Purchases and rows of the authority.
    ours: Shelves,
    /// Of every pair the rows of both.
    replicas: Vec<Shelves>,
}

impl Found {
    fn row(
        &mut self,
        pass: u32,
        place: u64,
        row: &RowRef<'_>,
        ledger: &Ledger,
        suspects: &Suspects,
        pairs: &mut [Pair],
    ) {
        let is_ours = ledger.has(place, row);
        if !is_ours && !pairs.iter().any(|pair| pair.other.has(place, row)) {
            return;
        }
        let (code, record) = (prints::code(row.code), Record::Ledger(*row));
        if let Some(shelf) = suspects.of_code(code, pass).filter(|_| is_ours) {
            self.ours.put(shelf, &record);
        }
        for (pair, shelves) in pairs.iter_mut().zip(&mut self.replicas) {
            let is_theirs = pair.other.has(place, row);
            match pair.suspects.of_code(code, pass) {
                Some(shelf) if is_ours || is_theirs => shelves.put(shelf, &record),
                None if pass == 0 && is_ours && pair.missing.contains(&code) => pair.difference.missing.add(row.code),
                None if pass == 0 && is_theirs && pair.extra.contains(&code) => pair.difference.extra.add(row.code),
                _ => {}
            }
        }
    }
}

fn by_code(mut ledger: Ledger) -> Ledger {
    ledger.rows.sort_unstable_by_key(|row| row.code);
    ledger
}

/// Tickets that were confirmed more than once, with the purchases that they were confirmed to. Where there are
/// any, the history is read again for the purchases.
fn shared_tickets<R: Recorded>(history: &mut R, digest: &mut Digest) -> Result<Vec<(u64, Place)>, R::Error> {
    let mut tickets = std::mem::take(&mut digest.tickets);
    tickets.sort_unstable();
    let twice: HashSet<u64> = tickets.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    drop(tickets);
    let mut shared = Vec::new();
    if twice.is_empty() {
        return Ok(shared);
    }
    history.scan(&mut |_, record| {
        let Record::Attempt(attempt) = record else { return };
        let Some(place) = digest.operations.place(attempt.op) else { return };
        for ticket in attempt.order.iter().flat_map(|order| order.positions) {
            let prints = [ticket.id.map(prints::ticket_id), ticket.secret.map(prints::ticket_secret)];
            shared
                .extend(prints.into_iter().flatten().filter(|print| twice.contains(print)).map(|print| (print, place)));
        }
    })?;
    shared.sort_unstable();
    shared.dedup();
    Ok(shared)
}

/// Rows with a token or an e-mail address of the load that count against a quota, by what is in them.
fn ours(digest: &Digest, ledger: &Ledger) -> Vec<(BasketId, u64)> {
    let web = digest.by_email();
    let is_web = |email: u64| !web.is_empty() && web.binary_search_by_key(&email, |(other, _)| *other).is_ok();
    let mut counts: BTreeMap<BasketId, u64> = BTreeMap::new();
    let is_live = |status: u8| !matches!(status, b'c' | b'e');
    let ours = |row: &&Row| row.token == Token::Code || is_web(row.email);
    let mut before = None;
    for row in ledger.rows.iter().filter(|row| is_live(row.status)).filter(ours) {
        // Of two rows with one code the load has ordered one; the other takes its tickets from the quota as a stranger.
        if before.replace(row.code) != Some(row.code) {
            *counts.entry(row.basket).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

/// What the orders cost that there are invoices for.
fn invoiced(digest: &Digest, ledger: &Ledger) -> HashMap<u64, i64> {
    let codes: HashSet<u64> = digest.read.invoices.iter().map(|invoice| prints::code(&invoice.code)).collect();
    let rows = ledger.rows.iter().filter(|row| codes.contains(&row.code));
    rows.map(|row| (row.code, digest.baskets.total_cents(row.basket))).collect()
}
