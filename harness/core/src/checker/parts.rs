//! Time divided at a few instants, for millions of others that come nearly in its order.

use crate::history::At;

/// Some instants, the parts of time between them, and the part that was asked for last.
///
/// Ten million purchases are in the order in which they were due, and a run has some tens of faults: the part of one is
/// that of the one before, which two comparisons say. Only where it is not, it is searched for.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    bounds: Vec<At>,
    last: usize,
}

impl Parts {
    /// Divides at these instants, of which each begins a part. Before the first of them is a part, too.
    pub(super) fn at(bounds: impl IntoIterator<Item = At>) -> Self {
        let mut bounds: Vec<At> = bounds.into_iter().collect();
        bounds.sort_unstable();
        bounds.dedup();
        Self { bounds, last: 0 }
    }

    /// How many parts there are.
    pub(super) fn count(&self) -> usize {
        self.bounds.len() + 1
    }

    /// The instants with which the parts begin; the first one begins with time.
    pub(super) fn begins(&self) -> impl Iterator<Item = At> {
        [At(0)].into_iter().chain(self.bounds.iter().copied())
    }

    /// The part in which an instant lies: how many bounds are not after it.
    pub(super) fn of(&mut self, at: At) -> usize {
        let has_begun = self.last == 0 || self.bounds[self.last - 1] <= at;
        let goes_on = self.bounds.get(self.last).is_none_or(|next| at < *next);
        if !(has_begun && goes_on) {
            self.last = self.bounds.partition_point(|bound| *bound <= at);
        }
        self.last
    }
}

/// The next instant: what ends with `at` has ended there.
pub(super) fn after(at: At) -> At {
    At(at.0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use crate::history::At;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_was_asked_before_the_part_is_the_same(
            bounds in prop::collection::vec(0u64..20, 0..6),
            asked in prop::collection::vec(0u64..20, 1..20),
        ) {
            let mut parts = Parts::at(bounds.iter().copied().map(At));
            let begins: Vec<At> = parts.begins().collect();
            prop_assert_eq!(begins.len(), parts.count());
            for at in asked.into_iter().map(At) {
                let part = parts.of(at);
                prop_assert!(begins[part] <= at, "{at:?} lies before part {part} of {begins:?}");
                prop_assert!(begins.get(part + 1).is_none_or(|next| at < *next), "{at:?} lies behind part {part}");
            }
        }
    }
}
