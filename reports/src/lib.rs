//! Renders what a run, or a whole certification, came to: one HTML file for people, Markdown for a pull request, JUnit for a build
//! server, JSON for programs, OpenMetrics for a monitoring, plain text for the terminal.
//!
//! Pure functions of a verdict, a manifest and a history: no clock, no network, no file system. The same
//! input gives the same bytes, so a report can be made again from a stored run years later.

pub mod annotations;
pub mod certificate;
pub mod history;
pub mod html;
pub mod json;
pub mod junit;
mod layout;
pub mod markdown;
pub mod openmetrics;
mod plot;
pub mod text;
pub mod trend;
mod units;

use firedrill_core::certificate::Certificate;
use firedrill_core::history::{At, History};
use firedrill_core::ids::NodeName;
use firedrill_core::manifest::Manifest;
use firedrill_core::verdict::Verdict;
use thiserror::Error;

/// A line of a node's log that was written near a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: At,
    /// Whose log.
    pub node: NodeName,
    /// The line as the node wrote it.
    pub text: String,
}

/// What a full report is made of.
#[derive(Debug, Clone, Copy)]
pub struct ReportInput<'a> {
    /// What was concluded.
    pub verdict: &'a Verdict,
    /// What the run was made of.
    pub manifest: &'a Manifest,
    /// What was observed, or of very much an excerpt.
    pub history: &'a History,
    /// Of how many purchases the history has one: 1 where it is whole. The verdict is always of all.
    pub one_in: u64,
    /// Log lines near faults, in any order; may be empty.
    pub log_excerpts: &'a [LogLine],
}

/// What the page of a certificate is made of.
#[derive(Debug, Clone, Copy)]
pub struct CertificateInput<'a> {
    /// What was concluded from all drills.
    pub certificate: &'a Certificate,
    /// The drills, in the order of [`Certificate::drills`]. One that is missing here has no section of its own.
    pub drills: &'a [ReportInput<'a>],
}

/// A report could not be rendered. Every input that a run can produce renders; an error here is a defect.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A template failed.
    #[error("the report's template could not be filled in: {0}")]
    Template(#[from] askama::Error),
    /// A plot failed.
    #[error("a plot of the report could not be drawn: {0}")]
    Plot(String),
    /// The JUnit form failed.
    #[error("the JUnit report could not be written: {0}")]
    Junit(#[from] quick_junit::SerializeError),
    /// The JSON form failed.
    #[error("the verdict could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
