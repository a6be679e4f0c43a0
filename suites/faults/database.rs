//! Faults inside PostgreSQL and Pgpool.

use crate::hardship::{in_force, refused, survives, undone_by_another};
use crate::lab::{Lab, Trial, database};
use firedrill_engine::probe::connect_postgres;
use firedrill_engine::wait::{self, Look};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

const SHOP: &str = "pretix";

async fn session(lab: &Lab, node: &str, database: &str) -> Result<Client, String> {
    let address = lab.node(node).published(5432).expect("published");
    connect_postgres(address, lab.stack.secrets.get("POSTGRES_PASSWORD"), database).await
}

/// Statements as the superuser that must work.
fn execute(lab: &Lab, node: &str, database: &str, statements: &str) {
    lab.runtime.block_on(async {
        let client = session(lab, node, database).await.expect("a session");
        client.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error}"));
    });
}

/// Whether a statement that must not hang is refused, or not answered, and what it gave else.
async fn stuck(lab: &Lab, node: &str, database: &str, statement: &str) -> Result<String, String> {
    let client = session(lab, node, database).await?;
    match timeout(Duration::from_secs(1), client.batch_execute(statement)).await {
        Err(_) => Ok(format!("`{statement}` is not answered within a second")),
        Ok(Err(error)) => {
            Ok(format!("`{statement}`: {}", error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)))
        }
        Ok(Ok(())) => Err(format!("`{statement}` works")),
    }
}

fn all_contain(proofs: &[String], text: &str) {
    for proof in proofs {
        assert!(proof.contains(text), "{text:?} is not in {proof:?}");
    }
}

#[test]
fn replay_pause_lets_a_standby_show_the_past() {
    let lab = database();
    let (primary, standby) = (lab.primary(), lab.standby());
    let table = "create table if not exists firedrill_replay (n bigint not null); \
                 truncate firedrill_replay; insert into firedrill_replay values (0)";
    execute(&lab, &primary, "postgres", table);
    let visible = || async {
        let writer = session(&lab, &primary, "postgres").await?;
        let reader = session(&lab, &standby, "postgres").await?;
        let write = "update firedrill_replay set n = n + 1 returning n";
        let written: i64 = writer.query_one(write, &[]).await.map_err(|error| error.to_string())?.get(0);
        let mut seen = None;
        let replayed = async {
            while seen < Some(written) {
                let read = reader.query_one("select n from firedrill_replay", &[]).await;
                seen = read.ok().map(|row| row.get::<_, i64>(0));
                tokio::task::yield_now().await;
            }
        };
        match timeout(Duration::from_secs(2), replayed).await {
            Err(_) => Ok(format!("{written} was written, the standby has {seen:?} after 2 s")),
            Ok(()) => Err(format!("the standby has {written}")),
        }
    };
    let proofs = lab.trial(&Trial { fault: "replay-pause", target: &format!("node({standby})"), visible });
    all_contain(&proofs, &format!("{standby}: replay is paused at 0/"));
    let refusal = refused(&lab, "replay-pause", &format!("node({primary})"));
    assert!(refusal.contains("it is a primary, which replays nothing"), "{refusal}");
}

#[test]
fn quota_lock_holds_what_a_sale_needs() {
    let lab = database();
    let (primary, standby) = (lab.primary(), lab.standby());
    let lock = |quota: &str| format!("quota-lock: {{quota: {quota}}}");
    let refusal = refused(&lab, "quota-lock", "primary(postgres)");
    assert!(refusal.contains("no Pretix database"), "{refusal}");
    // As much of Pretix's tables as the fault reads.
    let tables = "create table pretixbase_event (id bigint primary key, slug text not null);
                  create table pretixbase_quota (id bigint primary key, event_id bigint not null, name text not null);
                  insert into pretixbase_event values (1, 'fair'), (2, 'rush');
                  insert into pretixbase_quota values (5, 1, 'seats'), (7, 2, 'seats'), (70000, 2, 'floor')";
    execute(&lab, &primary, SHOP, tables);

    // 327682 is Pretix's key of quota 5; 458754 that of quota 7 is not locked by `fair/seats`.
    let taking =
        |key: i64| format!("begin; set local lock_timeout = '100ms'; select pg_advisory_xact_lock({key}); rollback");
    let (lab_ref, primary_ref) = (&*lab, primary.as_str());
    let visible = |key: i64| move || async move { stuck(lab_ref, primary_ref, SHOP, &taking(key)).await };
    let one = lock("fair/seats");
    let proofs = lab.trial(&Trial { fault: &one, target: "primary(postgres)", visible: visible(327_682) });
    all_contain(&proofs, "1 advisory locks are held: fair/seats");
    let proofs =
        lab.trial(&Trial { fault: "quota-lock", target: "primary(postgres)", visible: visible(4_587_520_002) });
    all_contain(&proofs, "3 advisory locks are held: fair/seats, rush/seats, rush/floor");

    let refusal = refused(&lab, &lock("fair/floor"), "primary(postgres)");
    assert!(refusal.contains("there is no quota \"fair/floor\"; there are fair/seats"), "{refusal}");
    let refusal = refused(&lab, "quota-lock", &format!("node({standby})"));
    assert!(refusal.contains("it is a standby"), "{refusal}");
    undone_by_another(&lab, "quota-lock", "primary(postgres)");
    execute(&lab, &primary, SHOP, "drop table pretixbase_quota, pretixbase_event");
}

#[test]
fn long_transaction_holds_up_schema_changes() {
    let lab = database();
    let (primary, standby) = (lab.primary(), lab.standby());
    execute(&lab, &primary, SHOP, "create table if not exists firedrill_schema (n bigint)");
    let change = "begin; set local lock_timeout = '100ms'; alter table firedrill_schema add m bigint; rollback";
    let visible = || stuck(&lab, &primary, SHOP, change);
    let proofs = lab.trial(&Trial { fault: "long-transaction", target: "primary(postgres)", visible });
    all_contain(&proofs, "in pretix is idle in transaction");
    let refusal = refused(&lab, "long-transaction", &format!("node({standby})"));
    assert!(refusal.contains("it is a standby"), "{refusal}");
    undone_by_another(&lab, "long-transaction", "primary(postgres)");
    execute(&lab, &primary, SHOP, "drop table firedrill_schema");
}

#[test]
fn checkpoint_is_made_at_the_moment_of_choice() {
    let lab = database();
    let (primary, standby) = (lab.primary(), lab.standby());
    let counted = Mutex::new(None);
    // An instant: seen once, by the server's own count of checkpoints that were asked for.
    let visible = || async {
        let client = session(&lab, &primary, "postgres").await?;
        let row = client.query_one("select checkpoints_req from pg_stat_bgwriter", &[]).await;
        let count: i64 = row.map_err(|error| error.to_string())?.get(0);
        let before = counted.lock().expect("not poisoned").replace(count);
        match before {
            Some(before) if before < count => Ok(format!("{count} checkpoints, {before} before")),
            _ => Err(format!("{count} checkpoints")),
        }
    };
    let proofs = lab.trial(&Trial { fault: "checkpoint", target: "primary(postgres)", visible });
    all_contain(&proofs, &format!("{primary}: checkpoint at 0/"));
    let refusal = refused(&lab, "checkpoint", &format!("node({standby})"));
    assert!(refusal.contains("it is a standby"), "{refusal}");
}

#[test]
fn what_ended_with_its_node_is_undone() {
    let lab = database();
    survives(&lab, "replay-pause", "standby(postgres)");
    survives(&lab, "pool-detach", "node(pgpool1)");
    survives(&lab, "long-transaction", "primary(postgres)");
}

/// Whether the Pgpool holds a backend, or any, as down.
async fn held_as_down(lab: &Lab, backend: Option<&str>) -> Result<String, String> {
    let client = session(lab, "pgpool1", "postgres").await?;
    let messages = client.simple_query("show pool_nodes").await.map_err(|error| error.to_string())?;
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((row.get("hostname")?.to_owned(), row.get("status")? == "down")),
        _ => None,
    };
    let rows: Vec<(String, bool)> = messages.iter().filter_map(row).collect();
    let down = rows.iter().find(|(host, down)| *down && backend.is_none_or(|backend| backend == host));
    down.map(|(host, _)| format!("{host} is down")).ok_or_else(|| format!("{rows:?}"))
}

#[test]
fn pool_detach_takes_a_healthy_database_out() {
    let lab = database();
    let (primary, standby) = (lab.primary(), lab.standby());
    let proofs =
        lab.trial(&Trial { fault: "pool-detach", target: "node(pgpool1)", visible: || held_as_down(&lab, None) });
    all_contain(&proofs, "pgpool1: holds pg");
    assert!(proofs.iter().all(|proof| !proof.contains(&primary)), "a standby is taken: {proofs:?}");
    let named = format!("pool-detach: {{backend: {standby}}}");
    let visible = || held_as_down(&lab, Some(&standby));
    let proofs = lab.trial(&Trial { fault: &named, target: "node(pgpool1)", visible });
    all_contain(&proofs, &format!("pgpool1: holds {standby} as down"));
    let refusal = refused(&lab, "pool-detach: {backend: pg9}", "node(pgpool1)");
    assert!(refusal.contains("it has no backend pg9"), "{refusal}");
}

#[test]
fn pool_detach_goes_on_while_the_watcher_puts_it_back() {
    let lab = database();
    in_force(&lab, "pool-detach", "node(pgpool1)", async |_| {
        let (detached, down) = (Mutex::new(0), Mutex::new(false));
        wait::until("taken out three times", Duration::from_secs(45), Duration::from_millis(50), || async {
            // A session that Pgpool ends for it tells nothing.
            let now = match held_as_down(&lab, None).await {
                Ok(_) => true,
                Err(rows) if rows.starts_with('[') => false,
                Err(error) => return Look::NotYet(error),
            };
            let before = std::mem::replace(&mut *down.lock().expect("not poisoned"), now);
            let mut detached = detached.lock().expect("not poisoned");
            *detached += i32::from(now && !before);
            if *detached >= 3 { Look::Ready(()) } else { Look::NotYet(format!("{detached} times")) }
        })
        .await
        .unwrap_or_else(|expired| panic!("{expired}"));
    });
}
