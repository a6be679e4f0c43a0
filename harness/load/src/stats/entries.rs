//! Which entry points answer.

use firedrill_core::history::{At, Attempt};
use firedrill_core::ids::NodeName;

/// When each entry point answered last, whatever it said. There are a few of them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    answers: Vec<(NodeName, At)>,
}

impl Entries {
    /// Takes an attempt into account.
    pub(super) fn add(&mut self, attempt: &Attempt) {
        if attempt.status.is_none() {
            return;
        }
        match self.answers.iter_mut().find(|(entry, _)| *entry == attempt.entry) {
            Some((_, last)) => *last = (*last).max(attempt.ended),
            None => self.answers.push((attempt.entry.clone(), attempt.ended)),
        }
    }

    /// Whether the entry point of an attempt has answered nobody since it began, and another one has.
    pub(super) fn is_silent(&self, attempt: &Attempt) -> bool {
        let since = |(_, last): &(NodeName, At)| *last >= attempt.started;
        let (here, others): (Vec<_>, Vec<_>) = self.answers.iter().partition(|(entry, _)| *entry == attempt.entry);
        others.into_iter().any(since) && !here.into_iter().any(since)
    }
}
