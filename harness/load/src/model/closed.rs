//! The closed model: users who begin again when they are done.
//!
//! A user's purchase is due when he begins it, so a shop that stalls is asked less often, and its stall
//! weighs less in the percentiles than with the open model. That is how load tests with users work; the
//! model is here to repeat them.

use super::stop::Stop;
use crate::buyer::{Buyer, Shared};
use crate::journey::{Arrival, Journey};
use firedrill_core::history::At;
use firedrill_core::ids::OpId;
use firedrill_core::load::Users;
use std::sync::Arc;

/// When a user begins for the first time, in nanoseconds from the start of the load.
pub(crate) fn hatch_ns(users: &Users, user: u32) -> u64 {
    (f64::from(user) * 1e9 / users.hatch_per_s) as u64
}

/// How many users should have begun so many nanoseconds after the start of the load.
pub(crate) fn hatched_until(users: &Users, passed_ns: u64) -> u64 {
    let begun = (passed_ns as f64 / 1e9 * users.hatch_per_s) as u64 + 1;
    begun.min(u64::from(users.count))
}

/// Operation number of a user's round, from 0: no two users share one, in whatever order they come.
fn op_of(users: &Users, user: u32, round: u64) -> OpId {
    OpId(round * u64::from(users.count) + u64::from(user))
}

/// One user's life.
pub(crate) struct User<J> {
    pub(crate) number: u32,
    pub(crate) users: Users,
    pub(crate) shared: Arc<Shared>,
    pub(crate) journey: Arc<J>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) start: At,
}

impl<J: Journey> User<J> {
    /// Hatches, walks the journey as often as he is to, and thinks in between.
    pub(crate) async fn live(self, mut buyer: Buyer) {
        let stats = &self.shared.stats;
        let rounds = if self.users.rounds == 0 { u64::MAX } else { u64::from(self.users.rounds) };
        let mut due = At(self.start.0.saturating_add(hatch_ns(&self.users, self.number)));
        let mut at_work = None;
        for round in 0..rounds {
            if !self.wait(&mut buyer, due).await {
                return;
            }
            at_work.get_or_insert_with(|| stats.user_at_work());
            if round == 0 {
                stats.hatched();
            }
            let intended = self.shared.clock.now();
            let arrival = Arrival { op: op_of(&self.users, self.number, round), intended };
            stats.arrived();
            stats.began(due, intended);
            let ended = self.journey.serve(&mut buyer, arrival).await;
            let now = self.shared.clock.now();
            stats.ended(now, ended);
            due = now.plus_ms(self.users.think_ms);
        }
    }

    /// Waits for an instant; false if told to stop before.
    async fn wait(&self, buyer: &mut Buyer, due: At) -> bool {
        if self.stop.is_said() {
            return false;
        }
        if due <= self.shared.clock.now() {
            return true;
        }
        let due = tokio::time::sleep_until(self.shared.clock.instant(due).into());
        let said = self.stop.said();
        tokio::pin!(due, said);
        loop {
            tokio::select! {
                () = &mut said => return false,
                () = &mut due => return true,
                () = buyer.idle() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn users(count: u32, hatch_per_s: f64) -> Users {
        Users { count, hatch_per_s, rounds: 0, think_ms: 0 }
    }

    #[test]
    fn users_hatch_at_their_rate() {
        let users = users(400, 20.0);
        assert_eq!(hatch_ns(&users, 0), 0);
        assert_eq!(hatch_ns(&users, 1), 50_000_000);
        assert_eq!(hatch_ns(&users, 399), 19_950_000_000);
        assert_eq!(hatched_until(&users, 0), 1);
        assert_eq!(hatched_until(&users, 1_000_000_000), 21);
        assert_eq!(hatched_until(&users, 60_000_000_000), 400);
    }

    #[test]
    fn operations_of_users_are_unique() {
        let users = users(7, 1.0);
        let ops: HashSet<OpId> = (0..7)
            .flat_map(|user| (0..50).map(move |round| (user, round)))
            .map(|(user, round)| op_of(&users, user, round))
            .collect();
        assert_eq!(ops.len(), 350);
    }

    proptest! {
        #[test]
        fn the_plan_and_the_instants_agree(count in 1u32..5_000, hatch_per_s in 0.1f64..5_000.0, user in 0u32..5_000) {
            let users = users(count, hatch_per_s);
            let user = user % count;
            let planned = hatched_until(&users, hatch_ns(&users, user));
            // One instant is one nanosecond: rounding may move a user over it.
            prop_assert!(planned.abs_diff(u64::from(user) + 1) <= 1);
        }
    }
}
