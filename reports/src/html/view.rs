//! What all parts of the page are made of.

use crate::units;
use firedrill_core::history::At;
use firedrill_core::verdict::{Conclusion, Gate, Judgement};

/// A judgement as colour, sign and word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Badge {
    pub(crate) class: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) word: &'static str,
}

impl Badge {
    pub(crate) fn of(judgement: Judgement) -> Self {
        let (class, mark, word) = match judgement {
            Judgement::Pass => ("pass", "✓", "pass"),
            Judgement::Unknown => ("unknown", "?", "unknown"),
            Judgement::Fail => ("fail", "✗", "fail"),
        };
        Self { class, mark, word }
    }

    pub(crate) fn of_conclusion(conclusion: Conclusion) -> Self {
        let (class, mark, word) = match conclusion {
            Conclusion::Certified => ("pass", "✓", "Certified"),
            Conclusion::Violated => ("fail", "✗", "Violated"),
            Conclusion::Inconclusive => ("unknown", "?", "Inconclusive"),
        };
        Self { class, mark, word }
    }
}

/// A named value.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) note: String,
    pub(crate) alarming: bool,
    /// The operations that the value was read from.
    pub(crate) records: Vec<OpRef>,
}

impl Fact {
    pub(crate) fn new(name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        Self {
            name: units::clean(name.as_ref()),
            value: units::clean(value.as_ref()),
            note: String::new(),
            alarming: false,
            records: Vec::new(),
        }
    }

    pub(crate) fn with_note(mut self, note: impl AsRef<str>) -> Self {
        self.note = units::clean(note.as_ref());
        self
    }

    pub(crate) fn with_records(mut self, records: Vec<OpRef>) -> Self {
        self.records = records;
        self
    }

    pub(crate) fn alarming(mut self) -> Self {
        self.alarming = true;
        self
    }

    pub(crate) fn alarming_if(mut self, alarming: bool) -> Self {
        self.alarming = alarming;
        self
    }
}

/// A mention of an operation, as a link where its record is in the page.
#[derive(Debug, Clone)]
pub(crate) struct OpRef {
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) linked: bool,
}

/// A line of a node's log.
#[derive(Debug, Clone)]
pub(crate) struct LogView {
    pub(crate) at: String,
    pub(crate) node: String,
    pub(crate) text: String,
}

/// The kind of a check in a word.
pub(crate) fn gate(gate: Gate) -> &'static str {
    match gate {
        Gate::Invariant => "invariant",
        Gate::Objective => "objective",
        Gate::Precondition => "precondition",
    }
}

/// An instant that may not have been seen.
pub(crate) fn maybe_instant(at: Option<At>) -> String {
    at.map_or_else(|| units::NONE.to_owned(), units::instant)
}
