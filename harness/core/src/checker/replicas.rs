//! Replicas: after the undo of all faults and the drain, every database has the same orders.
//!
//! The authority (see [`crate::history::History::authority`]) is compared with the last read of every
//! other database. A row that only another node has was written on the wrong side of a split brain; a row
//! that another node lacks or has differently is lost with the next failover. The reader must wait until
//! standbys have replayed what the primary had; what is then still missing does not come.

use super::{Evidence, Question, ledger, numbers};
use crate::history::{LedgerRow, Role, SourceRead};
use crate::ids::NodeName;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

/// Name in the registry.
pub const NAME: &str = "replicas";

const QUESTION: Question = Question {
    checker: NAME,
    question: "Do all databases have the same orders after everything was healed and drained?",
    gate: Gate::Invariant,
};

/// How many order codes a finding names.
const CODES_MAX: usize = 10;

/// Order codes: how many, and the first ones.
#[derive(Debug, Default)]
pub(super) struct Codes {
    count: usize,
    first: BinaryHeap<String>,
}

impl Codes {
    pub(super) fn add(&mut self, code: &str) {
        self.count += 1;
        if self.first.len() < CODES_MAX || self.first.peek().is_some_and(|last| code < last.as_str()) {
            self.first.push(code.to_owned());
            if self.first.len() > CODES_MAX {
                self.first.pop();
            }
        }
    }
}

/// How one database differs from the authority.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) extra: Codes,
    pub(super) missing: Codes,
    pub(super) changed: Codes,
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let Some(authority) = evidence.history.authority() else {
        return QUESTION.unknown("no complete final read of a primary: nothing to compare with");
    };
    let others = ledger::others(&evidence.history, authority);
    let rows = evidence.books.account.rows;
    let mut findings = Vec::new();
    let mut differences = 0;
    for (other, difference) in &evidence.books.others {
        differences += difference.count();
        findings.extend(describe(authority, other, difference, evidence));
        if other.role == Role::Primary {
            let text =
                format!("{} and {} both say that they are the primary at the end", authority.source, other.source);
            let finding =
                Finding::new(text).with_at(other.at).with_nodes([authority.source.clone(), other.source.clone()]);
            findings.insert(0, finding.with_remedy("fence the old primary before it may start again"));
        }
    }
    let unread = unread(evidence, authority, &others);
    let compared = others.iter().filter(|read| read.complete).count();
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if !unread.is_empty() {
            (Judgement::Unknown, format!("not read completely: {}", unread.join(", ")))
        } else if others.is_empty() {
            (Judgement::Pass, format!("one database, {}: nothing to compare", authority.source))
        } else {
            let text = format!(
                "0 differences in {} between {} and {}",
                counted(rows, "order"),
                authority.source,
                counted(compared, "other")
            );
            (Judgement::Pass, text)
        }
    });
    let numbers =
        numbers([("databases", 1.0 + others.len() as f64), ("rows", rows as f64), ("differences", differences as f64)]);
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// Databases that should have been compared and were not: read in part, or seen as a member of the
/// authority's tier while the run lasted and never read.
fn unread(evidence: &Evidence<'_>, authority: &SourceRead, others: &[&SourceRead]) -> Vec<String> {
    let incomplete = others.iter().filter(|read| !read.complete);
    let mut unread: Vec<String> = incomplete.map(|read| format!("{} ({})", read.source, read.detail)).collect();
    let mut seen = evidence.history.observations();
    if let Some(tier) = seen.find(|seen| seen.node == authority.source).map(|seen| &seen.tier) {
        let of_tier = evidence.history.observations().filter(|seen| seen.tier == *tier);
        let members: BTreeSet<&NodeName> = of_tier.map(|seen| &seen.node).collect();
        let known = |node: &NodeName| *node == authority.source || others.iter().any(|read| read.source == *node);
        unread.extend(members.into_iter().filter(|node| !known(node)).map(|node| format!("{node} (never asked)")));
    }
    unread
}

fn sorted(mut rows: Vec<LedgerRow>) -> Vec<LedgerRow> {
    rows.sort_by(|a, b| (&a.code, &a.token).cmp(&(&b.code, &b.token)));
    rows
}

impl Difference {
    fn count(&self) -> usize {
        self.extra.count + self.missing.count + self.changed.count
    }

    /// All of it, for comparisons.
    #[cfg(test)]
    pub(super) fn words(&self) -> String {
        let words = |codes: &Codes| format!("{} {:?}", codes.count, codes.first.clone().into_sorted_vec());
        [&self.extra, &self.missing, &self.changed].map(words).join("; ")
    }

    /// Compares rows of the authority with rows of the other by their texts. All rows with one code have to be
    /// given together.
    pub(super) fn compare(&mut self, reference: Vec<LedgerRow>, other: Vec<LedgerRow>) {
        let (reference, other) = (sorted(reference), sorted(other));
        let (mut left, mut right) = (0, 0);
        while left < reference.len() || right < other.len() {
            let order = match (reference.get(left), other.get(right)) {
                (Some(a), Some(b)) => a.code.cmp(&b.code),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            match order {
                Ordering::Less => self.missing.add(&reference[left].code),
                Ordering::Greater => self.extra.add(&other[right].code),
                Ordering::Equal if !same(&reference[left], &other[right]) => self.changed.add(&reference[left].code),
                Ordering::Equal => {}
            }
            left += usize::from(order != Ordering::Greater);
            right += usize::from(order != Ordering::Less);
        }
    }
}

fn same(a: &LedgerRow, b: &LedgerRow) -> bool {
    let positions = |row: &LedgerRow| {
        let mut positions = row.positions.clone();
        positions.sort_by_key(|position| position.id);
        positions
    };
    (&a.token, &a.status, a.total_cents, &a.email) == (&b.token, &b.status, b.total_cents, &b.email)
        && positions(a) == positions(b)
}

fn describe(
    authority: &SourceRead,
    other: &SourceRead,
    difference: &Difference,
    evidence: &Evidence<'_>,
) -> Vec<Finding> {
    let (primary, standby) = (&authority.source, &other.source);
    let kinds = [
        (
            &difference.extra,
            format!("only on {standby} and not on the primary {primary} (split brain)"),
            "fence the old primary before another is promoted; rebuild the diverged node from the new primary",
        ),
        (
            &difference.missing,
            format!("of the primary {primary} missing on {standby}"),
            "check that the standby streams; rebuild it from the primary",
        ),
        (
            &difference.changed,
            format!("not the same on the primary {primary} and on {standby}"),
            "rebuild the diverged node from the primary",
        ),
    ];
    let present = kinds.into_iter().filter(|(codes, _, _)| codes.count > 0);
    present
        .map(|(codes, text, remedy)| {
            let first = codes.first.clone().into_sorted_vec();
            let finding = Finding::new(format!("{} {text}: {}", counted(codes.count, "order"), first.join(", ")))
                .with_at(other.at)
                .with_nodes([primary.clone(), standby.clone()])
                .with_remedy(remedy);
            evidence.with_orders(finding, first.iter().map(String::as_str))
        })
        .collect()
}
