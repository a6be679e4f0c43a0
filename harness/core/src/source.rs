//! A named text and errors that point into it: file, line, column.

use serde::de::DeserializeOwned;
use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter};

/// A text with the name that errors call it by.
#[derive(Debug, Clone)]
pub struct Source {
    /// Usually the path of the file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Something is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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

fn yaml_error(source: &Source, error: &Error) -> SourceError {
    let error = innermost(error);
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    source.error_at(line, column, words(error))
}

/// The error itself, without the quotation around it and without the alias that led to it: where the
/// wrong text is written is where it can be put right.
fn innermost(mut error: &Error) -> &Error {
    while let Error::WithSnippet { error: inner, .. } | Error::AliasError { error: inner, .. } = error {
        error = inner;
    }
    error
}

/// What is wrong and what is supported, without the place: [`SourceError`] says that already.
fn words(error: &Error) -> String {
    let some = |names: &[&str]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let text = match error {
        Error::Eof { .. } => "nothing to read: the file is empty, or ends too early".to_owned(),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key {field:?}; supported here: {}", some(expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown value {variant:?}; supported here: {}", some(expected))
        }
        Error::SerdeMissingField { field, .. } => format!("the key {field:?} is missing"),
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            let found = if unexpected == "unit value" { "nothing" } else { unexpected };
            format!("found {found}; supported here: {expected}")
        }
        Error::InvalidScalar { ty, .. } => format!("this is not {}", described(ty)),
        Error::Unexpected { expected, .. } => format!("{} is needed here", described(expected)),
        Error::MultipleDocuments { .. } => "more than one document (---) in the file; one is supported".to_owned(),
        Error::DuplicateMappingKey { key, .. } => {
            format!("the key {:?} is given twice", key.as_deref().unwrap_or_default())
        }
        Error::UnknownAnchor { .. } => "this alias names no anchor above it".to_owned(),
        other => DefaultMessageFormatter.format_message(other).into_owned(),
    };
    // A message is one line, also where it quotes the file.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The parser's name of a thing, as a person would say it.
fn described(what: &str) -> &str {
    match what {
        "boolean" => "true or false",
        "floating point" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" => "a whole number from 0 on, or it is too large",
        "mapping start" => "a mapping (key: value)",
        "sequence start" => "a list",
        other => other,
    }
}
