//! Money: the books of every order add up, and what comes after a payment was done.
//!
//! By the authority's tables around its orders (facts of Pretix 2026.8.0, "SQL", Q3 to Q8): tickets and fees are
//! what the order costs, the append-only ledger says the same (0 for what is not owed any more), a paid order was
//! paid for and one that was paid for is paid, its entry "placed" was written with it, and the work after the
//! payment (entry "paid") was not forgotten by a process that died between the two. An invoice is about what its
//! order costs.

use super::{Evidence, Question, numbers};
use crate::digest::money::Imbalance;
use crate::digest::prints;
use crate::history::{InvoiceRow, Subject};
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;

/// Name in the registry.
pub const NAME: &str = "money";

/// How many order codes a finding names.
const CODES_MAX: usize = 10;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Do the books of every order add up, and was everything done that a payment sets off?",
    gate: Gate::Invariant,
};

impl Imbalance {
    fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "paid_without_payment",
            Self::NotCredited => "payment_not_credited",
            Self::Lines => "lines_differ",
            Self::Ledger => "ledger_differs",
            Self::Placed => "not_placed_once",
            Self::Orphaned => "paid_and_orphaned",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Unpaid => "paid, although less than the total was received",
            Self::NotCredited => "paid for in full, and not marked as paid",
            Self::Lines => "with another total than tickets and fees together",
            Self::Ledger => "with another total than the ledger has",
            Self::Placed => "without exactly one entry about being placed",
            Self::Orphaned => "paid, and nothing done of what follows a payment",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Unpaid | Self::NotCredited => {
                "compare with the payment provider, and run the payment's confirmation again"
            }
            Self::Lines | Self::Ledger | Self::Placed => {
                "part of a transaction is missing: compare the primaries before and after the failover; \
                 `python -m pretix check_order_transactions` lists the orders"
            }
            Self::Orphaned => {
                "a process died between commit and the work after it: run that work again for these orders"
            }
        }
    }
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let money = &evidence.books.money;
    let mut findings: Vec<Finding> = Vec::new();
    let mut numbers = numbers([("rows", money.rows as f64)]);
    for kind in Imbalance::ALL {
        let (count, codes) = money.wrong.get(&kind).cloned().unwrap_or_default();
        numbers.insert(kind.name().to_owned(), count as f64);
        if count > 0 {
            let text = format!("{} {}: {}", counted(count, "order"), kind.in_words(), codes.join(", "));
            let finding = Finding::new(text).with_remedy(kind.remedy());
            findings.push(evidence.with_orders(finding, codes.iter().map(String::as_str)));
        }
    }
    findings.extend(invoices(evidence));
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if !evidence.history.observes(Subject::Books) {
            (Judgement::Pass, "this run did not look at the books of its orders".to_owned())
        } else if !evidence.books.account.read || (money.rows < evidence.books.account.rows) {
            let text =
                format!("books read: those of {} of {}", money.rows, counted(evidence.books.account.rows, "order"));
            (Judgement::Unknown, text)
        } else {
            (Judgement::Pass, format!("the books of all {} orders add up", money.rows))
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// Invoices about another sum than their order, by the authority in the end.
fn invoices(evidence: &Evidence<'_>) -> Option<Finding> {
    let differs = |invoice: &&&InvoiceRow| {
        let total = evidence.books.invoiced.get(&prints::code(&invoice.code));
        total.is_some_and(|total| *total != invoice.cents)
    };
    let last = super::unique::last_invoices(evidence);
    let wrong: Vec<&&InvoiceRow> = last.iter().filter(|invoice| !invoice.cancels()).filter(differs).collect();
    let first = wrong.first()?;
    let codes: Vec<&str> = wrong.iter().take(CODES_MAX).map(|invoice| invoice.code.as_str()).collect();
    let text = format!("{} about another sum than the order: {}", counted(wrong.len(), "invoice"), codes.join(", "));
    let finding = Finding::new(text).with_at(first.at).with_remedy("cancel these invoices and issue them again");
    Some(evidence.with_orders(finding, codes))
}
