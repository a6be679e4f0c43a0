//! Door: one ticket admits one person, and nobody who holds a valid ticket is turned away.
//!
//! By the scans: two answers "admitted" to one ticket; "used before" although nobody can have been admitted yet;
//! any other refusal of a ticket that was confirmed and not given back. A scan without an answer may have admitted
//! somebody, so that it excuses both. And by the database in the end: a ticket with more than one admission, or an
//! admission that the door confirmed and that is gone, so that a copy will be let in.

use super::{Evidence, Question, numbers, step};
use crate::digest::beside::{AtDoor, Scan};
use crate::history::Subject;
use crate::verdict::{CheckResult, Finding, Gate, Judgement};
use crate::words::counted;

/// Name in the registry.
pub const NAME: &str = "door";

/// How many tickets a finding names.
const EXAMPLES_MAX: usize = 5;

const QUESTION: Question = Question {
    checker: NAME,
    question: "Did every ticket admit one person, and was nobody with a valid ticket turned away?",
    gate: Gate::Invariant,
};

/// What can be wrong with a ticket at the door, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    AdmittedTwice,
    Forgotten,
    NeverUsed,
    Refused,
}

impl Wrong {
    const ALL: [Self; 4] = [Self::AdmittedTwice, Self::Forgotten, Self::NeverUsed, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::AdmittedTwice => "admitted_twice",
            Self::Forgotten => "admissions_lost",
            Self::NeverUsed => "called_used_and_never_used",
            Self::Refused => "valid_and_refused",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::AdmittedTwice => "admitted two people",
            Self::Forgotten => "admitted somebody, and the database knows nothing of it: a copy will be let in",
            Self::NeverUsed => "turned away as used before, with which nobody had been admitted",
            Self::Refused => "turned away although valid",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::AdmittedTwice | Self::Forgotten => {
                "a failover lost the first admission: let the primary wait for a standby, or scan offline"
            }
            Self::NeverUsed => "name every scan (nonce), so that one that is repeated is not taken for another",
            Self::Refused => "the door reads from a database that lags behind, or the order was lost: see conservation",
        }
    }
}

/// The checker.
pub fn check(evidence: &Evidence<'_>) -> CheckResult {
    let scans = &evidence.history.beside.scans;
    let mut found: Vec<(Wrong, Scan)> = Vec::new();
    let mut tickets = 0u64;
    for of_ticket in scans.chunk_by(|a, b| a.ticket == b.ticket) {
        tickets += 1;
        found.extend(judge(of_ticket, entries(evidence, of_ticket[0].ticket)));
    }
    let twice_in_database = evidence.books.entries.iter().filter(|(_, count)| *count > 1).count();
    let mut numbers = numbers([
        ("scans", scans.len() as f64),
        ("tickets", tickets as f64),
        ("admitted_twice_in_database", twice_in_database as f64),
    ]);
    let mut findings: Vec<Finding> = Vec::new();
    for kind in Wrong::ALL {
        let of_kind: Vec<&Scan> = found.iter().filter(|(wrong, _)| *wrong == kind).map(|(_, scan)| scan).collect();
        numbers.insert(kind.name().to_owned(), of_kind.len() as f64);
        findings.extend(finding(kind, of_kind, evidence));
    }
    if twice_in_database > 0 {
        let text = format!("{} with more than one admission in the database", counted(twice_in_database, "ticket"));
        findings.push(Finding::new(text).with_remedy(Wrong::AdmittedTwice.remedy()));
    }
    let (judgement, reason) = evidence.decided_by(&findings).unwrap_or_else(|| {
        if scans.is_empty() {
            (Judgement::Pass, "nobody came to the door in this run".to_owned())
        } else {
            (
                Judgement::Pass,
                format!(
                    "{} shown {}, each admitting one person",
                    counted(tickets, "ticket"),
                    counted(scans.len(), "time")
                ),
            )
        }
    });
    QUESTION.answer(judgement, reason, findings, numbers)
}

/// How often somebody was admitted with a ticket, by the authority; none where it was not asked.
fn entries(evidence: &Evidence<'_>, ticket: u64) -> Option<u32> {
    if !evidence.history.observes(Subject::Entries) || !evidence.books.account.read {
        return None;
    }
    let entries = &evidence.books.entries;
    let found = entries.binary_search_by_key(&ticket, |(print, _)| *print);
    Some(found.map_or(0, |index| entries[index].1))
}

/// Judges the scans of one ticket, in the order in which they began.
fn judge(scans: &[Scan], entries: Option<u32>) -> Vec<(Wrong, Scan)> {
    let admitted: Vec<&Scan> = scans.iter().filter(|scan| scan.seen == AtDoor::Admitted).collect();
    let mut found = Vec::new();
    found.extend(admitted.get(1).map(|second| (Wrong::AdmittedTwice, (*second).clone())));
    if entries == Some(0) {
        found.extend(admitted.first().map(|first| (Wrong::Forgotten, (*first).clone())));
    }
    // Whoever may have been admitted by a scan that began before this one ended.
    let may_admit = |scan: &&Scan| matches!(scan.seen, AtDoor::Admitted | AtDoor::Open);
    let first_chance = scans.iter().filter(may_admit).map(|scan| scan.started).min();
    let had_none = |scan: &Scan| first_chance.is_none_or(|first| first > scan.ended);
    let never = scans.iter().find(|scan| scan.valid && scan.seen == AtDoor::UsedBefore && had_none(scan));
    found.extend(never.map(|scan| (Wrong::NeverUsed, scan.clone())));
    let refused = scans.iter().find(|scan| scan.valid && scan.seen == AtDoor::Refused);
    found.extend(refused.map(|scan| (Wrong::Refused, scan.clone())));
    found
}

fn finding(kind: Wrong, mut scans: Vec<&Scan>, evidence: &Evidence<'_>) -> Option<Finding> {
    scans.sort_unstable_by_key(|scan| (scan.ended, scan.op));
    let first = *scans.first()?;
    let some: Vec<&str> = scans.iter().take(EXAMPLES_MAX).map(|scan| scan.secret.as_str()).collect();
    let text = format!("{} {}: {}", counted(scans.len(), "ticket"), kind.in_words(), some.join(", "));
    let window = step::step_at(&evidence.windows, first.ended);
    let finding = Finding::new(text).with_at(first.ended).in_window(window).with_ops(scans.iter().map(|scan| scan.op));
    Some(finding.with_remedy(kind.remedy()))
}
