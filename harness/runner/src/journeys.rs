//! Journeys by name: files below `fixtures/journeys/`.

use firedrill_core::load::{Journey, Mix};
use firedrill_core::source::{Source, SourceError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A journey cannot be had.
#[derive(Debug, Error)]
pub enum JourneyError {
    /// Its file cannot be read.
    #[error("the journey {name} cannot be read from {path}: {source}; there are {known}")]
    File {
        /// Which.
        name: String,
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// The journeys that there are.
        known: String,
    },
    /// Its file is wrong.
    #[error(transparent)]
    Wrong(#[from] SourceError),
}

/// The journeys of a load, each with its weight, from files of a folder. A name with a slash or a dot is a path.
///
/// # Errors
/// A [`JourneyError`] with the file, and the line where one is wrong.
pub fn read(folder: &Path, mix: &Mix) -> Result<Vec<(Journey, u32)>, JourneyError> {
    mix.parts().into_iter().map(|(name, weight)| Ok((read_one(folder, name)?, weight))).collect()
}

/// One journey.
///
/// # Errors
/// As of [`read`].
pub fn read_one(folder: &Path, name: &str) -> Result<Journey, JourneyError> {
    let is_path = name.contains(['/', '.']);
    let path = if is_path { PathBuf::from(name) } else { folder.join(format!("{name}.yaml")) };
    let text = std::fs::read_to_string(&path).map_err(|source| JourneyError::File {
        name: name.to_owned(),
        known: known(folder).join(", "),
        path: path.clone(),
        source,
    })?;
    Ok(Journey::parse(&Source::new(path.display().to_string(), text))?)
}

/// Names of the journeys of a folder, sorted.
pub fn known(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".yaml")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
