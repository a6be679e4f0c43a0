//! The report for people: one HTML file that needs nothing else, neither a network nor a script.

mod checks;
pub(crate) mod configuration;
mod matrix;
mod records;
pub(crate) mod run;
mod steps;
mod timeline;
pub(crate) mod view;

use crate::{ReportError, ReportInput, units};
use askama::Template;
use configuration::ConfigurationView;
use firedrill_core::verdict::{Conclusion, Verdict};
use run::{Place, RunView};
use view::{Badge, Fact};

/// The style sheet, which goes into the file.
pub(crate) const STYLE: &str = include_str!("../../templates/report.css");

/// Renders the report.
///
/// The same input gives the same bytes. The size is bounded: plots are downsampled, and of very many
/// findings or operations the first ones are written out, with the number of the rest.
pub fn render(input: &ReportInput<'_>) -> Result<String, ReportError> {
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
        parts: RunView::of(input, Place::alone(input.verdict.steps.len()))?,
        configuration: configuration::view(input),
        not_covered: run::excerpt(input).into_iter().chain(covered).collect(),
    };
    Ok(run::tidied(&page.render()?))
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
    parts: RunView,
    configuration: ConfigurationView,
    not_covered: Vec<String>,
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

/// The numbers of a run that come first.
pub(crate) fn tiles(input: &ReportInput<'_>) -> Vec<Fact> {
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
