//! What all forms of a certificate say in the same words.

use crate::units;
use firedrill_core::certificate::{Cell, Certificate};
use firedrill_core::verdict::Conclusion;

/// The conclusion as it is said of a certificate.
pub(super) fn conclusion(certificate: &Certificate) -> &'static str {
    match certificate.conclusion {
        Conclusion::Certified => "Certified",
        Conclusion::Violated => "Refused",
        Conclusion::Inconclusive => "Inconclusive",
    }
}

/// The conclusion as a sentence.
pub(super) fn lead(certificate: &Certificate) -> String {
    let faults: u32 = certificate.matrix.iter().map(|cell| cell.executed).sum();
    let faults = units::plural(faults.into(), "fault", "faults");
    let drills = units::plural(certificate.drills.len() as u64, "drill", "drills");
    let purchases = units::plural(certificate.totals.operations, "purchase", "purchases");
    let said = match certificate.conclusion {
        Conclusion::Certified => "every invariant and every objective held, and it was seen".to_owned(),
        Conclusion::Violated if certificate.totals.lost > 0 => {
            let lost = certificate.totals.lost;
            format!("{} lost", units::plural(lost, "confirmed order is", "confirmed orders are"))
        }
        Conclusion::Violated => "a promise was broken, or cannot be kept".to_owned(),
        Conclusion::Inconclusive => "it cannot be said whether the promises hold".to_owned(),
    };
    format!("{faults} in {drills} while {purchases} were made: {said}.")
}

/// For how long it is good, where it is.
pub(super) fn validity(certificate: &Certificate) -> String {
    match certificate.conclusion {
        Conclusion::Certified => {
            format!("Valid until {}.", units::clean(&units::wall_clock(&certificate.valid_until)))
        }
        Conclusion::Violated => "Not valid: it was refused.".to_owned(),
        Conclusion::Inconclusive => "Not valid: it leaves a question open.".to_owned(),
    }
}

/// What voids a good one before that, and the command that says whether something has.
pub(super) fn drift(certificate: &Certificate) -> Option<(&'static str, String)> {
    let why = "Void as soon as the topology, an image or the agreement is another one. Whether it still applies says";
    let verify = units::clean(&format!("firedrill verify {} --topology {}", certificate.id, certificate.topology));
    (certificate.conclusion == Conclusion::Certified).then_some((why, verify))
}

/// The load of the drills.
pub(super) fn load(certificate: &Certificate) -> String {
    let rate = certificate.sizing.rate_per_s;
    format!("{} purchases a second ({} a minute)", units::number(rate), units::number(rate * 60.0))
}

/// What the stack sustains, and where that is known from.
pub(super) fn capacity(certificate: &Certificate) -> String {
    let Some(capacity_per_s) = certificate.sizing.capacity_per_s else {
        return "not measured".to_owned();
    };
    let per_min = units::number((capacity_per_s * 60.0).round());
    match &certificate.sizing.capacity_from {
        Some(from) => units::clean(&format!("{per_min} purchases a minute (measured: {from})")),
        None => format!("{per_min} purchases a minute"),
    }
}

/// The expected peak.
pub(super) fn forecast(certificate: &Certificate) -> String {
    let per_min = certificate.sizing.forecast_per_min;
    per_min.map_or_else(|| "not given".to_owned(), |rate| format!("{} purchases a minute", units::number(rate)))
}

/// How much more than the expected peak the stack sustains.
pub(super) fn headroom(certificate: &Certificate) -> String {
    match certificate.headroom_percent {
        Some(percent) if percent < 0.0 => format!("{} % less than the expected peak", units::number(-percent.round())),
        Some(percent) => format!("{} % more than the expected peak", units::number(percent.round())),
        None if certificate.sizing.capacity_per_s.is_none() => {
            "unknown: what the stack sustains was not measured".to_owned()
        }
        None => "unknown: no peak was given".to_owned(),
    }
}

/// `kill primary(postgres)`.
pub(super) fn cell(cell: &Cell) -> String {
    units::clean(&format!("{} {}", cell.fault, cell.target))
}

/// The numbers of a cell as people read them; a dash where nothing was done.
#[derive(Debug)]
pub(super) struct Numbers {
    /// `2 of 2`.
    pub(super) done: String,
    /// The longest time without a sale, at most.
    pub(super) outage: String,
    /// Until buyers were served without errors again, or in how many repetitions they were not.
    pub(super) restored: String,
    /// From the undo until redundancy was whole.
    pub(super) whole: String,
    /// `2 of 560` purchases.
    pub(super) failed: String,
    /// Exchanges with an error.
    pub(super) errors: String,
    /// The worst 99th percentile.
    pub(super) p99: String,
    /// The mean of the worst second.
    pub(super) worst_second: String,
    /// Lost orders.
    pub(super) lost: String,
    /// Their money, where there is any.
    pub(super) lost_money: String,
}

impl Numbers {
    /// Reads them.
    pub(super) fn of(cell: &Cell) -> Self {
        let seen = |text: String| if cell.executed == 0 { units::NONE.to_owned() } else { text };
        let restored = match cell.unserved {
            0 => units::maybe_duration(cell.restored_ms),
            unserved => format!("not in {unserved} of {}", cell.executed),
        };
        let outage = cell.outage_ms.map_or_else(|| "none".to_owned(), |ms| format!("≤ {}", units::duration(ms)));
        Self {
            done: format!("{} of {}", cell.executed, cell.planned),
            outage: seen(outage),
            restored: seen(restored),
            whole: seen(units::maybe_duration(cell.whole_ms)),
            failed: seen(format!("{} of {}", units::count(cell.failed), units::count(cell.operations))),
            errors: seen(units::count(cell.errors)),
            p99: seen(units::duration(cell.p99_ms)),
            worst_second: seen(units::maybe_duration(cell.worst_second_ms)),
            lost: seen(units::count(cell.lost)),
            lost_money: if cell.lost == 0 { String::new() } else { units::money(cell.lost_cents) },
        }
    }
}
