//! The report for people: one HTML file that needs nothing else, neither a network nor a script.

mod checks;
mod configuration;
mod matrix;
mod records;
mod steps;
mod timeline;
mod view;

use crate::{ReportError, ReportInput, units};
use askama::Template;
use checks::CheckView;
use configuration::ConfigurationView;
use firedrill_core::history::Operations;
use firedrill_core::verdict::{Conclusion, Verdict};
use matrix::MatrixView;
use records::{OperationView, Records};
use steps::StepView;
use timeline::TimelineView;
use view::{Badge, Fact};

/// The style sheet, which goes into the file.
const STYLE: &str = include_str!("../../templates/report.css");

/// Renders the report.
///
/// The same input gives the same bytes. The size is bounded: plots are downsampled, and of very many
/// findings or operations the first ones are written out, with the number of the rest.
pub fn render(input: &ReportInput<'_>) -> Result<String, ReportError> {
    let operations = Operations::of(input.history);
    let mut records = Records::new(&operations);
    let timeline = timeline::view(input, &operations)?;
    let steps = steps::views(input, &operations, &mut records)?;
    let checks = checks::views(input.verdict, &mut records);
    let conclusion = input.verdict.conclusion;
    let covered = input.manifest.not_covered.iter().map(|text| units::clean(text));
    let page = Page {
        style: STYLE,
        verdict: Badge::of_conclusion(conclusion),
        lead: lead(input.verdict),
        reasons: input.verdict.reasons.iter().map(|reason| units::clean(reason)).collect(),
        facts: facts(input.verdict),
        tiles: tiles(input),
        title: units::clean(&format!("{} {}", input.verdict.drill, conclusion)),
        run: units::clean(input.verdict.run.as_str()),
        firedrill: units::clean(&input.manifest.firedrill),
        matrix: matrix::view(input.verdict),
        timeline,
        steps,
        checks,
        operations: records.views(input.history),
        configuration: configuration::view(input),
        not_covered: excerpt(input).into_iter().chain(covered).collect(),
    };
    let html = page.render()?;
    // Lines of the template's own logic leave empty lines behind.
    let lines = html.lines().map(str::trim_end).filter(|line| !line.is_empty());
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    style: &'static str,
    verdict: Badge,
    lead: String,
    reasons: Vec<String>,
    facts: Vec<Fact>,
    tiles: Vec<Fact>,
    title: String,
    run: String,
    firedrill: String,
    matrix: MatrixView,
    timeline: Option<TimelineView>,
    steps: Vec<StepView>,
    checks: Vec<CheckView>,
    operations: Vec<OperationView>,
    configuration: ConfigurationView,
    not_covered: Vec<String>,
}

/// What the plots leave out, where they do.
fn excerpt(input: &ReportInput<'_>) -> Option<String> {
    let what = "The plots of this report are drawn from one purchase in";
    let rest = "and from those that findings name; the verdict and its numbers are of all.";
    (input.one_in > 1).then(|| format!("{what} {}, {rest}", units::count(input.one_in)))
}

fn lead(verdict: &Verdict) -> String {
    let steps = units::plural(verdict.steps.len() as u64, "fault was", "faults were");
    let lost = verdict.totals.lost;
    let said = match verdict.conclusion {
        Conclusion::Violated if lost > 0 => {
            let orders = units::plural(lost, "confirmed order is", "confirmed orders are");
            return format!("{steps} injected under load, and {orders} lost.");
        }
        Conclusion::Certified => "every invariant and every objective held, and it was seen",
        Conclusion::Violated => "a promise was broken",
        Conclusion::Inconclusive => "it cannot be said whether the promises held",
    };
    let purchases = units::plural(verdict.totals.operations, "purchase", "purchases");
    format!("{steps} injected under load while {purchases} were made: {said}.")
}

fn facts(verdict: &Verdict) -> Vec<Fact> {
    vec![
        Fact::new("Drill", &verdict.drill),
        Fact::new("Topology", &verdict.topology),
        Fact::new("Agreement", &verdict.sla),
        Fact::new("Started", units::wall_clock(&verdict.started)),
        Fact::new("Load", units::duration(verdict.totals.load_ms)),
        Fact::new("Seed", verdict.seed.to_string()),
    ]
}

fn tiles(input: &ReportInput<'_>) -> Vec<Fact> {
    let verdict = input.verdict;
    let t = &verdict.totals;
    let lost = if t.lost == 0 && input.history.authority().is_none() {
        // A nought would claim what nobody looked at.
        Fact::new("lost", "unknown").with_note("no complete final read of a primary")
    } else if t.lost == 0 {
        Fact::new("lost", "0").with_note("confirmed, and missing from the final read")
    } else {
        Fact::new("lost", units::count(t.lost)).with_note(format!("{} in money", units::money(t.lost_cents))).alarming()
    };
    let worst = verdict.steps.iter().filter_map(|step| step.outage.as_ref());
    let worst = worst.max_by(|a, b| a.max_ms.total_cmp(&b.max_ms));
    vec![
        lost,
        Fact::new("longest outage", units::maybe_bracket(worst)).with_note("nothing was sold"),
        Fact::new("purchases", units::count(t.operations)).with_note(units::plural(
            t.attempts,
            "exchange",
            "exchanges",
        )),
        Fact::new("confirmed", units::count(t.acknowledged)),
        Fact::new("refused for good", units::count(t.rejected)).with_note("sold out and the like"),
        Fact::new("in doubt", units::count(t.in_doubt))
            .with_note(format!("{} found applied", units::count(t.recovered))),
        Fact::new("not applied", units::count(t.not_applied)),
        Fact::new("found no buyer", units::count(t.refused)).with_note("arrivals beyond the load generator"),
    ]
}
