//! The certificate for people: one HTML file that needs nothing else, neither a network nor a script.
//!
//! The first page is the sheet that somebody signs. Nothing of the page is folded away: without a script a browser
//! cannot open a folded part when it prints, searches or follows a link into it. A list of contents stays in view
//! instead.

mod basis;
mod drills;
mod matrix;
mod sheet;

use super::words;
use crate::html::configuration::ConfigurationView;
use crate::html::view::{Badge, Fact};
use crate::html::{STYLE, run};
use crate::{CertificateInput, ReportError, units};
use askama::Template;
use drills::{DrillRow, DrillView};
use firedrill_core::certificate::Certificate;
use matrix::MatrixView;
use sheet::{ConfidenceRow, ObjectionView};

/// What the page of a certificate has beyond the one of a run.
const STYLE_BEYOND: &str = include_str!("../../../templates/certificate.css");

/// The page of a certificate: the sheet, the matrix, every drill, and what it rests on.
///
/// The same input gives the same bytes. The size is bounded, however many drills there are: they share the room for
/// plots and records.
pub fn html(input: &CertificateInput<'_>) -> Result<String, ReportError> {
    let certificate = input.certificate;
    let page = Page {
        style: STYLE,
        beyond: STYLE_BEYOND,
        title: units::clean(&format!("{} {}", certificate.topology, words::conclusion(certificate))),
        run: units::clean(certificate.id.as_str()),
        firedrill: units::clean(&certificate.basis.firedrill),
        verdict: Badge { word: words::conclusion(certificate), ..Badge::of_conclusion(certificate.conclusion) },
        lead: words::lead(certificate),
        reasons: sheet::reasons(certificate),
        more_reasons: certificate.reasons.len().saturating_sub(sheet::REASONS_MAX),
        facts: sheet::facts(certificate),
        tiles: sheet::tiles(input),
        sizing: sheet::sizing(certificate),
        confidence: sheet::confidence(certificate),
        objections: sheet::objections(certificate),
        validity: words::validity(certificate),
        drift: words::drift(certificate),
        matrix: matrix::view(input),
        not_covered: not_covered(input),
        rows: drills::rows(input),
        drills: drills::views(input)?,
        configuration: basis::view(input),
    };
    Ok(run::tidied(&page.render()?))
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct Page {
    style: &'static str,
    beyond: &'static str,
    title: String,
    run: String,
    firedrill: String,
    verdict: Badge,
    lead: String,
    reasons: Vec<String>,
    more_reasons: usize,
    facts: Vec<Fact>,
    tiles: Vec<Fact>,
    sizing: Vec<Fact>,
    confidence: Vec<ConfidenceRow>,
    objections: Vec<ObjectionView>,
    validity: String,
    drift: Option<(&'static str, String)>,
    matrix: MatrixView,
    not_covered: Vec<String>,
    rows: Vec<DrillRow>,
    drills: Vec<DrillView>,
    configuration: ConfigurationView,
}

/// What was not tried, and where what is shown is not all.
fn not_covered(input: &CertificateInput<'_>) -> Vec<String> {
    let Certificate { not_covered, .. } = input.certificate;
    let gaps = not_covered.iter().map(|gap| units::clean(&gap.to_string()));
    let of_drills = input.drills.iter().flat_map(|drill| {
        let name = &drill.verdict.drill;
        let damage = drill.history.damage.iter();
        let damage = damage.map(move |text| units::clean(&format!("The history of {name} is not whole: {text}")));
        let excerpt = run::excerpt(drill).map(|text| units::clean(&format!("{name}: {text}")));
        damage.chain(excerpt)
    });
    gaps.chain(of_drills).collect()
}
