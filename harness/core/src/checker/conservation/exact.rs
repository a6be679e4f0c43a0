//! The account of a few orders, by their texts. What prints found is judged here, and only here.

use super::super::books::LOST;
use super::{Anomaly, Kind};
use crate::history::ops::GivenBack;
use crate::history::{LedgerPosition, LedgerRow, Operation, OperationOutcome, Operations, OrderAck, PositionAck};
use crate::ids::OpId;
use crate::words::counted;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many order codes are named in a sentence.
const CODES_MAX: usize = 5;

/// Buyers' confirmations against the database.
#[derive(Debug, Clone, Default)]
pub(in crate::checker) struct Exact {
    /// What is wrong, in no order.
    pub(in crate::checker) anomalies: Vec<Anomaly>,
    /// Purchases in doubt that are in F.
    pub(in crate::checker) recovered: u64,
    /// Purchases in doubt that are not in F.
    pub(in crate::checker) vanished: u64,
    /// Rows of other writers.
    pub(in crate::checker) foreign: u64,
}

impl Exact {
    /// Draws up the account in O(n log n). Whatever has a code, a token, an e-mail address or a ticket in common
    /// has to be given together.
    pub(in crate::checker) fn of(operations: &Operations, mut rows: Vec<&LedgerRow>) -> Self {
        rows.sort_by(|a, b| a.code.cmp(&b.code));
        let mut account = Self::default();
        let ops = account.keyed(operations, &rows);
        for same in ops.chunk_by(|a, b| a.code == b.code).filter(|same| same.len() > 1) {
            let mut confirmed = same.iter().filter(|keyed| keyed.op.order().is_some());
            let Some(first) = confirmed.next() else { continue };
            for keyed in confirmed {
                account.add(Kind::Shared, keyed.op, format!("its code was confirmed to {} too", first.op.id));
            }
        }
        account.compare_operations(&ops, &rows);
        account.compare_rows(&ops, &rows);
        account.compare_keys(operations);
        account
    }

    /// The purchases with the order codes under which they are to be found, sorted by them. Two orders that
    /// have the e-mail address of one buyer in the browser are a finding on the way.
    fn keyed<'a>(&mut self, operations: &'a Operations, rows: &[&'a LedgerRow]) -> Vec<Keyed<'a>> {
        let mut by_email: Vec<&LedgerRow> = rows.to_vec();
        by_email.sort_by(|a, b| (&a.email, &a.code).cmp(&(&b.email, &b.code)));
        let under = |email: &str| {
            let from = &by_email[by_email.partition_point(|row| row.email.as_str() < email)..];
            &from[..from.partition_point(|row| row.email == email)]
        };
        let mut keyed = Vec::with_capacity(operations.len());
        for op in operations.iter().filter(|op| op.outcome != OperationOutcome::Visited) {
            let mut code = op.code.as_str();
            if !op.has_own_code() {
                let theirs = under(&op.email);
                if code.is_empty() {
                    code = theirs.first().map_or("", |row| row.code.as_str());
                }
                if let [_, other, ..] = theirs {
                    let detail = format!("{} orders have the e-mail address {}", theirs.len(), op.email);
                    self.add_row(Kind::Repeated, other, Some(op), detail);
                }
            }
            keyed.push(Keyed { code, op });
        }
        keyed.sort_by(|a, b| (a.code, a.op.id).cmp(&(b.code, b.op.id)));
        keyed
    }

    fn add(&mut self, kind: Kind, op: &Operation, detail: impl Into<String>) {
        self.anomalies.push(Anomaly {
            kind,
            op: Some(op.id),
            at: Some(op.acknowledged_at().unwrap_or(op.completed)),
            code: op.code.clone(),
            cents: op.order().map_or(0, |order| order.total_cents),
            detail: detail.into(),
        });
    }

    fn add_row(&mut self, kind: Kind, row: &LedgerRow, op: Option<&Operation>, detail: impl Into<String>) {
        self.anomalies.push(Anomaly {
            kind,
            op: op.map(|op| op.id),
            at: op.map(|op| op.acknowledged_at().unwrap_or(op.completed)),
            code: row.code.clone(),
            cents: row.total_cents,
            detail: detail.into(),
        });
    }

    /// What buyers were told against what is there. Both are sorted by code, and merged.
    fn compare_operations(&mut self, ops: &[Keyed<'_>], rows: &[&LedgerRow]) {
        let mut next = 0;
        for Keyed { code, op } in ops {
            while rows.get(next).is_some_and(|row| row.code.as_str() < *code) {
                next += 1;
            }
            let row = rows.get(next).filter(|row| row.code == *code);
            match (&op.outcome, row) {
                (OperationOutcome::Acknowledged { .. }, None) => self.add(Kind::Lost, op, LOST),
                (OperationOutcome::Acknowledged { order, .. }, Some(row)) => {
                    if let Some(whose) = misdelivered(op, order, row) {
                        self.add(Kind::Misdelivered, op, whose);
                    } else if let Some(difference) = difference(op, order, row) {
                        self.add(Kind::Altered, op, difference);
                    }
                }
                (OperationOutcome::InDoubt, Some(_)) => self.recovered += 1,
                (OperationOutcome::InDoubt, None) => self.vanished += 1,
                (OperationOutcome::Rejected(reason), Some(row)) => {
                    let detail = format!("refused as {reason:?}, and in the database");
                    self.add_row(Kind::Resurrected, row, Some(op), detail);
                }
                (OperationOutcome::NotApplied, Some(row)) => {
                    let detail = "never accepted by the shop, and in the database";
                    self.add_row(Kind::Resurrected, row, Some(op), detail);
                }
                (OperationOutcome::Rejected(_) | OperationOutcome::NotApplied, None) => {}
                // Nothing was to be bought, so no order is looked for.
                (OperationOutcome::Visited, _) => {}
            }
        }
    }

    /// What is there against what was ordered. Both are sorted by code.
    fn compare_rows(&mut self, ops: &[Keyed<'_>], rows: &[&LedgerRow]) {
        let find = |code: &str| {
            let first = ops.partition_point(|keyed| keyed.code < code);
            ops.get(first).filter(|keyed| keyed.code == code).map(|keyed| keyed.op)
        };
        let by_web: HashSet<&str> =
            ops.iter().filter(|keyed| !keyed.op.has_own_code()).map(|keyed| keyed.op.email.as_str()).collect();
        let mut strays: BTreeMap<&str, Vec<&LedgerRow>> = BTreeMap::new();
        let mut phantoms: Vec<&LedgerRow> = Vec::new();
        let mut next = 0;
        for same in rows.chunk_by(|a, b| a.code == b.code) {
            let code = same[0].code.as_str();
            while ops.get(next).is_some_and(|keyed| keyed.code < code) {
                next += 1;
            }
            let op = ops.get(next).filter(|keyed| keyed.code == code).map(|keyed| keyed.op);
            // One more order of a buyer in the browser: found by his address already.
            if op.is_none() && same.iter().any(|row| by_web.contains(row.email.as_str())) {
                continue;
            }
            let tokens = || same.iter().filter_map(|row| row.token.as_deref());
            if op.is_none() && !tokens().any(|token| token == code || find(token).is_some()) {
                self.foreign += same.len() as u64;
                continue;
            }
            if same.len() > 1 {
                self.add_row(Kind::Duplicated, same[0], op, format!("{} rows with one code", same.len()));
            }
            phantoms.extend(op.is_none().then_some(same[0]));
            for token in tokens().filter(|token| *token != code) {
                let under = strays.entry(token).or_default();
                if under.last().is_none_or(|last| last.code != code) {
                    under.push(same[0]);
                }
            }
        }
        let mut repeated: HashSet<&str> = HashSet::new();
        for (token, mut under) in strays {
            let first = rows.partition_point(|row| row.code.as_str() < token);
            let same = rows[first..].iter().take_while(|row| row.code == token);
            under.extend(same.filter(|row| row.token.as_deref() == Some(token)).take(1));
            if under.len() > 1 {
                let codes: Vec<&str> = under.iter().map(|row| row.code.as_str()).collect();
                let named = &codes[..codes.len().min(CODES_MAX)];
                let mut detail = format!("the token {token} is under the codes {}", named.join(", "));
                if codes.len() > CODES_MAX {
                    detail += &format!(" and {} more", codes.len() - CODES_MAX);
                }
                self.add_row(Kind::Repeated, under[0], find(token), detail);
                repeated.extend(codes);
            }
        }
        // One order too many is no phantom as well.
        for row in phantoms.into_iter().filter(|row| !repeated.contains(row.code.as_str())) {
            self.add_row(Kind::Phantom, row, None, "in the database, and never ordered under this code");
        }
    }

    /// Keys that were confirmed to two buyers. Constraints of the database hide this from its rows.
    fn compare_keys(&mut self, operations: &Operations) {
        let mut ids: HashMap<u64, OpId> = HashMap::with_capacity(operations.len());
        let mut secrets: HashMap<&str, OpId> = HashMap::with_capacity(operations.len());
        for op in operations.iter() {
            for ticket in op.order().into_iter().flat_map(|order| &order.positions) {
                let id = ticket.id.and_then(|id| ids.insert(id, op.id)).filter(|other| *other != op.id);
                let secret = ticket.secret.as_deref().and_then(|secret| secrets.insert(secret, op.id));
                if let Some(other) = id.or(secret.filter(|other| *other != op.id)) {
                    let ticket = ticket.id.map_or_else(String::new, |id| format!(" {id}"));
                    self.add(Kind::Shared, op, format!("ticket{ticket} was confirmed to {other} too"));
                }
            }
        }
    }
}

/// A purchase and the order code under which it is to be found; empty where there is none.
struct Keyed<'a> {
    code: &'a str,
    op: &'a Operation,
}

/// What differs between a confirmation and what the buyer sent, if anything does.
fn misdelivered(op: &Operation, order: &OrderAck, row: &LedgerRow) -> Option<String> {
    if order.code != row.code {
        return Some(format!("confirmed as {}", order.code));
    }
    (order.email != op.email).then(|| format!("confirmed for {}, bought by {}", order.email, op.email))
}

/// What differs between a confirmation and its row, if anything does.
fn difference(op: &Operation, order: &OrderAck, row: &LedgerRow) -> Option<String> {
    if order.total_cents != row.total_cents {
        return Some(format!("total {} cents, confirmed {}", row.total_cents, order.total_cents));
    }
    if order.email != row.email {
        return Some(format!("e-mail address {}, confirmed {}", row.email, order.email));
    }
    // An order does not expire within a run, and is cancelled only by its buyer.
    let is_gone = matches!(row.status.as_str(), "c" | "e") && row.status != order.status;
    if is_gone && op.given_back == GivenBack::No {
        return Some(format!("status {}, confirmed {}", row.status, order.status));
    }
    if op.given_back == GivenBack::Yes && row.status != "c" {
        return Some(format!("status {}, confirmed to be cancelled", row.status));
    }
    let mut confirmed: Vec<&PositionAck> = order.positions.iter().collect();
    let mut stored: Vec<_> = row.positions.iter().filter(|position| !position.canceled).collect();
    confirmed.sort_by_key(|ticket| (ticket.id, ticket.item, ticket.price_cents));
    stored.sort_by_key(|ticket| (ticket.id, ticket.item, ticket.price_cents));
    if confirmed.len() != stored.len() {
        return Some(format!("{}, confirmed {}", counted(stored.len(), "ticket"), confirmed.len()));
    }
    let same_sale = |stored: &LedgerPosition, confirmed: &PositionAck| {
        confirmed.id.is_none_or(|id| id == stored.id)
            && (confirmed.item, confirmed.price_cents) == (stored.item, stored.price_cents)
    };
    let same = |stored: &LedgerPosition, confirmed: &PositionAck| {
        same_sale(stored, confirmed) && confirmed.secret.as_ref().is_none_or(|secret| *secret == stored.secret)
    };
    let mut pairs = stored.into_iter().zip(confirmed);
    let (stored, confirmed) = pairs.find(|(stored, confirmed)| !same(stored, confirmed))?;
    if same_sale(stored, confirmed) {
        return Some(format!("ticket {} has another secret than the one confirmed", stored.id));
    }
    let known = confirmed.id.map_or_else(String::new, |id| format!(" {id}"));
    Some(format!(
        "ticket {} for item {} at {} cents, confirmed ticket{known} for item {} at {} cents",
        stored.id, stored.item, stored.price_cents, confirmed.item, confirmed.price_cents
    ))
}
