//! The verdict for programs.

use crate::ReportError;
use firedrill_core::verdict::Verdict;

/// The verdict as indented JSON with a final newline. Keys come in the order of the model's fields and
/// named numbers in alphabetical order, so two equal verdicts are equal files.
pub fn render(verdict: &Verdict) -> Result<String, ReportError> {
    let mut json = serde_json::to_string_pretty(verdict)?;
    json.push('\n');
    Ok(json)
}
