//! Phases of a run: what is promised and measured differs with and without a fault.

use super::parts::{Parts, after};
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

    /// The phase of an instant. Where windows overlap, a fault in force says more than one that was undone.
    fn of(windows: &[Window], at: At) -> Self {
        let met = windows.iter().filter(|window| window.injected && window.contains(at));
        let phases = met.map(|window| match window.healed {
            Some(healed) if healed <= at => Self::Recovery,
            _ => Self::Fault,
        });
        phases.min().unwrap_or(Self::Steady)
    }
}

/// The phases of a run, to be asked for millions of instants.
pub(super) struct Phases {
    /// Between two of these nothing changes.
    parts: Parts,
    /// The phase of every part.
    phases: Vec<Phase>,
    /// For every part the begin of the first window that is in it or comes after it.
    next: Vec<Option<At>>,
}

impl Phases {
    /// Those that windows make, which may lie one after the other or overlap.
    pub(super) fn of(windows: &[Window]) -> Self {
        let injected = || windows.iter().filter(|window| window.injected);
        let changes = |window: &Window| [Some(window.from), window.healed, Some(after(window.until))];
        let parts = Parts::at(injected().flat_map(changes).flatten());
        let phases = parts.begins().map(|begin| Phase::of(windows, begin)).collect();
        let from = |begin: At| injected().filter(|window| window.until >= begin).map(|window| window.from).min();
        let next = parts.begins().map(from).collect();
        Self { parts, phases, next }
    }

    /// The phase of an instant.
    pub(super) fn at(&mut self, at: At) -> Phase {
        self.phases[self.parts.of(at)]
    }

    /// Whether nothing between two instants, with both of them, lies in a window.
    pub(super) fn is_steady(&mut self, from: At, until: At) -> bool {
        self.next[self.parts.of(from)].is_none_or(|next| next > until)
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Phases};
    use crate::checker::step::Window;
    use crate::history::At;
    use crate::ids::StepId;
    use proptest::prelude::*;

    fn window((from, healed, until, injected): (u64, Option<u64>, u64, bool)) -> Window {
        Window {
            step: StepId(0),
            fault: String::new(),
            parameters: String::new(),
            target: String::new(),
            tier: "postgres".into(),
            nodes: Vec::new(),
            injected,
            from: At(from),
            effective: None,
            restored: None,
            healed: healed.map(|after| At(from + after)),
            recovered: None,
            whole: None,
            not_whole: None,
            until: At(from + until),
            proof: String::new(),
            void: None,
        }
    }

    proptest! {
        #[test]
        fn phases_are_what_every_window_says_instant_by_instant(
            windows in prop::collection::vec((0u64..30, prop::option::of(0u64..9), 0u64..9, any::<bool>()), 0..4),
            asked in prop::collection::vec((0u64..45, 0u64..9), 1..20),
        ) {
            let windows: Vec<Window> = windows.into_iter().map(window).collect();
            let mut phases = Phases::of(&windows);
            for (from, length) in asked {
                prop_assert_eq!(phases.at(At(from)), Phase::of(&windows, At(from)), "{} of {:?}", from, windows);
                let met = (from..=from + length).any(|at| Phase::of(&windows, At(at)) != Phase::Steady);
                prop_assert_eq!(phases.is_steady(At(from), At(from + length)), !met, "{} of {:?}", from, windows);
            }
        }
    }

    #[test]
    fn a_fault_in_force_says_more_than_one_that_was_undone_beside_it() {
        // One from 10 to 100, undone at 90, and another inside it from 20 to 50, undone at 30.
        let windows = [window((10, Some(80), 90, true)), window((20, Some(10), 30, true))];
        let mut phases = Phases::of(&windows);
        for (at, phase) in [
            (9, Phase::Steady),
            (10, Phase::Fault),
            (40, Phase::Fault),
            (60, Phase::Fault),
            (90, Phase::Recovery),
            (100, Phase::Recovery),
            (101, Phase::Steady),
        ] {
            assert_eq!(phases.at(At(at)), phase, "at {at}");
        }
    }
}
