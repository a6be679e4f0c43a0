//! Primaries: at no time do two nodes of a tier answer as its primary.
//!
//! Observations are written when an answer changes, so a node is primary from its first answer as primary
//! to its next other answer. How far that can be trusted, and what is tolerated:
//!
//! * A node that dies is still "primary" until a probe of it misses its deadline. When the next answer is
//!   [`Role::Unreachable`], the node may have been dead for one sample period and one deadline
//!   ([`SAMPLING_MS`]); that much is taken off its end. Other ends are answers, and taken as they are.
//! * Overlaps up to [`SAMPLING_MS`] are an artefact of asking nodes one after the other: not reported.
//! * Longer ones are findings with their length. They fail the invariant above [`TOLERATED_MS`]: a primary
//!   that comes back (unfrozen, restarted) learns from its watcher that it was replaced, and two rounds of
//!   the slowest watcher (repmgrd monitors every 2 s) plus the sampling error are 5.25 s. Up to there a
//!   topology does what it was designed to do, and whether harm was done in that time is the question of
//!   `conservation` and `replicas`: a stale PostgreSQL primary with synchronous replication can confirm
//!   nothing. Beyond it nothing is going to demote the node. A restarted Redis master that claims to be
//!   one until Sentinel reconfigures it (about 10 s by default) fails: proxies that look for
//!   `role:master` send it writes that are then wiped.
//!
//! The boot is not judged: the sweep begins with the load, when the stack is promised to be whole.

use super::{Evidence, Question, first_stage, numbers, step};
use crate::history::{At, Observation, Role, Stage};
use crate::ids::{NodeName, TierName};
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use std::collections::BTreeMap;

/// Name in the registry.
pub const NAME: &str = "primaries";

/// One sample period of the observers (4 Hz: 250 ms) plus the deadline of a probe (1 s), in milliseconds.
pub const SAMPLING_MS: u64 = 1_250;

/// Longest overlap that does not fail: two rounds of repmgrd (2 s each) plus [`SAMPLING_MS`].
pub const TOLERATED_MS: u64 = 2 * 2_000 + SAMPLING_MS;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Did never two nodes of one tier act as its primary for longer than their watchers need?",
    gate: Gate::Invariant,
};

/// A time in which a node answered as primary.
#[derive(Debug, Clone)]
struct Reign<'a> {
    node: &'a NodeName,
    from: At,
    until: At,
}

/// A time in which two nodes did.
#[derive(Debug)]
struct Overlap<'a> {
    tier: &'a TierName,
    nodes: [&'a NodeName; 2],
    from: At,
    length_ms: f64,
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let reigns = reigns(evidence);
    if reigns.values().all(Vec::is_empty) {
        return QUESTION.unknown("no node was ever seen as a primary");
    }
    let tiers = reigns.len();
    let count: usize = reigns.values().map(Vec::len).sum();
    let mut overlaps: Vec<Overlap<'_>> =
        reigns.into_iter().flat_map(|(tier, of_tier)| overlaps(tier, of_tier)).collect();
    overlaps.retain(|overlap| overlap.length_ms > SAMPLING_MS as f64);
    overlaps.sort_by(|a, b| b.length_ms.total_cmp(&a.length_ms).then(a.from.cmp(&b.from)));
    let longest_ms = overlaps.first().map_or(0.0, |overlap| overlap.length_ms);
    let findings: Vec<Finding> = overlaps.iter().map(|overlap| describe(overlap, evidence)).collect();
    let (judgement, reason) = if longest_ms > TOLERATED_MS as f64 {
        (Judgement::Fail, findings[0].summary.clone())
    } else if let Some(damage) = evidence.damage() {
        (Judgement::Unknown, damage)
    } else {
        let text = format!("two primaries for at most {:.1} s, {count} reigns in {tiers} tiers", longest_ms / 1e3);
        (Judgement::Pass, text)
    };
    let numbers = numbers([
        ("overlaps", findings.len() as f64),
        ("longest_overlap_ms", longest_ms),
        ("tolerated_ms", TOLERATED_MS as f64),
        ("reigns", count as f64),
    ]);
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// The reigns of every tier since the load began.
fn reigns<'a>(evidence: &'a Evidence<'_>) -> BTreeMap<&'a TierName, Vec<Reign<'a>>> {
    let history = &evidence.history;
    let begin = first_stage(history, Stage::LoadStarted).unwrap_or_default();
    let last_seen = history.observations().map(|seen| seen.at).max().unwrap_or_default();
    let end = history.trailer().map_or(last_seen, |trailer| trailer.at).max(evidence.demand.end);
    let mut by_node: BTreeMap<&NodeName, Vec<&Observation>> = BTreeMap::new();
    for seen in history.observations() {
        by_node.entry(&seen.node).or_default().push(seen);
    }
    let mut reigns: BTreeMap<&TierName, Vec<Reign<'_>>> = BTreeMap::new();
    for (node, answers) in by_node {
        let chunks: Vec<&[&Observation]> = answers.chunk_by(|a, b| a.role == b.role).collect();
        for (index, same) in chunks.iter().enumerate().filter(|(_, same)| same[0].role == Role::Primary) {
            let last = same[same.len() - 1];
            let next = chunks.get(index + 1).map(|next| next[0]);
            let until = match next {
                None => end,
                Some(next) if next.role == Role::Unreachable => At(next.at.0.saturating_sub(SAMPLING_MS * 1_000_000)),
                Some(next) => next.at,
            };
            let reign = Reign { node, from: same[0].at.max(begin), until: until.max(last.at) };
            if reign.from < reign.until {
                reigns.entry(&last.tier).or_default().push(reign);
            }
        }
    }
    reigns
}

/// Pairs of reigns that overlap, by a sweep over their begins. The set of current reigns never holds more
/// than the nodes of the tier.
fn overlaps<'a>(tier: &'a TierName, mut reigns: Vec<Reign<'a>>) -> Vec<Overlap<'a>> {
    reigns.sort_by(|a, b| (a.from, a.node).cmp(&(b.from, b.node)));
    let mut current: Vec<Reign<'_>> = Vec::new();
    let mut overlaps = Vec::new();
    for reign in reigns {
        current.retain(|other| other.until > reign.from);
        overlaps.extend(current.iter().map(|other| Overlap {
            tier,
            nodes: [other.node, reign.node],
            from: reign.from,
            length_ms: other.until.min(reign.until).ms_since(reign.from),
        }));
        current.push(reign);
    }
    overlaps
}

fn describe(overlap: &Overlap<'_>, evidence: &Evidence<'_>) -> Finding {
    let [old, new] = overlap.nodes;
    let (tier, seconds) = (overlap.tier, overlap.length_ms / 1e3);
    Finding::new(format!("{old} and {new} were both primary of {tier} for {seconds:.1} s"))
        .with_at(overlap.from)
        .with_step(step::step_at(&evidence.windows, overlap.from).map(|window| window.step))
        .with_nodes([old.clone(), new.clone()])
        .with_remedy("let a node ask who is primary before it starts as one, and fence the old one at promotion")
}
