//! A shop that can be told how to misbehave: an HTTP server on 127.0.0.1, for tests only.

#![expect(dead_code, reason = "each test binary uses a part of it")]

use firedrill_core::history::{Attempt, Event, History};
use firedrill_core::ids::{NodeName, RunId};
use firedrill_core::load::{Journey, Model};
use firedrill_core::source::Source;
use firedrill_load::journey::Script;
use firedrill_load::run::{LoadHandle, StartError};
use firedrill_load::settings::even;
use firedrill_load::{ApiToken, Entry, Item, RunClock, Scheme, Settings, Target, Trust, start_journey};
pub(crate) mod walked;
pub(crate) mod web;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the shop does with the next request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// As a healthy shop.
    Serve,
    /// As a healthy shop, and closes the connection afterwards without having said so.
    ServeAndClose,
    /// Answers this and writes nothing.
    Answer(u16, &'static str, &'static str),
    /// Writes the order, then answers this.
    CommitThenAnswer(u16, &'static str),
    /// Writes the order, then resets the connection.
    CommitThenReset,
    /// Reads the request, then resets the connection.
    Reset,
    /// Writes the order, then says nothing.
    CommitThenHang,
    /// Says nothing.
    Hang,
    /// A confirmation that breaks off in the middle of its body.
    CommitThenHalfAnAnswer,
}

pub(crate) const BUSY: &str = r#"{"detail":"The server was too busy to process your request. Please try again."}"#;
pub(crate) const NO_QUOTA: &str =
    r#"{"positions":[{"item":["There is not enough quota available on quota \"q\" to perform the operation."]}]}"#;
const NOT_FOUND: &str = r#"{"detail":"No Order matches the given query."}"#;
const IN_USE: &str = r#"{"code":["This order code is already in use."]}"#;
const ITEM: &str = r#"{"id":5,"active":true,"default_price":"23.00"}"#;

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    orders: HashMap<String, String>,
    requests: u64,
    connections: u64,
    stalled_until: Option<Instant>,
    reset_on_accept: u32,
}

/// The shop.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Shop {
    /// A shop that does `script` with its first requests and serves all others.
    pub(crate) async fn open(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("its address");
        let state = State { script: script.into_iter().collect(), ..State::default() };
        let shop = Self { addr, state: Arc::new(Mutex::new(state)) };
        let serving = shop.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shop = serving.clone();
                tokio::spawn(async move { shop.converse(stream).await });
            }
        });
        shop
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("no panic in the shop"))
    }

    pub(crate) fn orders(&self) -> usize {
        self.with(|state| state.orders.len())
    }

    pub(crate) fn requests(&self) -> u64 {
        self.with(|state| state.requests)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.with(|state| state.connections)
    }

    /// Serves nothing for this long, then goes on.
    pub(crate) fn stall(&self, pause: Duration) {
        self.with(|state| state.stalled_until = Some(Instant::now() + pause));
    }

    /// Resets the next connections before it reads from them.
    pub(crate) fn reset_on_accept(&self, connections: u32) {
        self.with(|state| state.reset_on_accept = connections);
    }

    async fn converse(&self, mut stream: TcpStream) {
        let reset = self.with(|state| {
            state.connections += 1;
            let reset = state.reset_on_accept > 0;
            state.reset_on_accept = state.reset_on_accept.saturating_sub(1);
            reset
        });
        if reset {
            return kill(stream);
        }
        let mut buffer = Vec::new();
        while let Some(Asked { method, path, body, .. }) = read_request(&mut stream, &mut buffer).await {
            let pause = self.with(|state| state.stalled_until);
            if let Some(until) = pause {
                tokio::time::sleep_until(until.into()).await;
            }
            let act = self.with(|state| {
                state.requests += 1;
                state.script.pop_front().unwrap_or(Act::Serve)
            });
            let (status, answer) = self.healthy(&method, &path, &body, &act);
            match act {
                Act::Serve => respond(&mut stream, status, "", &answer).await,
                Act::ServeAndClose => return respond(&mut stream, status, "", &answer).await,
                Act::Answer(status, header, body) => respond(&mut stream, status, header, body).await,
                Act::CommitThenAnswer(status, body) => respond(&mut stream, status, "", body).await,
                Act::CommitThenReset | Act::Reset => return kill(stream),
                Act::CommitThenHang | Act::Hang => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    return;
                }
                Act::CommitThenHalfAnAnswer => {
                    let head = "HTTP/1.1 201 Created\r\ncontent-length: 5000\r\n\r\n{\"code\":";
                    let _ = stream.write_all(head.as_bytes()).await;
                    return;
                }
            }
        }
    }

    /// What a healthy shop answers, with what it writes unless `act` forbids.
    fn healthy(&self, method: &str, path: &str, body: &[u8], act: &Act) -> (u16, String) {
        if path.contains("/items/") {
            return (200, ITEM.to_owned());
        }
        if method == "GET" {
            let code = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            return match self.with(|state| state.orders.get(code).cloned()) {
                Some(order) => (200, order),
                None => (404, NOT_FOUND.to_owned()),
            };
        }
        if matches!(act, Act::Answer(..) | Act::Reset | Act::Hang) {
            return (500, String::new());
        }
        let order: serde_json::Value = serde_json::from_slice(body).expect("the load sends JSON");
        let code = order["code"].as_str().expect("a code").to_owned();
        self.with(|state| {
            if state.orders.contains_key(&code) {
                return (400, IN_USE.to_owned());
            }
            let id = state.orders.len() + 1;
            let written = serde_json::json!({
                "code": code, "secret": format!("s{id}"), "status": order["status"], "email": order["email"],
                "total": order["positions"][0]["price"],
                "positions": [{"id": id, "item": order["positions"][0]["item"], "secret": format!("t{id}"),
                    "price": order["positions"][0]["price"]}],
            });
            state.orders.insert(code, written.to_string());
            (201, written.to_string())
        })
    }
}

fn kill(stream: TcpStream) {
    stream.set_zero_linger().expect("linger");
}

async fn respond(stream: &mut TcpStream, status: u16, header: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(text.as_bytes()).await;
}

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value.trim())
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = content_length(&head);
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                let mut words = head.split(' ');
                let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
                return Some(Asked { method, path, body, head: head.clone() });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn content_length(head: &str) -> usize {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-length:"));
    line.and_then(|line| line.split(':').nth(1)).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// A port where nobody listens.
pub(crate) async fn dead_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("its address")
}

pub(crate) fn target(entries: &[(&str, SocketAddr)]) -> Target {
    Target {
        entries: entries.iter().map(|(name, addr)| entry(name, *addr)).collect(),
        host_header: "localhost".to_owned(),
        organizer: "org".to_owned(),
        event: "fair".to_owned(),
        items: vec![(Item { id: 5, price_cents: 2_300 }, 1)],
        api_token: ApiToken::new("token"),
        trust: Trust::Public,
    }
}

fn entry(name: &str, addr: SocketAddr) -> Entry {
    Entry { name: NodeName::new(name), addr, scheme: Scheme::Http }
}

/// Even arrivals at a rate.
pub(crate) fn at(rate_per_s: f64) -> Model {
    even(rate_per_s).expect("a rate")
}

/// One buyer at 1 purchase a second who is quick to lose patience with one exchange.
pub(crate) fn settings() -> Settings {
    Settings {
        model: at(1.0),
        buyers: 1,
        patience_ms: 10_000,
        attempt_timeout_ms: 300,
        connect_timeout_ms: 300,
        seed: 7,
        run: RunId::new("test"),
    }
}

/// A journey of the repository.
pub(crate) fn shipped(name: &str) -> Journey {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/journeys/{name}.yaml"));
    let text = std::fs::read_to_string(&path).expect("a file");
    Journey::parse(&Source::new(path.display().to_string(), text)).expect("a journey")
}

/// A load with the journey `order-api`.
pub(crate) fn start(
    target: &Target,
    settings: &Settings,
    clock: RunClock,
    records: mpsc::Sender<Event>,
) -> Result<LoadHandle, StartError> {
    let script = Script::new(settings, vec![(shipped("order-api"), 1)]).expect("a script");
    start_journey(target, settings, script, clock, records)
}

/// All records that have been handed over.
pub(crate) fn collect(mut records: mpsc::Receiver<Event>) -> History {
    let mut events = Vec::new();
    while let Ok(event) = records.try_recv() {
        events.push(event);
    }
    History::from_events(events)
}

pub(crate) fn attempts(history: &History) -> Vec<Attempt> {
    history.attempts().cloned().collect()
}

/// Waits for a condition, whatever the machine is busy with; fails after 20 s.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain: {what}");
}
