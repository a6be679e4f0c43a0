//! The correct shop's API over its databases, asked one thing after the other.

use crate::house::{Account, House, house};
use firedrill_boxoffice::{Node, Shop, Stock};
use firedrill_core::history::Role;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::sync::Arc;

const EVENT: &str = "api/v1/organizers/drill/events/fair";
const DOOR: &str = "api/v1/organizers/drill/checkinrpc/redeem/";

/// An open shop and somebody who asks it.
struct Open {
    _shop: Shop,
    nodes: Vec<Node>,
    client: Client,
}

impl Open {
    async fn with(house: &House, stock: &Stock) -> Self {
        let log = Arc::new(|line: &str| println!("{line}"));
        let (shop, nodes) = house.open(stock, None, Account::Application, log).await;
        Self { _shop: shop, nodes, client: Client::new() }
    }

    /// Status and answer.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("http://{}/{path}", self.nodes[0].address()));
        request = request.header("authorization", "Token boxoffice");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, &format!("{EVENT}/{path}"), None).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, &format!("{EVENT}/{path}"), Some(body)).await
    }

    /// Orders a paid ticket, with more about its position.
    async fn order(&self, code: &str, more: Value) -> (u16, Value) {
        let mut position = json!({"item": 1, "price": "23.00"});
        for (key, value) in more.as_object().into_iter().flatten() {
            position[key] = value.clone();
        }
        let order = json!({
            "code": code, "email": format!("{code}@buyers.example.org"), "status": "p", "payment_provider": "manual",
            "send_email": false, "api_meta": {"hid": code}, "positions": [position],
        });
        self.post("orders/", &order).await
    }

    async fn left(&self) -> Value {
        self.get("quotas/1/availability/").await.1["available_number"].clone()
    }

    async fn show(&self, secret: &Value, nonce: &str) -> (u16, Value) {
        let scan = json!({"lists": [1], "secret": secret, "nonce": nonce, "type": "entry", "force": false});
        self.ask(Method::POST, DOOR, Some(&scan)).await
    }
}

fn text(answer: &Value) -> String {
    answer.to_string()
}

#[test]
fn an_order_is_confirmed_found_and_given_back() {
    let house = house();
    house.runtime.block_on(async {
        let shop = Open::with(&house, &Stock::of_one_item(Some(1))).await;
        let (status, order) = shop.order("AAAAA", json!({})).await;
        assert_eq!((status, &order["status"], &order["total"]), (201, &json!("p"), &json!("23.50")), "{order}");
        assert_eq!(shop.get("orders/AAAAA/").await, (200, order.clone()));
        let (_, found) = shop.get("orders/?email=aaaaa%40Buyers.example.org").await;
        assert_eq!(found["results"], json!([order]));
        assert_eq!(shop.left().await, json!(0));

        let (status, twin) = shop.order("AAAAA", json!({})).await;
        assert_eq!((status, text(&twin)), (400, r#"{"code":["This order code is already in use."]}"#.to_owned()));
        let (status, refused) = shop.order("BBBBB", json!({})).await;
        assert_eq!(status, 400);
        assert!(text(&refused).contains("There is not enough quota available on quota"), "{refused}");
        assert_eq!(shop.get("orders/BBBBB/").await.0, 404);

        let (status, cancelled) = shop.post("orders/AAAAA/mark_canceled/", &json!({"send_email": false})).await;
        assert_eq!((status, &cancelled["status"]), (200, &json!("c")), "{cancelled}");
        assert_eq!(shop.post("orders/AAAAA/mark_canceled/", &json!({})).await.0, 400);
        assert_eq!(shop.left().await, json!(1));
        assert_eq!(shop.order("BBBBB", json!({})).await.0, 201);
    });
}

#[test]
fn a_seat_and_a_voucher_are_somebodys_once() {
    let house = house();
    house.runtime.block_on(async {
        let stock = Stock::of_one_item(None).with_seats(["A1".to_owned()]).with_vouchers(["ONCE".to_owned()], 1);
        let shop = Open::with(&house, &stock).await;
        let (status, seated) = shop.order("AAAAA", json!({"seat": "A1"})).await;
        assert_eq!((status, &seated["positions"][0]["seat"]["seat_guid"]), (201, &json!("A1")), "{seated}");
        let taken = r#"{"positions":[{"seat":["The selected seat \"A1\" is not available."]}]}"#;
        let (status, refused) = shop.order("BBBBB", json!({"seat": "A1"})).await;
        assert_eq!((status, text(&refused).as_str()), (400, taken));
        assert_eq!(shop.order("CCCCC", json!({"voucher": "ONCE"})).await.0, 201);
        let used = r#"{"positions":[{"voucher":["The voucher has already been used the maximum number of times."]}]}"#;
        let (status, refused) = shop.order("DDDDD", json!({"voucher": "ONCE"})).await;
        assert_eq!((status, text(&refused).as_str()), (400, used));
        for code in ["AAAAA", "CCCCC"] {
            assert_eq!(shop.post(&format!("orders/{code}/mark_canceled/"), &json!({})).await.0, 200);
        }
        assert_eq!(shop.order("EEEEE", json!({"seat": "A1", "voucher": "ONCE"})).await.0, 201);
        assert_eq!(shop.order("FFFFF", json!({"seat": "Z9"})).await.0, 400);
    });
}

#[test]
fn a_ticket_admits_once_whatever_is_repeated() {
    let house = house();
    house.runtime.block_on(async {
        let shop = Open::with(&house, &Stock::of_one_item(None)).await;
        let (_, order) = shop.order("AAAAA", json!({})).await;
        let ticket = &order["positions"][0]["secret"];
        assert_eq!(shop.show(ticket, "first").await.0, 201);
        assert_eq!(shop.show(ticket, "first").await.0, 201, "a scan that is repeated is the same scan");
        let (status, second) = shop.show(ticket, "second").await;
        assert_eq!((status, &second["reason"]), (400, &json!("already_redeemed")));
        assert_eq!(shop.show(&json!("nobody's"), "third").await.0, 404);
        let pending = json!({"code": "BBBBB", "positions": [{"item": 1}]});
        let (_, pending) = shop.post("orders/", &pending).await;
        let (status, unpaid) = shop.show(&pending["positions"][0]["secret"], "fourth").await;
        assert_eq!((status, &unpaid["reason"]), (400, &json!("unpaid")));
    });
}

#[test]
fn the_books_of_a_correct_evening_balance() {
    let house = house();
    house.runtime.block_on(async {
        let shop = Open::with(&house, &Stock::of_one_item(None)).await;
        for code in ["AAAAA", "BBBBB", "CCCCC"] {
            assert_eq!(shop.order(code, json!({})).await.0, 201);
        }
        assert_eq!(shop.post("orders/BBBBB/mark_canceled/", &json!({})).await.0, 200);
        let session = house.superuser(house.node(Role::Primary)).await;
        // The invariants of Pretix's own tables: nothing may come out.
        let nothing = [
            "select o.code from pretixbase_order o where o.total <> \
             (select sum(price) from pretixbase_orderposition p where p.order_id = o.id and not p.canceled) \
             + (select sum(value) from pretixbase_orderfee f where f.order_id = o.id and not f.canceled)",
            "select o.code from pretixbase_order o left join pretixbase_transaction t on t.order_id = o.id \
             group by o.id having coalesce(sum(t.count * t.price), 0) <> \
             case when o.status in ('n', 'p') and not o.require_approval then o.total else 0 end",
            "select o.code from pretixbase_order o where o.status = 'p' and not exists (select 1 \
             from pretixbase_logentry l join django_content_type ct on ct.id = l.content_type_id \
             where ct.app_label = 'pretixbase' and ct.model = 'order' and l.object_id = o.id \
             and l.action_type = 'pretix.event.order.paid')",
            "select o.code from pretixbase_order o where (select count(*) from pretixbase_invoice i \
             where i.order_id = o.id and not i.is_cancellation) <> 1",
            "select i.full_invoice_no from pretixbase_invoice i join pretixbase_order o on o.id = i.order_id \
             join pretixbase_invoiceline l on l.invoice_id = i.id where not i.is_cancellation \
             group by i.id, o.total having sum(l.gross_value) <> o.total",
            "select idempotency_key from pretixapi_apicall where locked is not null",
            "select status from pretixbase_outgoingmail where status <> 'sent'",
            "select full_invoice_no from pretixbase_invoice where coalesce(file, '') = ''",
        ];
        for sql in nothing {
            let rows = session.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert!(rows.is_empty(), "{} rows of {sql}", rows.len());
        }
        let numbers = "select array_agg(invoice_no::int8 order by id) from pretixbase_invoice";
        let numbers: Vec<i64> = session.query_one(numbers, &[]).await.expect("invoices").get(0);
        assert_eq!(numbers, [1, 2, 3, 4], "three invoices and one that takes one back");
    });
}
