//! The sheet that somebody signs: what was concluded, from what, and how sure it is.

use crate::certificate::words;
use crate::html::view::{Badge, Fact};
use crate::{CertificateInput, units};
use firedrill_core::certificate::{Certificate, Objection};

/// How many reasons the sheet has room for; every drill says all of its own.
pub(super) const REASONS_MAX: usize = 12;

/// What speaks against the certificate beside the drills.
#[derive(Debug)]
pub(super) struct ObjectionView {
    pub(super) badge: Badge,
    pub(super) summary: String,
    pub(super) nodes: String,
    pub(super) remedy: String,
}

/// How sure the drills make it for a tier.
#[derive(Debug)]
pub(super) struct ConfidenceRow {
    pub(super) tier: String,
    pub(super) failovers: String,
    pub(super) lossy: String,
    pub(super) any_lossy: bool,
    pub(super) at_most: String,
}

/// The reasons that come first.
pub(super) fn reasons(certificate: &Certificate) -> Vec<String> {
    certificate.reasons.iter().take(REASONS_MAX).map(|reason| units::clean(reason)).collect()
}

/// What was certified.
pub(super) fn facts(certificate: &Certificate) -> Vec<Fact> {
    let valid_until = match words::drift(certificate) {
        Some(_) => units::wall_clock(&certificate.valid_until),
        None => "not valid".to_owned(),
    };
    vec![
        Fact::new("Topology", &certificate.topology),
        Fact::new("Profile", certificate.profile.to_string()),
        Fact::new("Agreement", &certificate.sla.name),
        Fact::new("Certification", certificate.id.as_str()),
        Fact::new("Begun", units::wall_clock(&certificate.started)),
        Fact::new("Ended", units::wall_clock(&certificate.finished)),
        Fact::new("Valid until", valid_until),
        Fact::new("Seed", certificate.seed.to_string()),
    ]
}

/// The numbers that come first.
pub(super) fn tiles(input: &CertificateInput<'_>) -> Vec<Fact> {
    let certificate = input.certificate;
    let cells = &certificate.matrix;
    let totals = &certificate.totals;
    let unread = input.drills.iter().filter(|drill| drill.history.authority().is_none()).count();
    let lost = if totals.lost > 0 {
        let money = format!("{} in money", units::money(totals.lost_cents));
        Fact::new("lost", units::count(totals.lost)).with_note(money).alarming()
    } else if unread > 0 || certificate.drills.is_empty() {
        // A nought would claim what nobody looked at.
        let note = if certificate.drills.is_empty() { "no drill was run" } else { "a final read is missing" };
        Fact::new("lost", "unknown").with_note(note)
    } else {
        Fact::new("lost", "0").with_note("confirmed, and missing from a final read")
    };
    let longest = |ms: Option<f64>| ms.map_or_else(|| "none".to_owned(), |ms| format!("≤ {}", units::duration(ms)));
    let outage = cells.iter().filter_map(|cell| cell.outage_ms).reduce(f64::max);
    let restored = cells.iter().filter_map(|cell| cell.restored_ms).reduce(f64::max);
    let unserved: u32 = cells.iter().map(|cell| cell.unserved).sum();
    let recovery = match unserved {
        0 => Fact::new("longest recovery (RTO)", units::maybe_duration(restored))
            .with_note("until served without errors"),
        _ => Fact::new("longest recovery (RTO)", "not in time")
            .with_note(format!(
                "in {} buyers were not served again while the fault was in force",
                units::plural(u64::from(unserved), "repetition", "repetitions")
            ))
            .alarming(),
    };
    let (executed, planned): (u32, u32) =
        cells.iter().fold((0, 0), |(done, all), cell| (done + cell.executed, all + cell.planned));
    vec![
        lost,
        Fact::new("longest outage", longest(outage)).with_note("nothing was sold"),
        recovery,
        Fact::new("faults injected", units::count(executed.into()))
            .with_note(format!("{} planned, in {} cells", units::count(planned.into()), cells.len()))
            .alarming_if(executed < planned),
        Fact::new("purchases", units::count(totals.operations)).with_note(units::plural(
            totals.attempts,
            "exchange",
            "exchanges",
        )),
        Fact::new("confirmed", units::count(totals.acknowledged)),
        Fact::new("in doubt", units::count(totals.in_doubt))
            .with_note(format!("{} found applied", units::count(totals.recovered))),
        Fact::new("not applied", units::count(totals.not_applied)),
    ]
}

/// The load, and what it says of the day itself.
pub(super) fn sizing(certificate: &Certificate) -> Vec<Fact> {
    let is_short = certificate.headroom_percent.is_some_and(|percent| percent < 0.0);
    vec![
        Fact::new("Load of the drills", words::load(certificate)).with_note(&certificate.sizing.why),
        Fact::new("Expected peak", words::forecast(certificate)),
        Fact::new("Sustained", words::capacity(certificate)),
        Fact::new("Headroom", words::headroom(certificate)).alarming_if(is_short),
    ]
}

/// One row for every tier whose primary was lost.
pub(super) fn confidence(certificate: &Certificate) -> Vec<ConfidenceRow> {
    let rows = certificate.confidence.iter().map(|confidence| ConfidenceRow {
        tier: units::clean(confidence.tier.as_str()),
        failovers: units::count(confidence.failovers.into()),
        lossy: units::count(confidence.lossy.into()),
        any_lossy: confidence.lossy > 0,
        at_most: format!("{:.1} %", confidence.at_most_percent),
    });
    rows.collect()
}

/// What was objected to, the gravest first.
pub(super) fn objections(certificate: &Certificate) -> Vec<ObjectionView> {
    let mut sorted: Vec<&Objection> = certificate.objections.iter().collect();
    sorted.sort_by_key(|objection| std::cmp::Reverse(objection.judgement));
    let views = sorted.into_iter().map(|objection| ObjectionView {
        badge: Badge::of(objection.judgement),
        summary: units::clean(&objection.finding.summary),
        nodes: units::clean(&units::joined(&objection.finding.nodes)),
        remedy: units::clean(&objection.finding.remedy),
    });
    views.collect()
}
