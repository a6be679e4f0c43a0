//! The certificate as OpenMetrics text: one gauge a number and a cell.

use crate::openmetrics::{Labels, Metrics, value};
use firedrill_core::certificate::{Cell, Certificate};
use firedrill_core::verdict::Conclusion;

/// The certificate as text, which ends with `# EOF` as the format asks for.
pub fn openmetrics(certificate: &Certificate) -> String {
    let mut metrics = Metrics::new(vec![
        ("certificate", certificate.id.to_string()),
        ("topology", certificate.topology.clone()),
        ("profile", certificate.profile.to_string()),
        ("sla", certificate.sla.name.clone()),
    ]);
    let about = vec![
        ("seed", certificate.seed.to_string()),
        ("started", certificate.started.clone()),
        ("finished", certificate.finished.clone()),
        ("firedrill", certificate.basis.firedrill.clone()),
        ("configuration_sha256", certificate.configuration_sha256.clone()),
    ];
    metrics.info("certificate", "What was certified, and with what", about);
    let conclusion = value(certificate.conclusion.judgement());
    metrics.one(
        "certificate_conclusion",
        "1 where it was certified, 0 where it was refused, -1 where it is open",
        conclusion,
    );
    // An end that cannot be read is no instant, and what was refused is valid at none.
    let until = certificate.valid_until.parse::<jiff::Timestamp>().ok();
    if let Some(until) = until.filter(|_| certificate.conclusion == Conclusion::Certified) {
        let help = "Until when the certificate is good, in seconds since 1970";
        metrics.one("certificate_valid_until_timestamp_seconds", help, until.as_second() as f64);
    }
    sizing(&mut metrics, certificate);
    let totals = &certificate.totals;
    metrics.one("certificate_purchases", "Purchases of all drills", totals.operations as f64);
    metrics.one("certificate_acknowledged", "Of these, confirmed to their buyers", totals.acknowledged as f64);
    metrics.one("certificate_lost_orders", "Acknowledged orders that are gone", totals.lost as f64);
    metrics.one(
        "certificate_lost_money",
        "Their money, in the currency of the event",
        totals.lost_cents as f64 / 100.0,
    );
    cells(&mut metrics, &certificate.matrix);
    let confidence = certificate.confidence.iter();
    let confidence = confidence.map(|one| (vec![("tier", one.tier.to_string())], one.at_most_percent / 100.0));
    let help = "At 95 % confidence at most this share of the tier's failovers lose an order";
    metrics.many("certificate_lossy_failovers_ratio", help, confidence);
    metrics.end()
}

fn sizing(metrics: &mut Metrics, certificate: &Certificate) {
    let numbers = [
        ("certificate_load_per_second", "Purchases that began per second", Some(certificate.sizing.rate_per_s)),
        ("certificate_capacity_per_second", "Purchases a second that are sustained", certificate.sizing.capacity_per_s),
        (
            "certificate_forecast_per_second",
            "Purchases a second in the expected peak",
            certificate.sizing.forecast_per_min.map(|rate| rate / 60.0),
        ),
        (
            "certificate_headroom_ratio",
            "How much more than the expected peak is sustained, as a share of it",
            certificate.headroom_percent.map(|percent| percent / 100.0),
        ),
    ];
    for (name, help, number) in numbers {
        if let Some(number) = number {
            metrics.one(name, help, number);
        }
    }
}

fn cells(metrics: &mut Metrics, cells: &[Cell]) {
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1e3);
    let mut of_cells = |name: &str, help: &str, number: &dyn Fn(&Cell) -> Option<f64>| {
        let values = cells.iter().filter_map(|cell| Some((labels(cell), number(cell)?)));
        metrics.many(name, help, values.collect::<Vec<_>>());
    };
    let help = "1 where a fault on a target was survived, 0 where it was not, -1 where it is unknown";
    of_cells("cell", help, &|cell| Some(value(cell.judgement)));
    of_cells("cell_planned", "How often it was to be injected", &|cell| Some(f64::from(cell.planned)));
    of_cells("cell_executed", "How often it was injected", &|cell| Some(f64::from(cell.executed)));
    // Of what was not done there are no numbers: a nought would say that nothing was lost.
    let done = |cell: &Cell, number: f64| (cell.executed > 0).then_some(number);
    of_cells("cell_outage_seconds", "The longest time without a sale, at most", &|cell| seconds(cell.outage_ms));
    of_cells("cell_rto_seconds", "The longest time until buyers were served without errors again", &|cell| {
        seconds(cell.restored_ms)
    });
    let help = "In how many repetitions buyers were not served again while the fault was in force";
    of_cells("cell_unserved", help, &|cell| done(cell, f64::from(cell.unserved)));
    of_cells("cell_whole_seconds", "The longest time from the undo until redundancy was whole", &|cell| {
        seconds(cell.whole_ms)
    });
    of_cells("cell_p99_seconds", "The worst 99th percentile of a repetition", &|cell| done(cell, cell.p99_ms / 1e3));
    of_cells("cell_worst_second_seconds", "The mean of the second that was worst for its buyers", &|cell| {
        seconds(cell.worst_second_ms)
    });
    of_cells("cell_errors", "Exchanges that met an error", &|cell| done(cell, cell.errors as f64));
    of_cells("cell_failed", "Purchases that failed for the buyer", &|cell| done(cell, cell.failed as f64));
    of_cells("cell_lost_orders", "Acknowledged orders that are gone", &|cell| done(cell, cell.lost as f64));
    of_cells("cell_lost_money", "Their money, in the currency of the event", &|cell| {
        done(cell, cell.lost_cents as f64 / 100.0)
    });
}

fn labels(cell: &Cell) -> Labels {
    vec![("tier", cell.tier.to_string()), ("fault", cell.fault.clone()), ("target", cell.target.clone())]
}
