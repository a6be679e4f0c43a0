//! Work that was begun and that nobody ended, counted when the last buyer has gone.
//!
//! What is legitimately under way then (a task in a queue, a mail on its way) gets some time. Afterwards there is
//! one record of every kind: also that nothing is left, and why something could not be counted.

use super::tables::Known;
use super::{LOOK_DEADLINE, broker};
use crate::probe::connect_primary;
use crate::recorder::Recorder;
use crate::stack::Stack;
use crate::wait::{self, Look};
use firedrill_core::history::{Event, Leftover};
use firedrill_core::ids::NodeName;
use firedrill_core::topology::NodeKind;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Client;

/// A task that a lost worker had taken is given to another one after the broker's visibility time-out, 60 s in the
/// reference topology. A worker looks for such tasks at every tenth of its rounds of 10 s (kombu 5.6.2,
/// `transport/redis.py`, `QoS.restore_visible`), hence up to 100 s later; then the task has to be done.
pub const DEADLINE: Duration = Duration::from_secs(175);

/// How often is counted while something is left.
const PERIOD: Duration = Duration::from_secs(1);

/// Something that can be left in a table.
struct Kind {
    /// In words.
    what: &'static str,
    /// Key and name of each; `$1` is the highest key that was there before.
    rows: &'static str,
    /// That key.
    before: fn(&Known) -> i64,
}

const KINDS: [Kind; 4] = [
    Kind {
        what: "locked idempotency keys",
        rows: "select id::int8 as id, idempotency_key::text as name from pretixapi_apicall \
                where locked is not null and id > $1::int8",
        before: |known| known.api_calls,
    },
    Kind {
        what: "mails neither sent nor failed",
        rows: "select id::int8 as id, status || ' ' || guid as name from pretixbase_outgoingmail \
                where status in ('queued', 'inflight', 'awaiting_retry') and id > $1::int8",
        before: |known| known.mails,
    },
    Kind {
        what: "invoices without a file",
        rows: "select id::int8 as id, full_invoice_no::text as name from pretixbase_invoice \
                where coalesce(file, '') = '' and id > $1::int8",
        before: |known| known.invoices,
    },
    Kind {
        what: "orders without positions",
        rows: "select o.id::int8 as id, o.code::text as name from pretixbase_order o \
                where not exists (select 1 from pretixbase_orderposition p where p.order_id = o.id) and o.id > $1::int8",
        before: |known| known.orders,
    },
];

/// What is left in the tables of a database, one for every kind. What is `known` is not counted.
pub async fn in_tables(client: &Client, source: &NodeName, recorder: &Recorder, known: &Known) -> Vec<Leftover> {
    let mut leftovers = Vec::with_capacity(KINDS.len());
    for kind in &KINDS {
        let question = format!(
            "select count(*), coalesce((array_agg(name order by id))[1:3], '{{}}'::text[]) from ({}) left_over",
            kind.rows
        );
        let (count, detail) = match client.query_one(&question, &[&(kind.before)(known)]).await {
            Ok(row) => (u64::try_from(row.get::<_, i64>(0)).ok(), row.get::<_, Vec<String>>(1).join(", ")),
            Err(error) => (None, crate::probe::describe_postgres(&error)),
        };
        leftovers.push(Leftover {
            at: recorder.now(),
            node: source.clone(),
            what: kind.what.to_owned(),
            count,
            detail,
        });
    }
    leftovers
}

/// Waits until nothing is left or the deadline passes, and records what was seen last.
pub async fn wait_and_record(stack: &Stack, recorder: &Recorder, known: &Known, deadline: Duration) {
    let seen = Mutex::new(uncounted(stack, recorder, "nobody answered in time"));
    let looked = wait::until("nothing is left to be done", deadline, PERIOD, || async {
        let counted = match timeout(LOOK_DEADLINE, count(stack, recorder, known)).await {
            Ok(counted) => counted,
            Err(_) => uncounted(stack, recorder, &format!("no answer within {} s", LOOK_DEADLINE.as_secs())),
        };
        let open: Vec<String> = counted.iter().filter(|one| one.count != Some(0)).map(describe).collect();
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = counted;
        if open.is_empty() { Look::Ready(()) } else { Look::NotYet(open.join("; ")) }
    });
    if let Err(expired) = looked.await {
        tracing::warn!("{expired}");
    }
    for leftover in seen.into_inner().unwrap_or_else(PoisonError::into_inner) {
        recorder.record(Event::Leftover(leftover));
    }
}

/// What is left now, on the primary and in the broker of the background.
async fn count(stack: &Stack, recorder: &Recorder, known: &Known) -> Vec<Leftover> {
    let mut counted = match connect_primary(stack, LOOK_DEADLINE).await {
        Ok((node, client)) => in_tables(&client, &node.name, recorder, known).await,
        Err(error) => uncounted_in_tables(stack, recorder, &error),
    };
    counted.extend(broker::count(stack, recorder).await);
    counted
}

fn uncounted(stack: &Stack, recorder: &Recorder, why: &str) -> Vec<Leftover> {
    let mut leftovers = uncounted_in_tables(stack, recorder, why);
    leftovers.extend(broker::uncounted(stack, recorder, why));
    leftovers
}

fn uncounted_in_tables(stack: &Stack, recorder: &Recorder, why: &str) -> Vec<Leftover> {
    let Some(node) = stack.of_kind(NodeKind::Postgres).next() else { return Vec::new() };
    let uncounted = |kind: &Kind| Leftover {
        at: recorder.now(),
        node: node.name.clone(),
        what: kind.what.to_owned(),
        count: None,
        detail: why.to_owned(),
    };
    KINDS.iter().map(uncounted).collect()
}

fn describe(leftover: &Leftover) -> String {
    let count = leftover.count.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    format!("{}: {count} ({})", leftover.what, leftover.detail)
}
