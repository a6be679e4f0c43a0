//! The final read: what every database has, straight from its tables.
//!
//! SQL and not the API: the API's pages drift while rows are added, and the truth that is wanted is that
//! of the database of record and of every standby. Quota counts follow `facts` Q1 of Pretix's own
//! availability computation (pending and paid orders, cancelled positions do not count).

use crate::probe::{connect_primary, connect_shop};
use crate::recorder::Recorder;
use crate::stack::{Node, Stack};
use crate::wait::{self, Expired, Look};
use firedrill_core::history::{Event, LedgerPosition, LedgerRow, QuotaRow, Role, SourceRead};
use firedrill_core::topology::NodeKind;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Client;

/// Reading 100,000 orders takes about a second.
const READ_DEADLINE: Duration = Duration::from_secs(60);

const ORDERS: &str = "\
    select o.code, o.api_meta ->> 'hid', o.status, (o.total * 100)::int8, coalesce(o.email, ''), \
           p.id, p.item_id, (p.price * 100)::int8, p.secret, p.canceled \
      from pretixbase_order o left join pretixbase_orderposition p on p.order_id = o.id \
     order by o.id, p.positionid";

const QUOTAS: &str = "\
    select q.id, e.slug || '/' || q.name, q.size::int8, \
           (select count(*) from pretixbase_orderposition op join pretixbase_order o on o.id = op.order_id \
             where o.event_id = q.event_id and o.status in ('p', 'n') and not op.canceled \
               and not (op.ignore_from_quota_while_blocked and op.blocked is not null) \
               and op.subevent_id is not distinct from q.subevent_id \
               and ((op.variation_id is null and exists (select 1 from pretixbase_quota_items qi \
                      where qi.quota_id = q.id and qi.item_id = op.item_id)) \
                 or exists (select 1 from pretixbase_quota_variations qv \
                      where qv.quota_id = q.id and qv.itemvariation_id = op.variation_id))), \
           array(select item_id from pretixbase_quota_items qi where qi.quota_id = q.id order by item_id)::int8[] \
      from pretixbase_quota q join pretixbase_event e on e.id = q.event_id order by q.id";

/// The codes of the orders that the primary has now: what was sold before a drill is not the drill's. No
/// primary, no codes.
pub async fn known_codes(stack: &Stack) -> HashSet<String> {
    let Ok((_, client)) = connect_primary(stack).await else { return HashSet::new() };
    let rows = client.query("select code from pretixbase_order", &[]).await.unwrap_or_default();
    rows.iter().map(|row| row.get(0)).collect()
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
        let client = connect_shop(stack, node).await.map_err(|error| format!("{}: {error}", node.name))?;
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
    let (node, client) = connect_primary(stack).await?;
    let rows = client.query(QUOTAS, &[]).await.map_err(|error| format!("{}: {error}", node.name))?;
    let row = rows.iter().find(|row| row.get::<_, String>(1) == name);
    let row = row.ok_or_else(|| format!("{}: there is no quota {name:?}", node.name))?;
    let (size, sold): (Option<i64>, i64) = (row.get(2), row.get(3));
    Ok(size.map(|size| u64::try_from(size.saturating_sub(sold)).unwrap_or(0)))
}

/// Reads every PostgreSQL node of a stack into the history. Orders with a code in `known` are left out.
pub async fn read_all(stack: &Stack, recorder: &Recorder, known: &HashSet<String>) {
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

async fn read(
    stack: &Stack,
    node: &Node,
    recorder: &Recorder,
    known: &HashSet<String>,
) -> Result<(Role, usize), String> {
    let client = connect_shop(stack, node).await?;
    let text = |error: tokio_postgres::Error| error.to_string();
    // One snapshot for orders and quotas.
    client.batch_execute("begin isolation level repeatable read read only").await.map_err(text)?;
    let in_recovery: bool = client.query_one("select pg_is_in_recovery()", &[]).await.map_err(text)?.get(0);
    let orders = orders(&client, node, recorder, known).await.map_err(text)?;
    quotas(&client, node, recorder).await.map_err(text)?;
    client.batch_execute("commit").await.map_err(text)?;
    Ok((if in_recovery { Role::Standby } else { Role::Primary }, orders))
}

/// Reads the quotas of the node that is the primary now, in the middle of a run.
pub async fn read_quotas(stack: &Stack, node: &Node, recorder: &Recorder) -> Result<(), String> {
    let client = connect_shop(stack, node).await?;
    quotas(&client, node, recorder).await.map_err(|error| error.to_string())
}

async fn orders(
    client: &Client,
    node: &Node,
    recorder: &Recorder,
    known: &HashSet<String>,
) -> Result<usize, tokio_postgres::Error> {
    let mut current: Option<LedgerRow> = None;
    let mut count = 0;
    for row in client.query(ORDERS, &[]).await? {
        let code: String = row.get(0);
        if known.contains(&code) {
            continue;
        }
        if current.as_ref().is_none_or(|order| order.code != code) {
            if let Some(order) = current.take() {
                recorder.record(Event::Ledger(order));
            }
            count += 1;
        }
        let order = current.get_or_insert_with(|| LedgerRow {
            source: node.name.clone(),
            code,
            token: row.get(1),
            status: row.get(2),
            total_cents: row.get(3),
            email: row.get(4),
            positions: Vec::new(),
            books: None,
        });
        if let Some(id) = row.get::<_, Option<i64>>(5) {
            order.positions.push(LedgerPosition {
                id: u64::try_from(id).unwrap_or(0),
                item: u64::try_from(row.get::<_, i64>(6)).unwrap_or(0),
                price_cents: row.get(7),
                secret: row.get(8),
                canceled: row.get(9),
                entries: 0,
            });
        }
    }
    if let Some(order) = current {
        recorder.record(Event::Ledger(order));
    }
    Ok(count)
}

async fn quotas(client: &Client, node: &Node, recorder: &Recorder) -> Result<(), tokio_postgres::Error> {
    let asked = recorder.now();
    let rows = client.query(QUOTAS, &[]).await?;
    let at = recorder.now();
    for row in rows {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        recorder.record(Event::Quota(QuotaRow {
            at,
            asked: Some(asked),
            source: node.name.clone(),
            id: unsigned(row.get(0)),
            name: row.get(1),
            size: row.get::<_, Option<i64>>(2).map(unsigned),
            sold: unsigned(row.get(3)),
            items: row.get::<_, Vec<i64>>(4).into_iter().map(unsigned).collect(),
        }));
    }
    Ok(())
}
