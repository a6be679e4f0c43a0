//! The certificate for build servers: one test case for the conclusion, for every objection, for every cell of the
//! matrix, and for every check of every drill.

use super::words::{self, Numbers};
use crate::junit::{add_properties, check, finding_text, length_ms, lines, millis, status, write};
use crate::{ReportError, units};
use firedrill_core::certificate::{Cell, Certificate, Objection, StepRef};
use firedrill_core::verdict::{StepVerdict, Verdict};
use quick_junit::{Report, TestCase, TestSuite};

/// The certificate as JUnit XML; `drills` are the verdicts in the order of [`Certificate::drills`]. What failed is a
/// failure; what cannot be said, and what was planned and not done, is an error: neither may leave a build green.
pub fn junit(certificate: &Certificate, drills: &[&Verdict]) -> Result<String, ReportError> {
    let mut report = Report::new(format!("firedrill {}", units::clean(&certificate.topology)));
    report.set_time(millis(certificate.totals.load_ms));

    let mut whole = TestSuite::new("certificate");
    describe(&mut whole, certificate);
    whole.add_test_case(conclusion(certificate));
    whole.add_test_cases(certificate.objections.iter().map(objection));
    report.add_test_suite(whole);

    let mut matrix = TestSuite::new("matrix");
    matrix.add_test_cases(certificate.matrix.iter().map(|cell| case(cell, drills)));
    matrix.set_time(millis(certificate.matrix.iter().map(|cell| time_ms(cell, drills)).sum()));
    report.add_test_suite(matrix);

    for verdict in drills {
        let mut suite = TestSuite::new(units::clean(&format!("drill {}", verdict.drill)));
        add_properties(&mut suite, [("run", verdict.run.to_string()), ("conclusion", verdict.conclusion.to_string())]);
        suite.add_test_cases(verdict.checks.iter().map(check));
        report.add_test_suite(suite);
    }
    write(&report)
}

fn describe(suite: &mut TestSuite, certificate: &Certificate) {
    let properties = [
        ("certificate", certificate.id.to_string()),
        ("topology", certificate.topology.clone()),
        ("configuration_sha256", certificate.configuration_sha256.clone()),
        ("profile", certificate.profile.to_string()),
        ("sla", certificate.sla.name.clone()),
        ("seed", certificate.seed.to_string()),
        ("started", certificate.started.clone()),
        ("valid_until", certificate.valid_until.clone()),
        ("replay", certificate.replay.clone()),
    ];
    add_properties(suite, properties);
}

/// Without it a certification of which nothing was run would be a green build.
fn conclusion(certificate: &Certificate) -> TestCase {
    let judgement = certificate.conclusion.judgement();
    let reasons: Vec<String> = certificate.reasons.iter().map(|reason| units::clean(reason)).collect();
    let text = format!("{}\n{}", words::lead(certificate), reasons.join("\n"));
    let mut case = TestCase::new("conclusion", status(judgement, "conclusion", &certificate.reasons, text));
    case.set_classname("firedrill.certificate");
    case
}

fn objection(objection: &Objection) -> TestCase {
    let finding = &objection.finding;
    let reasons = [finding.summary.clone()];
    let name = units::clean(&finding.summary);
    let mut case = TestCase::new(name, status(objection.judgement, "objection", &reasons, finding_text(finding)));
    case.set_classname("firedrill.objection");
    case
}

fn case(cell: &Cell, drills: &[&Verdict]) -> TestCase {
    let numbers = Numbers::of(cell);
    let reasons: Vec<String> = cell.reasons.iter().map(|reason| units::clean(reason)).collect();
    let mut case = TestCase::new(words::cell(cell), status(cell.judgement, "cell", &cell.reasons, reasons.join("\n")));
    case.set_classname(format!("firedrill.{}", units::clean(cell.tier.as_str())));
    case.set_time(millis(time_ms(cell, drills)));
    let named = [
        ("done", numbers.done),
        ("nodes", units::joined(&cell.nodes)),
        ("outage", numbers.outage),
        ("rto", numbers.restored),
        ("whole", numbers.whole),
        ("failed", numbers.failed),
        ("errors", numbers.errors),
        ("p99", numbers.p99),
        ("worst second", numbers.worst_second),
        ("lost", numbers.lost),
        ("lost money", if cell.executed == 0 { units::NONE.to_owned() } else { units::money(cell.lost_cents) }),
    ];
    case.set_system_out(lines(named));
    case
}

/// How long its windows were together.
fn time_ms(cell: &Cell, drills: &[&Verdict]) -> f64 {
    cell.steps.iter().filter_map(|place| step(place, drills)).map(length_ms).sum()
}

fn step<'a>(place: &StepRef, drills: &[&'a Verdict]) -> Option<&'a StepVerdict> {
    drills.get(place.drill)?.steps.iter().find(|step| step.step == place.step)
}
