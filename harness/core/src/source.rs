//! A named text and errors that point into it: file, line, column.

use serde::de::DeserializeOwned;
use thiserror::Error;

/// A text with the name that errors call it by.
#[derive(Debug, Clone)]
pub struct Source {
    /// Usually the path of the file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Something is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name}{}: {message}", position(*.line, *.column))]
pub struct SourceError {
    /// Name of the text.
    pub name: String,
    /// Line from 1, or 0 where the whole text is meant.
    pub line: u64,
    /// Column from 1, or 0 where the whole line is meant.
    pub column: u64,
    /// What is wrong and what to do.
    pub message: String,
}

fn position(line: u64, column: u64) -> String {
    match (line, column) {
        (0, _) => String::new(),
        (line, 0) => format!(":{line}"),
        (line, column) => format!(":{line}:{column}"),
    }
}

impl Source {
    /// A text with a name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// An error about the whole text.
    pub fn error(&self, message: impl Into<String>) -> SourceError {
        self.error_at(0, 0, message)
    }

    /// An error at a place.
    pub fn error_at(&self, line: u64, column: u64, message: impl Into<String>) -> SourceError {
        SourceError { name: self.name.clone(), line, column, message: message.into() }
    }
}

/// Parses YAML; the error has line and column.
pub fn parse_yaml<T: DeserializeOwned>(source: &Source) -> Result<T, SourceError> {
    serde_saphyr::from_str(&source.text).map_err(|error| yaml_error(source, &error))
}

fn yaml_error(source: &Source, error: &serde_saphyr::Error) -> SourceError {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    source.error_at(line, column, error.without_snippet().to_string())
}
