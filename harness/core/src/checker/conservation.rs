//! Conservation: every confirmed order is in the database once, unchanged, and nothing else is.
//!
//! The token of a purchase is its client-chosen order code, which the load sends as `api_meta.hid` too. A
//! buyer in the browser chooses none: his token is his e-mail address, and the order that has it is his.
//! F is the ledger of the authority, the last complete final read of a primary ([`History::authority`]).
//! Lost = confirmed and not in F. Duplicated = twice in F, one token under two codes, or one order code,
//! ticket or ticket secret confirmed to two buyers (a database that lost confirmed rows issues their keys
//! again). Phantom = in F with a token of the load, and never attempted. Resurrected = in F although it
//! was definitely refused. Altered = in F other than confirmed. What was in doubt may be in F or not:
//! both are right, and counted.
//!
//! Rows of other writers (no token, or a token that is neither their own code nor one of the load's) are
//! not judged.

use super::{Evidence, Question, ledger, numbers, step};
use crate::history::{
    At, History, LedgerPosition, LedgerRow, Operation, OperationOutcome, Operations, OrderAck, PositionAck,
};
use crate::ids::{OpId, StepId};
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Name in the registry.
pub const NAME: &str = "conservation";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Is every acknowledged order in the database exactly once, unchanged, and no other?",
    gate: Gate::Invariant,
};

/// What can be wrong with an order, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Confirmed and gone.
    Lost,
    /// There twice, or confirmed to two buyers.
    Duplicated,
    /// There although it was definitely refused.
    Resurrected,
    /// There although nobody ordered it.
    Phantom,
    /// There, but not as it was confirmed.
    Altered,
}

impl Kind {
    /// All kinds, gravest first.
    pub const ALL: [Self; 5] = [Self::Lost, Self::Duplicated, Self::Resurrected, Self::Phantom, Self::Altered];

    /// Its name in numbers and reasons.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Resurrected => "resurrected",
            Self::Phantom => "phantom",
            Self::Altered => "altered",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Lost => {
                "let the primary wait for a standby (synchronous_commit = on with synchronous_standby_names), \
                 and promote only a standby that was in sync"
            }
            Self::Duplicated => {
                "retry with the same order code only, and fence the old primary before another is promoted"
            }
            Self::Resurrected => "check which component answers with a refusal after the database has committed",
            Self::Phantom => "look for a second writer, or for tasks that a restarted broker delivered again",
            Self::Altered => "compare the rows by their primary keys: an old primary may have written to them",
        }
    }
}

/// One order with which something is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// What.
    pub kind: Kind,
    /// Whose, where it is somebody's.
    pub op: Option<OpId>,
    /// When the buyer was answered.
    pub at: Option<At>,
    /// Order code.
    pub code: String,
    /// Its total in cents.
    pub cents: i64,
    /// What exactly, in short.
    pub detail: String,
}

/// Buyers' confirmations against the database.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Whether there is a complete final read to compare with.
    pub read: bool,
    /// What is wrong, sorted by kind, then by order code.
    pub anomalies: Vec<Anomaly>,
    /// Rows in F.
    pub rows: u64,
    /// Confirmed purchases.
    pub acknowledged: u64,
    /// Purchases in doubt that are in F.
    pub recovered: u64,
    /// Purchases in doubt that are not in F.
    pub vanished: u64,
    /// Rows of other writers.
    pub foreign: u64,
}

impl Account {
    /// Draws up the account in O(n log n). Without a complete read nothing can be said against anybody.
    pub fn of(history: &History, operations: &Operations) -> Self {
        let acknowledged = operations.iter().filter(|op| op.order().is_some()).count() as u64;
        let Some(authority) = history.authority() else {
            return Self { acknowledged, ..Self::default() };
        };
        let mut rows = ledger::rows(history, authority);
        rows.sort_by(|a, b| a.code.cmp(&b.code));
        let mut account = Self { read: true, rows: rows.len() as u64, acknowledged, ..Self::default() };
        let ops = account.keyed(operations, &rows);
        for same in ops.chunk_by(|a, b| a.code == b.code).filter(|same| same.len() > 1) {
            let mut confirmed = same.iter().filter(|keyed| keyed.op.order().is_some());
            let Some(first) = confirmed.next() else { continue };
            for keyed in confirmed {
                account.add(Kind::Duplicated, keyed.op, format!("its code was confirmed to {} too", first.op.id));
            }
        }
        account.compare_operations(&ops, &rows);
        account.compare_rows(&ops, &rows);
        account.compare_keys(operations);
        account.anomalies.sort_by(|a, b| (a.kind, &a.code, a.op, &a.detail).cmp(&(b.kind, &b.code, b.op, &b.detail)));
        account
    }

    /// The purchases with the order codes under which they are to be found, sorted by them. Two orders that
    /// have the e-mail address of one buyer in the browser are a finding on the way.
    fn keyed<'a>(&mut self, operations: &'a Operations, rows: &[&'a LedgerRow]) -> Vec<Keyed<'a>> {
        let mut by_email: Vec<&LedgerRow> = rows.to_vec();
        by_email.sort_by(|a, b| (&a.email, &a.code).cmp(&(&b.email, &b.code)));
        let under = |email: &str| {
            let first = by_email.partition_point(|row| row.email.as_str() < email);
            let same = by_email[first..].iter().take_while(|row| row.email == email).count();
            &by_email[first..first + same]
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
                    self.add_row(Kind::Duplicated, other, Some(op), detail);
                }
            }
            keyed.push(Keyed { code, op });
        }
        keyed.sort_by(|a, b| (a.code, a.op.id).cmp(&(b.code, b.op.id)));
        keyed
    }

    /// How many orders have this wrong with them.
    pub fn count(&self, kind: Kind) -> u64 {
        self.anomalies.iter().filter(|anomaly| anomaly.kind == kind).count() as u64
    }

    /// Money of the lost orders, in cents.
    pub fn lost_cents(&self) -> i64 {
        self.anomalies.iter().filter(|anomaly| anomaly.kind == Kind::Lost).map(|anomaly| anomaly.cents).sum()
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
                (OperationOutcome::Acknowledged { .. }, None) => self.add(Kind::Lost, op, "not in the database"),
                (OperationOutcome::Acknowledged { order, .. }, Some(row)) => {
                    if let Some(difference) = difference(op, order, row) {
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
            if op.is_none() {
                self.add_row(Kind::Phantom, same[0], None, "in the database, and never ordered under this code");
            }
            for token in tokens().filter(|token| *token != code) {
                let under = strays.entry(token).or_default();
                if under.last().is_none_or(|last| last.code != code) {
                    under.push(same[0]);
                }
            }
        }
        for (token, mut under) in strays {
            let first = rows.partition_point(|row| row.code.as_str() < token);
            let same = rows[first..].iter().take_while(|row| row.code == token);
            under.extend(same.filter(|row| row.token.as_deref() == Some(token)).take(1));
            if under.len() > 1 {
                let codes: Vec<&str> = under.iter().map(|row| row.code.as_str()).collect();
                let detail = format!("the token {token} is under the codes {}", codes.join(", "));
                self.add_row(Kind::Duplicated, under[0], find(token), detail);
            }
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
                    self.add(Kind::Duplicated, op, format!("ticket{ticket} was confirmed to {other} too"));
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

/// What differs between a confirmation and its row, or between it and what the buyer sent, if anything does.
fn difference(op: &Operation, order: &OrderAck, row: &LedgerRow) -> Option<String> {
    if order.code != row.code {
        return Some(format!("confirmed as {}", order.code));
    }
    if order.email != op.email {
        return Some(format!("confirmed for {}, bought by {}", order.email, op.email));
    }
    if order.total_cents != row.total_cents {
        return Some(format!("total {} cents, confirmed {}", row.total_cents, order.total_cents));
    }
    if order.email != row.email {
        return Some(format!("e-mail address {}, confirmed {}", row.email, order.email));
    }
    // The load never cancels, and an order does not expire within a run.
    if matches!(row.status.as_str(), "c" | "e") && row.status != order.status {
        return Some(format!("status {}, confirmed {}", row.status, order.status));
    }
    let mut confirmed: Vec<&PositionAck> = order.positions.iter().collect();
    let mut stored: Vec<_> = row.positions.iter().filter(|position| !position.canceled).collect();
    confirmed.sort_by_key(|ticket| (ticket.id, ticket.item, ticket.price_cents));
    stored.sort_by_key(|ticket| (ticket.id, ticket.item, ticket.price_cents));
    if confirmed.len() != stored.len() {
        return Some(format!("{} tickets, confirmed {}", stored.len(), confirmed.len()));
    }
    let same = |(stored, confirmed): (&LedgerPosition, &PositionAck)| {
        confirmed.id.is_none_or(|id| id == stored.id)
            && confirmed.secret.as_ref().is_none_or(|secret| *secret == stored.secret)
            && (confirmed.item, confirmed.price_cents) == (stored.item, stored.price_cents)
    };
    let mut pairs = stored.into_iter().zip(confirmed);
    let (stored, confirmed) = pairs.find(|(stored, confirmed)| !same((stored, confirmed)))?;
    let known = confirmed.id.map_or_else(String::new, |id| format!(" {id}"));
    Some(format!(
        "ticket {} for item {} at {} cents, confirmed ticket{known} for item {} at {} cents",
        stored.id, stored.item, stored.price_cents, confirmed.item, confirmed.price_cents
    ))
}

/// One finding for every kind and step.
fn findings(evidence: &Evidence<'_>) -> Vec<Finding> {
    let windows = &evidence.windows;
    let mut groups: BTreeMap<(Kind, Option<StepId>), Vec<&Anomaly>> = BTreeMap::new();
    for anomaly in &evidence.account.anomalies {
        let blame = if anomaly.kind == Kind::Lost { step::step_of_loss } else { step::step_at };
        let window = anomaly.at.and_then(|at| blame(windows, at));
        groups.entry((anomaly.kind, window.map(|window| window.step))).or_default().push(anomaly);
    }
    let finding = |((kind, step), group): ((Kind, Option<StepId>), Vec<&Anomaly>)| {
        let cents: i64 = group.iter().map(|anomaly| anomaly.cents).sum();
        let money = format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
        let (count, name) = (group.len(), kind.name());
        let summary = format!("{count} orders {name}, worth {money}; first {}: {}", group[0].code, group[0].detail);
        let nodes = windows.iter().find(|window| Some(window.step) == step).map(|window| window.nodes.clone());
        let mut finding = Finding::new(summary)
            .with_ops(group.iter().filter_map(|anomaly| anomaly.op))
            .with_step(step)
            .with_nodes(nodes.unwrap_or_default())
            .with_remedy(kind.remedy());
        finding.at = group.iter().filter_map(|anomaly| anomaly.at).min();
        finding
    };
    groups.into_iter().map(finding).collect()
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let account = &evidence.account;
    let count = |kind: Kind| account.count(kind) as f64;
    let numbers = numbers([
        ("acknowledged", account.acknowledged as f64),
        ("rows", account.rows as f64),
        ("lost", count(Kind::Lost)),
        ("lost_cents", account.lost_cents() as f64),
        ("duplicated", count(Kind::Duplicated)),
        ("resurrected", count(Kind::Resurrected)),
        ("phantom", count(Kind::Phantom)),
        ("altered", count(Kind::Altered)),
        ("recovered", account.recovered as f64),
        ("in_doubt_and_absent", account.vanished as f64),
        ("foreign", account.foreign as f64),
    ]);
    let mut reason = format!("{} of {} acknowledged orders lost", account.count(Kind::Lost), account.acknowledged);
    for kind in Kind::ALL.into_iter().skip(1).filter(|kind| account.count(*kind) > 0) {
        reason += &format!(", {} {}", account.count(kind), kind.name());
    }
    let judgement = if let Some(damage) = evidence.damage() {
        reason = format!("{damage}; what is left of it says: {reason}");
        Judgement::Unknown
    } else if !account.read {
        reason = "no complete final read of a primary: nothing to compare with".to_owned();
        Judgement::Unknown
    } else if !account.anomalies.is_empty() {
        Judgement::Fail
    } else if account.acknowledged == 0 {
        Judgement::Unknown
    } else {
        Judgement::Pass
    };
    QUESTION.answer(judgement, reason, findings(evidence), numbers)
}
