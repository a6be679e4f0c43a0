//! The folder of a run, `runs/<id>/`: what lies in it, and how a stored run is judged and rendered again.
//!
//! | file | what it is |
//! | --- | --- |
//! | `history.fdh` | every record, as it happened (`history.jsonl.zst` in runs of before format 2) |
//! | `manifest.json` | versions, images, nodes, agreement, boot |
//! | `schedule.json` | the drill as asked and the steps as executed |
//! | `verdict.json` | the verdict |
//! | `report.html`, `summary.md`, `junit.xml`, `metrics.txt` | the verdict for people, CI and monitoring |
//! | `logs/NODE.log` | the output of every node |

use firedrill_core::capacity::{Measured, Trial, measure};
use firedrill_core::checker;
use firedrill_core::digest::{self, Recorded};
use firedrill_core::drill::Drill;
use firedrill_core::hex::hex;
use firedrill_core::history::codec::{self, ReadError, write_line};
use firedrill_core::history::record::Record;
use firedrill_core::history::{At, History};
use firedrill_core::ids::{OpId, RunId};
use firedrill_core::manifest::Manifest;
use firedrill_core::sla::Sla;
use firedrill_core::verdict::{StepVerdict, Verdict};
use firedrill_reports::{LogLine, ReportError, ReportInput, html, json, junit, markdown, openmetrics};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
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
    /// What is known to be wrong with its history beyond what its bytes say.
    pub damage: Vec<String>,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What a report is drawn from beside a verdict and a manifest.
#[derive(Debug)]
pub struct Material {
    history: History,
    one_in: u64,
    log_excerpts: Vec<LogLine>,
}

impl Material {
    /// Together with these.
    pub fn input<'a>(&'a self, verdict: &'a Verdict, manifest: &'a Manifest) -> ReportInput<'a> {
        let Self { history, one_in, log_excerpts } = self;
        ReportInput { verdict, manifest, history, one_in: *one_in, log_excerpts }
    }
}

/// What the history of a run is written to.
const HISTORY: &str = "history.fdh";

/// What it was written to before format 2.
const HISTORY_V1: &str = "history.jsonl.zst";

/// About how many purchases a report is drawn from: more are more than a page can show, and a history of
/// millions does not fit into memory as it stands.
const REPORTED_MAX: u64 = 100_000;

/// A new run id: UTC time and four random characters, so that runs sort by time and two of the same
/// second differ.
pub fn new_run_id() -> RunId {
    use rand::RngExt;
    let mut rng = rand::rng();
    let letters: String =
        (0..4).map(|_| char::from(b"abcdefghjkmnpqrstuvwxyz23456789"[rng.random_range(0..31)])).collect();
    RunId::new(format!("{}-{letters}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S")))
}

/// Writes a file beside and renames it, so that nobody ever sees half of it.
pub(crate) fn write_beside(folder: &Path, name: &str, text: &str) -> Result<(), RunDirError> {
    let (path, beside) = (folder.join(name), folder.join(format!(".{name}")));
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path));
    written.map_err(|source| RunDirError::File { path, source })
}

/// Reads a JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let bytes = std::fs::read(path).map_err(|source| RunDirError::File { path: path.to_path_buf(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| RunDirError::Json { path: path.to_path_buf(), source })
}

impl RunDir {
    /// Creates `runs/<id>`.
    pub fn create(runs: &Path, run: &RunId) -> Result<Self, RunDirError> {
        Self::create_at(runs.join(run.as_str()))
    }

    /// Creates a folder at this very path.
    pub(crate) fn create_at(path: PathBuf) -> Result<Self, RunDirError> {
        let dir = Self { path };
        let logs = dir.logs();
        std::fs::create_dir_all(&logs).map_err(|source| RunDirError::File { path: logs, source })?;
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

    /// The history, as it is written.
    pub fn history(&self) -> PathBuf {
        self.path.join(HISTORY)
    }

    /// The history that is there, of whatever version.
    fn open_history(&self) -> Result<(PathBuf, File), RunDirError> {
        let before = self.path.join(HISTORY_V1);
        let path = if before.exists() && !self.history().exists() { before } else { self.history() };
        let file = File::open(&path).map_err(|source| RunDirError::File { path: path.clone(), source })?;
        Ok((path, file))
    }

    /// Writes the history as JSON lines, one record a line, and gives back what is damaged.
    ///
    /// # Errors
    /// A [`RunDirError`] where the history cannot be read or `out` cannot be written.
    pub fn export(&self, out: &mut impl Write) -> Result<Vec<String>, RunDirError> {
        let (path, file) = self.open_history()?;
        let mut written = Ok(());
        let damage = codec::scan(file, &mut |_, record| {
            if written.is_ok() {
                written = write_line(out, &record.to_event());
            }
        });
        let damage = damage.map_err(|source| RunDirError::History { path, source })?;
        let written = written.and_then(|()| out.flush());
        written.map_err(|source| RunDirError::File { path: "the export".into(), source })?;
        Ok(damage)
    }

    /// The logs of the nodes.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The report for people.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    fn write(&self, name: &str, text: &str) -> Result<(), RunDirError> {
        write_beside(&self.path, name, text)
    }

    /// SHA-256 of the history's file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn history_sha256(&self) -> Result<String, RunDirError> {
        let (path, mut file) = self.open_history()?;
        let mut hasher = Sha256::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(hex(&hasher.finalize())),
                Ok(count) => hasher.update(&block[..count]),
                Err(source) => return Err(RunDirError::File { path, source }),
            }
        }
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

    /// Opens a stored run.
    pub fn read(&self) -> Result<Stored, RunDirError> {
        let manifest = read_json(&self.path.join("manifest.json"))?;
        self.open_history()?;
        Ok(Stored { dir: self.clone(), damage: Vec::new(), manifest })
    }
}

impl Stored {
    /// Judges the run against the agreement that it was run for, or against another one.
    ///
    /// # Errors
    /// Where the history is of no use.
    pub fn judge(&self, against: Option<&Sla>) -> Result<Verdict, RunDirError> {
        let sla = against.unwrap_or(&self.manifest.sla);
        self.with_history(|history| checker::judge_stored(history, sla))
    }

    /// Says how a trial went that this run recorded.
    ///
    /// # Errors
    /// Where the history is of no use.
    pub fn measure(&self, trial: Trial, sla: &Sla) -> Result<Measured, RunDirError> {
        self.with_history(|history| measure(trial, history, sla))
    }

    /// Reads the whole history into memory.
    ///
    /// # Errors
    /// Where it is of no use.
    pub fn history(&self) -> Result<History, RunDirError> {
        self.with_history(|history| {
            let mut events = Vec::new();
            let damage = history.scan(&mut |_, record| events.push(record.to_event()))?;
            Ok(History { events, damage })
        })
    }

    fn with_history<T>(
        &self,
        look: impl FnOnce(&mut digest::Stored<File>) -> Result<T, ReadError>,
    ) -> Result<T, RunDirError> {
        let (path, input) = self.dir.open_history()?;
        let mut history = digest::Stored { input, damage: self.damage.clone() };
        look(&mut history).map_err(|source| RunDirError::History { path, source })
    }

    /// As much of the history as a report is drawn from: of every few purchases one, those that findings name, and
    /// everything that is no purchase. Gives back one of how many.
    fn reported(&self, verdict: &Verdict) -> Result<(History, u64), RunDirError> {
        let one_in = verdict.totals.attempts / REPORTED_MAX + 1;
        if one_in == 1 {
            return Ok((self.history()?, 1));
        }
        let named = verdict.checks.iter().flat_map(|check| &check.findings).flat_map(|finding| &finding.ops);
        let named: HashSet<OpId> = named.copied().collect();
        let mut tokens: HashSet<String> = HashSet::new();
        let mut events = Vec::new();
        let damage = self.with_history(|history| {
            history.scan(&mut |_, record| {
                let keep = match &record {
                    Record::Attempt(attempt) => {
                        let keep = attempt.op.0 % one_in == 0 || named.contains(&attempt.op);
                        if keep {
                            tokens.extend([attempt.code, attempt.email].map(str::to_owned));
                        }
                        keep
                    }
                    Record::Ledger(row) => tokens.contains(row.code) || tokens.contains(row.email),
                    Record::Refused(refusal) => refusal.op.0 % one_in == 0,
                    Record::Other(_) => true,
                };
                if keep {
                    events.push(record.to_event());
                }
            })
        })?;
        Ok((History { events, damage }, one_in))
    }

    /// Writes the verdict as JSON.
    pub fn write_verdict(&self, verdict: &Verdict) -> Result<(), RunDirError> {
        self.dir.write("verdict.json", &json::render(verdict)?)
    }

    /// Renders the reports beside the history.
    pub fn write_reports(&self, verdict: &Verdict) -> Result<(), RunDirError> {
        let material = self.material(verdict)?;
        self.dir.write("report.html", &html::render(&material.input(verdict, &self.manifest))?)?;
        self.dir.write("summary.md", &markdown::render(verdict))?;
        self.dir.write("metrics.txt", &openmetrics::render(verdict))?;
        self.dir.write("junit.xml", &junit::render(verdict)?)
    }

    /// What its report is drawn from beside the verdict.
    ///
    /// # Errors
    /// Where the history is of no use.
    pub fn material(&self, verdict: &Verdict) -> Result<Material, RunDirError> {
        let (history, one_in) = self.reported(verdict)?;
        Ok(Material { history, one_in, log_excerpts: self.log_excerpts(verdict) })
    }

    /// Lines of the nodes' logs that say what happened around each fault: role changes, errors, starts.
    fn log_excerpts(&self, verdict: &Verdict) -> Vec<LogLine> {
        let Ok(started) = verdict.started.parse::<jiff::Timestamp>() else { return Vec::new() };
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
