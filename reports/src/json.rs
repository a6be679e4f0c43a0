//! The verdict for programs.

use crate::ReportError;
use firedrill_core::verdict::Verdict;
use serde::Serialize;

/// The verdict as indented JSON with a final newline. Keys come in the order of the model's fields and
/// named numbers in alphabetical order, so two equal verdicts are equal files.
pub fn render(verdict: &Verdict) -> Result<String, ReportError> {
    pretty(verdict)
}

/// Anything as indented JSON with a final newline.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, ReportError> {
    let mut json = serde_json::to_string_pretty(value)?;
    json.push('\n');
    Ok(json)
}
