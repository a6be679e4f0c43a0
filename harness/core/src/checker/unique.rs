//! Unique: nothing that was ever given to one buyer was given to another, over everything ever acknowledged.
//!
//! The database's own constraints hold among the rows that it has. A database that lost confirmed rows in a
//! failover gives their keys out again, and its rows are as unique as before: only who remembers what was confirmed
//! sees it. Order codes, tickets' keys and secrets are compared over all confirmations; invoices over all readings
//! of all databases, also those while the load ran. Their numbers run on without a gap in every series, a number
//! that was issued stays with its order, and an order has one besides those that cancel it.

use super::conservation::{Kind, findings};
use super::{Evidence, Question, numbers, step};
use crate::history::{At, InvoiceRow};
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;
use std::collections::{BTreeMap, BTreeSet};

/// Name in the registry.
pub const NAME: &str = "unique";

/// How many examples a finding names.
const EXAMPLES_MAX: usize = 5;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Was no order code, ticket, secret or invoice number ever given to two buyers?",
    gate: Gate::Invariant,
};

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let shared = evidence.books.account.count(Kind::Shared);
    let mut found = findings(evidence, &[Kind::Shared]);
    let last = last_invoices(evidence);
    let of_invoices = [reissued(evidence), vanished(evidence, &last), doubled(evidence, &last), gaps(&last)];
    let wrong_invoices: usize = of_invoices.iter().map(|(count, _)| count).sum();
    found.extend(of_invoices.into_iter().filter_map(|(_, finding)| finding));
    let numbers = numbers([
        ("confirmed_to_two_buyers", shared as f64),
        ("invoices", last.len() as f64),
        ("invoice_readings", evidence.history.read.invoices.len() as f64),
        ("wrong_invoices", wrong_invoices as f64),
    ]);
    let (judgement, reason) = evidence.decided_by(&found).unwrap_or_else(|| {
        if !evidence.books.account.read {
            (Judgement::Unknown, "no complete final read of a primary: nothing to compare with".to_owned())
        } else {
            let acknowledged = evidence.books.account.acknowledged;
            let orders = counted(acknowledged, "acknowledged order");
            let text = format!("0 keys of {orders} and {} given twice", counted(last.len(), "invoice"));
            (Judgement::Pass, text)
        }
    });
    QUESTION.answer(judgement, reason, found, numbers)
}

/// The invoices of the authority's last reading, by series and number. What it was asked while the load ran does not
/// count.
pub(super) fn last_invoices<'e>(evidence: &'e Evidence<'_>) -> Vec<&'e InvoiceRow> {
    let Some(authority) = evidence.history.authority() else { return Vec::new() };
    let of_authority = || evidence.history.read.invoices.iter().filter(|row| row.source == authority.source);
    let since = evidence.history.last_attempt;
    let mut last: Vec<&InvoiceRow> = of_authority().filter(|row| row.at >= since && row.at <= authority.at).collect();
    last.sort_unstable_by(|a, b| (&a.series, a.number, &a.code).cmp(&(&b.series, b.number, &b.code)));
    last
}

type Wrong = (usize, Option<Finding>);

/// Numbers that were read with two orders, whenever and wherever.
fn reissued(evidence: &Evidence<'_>) -> Wrong {
    let mut orders: BTreeMap<(&str, u64), BTreeMap<&str, At>> = BTreeMap::new();
    for row in &evidence.history.read.invoices {
        orders.entry((&row.series, row.number)).or_default().entry(&row.code).or_insert(row.at);
    }
    let twice: Vec<_> = orders.into_iter().filter(|(_, codes)| codes.len() > 1).collect();
    let example = |((series, number), codes): &((&str, u64), BTreeMap<&str, At>)| {
        let codes: Vec<&str> = codes.keys().copied().collect();
        format!("{series}{number} for {}", codes.join(" and "))
    };
    let at = twice.iter().filter_map(|(_, codes)| codes.values().max().copied()).min();
    let codes = twice.iter().take(EXAMPLES_MAX).flat_map(|(_, codes)| codes.keys().copied());
    let finding = finding("invoice number", "issued for two orders", twice.iter().map(example), at, evidence);
    (twice.len(), finding.map(|finding| evidence.with_orders(finding, codes)))
}

/// Invoices that were read while the load ran, and that the authority does not have in the end.
fn vanished(evidence: &Evidence<'_>, last: &[&InvoiceRow]) -> Wrong {
    let Some(authority) = evidence.history.authority() else { return (0, None) };
    let there: BTreeSet<(&str, u64)> = last.iter().map(|row| (row.series.as_str(), row.number)).collect();
    let before = evidence.history.read.invoices.iter().filter(|row| row.at < evidence.history.last_attempt);
    let mut gone: BTreeMap<(&str, u64), &InvoiceRow> = BTreeMap::new();
    for row in before.filter(|row| !there.contains(&(row.series.as_str(), row.number))) {
        gone.entry((&row.series, row.number)).or_insert(row);
    }
    let example = |((series, number), row): (&(&str, u64), &&InvoiceRow)| format!("{series}{number} for {}", row.code);
    let at = gone.values().map(|row| row.at).min();
    let text = format!("issued and not on {} in the end", authority.source);
    let codes = gone.values().take(EXAMPLES_MAX).map(|row| row.code.as_str());
    let finding = finding("invoice", &text, gone.iter().map(example), at, evidence);
    (gone.len(), finding.map(|finding| evidence.with_orders(finding, codes)))
}

/// Orders with two invoices in the end.
fn doubled(evidence: &Evidence<'_>, last: &[&InvoiceRow]) -> Wrong {
    let mut of_order: BTreeMap<&str, BTreeSet<(&str, u64)>> = BTreeMap::new();
    for row in last.iter().filter(|row| !row.cancels()) {
        of_order.entry(&row.code).or_default().insert((&row.series, row.number));
    }
    let twice: Vec<&str> =
        of_order.into_iter().filter(|(_, numbers)| numbers.len() > 1).map(|(code, _)| code).collect();
    let examples = twice.iter().map(|code| (*code).to_owned());
    let finding = described(twice.len(), "order", "with more than one invoice", examples);
    (twice.len(), finding.map(|finding| evidence.with_orders(finding, twice.iter().take(EXAMPLES_MAX).copied())))
}

/// Numbers that a series leaves out between its first and its last.
fn gaps(last: &[&InvoiceRow]) -> Wrong {
    let mut missing: Vec<String> = Vec::new();
    let mut count = 0usize;
    for pair in last.windows(2).filter(|pair| pair[0].series == pair[1].series) {
        let between = pair[1].number.saturating_sub(pair[0].number).saturating_sub(1);
        count = count.saturating_add(usize::try_from(between).unwrap_or(usize::MAX));
        let first = pair[0].number + 1;
        missing.extend((first..pair[1].number).take(EXAMPLES_MAX).map(|number| format!("{}{number}", pair[0].series)));
    }
    (count, described(count, "invoice number", "left out", missing.into_iter()))
}

/// A finding of so many things, with the first of the examples.
fn described(count: usize, noun: &str, what: &str, examples: impl Iterator<Item = String>) -> Option<Finding> {
    let some: Vec<String> = examples.take(EXAMPLES_MAX).collect();
    let remedy = "tell the accountant: these numbers were given to somebody";
    let summary = format!("{} {what}: {}", counted(count, noun), some.join(", "));
    (count > 0).then(|| Finding::new(summary).with_remedy(remedy))
}

fn finding(
    noun: &str,
    what: &str,
    examples: impl ExactSizeIterator<Item = String>,
    at: Option<At>,
    evidence: &Evidence<'_>,
) -> Option<Finding> {
    let mut finding = described(examples.len(), noun, what, examples)?;
    finding.at = at;
    let window = at.and_then(|at| step::step_of_loss(&evidence.windows, at));
    Some(finding.with_step(window.map(|window| window.step)))
}
