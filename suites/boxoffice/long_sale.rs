//! What the harness itself asks of a database takes little of it, however much was sold, and no longer than it waits: or
//! else a shop without any fault stands still for its onlooker.

use crate::evening::stock;
use crate::house::{Account, House, house};
use firedrill_core::history::Role;
use firedrill_engine::ledger::tables;
use firedrill_engine::probe::connect_postgres_patient;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Client;

/// Orders of a long sale. A question that goes through all of them for every one takes a minute and more.
const ORDERS: i64 = 30_000;

/// As long as the onlooker waits for a database.
const PATIENCE: Duration = Duration::from_secs(5);

const SALE: &str = "\
    insert into pretixbase_order (code, status, organizer_id, event_id, email, secret, total) \
      select 'L' || n, case when n % 10 = 0 then 'c' else 'n' end, 1, 1, n || '@example.org', n::text, 23 \
        from generate_series(1, $1::int8) n";

const TICKETS: &str = "\
    insert into pretixbase_orderposition (order_id, positionid, item_id, price, secret, organizer_id) \
      select id, 1, 1, 23, 'L' || id, 1 from pretixbase_order";

async fn patient(house: &House, patience: Duration) -> Client {
    let address = house.node(Role::Primary).published(5432).expect("its port is published");
    let password = house.stack.secrets.get("POSTGRES_PASSWORD");
    connect_postgres_patient(address, password, "pretix", patience).await.expect("a session")
}

#[test]
fn quotas_are_counted_in_time_however_much_was_sold() {
    let house = house();
    house.runtime.block_on(async {
        let (_shop, _nodes) = house.open(&stock(), None, Account::Application, Arc::new(|_: &str| {})).await;
        let superuser = house.superuser(house.node(Role::Primary)).await;
        superuser.execute(SALE, &[&ORDERS]).await.expect("orders");
        superuser.execute(TICKETS, &[]).await.expect("tickets");
        let onlooker = patient(&house, PATIENCE).await;
        let rows = onlooker.query(tables::QUOTAS, &[]).await.expect("the quotas, in time");
        let sold: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(3))).collect();
        assert_eq!(sold, [(1, ORDERS - ORDERS / 10), (2, 0)], "without those that were cancelled");
    });
}

#[test]
fn a_statement_that_nobody_waits_for_any_more_is_given_up() {
    let house = house();
    house.runtime.block_on(async {
        house.whole().await;
        let onlooker = patient(&house, Duration::from_millis(300)).await;
        let error = onlooker.execute("select pg_sleep(60)", &[]).await.expect_err("it takes longer than he waits");
        let said = error.as_db_error().map(|error| error.message().to_owned());
        assert_eq!(said.as_deref(), Some("canceling statement due to statement timeout"));
        let other = onlooker.query_one("select 1", &[]).await.expect("the session goes on");
        assert_eq!(other.get::<_, i32>(0), 1);
    });
}
