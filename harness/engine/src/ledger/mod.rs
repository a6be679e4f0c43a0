//! The final read: what every database has, straight from its tables.
//!
//! SQL and not the API: the API's pages drift while rows are added, and the truth that is wanted is that
//! of the database of record and of every standby.
//!
//! [`tables`] is the reading itself, on any connection to a database with the shop's tables; [`leftovers`] counts
//! work that nobody ended, there and ([`broker`]) in the queue of the background. Here is what needs a [`Stack`].

pub mod broker;
pub mod leftovers;
pub mod tables;

pub use tables::Known;

use crate::probe::{connect_primary, connect_shop};
use crate::recorder::Recorder;
use crate::stack::{Node, Stack};
use crate::wait::{self, Expired, Look};
use firedrill_core::history::{Event, Role, SourceRead};
use firedrill_core::topology::NodeKind;
use std::time::Duration;
use tokio::time::timeout;

/// Reading 100,000 orders takes about a second.
const READ_DEADLINE: Duration = Duration::from_secs(60);

/// How long the database may take for one question while the load runs.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);

/// What the primary has now: that is not the drill's. No primary, nothing known.
pub async fn known(stack: &Stack) -> Known {
    match connect_primary(stack, READ_DEADLINE).await {
        Ok((_, client)) => Known::read(&client).await.unwrap_or_default(),
        Err(_) => Known::default(),
    }
}

/// Waits until every standby has replayed what the primary has written by now.
pub async fn wait_caught_up(stack: &Stack, deadline: Duration) -> Result<(), Expired> {
    wait::until("every standby has replayed the primary's log", deadline, Duration::from_millis(200), || async {
        match behind(stack).await {
            Ok(late) if late.is_empty() => Look::Ready(()),
            Ok(late) => Look::NotYet(format!("behind: {}", late.join(", "))),
            Err(error) => Look::NotYet(error),
        }
    })
    .await
}

/// Standbys whose replay is behind the end of the primary's log.
async fn behind(stack: &Stack) -> Result<Vec<String>, String> {
    let ends = log_ends(stack).await?;
    let end = ends.iter().find(|(_, in_recovery, _)| !in_recovery).map(|(_, _, end)| *end);
    let end = end.ok_or("no primary")?;
    Ok(ends.into_iter().filter(|(_, in_recovery, at)| *in_recovery && *at < end).map(|(name, ..)| name).collect())
}

/// Of every PostgreSQL node: whether it follows, and how far it has written or replayed.
async fn log_ends(stack: &Stack) -> Result<Vec<(String, bool, u64)>, String> {
    let mut ends: Vec<(String, bool, u64)> = Vec::new();
    for node in stack.of_kind(NodeKind::Postgres) {
        let client =
            connect_shop(stack, node, LOOK_DEADLINE).await.map_err(|error| format!("{}: {error}", node.name))?;
        let question = "select pg_is_in_recovery(), ((case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
                        else pg_current_wal_lsn() end) - '0/0'::pg_lsn)::int8";
        let row = client.query_one(question, &[]).await.map_err(|error| format!("{}: {error}", node.name))?;
        ends.push((node.name.to_string(), row.get(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or(0)));
    }
    Ok(ends)
}

/// Bytes of write-ahead log that the slowest standby has not replayed yet, by what the primary has written.
pub async fn replay_lag_bytes(stack: &Stack) -> Result<u64, String> {
    let ends = log_ends(stack).await?;
    let written = ends.iter().find(|(_, in_recovery, _)| !in_recovery).map(|(.., end)| *end).ok_or("no primary")?;
    let slowest = ends.iter().filter(|(_, in_recovery, _)| *in_recovery).map(|(.., end)| *end).min();
    Ok(written.saturating_sub(slowest.ok_or("no standby")?))
}

/// Tickets of a quota (`event/quota`) that are left, by the primary's count; none is unlimited.
pub async fn quota_left(stack: &Stack, name: &str) -> Result<Option<u64>, String> {
    let (node, client) = connect_primary(stack, LOOK_DEADLINE).await?;
    let rows = client.query(tables::QUOTAS, &[]).await.map_err(|error| format!("{}: {error}", node.name))?;
    let row = rows.iter().find(|row| row.get::<_, String>(1) == name);
    let row = row.ok_or_else(|| format!("{}: there is no quota {name:?}", node.name))?;
    let (size, sold): (Option<i64>, i64) = (row.get(2), row.get(3));
    Ok(size.map(|size| u64::try_from(size.saturating_sub(sold)).unwrap_or(0)))
}

/// Reads every PostgreSQL node of a stack into the history. What is `known` is left out.
pub async fn read_all(stack: &Stack, recorder: &Recorder, known: &Known) {
    for node in stack.of_kind(NodeKind::Postgres) {
        let read = match timeout(READ_DEADLINE, read(stack, node, recorder, known)).await {
            Ok(read) => read,
            Err(_) => Err(format!("no answer within {} s", READ_DEADLINE.as_secs())),
        };
        let (role, complete, detail) = match read {
            Ok((role, orders)) => (role, true, format!("{orders} orders")),
            Err(error) => (Role::Unreachable, false, error),
        };
        recorder.record(Event::Source(SourceRead {
            at: recorder.now(),
            source: node.name.clone(),
            role,
            complete,
            detail,
        }));
    }
}

async fn read(stack: &Stack, node: &Node, recorder: &Recorder, known: &Known) -> Result<(Role, usize), String> {
    let client = connect_shop(stack, node, READ_DEADLINE).await?;
    tables::read(&client, &node.name, recorder, known).await.map_err(|error| error.to_string())
}
