//! The folder of a run, `runs/<id>/`: what lies in it, and how a stored run is judged and rendered again.
//!
//! | file | what it is |
//! | --- | --- |
//! | `history.jsonl.zst` | every record, as it happened |
//! | `manifest.json` | versions, images, nodes, agreement, boot |
//! | `schedule.json` | the drill as asked and the steps as executed |
//! | `verdict.json` | the verdict |
//! | `report.html`, `summary.md`, `junit.xml` | the verdict for people and for CI |
//! | `logs/NODE.log` | the output of every node |

use firedrill_core::checker;
use firedrill_core::drill::Drill;
use firedrill_core::history::codec::{self, ReadError};
use firedrill_core::history::{At, History};
use firedrill_core::ids::RunId;
use firedrill_core::manifest::Manifest;
use firedrill_core::sla::Sla;
use firedrill_core::verdict::{StepVerdict, Verdict};
use firedrill_reports::{LogLine, ReportError, ReportInput, html, json, junit, markdown};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A run's folder cannot be used.
#[derive(Debug, Error)]
pub enum RunDirError {
    /// A file cannot be read or written.
    #[error("{path}: {source}; check the path, the free space and the permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {source}; was it written by another version of firedrill?")]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The history is of no use.
    #[error("{path}: {source}")]
    History {
        /// Which.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// A report cannot be rendered.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// The drill as asked, and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Schedule {
    /// As asked.
    pub drill: Drill,
    /// Seed that the targets were drawn from.
    pub seed: u64,
    /// As executed: resolved nodes and times.
    pub executed: Vec<StepVerdict>,
}

/// A stored run, read back.
#[derive(Debug)]
pub struct Stored {
    /// Its folder.
    pub dir: RunDir,
    /// Its history.
    pub history: History,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A new run id: UTC time and four random characters, so that runs sort by time and two of the same
/// second differ.
pub fn new_run_id() -> RunId {
    use rand::RngExt;
    let mut rng = rand::rng();
    let letters: String =
        (0..4).map(|_| char::from(b"abcdefghjkmnpqrstuvwxyz23456789"[rng.random_range(0..31)])).collect();
    RunId::new(format!("{}-{letters}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S")))
}

impl RunDir {
    /// Creates `runs/<id>`.
    pub fn create(runs: &Path, run: &RunId) -> Result<Self, RunDirError> {
        let dir = Self { path: runs.join(run.as_str()) };
        for folder in [dir.path.clone(), dir.logs()] {
            std::fs::create_dir_all(&folder).map_err(|source| RunDirError::File { path: folder, source })?;
        }
        Ok(dir)
    }

    /// A folder that is there.
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The history.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl.zst")
    }

    /// The logs of the nodes.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The report for people.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Writes a file beside and renames it, so that nobody ever sees half of it.
    fn write(&self, name: &str, text: &str) -> Result<(), RunDirError> {
        let (path, beside) = (self.path.join(name), self.path.join(format!(".{name}")));
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|source| RunDirError::File { path, source })
    }

    /// Writes the manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), RunDirError> {
        self.write("manifest.json", &self.pretty(manifest)?)
    }

    /// Writes the schedule.
    pub fn write_schedule(&self, schedule: &Schedule) -> Result<(), RunDirError> {
        self.write("schedule.json", &self.pretty(schedule)?)
    }

    fn pretty(&self, value: &impl Serialize) -> Result<String, RunDirError> {
        let text = serde_json::to_string_pretty(value);
        text.map_err(|source| RunDirError::Json { path: self.path.clone(), source })
    }

    /// Reads a stored run.
    pub fn read(&self) -> Result<Stored, RunDirError> {
        let path = self.path.join("manifest.json");
        let bytes = std::fs::read(&path).map_err(|source| RunDirError::File { path: path.clone(), source })?;
        let manifest = serde_json::from_slice(&bytes).map_err(|source| RunDirError::Json { path, source })?;
        let path = self.history();
        let file = std::fs::File::open(&path).map_err(|source| RunDirError::File { path: path.clone(), source })?;
        let history = codec::read(file).map_err(|source| RunDirError::History { path, source })?;
        Ok(Stored { dir: self.clone(), history, manifest })
    }
}

impl Stored {
    /// Judges the run against the agreement that it was run for, or against another one.
    pub fn judge(&self, against: Option<&Sla>) -> Verdict {
        checker::judge(&self.history, against.unwrap_or(&self.manifest.sla))
    }

    /// Writes the verdict as JSON.
    pub fn write_verdict(&self, verdict: &Verdict) -> Result<(), RunDirError> {
        self.dir.write("verdict.json", &json::render(verdict)?)
    }

    /// Renders the reports beside the history.
    pub fn write_reports(&self, verdict: &Verdict) -> Result<(), RunDirError> {
        let excerpts = self.log_excerpts(verdict);
        let input = ReportInput { verdict, manifest: &self.manifest, history: &self.history, log_excerpts: &excerpts };
        self.dir.write("report.html", &html::render(&input)?)?;
        self.dir.write("summary.md", &markdown::render(verdict))?;
        self.dir.write("junit.xml", &junit::render(verdict)?)
    }

    /// Lines of the nodes' logs that say what happened around each fault: role changes, errors, starts.
    fn log_excerpts(&self, verdict: &Verdict) -> Vec<LogLine> {
        let started = self.history.header().and_then(|header| header.started.parse::<jiff::Timestamp>().ok());
        let Some(started) = started else { return Vec::new() };
        let mut lines = Vec::new();
        for node in &self.manifest.nodes {
            let path = self.dir.logs().join(format!("{}.log", node.name));
            let text = std::fs::read(&path).unwrap_or_default();
            let mut left = EXCERPT_LINES_PER_NODE;
            for line in String::from_utf8_lossy(&text).lines() {
                let Some((at, text)) = stamped(line, started) else { continue };
                let near = verdict.steps.iter().any(|step| step.from <= at && at <= step.until);
                if left > 0 && near && is_telling(text) {
                    lines.push(LogLine { at, node: node.name.clone(), text: text.chars().take(300).collect() });
                    left -= 1;
                }
            }
        }
        lines.sort_by_key(|line| line.at);
        lines
    }
}

/// The whole logs lie beside the report; it shows what tells the story.
const EXCERPT_LINES_PER_NODE: usize = 60;

/// An engine's time stamp and the text after it, as an instant of the run.
fn stamped(line: &str, started: jiff::Timestamp) -> Option<(At, &str)> {
    let (stamp, text) = line.split_once(' ')?;
    let at = stamp.parse::<jiff::Timestamp>().ok()?;
    let ns = at.as_nanosecond() - started.as_nanosecond();
    Some((At(u64::try_from(ns).ok()?), text))
}

/// Words of the nodes' programs for a change of role or a failure.
fn is_telling(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "promot",
        "fence",
        "rejoin",
        "rewind",
        "failover",
        "switch-master",
        "+odown",
        "+sdown",
        "vote",
        "FATAL",
        "PANIC",
        "Traceback",
        "attach",
        "detach",
        "DOWN",
        "is now primary",
    ];
    WORDS.iter().any(|word| text.contains(word))
}
