//! Claims: what there is only one of (a seat, a voucher) behaves as if one buyer came after the other.
//!
//! Linearizability (Herlihy and Wing 1990), judged for every such thing by itself, which is sound because it is
//! local. A thing is free or somebody's: taking it works where it is free, "taken" is true where it is somebody's,
//! giving it back works for who has it. What is in doubt may have been done at any later time, or never.
//!
//! The search is that of Wing and Gong (1993) with Lowe's memory of states seen (2017). A refusal changes nothing,
//! so that it is placed as soon as it is true, and only what changes something is branched on. A search that takes
//! more than [`STATES_MAX`] states says "unknown".

use super::{Evidence, Question, numbers, step};
use crate::digest::beside::{Claim, Told, Wish};
use crate::history::At;
use crate::ids::OpId;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;
use std::collections::HashSet;

/// Name in the registry.
pub const NAME: &str = "claims";

/// States that are looked at for one thing, at most: about a second.
const STATES_MAX: usize = 200_000;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Did every seat and voucher behave as if one buyer came after the other?",
    gate: Gate::Invariant,
};

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// There is an order of the operations that explains every answer.
    Found,
    /// There is none.
    Impossible,
    /// The bound was hit.
    TooMany,
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let claims = &evidence.history.beside.claims;
    let mut findings: Vec<Finding> = Vec::new();
    let (mut unknown, mut operations) = (Vec::new(), 0);
    for (name, claims) in claims {
        operations += claims.len();
        match order(claims) {
            Order::Found => {}
            Order::Impossible => findings.push(finding(name, claims, evidence)),
            Order::TooMany => unknown.push(name.as_str()),
        }
    }
    let numbers = numbers([
        ("things", claims.len() as f64),
        ("claims", operations as f64),
        ("impossible", findings.len() as f64),
        ("too_many_orders", unknown.len() as f64),
    ]);
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if !unknown.is_empty() {
            (Judgement::Unknown, format!("too many possible orders of the claims on {}", unknown.join(", ")))
        } else if claims.is_empty() {
            (Judgement::Pass, "nobody claimed a seat or a voucher in this run".to_owned())
        } else {
            (
                Judgement::Pass,
                format!(
                    "{} on {} (seats, vouchers), linearizable",
                    counted(operations, "claim"),
                    counted(claims.len(), "thing")
                ),
            )
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// Looks for an order of the operations on one thing that explains every answer.
pub(crate) fn order(claims: &[Claim]) -> Order {
    let mut all: Vec<Claim> = claims.to_vec();
    // What is in doubt may come into force at any later time.
    for open in all.iter_mut().filter(|claim| claim.told == Told::Open) {
        open.completed = At(u64::MAX);
    }
    all.sort_unstable_by_key(|claim| (claim.invoked, claim.completed, claim.op));
    let mut search = Search { seen: HashSet::new(), claims: &all };
    let begin = State { done: vec![0; all.len().div_ceil(64)], holder: None };
    search.from(begin)
}

/// A point of a search: which operations have been placed, and whose the thing is then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    done: Vec<u64>,
    holder: Option<OpId>,
}

impl State {
    fn has(&self, index: usize) -> bool {
        self.done[index / 64] >> (index % 64) & 1 == 1
    }

    fn place(&mut self, index: usize, claim: &Claim) {
        self.done[index / 64] |= 1 << (index % 64);
        match (claim.wish, claim.told) {
            (_, Told::Taken) => {}
            (Wish::Take, _) => self.holder = Some(claim.op),
            (Wish::GiveBack, _) => self.holder = None,
        }
    }

    /// Whether an operation can come next, by what it is told.
    fn allows(&self, claim: &Claim) -> bool {
        match (claim.wish, claim.told) {
            (Wish::Take, Told::Taken) => self.holder.is_some(),
            (Wish::Take, _) => self.holder.is_none(),
            (Wish::GiveBack, _) => self.holder == Some(claim.op),
        }
    }
}

struct Search<'c> {
    seen: HashSet<State>,
    /// By the time at which they began.
    claims: &'c [Claim],
}

impl Search<'_> {
    /// Depth first, on a stack of its own.
    fn from(&mut self, begin: State) -> Order {
        let mut stack = vec![begin];
        while let Some(mut state) = stack.pop() {
            let next = self.settle(&mut state);
            if self.is_over(&state) {
                return Order::Found;
            }
            if !self.seen.insert(state.clone()) {
                continue;
            }
            if self.seen.len() > STATES_MAX {
                return Order::TooMany;
            }
            for index in next.into_iter().rev() {
                let claim = &self.claims[index];
                if claim.told != Told::Taken && state.allows(claim) {
                    let mut after = state.clone();
                    after.place(index, claim);
                    stack.push(after);
                }
            }
        }
        Order::Impossible
    }

    /// Places every refusal that is true now, and gives what may come next: all that was begun before anything
    /// that is not placed had ended.
    fn settle(&self, state: &mut State) -> Vec<usize> {
        loop {
            let open = || self.claims.iter().enumerate().filter(|(index, _)| !state.has(*index));
            let ends = open().map(|(_, claim)| claim.completed).min().unwrap_or(At(u64::MAX));
            let next: Vec<usize> =
                open().take_while(|(_, claim)| claim.invoked <= ends).map(|(index, _)| index).collect();
            let is_true =
                |index: &&usize| self.claims[**index].told == Told::Taken && state.allows(&self.claims[**index]);
            let refused: Vec<usize> = next.iter().filter(is_true).copied().collect();
            if refused.is_empty() {
                return next;
            }
            for index in refused {
                state.place(index, &self.claims[index]);
            }
        }
    }

    /// Whether only what is in doubt is left, which may never have been done.
    fn is_over(&self, state: &State) -> bool {
        self.claims.iter().enumerate().all(|(index, claim)| state.has(index) || claim.told == Told::Open)
    }
}

fn finding(name: &str, claims: &[Claim], evidence: &Evidence<'_>) -> Finding {
    let took = || claims.iter().filter(|claim| claim.wish == Wish::Take && claim.told == Told::Done);
    let text = match took().count() {
        0 => format!("{name} was refused as taken, and nobody can have had it"),
        1 => format!("the answers about {name} fit into no order"),
        several => format!("{name} was confirmed to {several} buyers, which fits into no order"),
    };
    let mut told: Vec<&Claim> = claims.iter().filter(|claim| claim.told != Told::Taken).collect();
    told.sort_unstable_by_key(|claim| claim.completed);
    let at = took().map(|claim| claim.completed).max().or(claims.first().map(|claim| claim.completed));
    let at = at.unwrap_or_default();
    let window = step::step_at(&evidence.windows, at);
    // Whoever gave it back had taken it before.
    let mut named = HashSet::new();
    let ops = told.iter().map(|claim| claim.op).filter(|op| named.insert(*op));
    let finding = Finding::new(text).with_at(at).in_window(window).with_ops(ops);
    finding.with_remedy("lock the thing in the transaction that sells it, and hold it UNIQUE among live tickets")
}
