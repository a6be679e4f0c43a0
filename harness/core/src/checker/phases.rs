//! Phases of a run: what is promised and measured differs with and without a fault.

use super::step::Window;
use crate::history::At;

/// Where an instant lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Outside of every window.
    Steady,
    /// A fault is in force: from its injection to its undo.
    Fault,
    /// It was undone, and redundancy is not whole yet.
    Recovery,
}

impl Phase {
    /// All of them, in the order in which a step goes through them.
    pub const ALL: [Self; 3] = [Self::Steady, Self::Fault, Self::Recovery];

    /// Its name in numbers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
        }
    }

    /// The phase of an instant. Windows lie one after the other.
    pub fn of(windows: &[Window], at: At) -> Self {
        let first = windows.partition_point(|window| window.until < at);
        let window = windows[first..].iter().find(|window| window.injected).filter(|window| window.from <= at);
        match window {
            None => Self::Steady,
            Some(window) if window.healed.is_some_and(|healed| healed <= at) => Self::Recovery,
            Some(_) => Self::Fault,
        }
    }
}
