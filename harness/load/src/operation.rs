//! An operation of a buyer: what he came for, how long he has for it, and how long it took.

use crate::journey::Ending;
use crate::wire::Failure;
use firedrill_core::history::{At, Outcome};
use firedrill_core::ids::OpId;

/// An operation of a buyer under way.
#[derive(Debug)]
pub struct Operation {
    id: OpId,
    /// When it was due, moved on by the time for which the buyer himself waited.
    intended: At,
    /// When the buyer's patience is over. What he waits himself does not wear it out.
    deadline: At,
    code: String,
    email: String,
    /// Index of the entry point of the next attempt.
    entry: usize,
    entries: u32,
    attempts: u32,
    /// Attempts in a row that found no entry point.
    unsent: u32,
    /// Attempts in a row that no entry point let in.
    shut_out: u32,
    /// For how long he has waited himself, in nanoseconds.
    thought_ns: u64,
    /// When the first attempt began.
    began: Option<At>,
    times: Option<Times>,
    is_confirmed: bool,
}

/// How far the last attempt of an operation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// An entry point took it, or did not answer in time.
    Entered,
    /// The entry point could not be reached, or closed a fresh connection without a word; the next attempt is made at
    /// another one.
    ///
    /// A port that Docker's proxy publishes accepts everybody, and closes the connection when the container behind it
    /// refuses: the same as a connection that is refused, but the request may have left. So the attempt stays in doubt,
    /// and says no more about whether buyers are served than one that was not sent.
    Elsewhere,
    /// So did every other one just before.
    Nowhere,
}

/// When an operation was due, was begun and had its answer, as the history has it: the time for which the buyer
/// himself waited is not in between, nor is what he did once his order was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was due, moved on by the buyer's own waits.
    pub due: At,
    /// When its first attempt began, moved on in the same way.
    pub began: At,
    /// When the attempt ended that confirmed it, or else its last one.
    pub ended: At,
}

/// An operation that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub ending: Ending,
    /// How long it took; none where nothing was asked, so that the history does not know it.
    pub times: Option<Times>,
}

impl Operation {
    /// An operation that is due at `intended`, of somebody who begins at entry point number `entry` of so many.
    pub(crate) fn new(id: OpId, intended: At, patience_ms: u64, entry: usize, entries: usize) -> Self {
        Self {
            id,
            intended,
            deadline: intended.plus_ms(patience_ms),
            code: String::new(),
            email: String::new(),
            entry,
            entries: u32::try_from(entries).unwrap_or(u32::MAX),
            attempts: 0,
            unsent: 0,
            shut_out: 0,
            thought_ns: 0,
            began: None,
            times: None,
            is_confirmed: false,
        }
    }

    /// The same of a buyer with this order code and this e-mail address.
    pub(crate) fn of(self, code: String, email: String) -> Self {
        Self { code, email, ..self }
    }

    /// Its number.
    pub fn id(&self) -> OpId {
        self.id
    }

    /// Its order code; empty where the shop chooses it.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The buyer's e-mail address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Whether every entry point has just been tried in vain.
    pub fn is_nowhere(&self) -> bool {
        self.unsent > 0 && self.unsent.is_multiple_of(self.entries)
    }

    /// How far the last attempt came.
    pub fn access(&self) -> Access {
        match self.shut_out {
            0 => Access::Entered,
            times if times.is_multiple_of(self.entries) => Access::Nowhere,
            _ => Access::Elsewhere,
        }
    }

    /// It is over.
    pub fn end(&self, ending: Ending) -> Ended {
        Ended { ending, times: self.times }
    }

    pub(crate) fn intended(&self) -> At {
        self.intended
    }

    pub(crate) fn deadline(&self) -> At {
        self.deadline
    }

    /// Index of the entry point of the next attempt.
    pub(crate) fn entry(&self) -> usize {
        self.entry
    }

    /// The next attempt is made at the next entry point, although nothing is wrong with this one.
    pub(crate) fn enter_elsewhere(&mut self) {
        self.entry = (self.entry + 1) % self.entries.max(1) as usize;
    }

    /// The buyer waited himself for so long: neither patience nor latency counts it.
    pub(crate) fn thought(&mut self, ns: u64) {
        self.thought_ns = self.thought_ns.saturating_add(ns);
        self.intended = At(self.intended.0.saturating_add(ns));
        self.deadline = At(self.deadline.0.saturating_add(ns));
    }

    /// An attempt at this entry point has ended. Hands back its number.
    pub(crate) fn attempted(
        &mut self,
        entry: usize,
        (started, ended): (At, At),
        outcome: Outcome,
        failure: Option<&Failure>,
    ) -> u32 {
        self.move_on(entry, failure);
        self.attempts += 1;
        let began = self.began.map_or(started, |began| began.min(started));
        self.began = Some(began);
        if !self.is_confirmed {
            let began = At(began.0.saturating_add(self.thought_ns));
            let ended = self.times.map_or(ended, |times| times.ended.max(ended));
            self.times = Some(Times { due: self.intended, began, ended });
        }
        self.is_confirmed |= outcome == Outcome::Acknowledged;
        self.attempts
    }

    /// Chooses the entry point of the next attempt, as a browser does that knows several addresses: on to
    /// the next one when the present one could not be reached, broke the connection or did not answer. An
    /// answer, even a bad one, keeps him where he is.
    fn move_on(&mut self, entry: usize, failure: Option<&Failure>) {
        match failure {
            None => (self.unsent, self.shut_out) = (0, 0),
            // The end of an idle connection says nothing about the entry point.
            Some(failure) if !failure.sent && failure.reused => {}
            // Another attempt at his side has left it before.
            Some(_) if entry != self.entry => {}
            Some(failure) => {
                self.unsent = if failure.sent { 0 } else { self.unsent + 1 };
                self.shut_out = if failure.is_shut_out() { self.shut_out + 1 } else { 0 };
                self.entry = (self.entry + 1) % self.entries as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TIMEOUT;
    use rstest::rstest;

    const MS: u64 = 1_000_000;

    fn operation(entries: usize) -> Operation {
        Operation::new(OpId(1), At::from_ms(100), 1_000, 0, entries)
    }

    fn failure(sent: bool, reused: bool) -> Failure {
        Failure { sent, status: None, reused, text: "reset".to_owned() }
    }

    fn attempt(operation: &mut Operation, from_ms: u64, to_ms: u64, outcome: Outcome) {
        operation.attempted(0, (At::from_ms(from_ms), At::from_ms(to_ms)), outcome, None);
    }

    #[test]
    fn what_the_buyer_waits_himself_is_no_latency_and_wears_out_no_patience() {
        let mut operation = operation(1);
        attempt(&mut operation, 150, 200, Outcome::Passed);
        operation.thought(5_000 * MS);
        attempt(&mut operation, 5_200, 5_300, Outcome::Passed);
        let times = Times { due: At::from_ms(5_100), began: At::from_ms(5_150), ended: At::from_ms(5_300) };
        assert_eq!(operation.end(Ending::Visited).times, Some(times));
        assert_eq!(operation.deadline(), At::from_ms(6_100));
    }

    #[test]
    fn what_comes_after_the_confirmation_does_not_make_it_late() {
        let mut operation = operation(1);
        attempt(&mut operation, 150, 200, Outcome::Acknowledged);
        let confirmed = operation.end(Ending::Acknowledged);
        operation.thought(700 * MS);
        attempt(&mut operation, 900, 1_000, Outcome::Passed);
        attempt(&mut operation, 1_000, 1_050, Outcome::Acknowledged);
        assert_eq!(operation.end(Ending::Acknowledged), confirmed);
    }

    #[test]
    fn who_asked_nothing_has_no_times() {
        assert_eq!(operation(1).end(Ending::GaveUp).times, None);
    }

    #[rstest]
    #[case::answered(0, None, 0, Access::Entered)]
    #[case::unreachable(0, Some(failure(false, false)), 1, Access::Elsewhere)]
    #[case::closed_without_a_word(0, Some(failure(true, false)), 1, Access::Elsewhere)]
    #[case::timed_out(0, Some(Failure { text: TIMEOUT.to_owned(), ..failure(true, false) }), 1, Access::Entered)]
    #[case::broken_in_the_answer(0, Some(Failure { status: Some(200), ..failure(true, false) }), 1, Access::Entered)]
    #[case::broken_when_in_use(0, Some(failure(true, true)), 1, Access::Entered)]
    #[case::idle_connection_closed(0, Some(failure(false, true)), 0, Access::Entered)]
    #[case::left_before(1, Some(failure(false, false)), 0, Access::Entered)]
    fn he_moves_on_from_an_entry_point_that_fails(
        #[case] entry: usize,
        #[case] failed: Option<Failure>,
        #[case] next: usize,
        #[case] access: Access,
    ) {
        let mut operation = operation(2);
        operation.move_on(entry, failed.as_ref());
        assert_eq!((operation.entry(), operation.access()), (next, access));
        assert!(!operation.is_nowhere());
    }

    #[rstest]
    #[case::one_was_answered(&[Some(failure(true, false)), None], Access::Entered)]
    #[case::each_in_its_way(&[Some(failure(true, false)), Some(failure(false, false))], Access::Nowhere)]
    #[case::the_first_one_again(&[Some(failure(true, false)), Some(failure(false, false)), Some(failure(true, false))], Access::Elsewhere)]
    fn nowhere_is_where_all_entry_points_are_shut(#[case] failures: &[Option<Failure>], #[case] access: Access) {
        let mut operation = operation(2);
        for failure in failures {
            operation.move_on(operation.entry(), failure.as_ref());
        }
        assert_eq!(operation.access(), access);
    }

    #[test]
    fn a_single_entry_point_that_is_shut_is_all_of_them() {
        let mut operation = operation(1);
        operation.move_on(0, Some(&failure(true, false)));
        assert_eq!(operation.access(), Access::Nowhere);
    }

    #[test]
    fn he_goes_elsewhere_in_turn() {
        let mut operation = operation(2);
        operation.enter_elsewhere();
        assert_eq!(operation.entry(), 1);
        operation.enter_elsewhere();
        assert_eq!(operation.entry(), 0);
    }

    #[test]
    fn six_that_fail_side_by_side_move_him_on_once() {
        let mut operation = operation(2);
        for _ in 0..6 {
            operation.move_on(0, Some(&failure(false, false)));
        }
        assert_eq!((operation.entry(), operation.is_nowhere()), (1, false));
        operation.move_on(1, Some(&failure(false, false)));
        assert!(operation.is_nowhere());
    }
}
