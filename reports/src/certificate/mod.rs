//! Renders a certificate: what several drills on one topology come to together.
//!
//! The same forms as of a single run, and the same rules: the same certificate gives the same bytes.

mod html;
mod junit;
mod markdown;
mod openmetrics;
mod text;
mod words;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use openmetrics::openmetrics;
pub use text::text;

use crate::ReportError;
use firedrill_core::certificate::Certificate;

/// The certificate for programs, as indented JSON with a final newline; `reports/certificate.schema.json` is its schema.
pub fn json(certificate: &Certificate) -> Result<String, ReportError> {
    crate::json::pretty(certificate)
}
