//! The folder of a certification, `runs/<id>/`.
//!
//! | file | what it is |
//! | --- | --- |
//! | `certification.json` | what was to be certified, the drills that were run for it, and how it ended |
//! | `certificate.json` | the certificate |
//! | `report.html`, `summary.md`, `junit.xml`, `metrics.txt` | the certificate for people, CI and monitoring |
//! | `drills/NN-NAME/` | each drill, with the files of any run (`rundir.rs`) |
//! | `capacity/` | the trials by which the load was sized, where that was measured |
//!
//! The first file is kept up to date after every drill: a certification whose process died can be concluded from it.

use crate::drill::DrillError;
use crate::rundir::{Material, RunDir, RunDirError, read_json, write_beside};
use crate::session::SessionError;
use firedrill_core::certificate::{After, Certificate, Commission, Ending, Objection, Part};
use firedrill_core::sla::Sla;
use firedrill_core::verdict::{Finding, Verdict};
use firedrill_reports::{CertificateInput, ReportError, ReportInput, certificate};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A certification cannot be run, or its folder not be used.
#[derive(Debug, Error)]
pub enum CertificationError {
    /// A file cannot be read or written.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// No stack can be had.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A drill cannot be run.
    #[error(transparent)]
    Drill(Box<DrillError>),
    /// A report cannot be rendered.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Somebody ended it before there was anything to keep.
    #[error("interrupted while booting; everything was removed")]
    Interrupted,
}

impl CertificationError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::RunDir(RunDirError::File { path: path.to_path_buf(), source })
    }
}

/// `certification.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    commission: Commission,
    parts: Vec<PartRecord>,
    /// None as long as it runs, and for ever where its process died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
}

/// A drill that was run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PartRecord {
    folder: String,
    history_sha256: String,
    #[serde(flatten)]
    after: After,
}

/// The folder of a certification.
#[derive(Debug)]
pub struct CertificateDir {
    path: PathBuf,
    record: Record,
}

/// A certificate with the drills that it was concluded from.
#[derive(Debug)]
pub struct Concluded {
    /// The certificate.
    pub certificate: Certificate,
    parts: Vec<Part>,
}

const RECORD: &str = "certification.json";

impl CertificateDir {
    /// Makes `runs/<id>` and writes down what is to be certified.
    pub(super) fn create(runs: &Path, commission: &Commission) -> Result<Self, CertificationError> {
        let path = runs.join(commission.id.as_str());
        std::fs::create_dir_all(&path).map_err(|source| CertificationError::file(&path, source))?;
        let dir = Self { path, record: Record { commission: commission.clone(), parts: Vec::new(), ending: None } };
        dir.save()?;
        Ok(dir)
    }

    /// Removes it, where nothing was run and so nothing is worth keeping.
    pub(super) fn discard(&self) {
        if !self.capacity().exists() {
            // An empty folder that stays is no harm, and the reason why nothing was run is told anyway.
            let _ = std::fs::remove_file(self.path.join(RECORD)).and_then(|()| std::fs::remove_dir(&self.path));
        }
    }

    /// Whether a folder is that of a certification.
    pub fn is_one(path: &Path) -> bool {
        path.join(RECORD).exists()
    }

    /// Opens a stored one.
    ///
    /// # Errors
    /// Where its record cannot be read.
    pub fn open(path: &Path) -> Result<Self, CertificationError> {
        let record = read_json(&path.join(RECORD))?;
        Ok(Self { path: path.to_path_buf(), record })
    }

    /// The report for people.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many drills were run.
    pub(super) fn parts(&self) -> usize {
        self.record.parts.len()
    }

    /// Where the trials of a capacity lie.
    pub(super) fn capacity(&self) -> PathBuf {
        self.path.join("capacity")
    }

    /// The folder of a drill.
    pub(super) fn drill(&self, name: &str) -> PathBuf {
        self.path.join("drills").join(name)
    }

    /// The load was sized.
    pub(super) fn recommission(&mut self, commission: &Commission) -> Result<(), CertificationError> {
        self.record.commission = commission.clone();
        self.save()
    }

    /// A drill was run.
    pub(super) fn add(&mut self, name: &str, after: After) -> Result<(), CertificationError> {
        let history_sha256 = RunDir::open(&self.drill(name)).history_sha256()?;
        self.record.parts.push(PartRecord { folder: format!("drills/{name}"), history_sha256, after });
        self.save()
    }

    /// It is over.
    pub(super) fn end(&mut self, ending: Ending) -> Result<(), CertificationError> {
        self.record.ending = Some(ending);
        self.save()
    }

    fn save(&self) -> Result<(), CertificationError> {
        Ok(write_beside(&self.path, RECORD, &pretty(&self.path, &self.record)?)?)
    }

    /// The drills, each judged again from its history, against the agreement or another one.
    fn judged(&self, against: Option<&Sla>) -> Result<Vec<Part>, CertificationError> {
        let judged = |part: &PartRecord| -> Result<Part, CertificationError> {
            let stored = self.run_dir(part).read()?;
            Ok(Part {
                folder: part.folder.clone(),
                verdict: stored.judge(against)?,
                manifest: stored.manifest,
                history_sha256: part.history_sha256.clone(),
                after: part.after.clone(),
            })
        };
        self.record.parts.iter().map(judged).collect()
    }

    fn run_dir(&self, part: &PartRecord) -> RunDir {
        RunDir::open(&self.path.join(&part.folder))
    }

    fn ending(&self) -> Ending {
        self.record.ending.clone().unwrap_or_else(|| Ending {
            early: Some("its process ended without a word".to_owned()),
            ..Ending::default()
        })
    }

    /// Concludes from what is stored: every history is judged again, against the agreement or another one.
    ///
    /// # Errors
    /// Where a drill's folder cannot be read.
    pub fn conclude(&self, against: Option<&Sla>) -> Result<Concluded, CertificationError> {
        let mut commission = self.record.commission.clone();
        commission.sla = against.cloned().unwrap_or(commission.sla);
        let changed = |folder| Objection::unknown(Finding::new(format!("{folder}: its history was changed since")));
        commission.objections.extend(self.tampered()?.into_iter().map(changed));
        let parts = self.judged(against)?;
        Ok(Concluded { certificate: Certificate::conclude(&commission, &parts, &self.ending()), parts })
    }

    /// Writes the certificate and its reports.
    ///
    /// # Errors
    /// Where a drill's folder cannot be read, or a file not be written.
    pub fn write(&self, concluded: &Concluded) -> Result<(), CertificationError> {
        let Concluded { certificate, parts } = concluded;
        let materials: Vec<Material> = (parts.iter().zip(&self.record.parts))
            .map(|(part, record)| self.run_dir(record).read()?.material(&part.verdict))
            .collect::<Result<_, RunDirError>>()?;
        let drills: Vec<ReportInput<'_>> = parts
            .iter()
            .zip(&materials)
            .map(|(part, material)| material.input(&part.verdict, &part.manifest))
            .collect();
        let verdicts: Vec<&Verdict> = parts.iter().map(|part| &part.verdict).collect();
        let input = CertificateInput { certificate, drills: &drills };
        let files = [
            ("certificate.json", certificate::json(certificate)?),
            ("report.html", certificate::html(&input)?),
            ("summary.md", certificate::markdown(certificate)),
            ("metrics.txt", certificate::openmetrics(certificate)),
            ("junit.xml", certificate::junit(certificate, &verdicts)?),
        ];
        for (name, text) in files {
            write_beside(&self.path, name, &text)?;
        }
        Ok(())
    }

    /// Drills whose histories are not those that were certified.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn tampered(&self) -> Result<Vec<String>, CertificationError> {
        let mut tampered = Vec::new();
        for part in &self.record.parts {
            if self.run_dir(part).history_sha256()? != part.history_sha256 {
                tampered.push(part.folder.clone());
            }
        }
        Ok(tampered)
    }
}

fn pretty(path: &Path, record: &Record) -> Result<String, RunDirError> {
    serde_json::to_string_pretty(record).map_err(|source| RunDirError::Json { path: path.join(RECORD), source })
}
