//! Conservation: every confirmed order is in the database once, unchanged, and nothing else is.
//!
//! The token of a purchase is its client-chosen order code, which the load sends as `api_meta.hid` too. A
//! buyer in the browser chooses none: his token is his e-mail address, and the order that has it is his.
//! F is the ledger of the authority, the last complete final read of a primary
//! ([`History::authority`](crate::history::History::authority)).
//! Lost = confirmed and not in F. Duplicated = twice in F under one code. Phantom = in F with a token of the
//! load, and never attempted. Resurrected = in F although it was definitely refused. Altered = in F other than
//! confirmed; a buyer who gave his order back does not have it any more. What was in doubt may be in F or not:
//! both are right, and counted.
//!
//! On the way it is found what [`exactly_once`](super::exactly_once) and [`unique`](super::unique) report: one
//! token under several codes, somebody else's order, and keys that were confirmed to two buyers.
//!
//! Rows of other writers (no token, or a token that is neither their own code nor one of the load's) are
//! not judged.

pub(super) mod exact;

use super::step::{self, Window};
use super::{Evidence, Question, numbers};
use crate::history::At;
use crate::ids::{OpId, StepId};
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;
use std::collections::{BTreeMap, BinaryHeap};

/// Name in the registry.
pub const NAME: &str = "conservation";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Is every acknowledged order in the database, once and unchanged, and no other?",
    gate: Gate::Invariant,
};

/// What can be wrong with an order, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Confirmed and gone.
    Lost,
    /// Bought once, and there under several codes.
    Repeated,
    /// Somebody else's order was confirmed to a buyer.
    Misdelivered,
    /// Confirmed to two buyers: an order code, a ticket, a ticket's secret.
    Shared,
    /// There twice under one code.
    Duplicated,
    /// There although it was definitely refused.
    Resurrected,
    /// There although nobody ordered it.
    Phantom,
    /// There, but not as it was confirmed.
    Altered,
}

impl Kind {
    /// Its name in numbers and reasons.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Repeated => "bought twice",
            Self::Misdelivered => "misdelivered",
            Self::Shared => "confirmed to two buyers",
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
            Self::Repeated => {
                "let the shop hold a buyer's token UNIQUE, and retry with the same order code only; a worker that \
                 is killed must not leave its task to another that begins it anew"
            }
            Self::Misdelivered => {
                "keys that a failover gave out again lead to other buyers' orders: empty the results of tasks and \
                 the sessions after one"
            }
            Self::Shared => {
                "a primary that was promoted without all transactions gives keys out again: promote only a standby \
                 that was in sync"
            }
            Self::Duplicated => "look for an index that a crash or a new collation has broken: REINDEX, and amcheck",
            Self::Resurrected => "check which component answers with a refusal after the database has committed",
            Self::Phantom => "look for a second writer, or for tasks that a restarted broker delivered again",
            Self::Altered => "compare the rows by their primary keys: an old primary may have written to them",
        }
    }
}

/// What this checker reports, gravest first.
const KINDS: [Kind; 5] = [Kind::Lost, Kind::Duplicated, Kind::Resurrected, Kind::Phantom, Kind::Altered];

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

/// Anomalies of one kind in one step, as many as there may be.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// What they are worth, in cents.
    pub cents: i64,
    /// When the first of their buyers was answered.
    pub at: Option<At>,
    /// Code and detail of the one with the first code.
    first: Option<(String, Option<OpId>, String)>,
    /// Those with the first codes that are somebody's, at most [`Finding::OPS_MAX`].
    ops: BinaryHeap<(String, OpId, String)>,
}

impl Group {
    /// All of it, for comparisons.
    #[cfg(test)]
    pub(super) fn words(&self) -> String {
        let Self { count, cents, at, first, ops } = self;
        format!("{count} {cents} {at:?} {first:?} {:?}", ops.clone().into_sorted_vec())
    }

    fn add(&mut self, anomaly: Anomaly) {
        self.count += 1;
        self.cents += anomaly.cents;
        self.at = self.at.into_iter().chain(anomaly.at).min();
        let Anomaly { code, op, detail, .. } = anomaly;
        if let Some(op) = op {
            let this = (&code, op, &detail);
            if self.ops.len() < Finding::OPS_MAX || self.ops.peek().is_some_and(|(a, b, c)| this < (a, *b, c)) {
                self.ops.push((code.clone(), op, detail.clone()));
                if self.ops.len() > Finding::OPS_MAX {
                    self.ops.pop();
                }
            }
        }
        if self.first.as_ref().is_none_or(|(a, b, c)| (&code, op, &detail) < (a, *b, c)) {
            self.first = Some((code, op, detail));
        }
    }
}

/// Buyers' confirmations against the database.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Whether there is a complete final read to compare with.
    pub read: bool,
    /// What is wrong, by kind and by the step that it falls in.
    pub groups: BTreeMap<(Kind, Option<StepId>), Group>,
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
    /// Enters an anomaly under its step.
    pub(super) fn add(&mut self, anomaly: Anomaly, windows: &[Window]) {
        let blame = if anomaly.kind == Kind::Lost { step::step_of_loss } else { step::step_at };
        let window = anomaly.at.and_then(|at| blame(windows, at));
        self.groups.entry((anomaly.kind, window.map(|window| window.step))).or_default().add(anomaly);
    }

    /// How many orders have this wrong with them.
    pub fn count(&self, kind: Kind) -> u64 {
        self.of(kind).map(|group| group.count).sum()
    }

    /// Money of the lost orders, in cents.
    pub fn lost_cents(&self) -> i64 {
        self.of(Kind::Lost).map(|group| group.cents).sum()
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |((of, _), _)| *of == kind).map(|(_, group)| group)
    }
}

/// One finding for every kind of these and step.
pub(super) fn findings(evidence: &Evidence<'_>, kinds: &[Kind]) -> Vec<Finding> {
    let windows = &evidence.windows;
    let finding = |((kind, step), group): (&(Kind, Option<StepId>), &Group)| {
        let Group { count, cents, at, first, ops } = group;
        let money = format!("{}{}.{:02}", if *cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100);
        let (code, detail) = first.as_ref().map_or(("", ""), |(code, _, detail)| (code, detail));
        let summary = format!("{} {}, worth {money}; first {code}: {detail}", counted(*count, "order"), kind.name());
        let nodes = windows.iter().find(|window| Some(window.step) == *step).map(|window| window.nodes.clone());
        let mut finding = Finding::new(summary)
            .with_ops(ops.clone().into_sorted_vec().into_iter().map(|(_, op, _)| op))
            .with_step(*step)
            .with_nodes(nodes.unwrap_or_default())
            .with_remedy(kind.remedy());
        finding.at = *at;
        finding
    };
    evidence.books.account.groups.iter().filter(|((kind, _), _)| kinds.contains(kind)).map(finding).collect()
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let account = &evidence.books.account;
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
    let mut reason =
        format!("{} of {} lost", account.count(Kind::Lost), counted(account.acknowledged, "acknowledged order"));
    for kind in KINDS.into_iter().skip(1).filter(|kind| account.count(*kind) > 0) {
        reason += &format!(", {} {}", account.count(kind), kind.name());
    }
    let judgement = if let Some(damage) = evidence.damage() {
        reason = format!("{damage}; what is left of it says: {reason}");
        Judgement::Unknown
    } else if !account.read {
        reason = "no complete final read of a primary: nothing to compare with".to_owned();
        Judgement::Unknown
    } else if KINDS.into_iter().any(|kind| account.count(kind) > 0) {
        Judgement::Fail
    } else if account.acknowledged == 0 {
        Judgement::Unknown
    } else {
        Judgement::Pass
    };
    QUESTION.answer(judgement, reason, findings(evidence, &KINDS), numbers)
}
