//! Waiting for a condition with a deadline. Nothing in firedrill sleeps and hopes: when the deadline
//! passes, the error has the last state that was seen.

use std::future::Future;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// The condition did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} did not come true within {:.1} s; last seen: {last}", .deadline.as_secs_f64())]
pub struct Expired {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub deadline: Duration,
    /// The last state seen.
    pub last: String,
}

/// What one look at the condition gave.
#[derive(Debug)]
pub enum Look<T> {
    /// It is true.
    Ready(T),
    /// Not yet; the text says what was seen.
    NotYet(String),
}

/// Looks every `period` until the condition is true or the deadline passes. A look that takes longer than
/// the deadline is cut off.
pub async fn until<T, F>(
    what: &str,
    deadline: Duration,
    period: Duration,
    mut look: impl FnMut() -> F,
) -> Result<T, Expired>
where
    F: Future<Output = Look<T>>,
{
    let end = Instant::now() + deadline;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = "nothing yet".to_owned();
    let expired = |last: String| Expired { what: what.to_owned(), deadline, last };
    loop {
        if timeout_at(end, ticks.tick()).await.is_err() {
            return Err(expired(last));
        }
        match timeout_at(end, look()).await {
            Ok(Look::Ready(value)) => return Ok(value),
            Ok(Look::NotYet(state)) => last = state,
            Err(_) => return Err(expired(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_the_value_or_the_last_state() {
        let mut looks = 0;
        let count = until("three looks", Duration::from_secs(5), Duration::from_millis(1), || {
            looks += 1;
            let now = looks;
            async move { if now == 3 { Look::Ready(now) } else { Look::NotYet(now.to_string()) } }
        });
        assert_eq!(count.await, Ok(3));

        let never = until::<(), _>("the moon", Duration::from_millis(20), Duration::from_millis(1), || async {
            Look::NotYet("still dark".to_owned())
        });
        let error = never.await.expect_err("it never comes true");
        assert_eq!(error.to_string(), "the moon did not come true within 0.0 s; last seen: still dark");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let hangs = until::<(), _>("an answer", Duration::from_millis(20), Duration::from_millis(1), || async {
            std::future::pending().await
        });
        assert!(hangs.await.is_err());
    }
}
