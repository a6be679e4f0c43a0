//! A shop with pages, as far as Pretix's matter, that can be told how to misbehave.
//!
//! One shop may have several nodes, which share everything but their address.

use super::{Asked, kill, read_request};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, watch};

/// How the shop misbehaves at one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Twist {
    /// Answers this and does nothing.
    Answer(u16, &'static str),
    /// Leads there and does nothing.
    Redirect(&'static str),
    /// Resets the connection and does nothing.
    Reset,
    /// Does what was asked and resets the connection.
    DoThenReset,
    /// Begins a task that fails with this message.
    Fail(&'static str),
    /// Begins a task that sells and whose end nobody hears of.
    LoseResult,
    /// Begins a task that is done after so many milliseconds.
    Work(u64),
    /// Shows a page that says "please wait" and asks to be loaded anew.
    PleaseWait,
    /// Begins a task that sells, and says this.
    SellThenFail(&'static str),
    /// Knows nobody any more, then goes on as it should.
    ForgetEverybody,
    /// Answers as it should, and then the node is gone.
    Die,
    /// Shows the order of another e-mail address.
    Mix(&'static str),
}

#[derive(Default)]
struct Visitor {
    cart: u32,
    email: Option<String>,
    paid: bool,
    warning: &'static str,
}

#[derive(Clone, Default)]
pub(crate) struct Sold {
    pub(crate) code: String,
    pub(crate) email: String,
    redeemed: Option<String>,
    canceled: bool,
    shown_as: Option<&'static str>,
}

#[derive(Default)]
struct State {
    twists: VecDeque<(&'static str, Twist)>,
    visitors: HashMap<String, Visitor>,
    tasks: HashMap<String, (Instant, Option<Value>)>,
    sold: Vec<Sold>,
    log: Vec<String>,
    asked: Vec<(String, String)>,
    next: u32,
    /// Pictures of the event page.
    pictures: u32,
    /// Connections that are open.
    open: u32,
    /// Pictures that are being answered, and the most that ever were.
    drawing: (u32, u32),
}

/// The shop.
#[derive(Clone, Default)]
pub(crate) struct WebShop {
    state: Arc<Mutex<State>>,
    /// Pictures are answered when so many are asked for at a time.
    together: Option<Arc<Barrier>>,
}

type Reply = (u16, String, String);

const P: &str = "/org/fair/";

impl WebShop {
    /// A shop that misbehaves so: each twist once, at the first request whose `METHOD PATH` has its text.
    pub(crate) fn new(twists: impl IntoIterator<Item = (&'static str, Twist)>) -> Self {
        let shop = Self::default();
        shop.with(|state| state.twists = twists.into_iter().collect());
        shop
    }

    /// A shop whose event page has so many pictures, each of which is answered when `together` of them are asked
    /// for at a time.
    pub(crate) fn with_pictures(pictures: u32, together: usize) -> Self {
        let shop = Self { together: Some(Arc::new(Barrier::new(together))), ..Self::default() };
        shop.with(|state| state.pictures = pictures);
        shop
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> u32 {
        self.with(|state| state.open)
    }

    /// Most pictures that were asked for at a time.
    pub(crate) fn most_pictures(&self) -> u32 {
        self.with(|state| state.drawing.1)
    }

    /// One more node.
    pub(crate) async fn node(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let shop = self.clone();
        let (dead, mut is_dead) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = is_dead.wait_for(|dead| *dead) => return,
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { return };
                        let (shop, dead) = (shop.clone(), dead.clone());
                        tokio::spawn(async move {
                            shop.with(|state| state.open += 1);
                            shop.converse(stream, dead).await;
                            shop.with(|state| state.open -= 1);
                        });
                    }
                }
            }
        });
        addr
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("no panic in the shop"))
    }

    pub(crate) fn sold(&self) -> Vec<Sold> {
        self.with(|state| state.sold.clone())
    }

    /// `METHOD PATH` of all requests, without query.
    pub(crate) fn log(&self) -> Vec<String> {
        self.with(|state| state.log.clone())
    }

    /// Bodies and cookies of the requests whose path has this part.
    pub(crate) fn asked(&self, part: &str) -> Vec<(String, String)> {
        self.with(|state| state.asked.iter().filter(|(path, _)| path.contains(part)).cloned().collect())
    }

    async fn converse(&self, mut stream: TcpStream, dead: watch::Sender<bool>) {
        let mut buffer = Vec::new();
        while let Some(asked) = read_request(&mut stream, &mut buffer).await {
            let line = format!("{} {}", asked.method, asked.path);
            let twist = self.with(|state| {
                state.log.push(line.split('?').next().unwrap_or_default().to_owned());
                let body = String::from_utf8_lossy(&asked.body).into_owned();
                state.asked.push((line.clone(), format!("{} {body}", asked.header("cookie"))));
                match state.twists.front() {
                    Some((part, _)) if line.contains(part) => state.twists.pop_front().map(|(_, twist)| twist),
                    _ => None,
                }
            });
            if let Some(together) = self.together.as_ref().filter(|_| asked.path.starts_with("/static/p")) {
                self.with(|state| state.drawing = (state.drawing.0 + 1, state.drawing.1.max(state.drawing.0 + 1)));
                together.wait().await;
                self.with(|state| state.drawing.0 -= 1);
            }
            let (status, headers, body) = match twist {
                Some(Twist::Answer(status, body)) => (status, String::new(), body.to_owned()),
                Some(Twist::Redirect(to)) => redirect(to),
                Some(Twist::Reset) => return kill(stream),
                Some(Twist::PleaseWait) => page("Wait", r#"<meta http-equiv="refresh" content="1">"#),
                _ => self.with(|state| state.answer(&asked, twist)),
            };
            if matches!(twist, Some(Twist::DoThenReset)) {
                return kill(stream);
            }
            if matches!(twist, Some(Twist::Die)) {
                dead.send_replace(true);
            }
            let text = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
            if stream.write_all(text.as_bytes()).await.is_err() || matches!(twist, Some(Twist::Die)) {
                return;
            }
        }
    }
}

fn redirect(to: &str) -> Reply {
    (302, format!("location: {to}\r\n"), String::new())
}

fn page(title: &str, inside: &str) -> Reply {
    let assets = r#"<link rel="stylesheet" href="/static/a.css"><script src="http://localhost/static/b.js"></script>
        <link rel="icon" href="/static/i.png"><img src="http://elsewhere.example/x.png">"#;
    let html = "content-type: text/html; charset=utf-8\r\n".to_owned();
    (200, html, format!("<!DOCTYPE html><title>{title}</title>{assets}<body>{inside}</body>"))
}

fn cookie<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    let pairs = asked.header("cookie").split("; ").filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

fn field(asked: &Asked, name: &str) -> String {
    if let Some((_, line)) = asked.header("content-type").split_once("multipart/form-data; boundary=") {
        let body = String::from_utf8_lossy(&asked.body);
        let line = format!("--{line}\r\n");
        let mut parts = body.split(&line).filter_map(|part| part.split_once("\r\n\r\n"));
        let found = parts.find(|(head, _)| head.contains(&format!("name=\"{name}\"")));
        return found.map_or_else(String::new, |(_, rest)| rest.split("\r\n").next().unwrap_or_default().to_owned());
    }
    let pairs: HashMap<String, String> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    pairs.get(name).cloned().unwrap_or_default()
}

fn form(action: &str, inside: &str) -> String {
    format!(
        r#"<form action="/search"><input name="q"></form><form method="post" action="{action}">
        <input type="hidden" name="csrfmiddlewaretoken" value="token&amp;1">{inside}<button name="go" value="on">Go</button><button name="go" value="back">Back</button></form>"#
    )
}

impl State {
    fn answer(&mut self, asked: &Asked, twist: Option<Twist>) -> Reply {
        if matches!(twist, Some(Twist::ForgetEverybody)) {
            self.visitors.clear();
        }
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        if path.starts_with("/api/") {
            return self.api(asked, path, query);
        }
        if path.starts_with("/static/p") {
            return (200, "set-cookie: seen=1; Path=/\r\n".to_owned(), "x".repeat(30_000));
        }
        if path.starts_with("/static/") {
            return (200, String::new(), "x".repeat(300_000));
        }
        if asked.method == "POST" {
            let is_own = asked.header("origin") == "http://localhost" && asked.header("referer").contains("localhost/");
            let has_token = cookie(asked, "csrf").is_some() && field(asked, "csrfmiddlewaretoken") == "token&1";
            if !is_own || !has_token {
                return (
                    403,
                    String::new(),
                    "We could not verify that this request really was sent from you".to_owned(),
                );
            }
        }
        match (path.strip_prefix(P), query.split_once("async_id=")) {
            (_, Some((_, id))) => self.poll(id.split('&').next().unwrap_or_default()),
            (Some(""), _) => self.event_page(asked),
            (Some("cart/add"), _) => self.add(asked, twist),
            (Some(step), _) if step.starts_with("checkout/") => self.checkout(asked, &step[9..], twist),
            (Some(order), _) if order.starts_with("order/") => self.order_page(&order[6..], twist),
            _ => (404, String::new(), "Not found".to_owned()),
        }
    }

    fn visitor(&mut self, asked: &Asked) -> Option<&mut Visitor> {
        self.visitors.get_mut(cookie(asked, "session")?)
    }

    fn event_page(&mut self, asked: &Asked) -> Reply {
        let warning = self.visitor(asked).map_or("", |visitor| std::mem::take(&mut visitor.warning));
        let warning = format!(r#"<div class="alert alert-danger">{warning}</div>"#);
        let fields = r#"<input type="number" name="item_5"><input type="number" name="item_6" value="1">"#;
        let form = form("/org/fair/cart/add?next=%2Forg%2Ffair%2F", fields);
        let pictures: String = (0..self.pictures).map(|n| format!(r#"<img src="/static/p{n}.png">"#)).collect();
        let (status, headers, body) = page("Fair", &format!("{warning}{form}{pictures}"));
        (status, format!("{headers}set-cookie: csrf=1; Path=/; Max-Age=600; SameSite=Lax\r\n"), body)
    }

    fn begin(&mut self, asked: &Asked, twist: Option<Twist>, done: Value) -> Reply {
        self.next += 1;
        let id = format!("t-{}", self.next);
        let failed = |message| Some(json!({"ready": true, "success": false, "redirect": P, "message": message}));
        let end = match twist {
            Some(Twist::Fail(message) | Twist::SellThenFail(message)) => failed(message),
            Some(Twist::LoseResult) => None,
            _ => Some(done),
        };
        let ready = match twist {
            Some(Twist::Work(ms)) => Instant::now() + Duration::from_millis(ms),
            _ => Instant::now(),
        };
        self.tasks.insert(id.clone(), (ready, end));
        let path = asked.path.split('?').next().unwrap_or_default();
        let check = format!("{path}?async_id={id}&ajax=1");
        (200, String::new(), json!({"async_id": id, "ready": false, "check_url": check}).to_string())
    }

    fn poll(&mut self, id: &str) -> Reply {
        let known = self.tasks.get(id).filter(|(ready, _)| *ready <= Instant::now()).and_then(|(_, end)| end.clone());
        (200, String::new(), known.unwrap_or_else(|| json!({"async_id": id, "ready": false})).to_string())
    }

    fn add(&mut self, asked: &Asked, twist: Option<Twist>) -> Reply {
        self.next += 1;
        let session = cookie(asked, "session").map_or_else(|| format!("s{}", self.next), str::to_owned);
        let count: u32 = ["item_5", "item_6"].iter().filter_map(|name| field(asked, name).parse::<u32>().ok()).sum();
        let visitor = self.visitors.entry(session.clone()).or_default();
        if !matches!(twist, Some(Twist::Fail(_))) {
            visitor.cart += count;
        }
        let done = json!({"ready": true, "success": true, "redirect": P, "message": "added"});
        let (status, _, body) = self.begin(asked, twist, done);
        (status, format!("set-cookie: session={session}; Path=/; HttpOnly\r\n"), body)
    }

    fn checkout(&mut self, asked: &Asked, step: &str, twist: Option<Twist>) -> Reply {
        let Some(visitor) = self.visitor(asked) else { return redirect("/org/fair/?require_cookie=true") };
        if visitor.cart == 0 {
            visitor.warning = "Your cart is empty";
            return redirect("/org/fair/?require_cookie=true");
        }
        let is_post = asked.method == "POST";
        match step {
            "start" => redirect("http://localhost/org/fair/checkout/questions/"),
            "questions/" if is_post && !field(asked, "email").is_empty() => {
                visitor.email = Some(field(asked, "email"));
                redirect("../payment/")
            }
            "questions/" if is_post => {
                page("Questions", &form("", r#"<input name="email"><div class="alert-danger">required</div>"#))
            }
            "questions/" => {
                // With a file that may be uploaded, as for a photo on the ticket.
                let fields = r#"<input name="email"><input name="7-question_3"><input type="file" name="7-photo">"#;
                page(
                    "Questions",
                    &form("", fields).replace("action=\"\"", "action=\"\" enctype=\"multipart/form-data\""),
                )
            }
            "payment/" if is_post && field(asked, "go") == "back" => redirect("../questions/"),
            "payment/" if is_post && !field(asked, "payment").is_empty() => {
                visitor.paid = true;
                redirect("/org/fair/checkout/confirm/")
            }
            "payment/" => {
                let radio = r#"<input type="radio" name="payment" value="bank"><input type="radio" name="payment" value="manual">"#;
                page("Payment", &form("", radio))
            }
            "confirm/" if is_post => self.confirm(asked, twist),
            "confirm/" if visitor.paid => page("Review", &form("", "")),
            _ => (404, String::new(), String::new()),
        }
    }

    fn confirm(&mut self, asked: &Asked, twist: Option<Twist>) -> Reply {
        let Some(visitor) = self.visitor(asked) else { return redirect(P) };
        if matches!(twist, Some(Twist::Fail(_))) {
            return self.begin(asked, twist, Value::Null);
        }
        let (tickets, email) = (std::mem::take(&mut visitor.cart), visitor.email.clone().unwrap_or_default());
        assert_eq!(tickets, 1, "one ticket a buyer");
        let code = format!("C{}", self.sold.len() + 1);
        self.sold.push(Sold { code: code.clone(), email, ..Sold::default() });
        let order = format!("/org/fair/order/{code}/secret/pay/1/complete");
        self.begin(asked, twist, json!({"ready": true, "success": true, "redirect": order, "message": "None"}))
    }

    fn order_page(&mut self, path: &str, twist: Option<Twist>) -> Reply {
        let (code, rest) = path.split_once('/').unwrap_or((path, ""));
        if rest.ends_with("complete") {
            return redirect(&format!("/org/fair/order/{code}/secret/?thanks=yes"));
        }
        let Some(sold) = self.sold.iter_mut().find(|sold| sold.code == code) else {
            return (404, String::new(), String::new());
        };
        if let Some(Twist::Mix(email)) = twist {
            sold.shown_as = Some(email);
        }
        let email = sold.shown_as.unwrap_or(&sold.email);
        let body = format!(
            r#"<h2 class="h1">Order {code}</h2><dl class="lead order-details"><dt>Status</dt><dd>Payment pending</dd></dl>
            <div class="row cart-row" data-article-id="item-5"><div class="product"><strong>Paid</strong></div>
            <div class="count">1</div><div class="totalprice price"><strong>€23.00</strong></div></div>
            <div class="row cart-row total"><div class="totalprice price"><strong>€23.00</strong></div></div>
            <dl><dt>Email</dt><dd>{email}</dd></dl>"#
        );
        page("Order details", &body)
    }

    fn api(&mut self, asked: &Asked, path: &str, query: &str) -> Reply {
        let answer = |status: u16, body: Value| (status, String::new(), body.to_string());
        let full = |sold: &Sold| {
            let status = if sold.canceled { "c" } else { "n" };
            json!({"code": sold.code, "secret": "secret", "status": status, "email": sold.email, "total": "23.00",
                "positions": [{"id": 1, "item": 5, "price": "23.00", "secret": format!("ticket-{}", sold.code)}]})
        };
        match path.rsplit('/').nth(1).unwrap_or_default() {
            "orders" if asked.method == "POST" => {
                let order: Value = serde_json::from_slice(&asked.body).expect("JSON");
                let text = |key: &str| order[key].as_str().unwrap_or_default().to_owned();
                self.sold.push(Sold { code: text("code"), email: text("email"), ..Sold::default() });
                answer(201, full(self.sold.last().expect("an order")))
            }
            "orders" => {
                let email: HashMap<String, String> =
                    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let found: Vec<Value> =
                    self.sold.iter().filter(|sold| email.get("email") == Some(&sold.email)).map(full).collect();
                answer(200, json!({"count": found.len(), "results": found}))
            }
            "mark_canceled" => {
                let code = path.rsplit('/').nth(2).unwrap_or_default();
                match self.sold.iter_mut().find(|sold| sold.code == code) {
                    None => answer(404, json!({"detail": "No Order matches the given query."})),
                    Some(sold) if sold.canceled => {
                        answer(400, json!({"detail": "The order is not allowed to be canceled."}))
                    }
                    Some(sold) => {
                        sold.canceled = true;
                        answer(200, full(sold))
                    }
                }
            }
            "questions" => answer(200, json!({"results": [{"id": 2, "items": [6]}, {"id": 3, "items": [5]}]})),
            "checkinlists" => {
                answer(200, json!({"results": [{"id": 8, "name": "VIP"}, {"id": 9, "name": "Entrance"}]}))
            }
            "redeem" => {
                let scan: Value = serde_json::from_slice(&asked.body).expect("JSON");
                assert_eq!(scan["lists"], json!([9]));
                let nonce = scan["nonce"].as_str().expect("a nonce").to_owned();
                let code =
                    scan["secret"].as_str().and_then(|secret| secret.strip_prefix("ticket-")).unwrap_or_default();
                let Some(sold) = self.sold.iter_mut().find(|sold| sold.code == code) else {
                    return answer(404, json!({"status": "error", "reason": "invalid"}));
                };
                let first = sold.redeemed.get_or_insert_with(|| nonce.clone());
                match *first == nonce {
                    true => answer(201, json!({"status": "ok"})),
                    false => answer(400, json!({"status": "error", "reason": "already_redeemed"})),
                }
            }
            code => match self.sold.iter().find(|sold| sold.code == code) {
                Some(sold) => answer(200, full(sold)),
                None => answer(404, json!({"detail": "No Order matches the given query."})),
            },
        }
    }
}
