//! The shop that is bought from: entry points, event, item and token.

use crate::draw::{Weighted, for_operation};
use crate::money::format_cents;
pub use crate::wire::Trust;
use crate::wire::{Tls, TlsError, Way};
use bytes::Bytes;
use firedrill_core::ids::{NodeName, OpId};
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Uri};
use std::fmt;
use std::net::SocketAddr;

/// An API token, which its `Debug` output does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken(String);

impl ApiToken {
    /// Wraps the token as Pretix shows it, without `Token ` before it.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(***)")
    }
}

/// How an entry point is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// Encrypted; the certificate must be for the host of the target's `Host` header.
    Https,
}

/// A way into the shop: what a DNS answer with several addresses gives a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The node behind the address, as the topology names it.
    pub name: NodeName,
    /// Where it listens.
    pub addr: SocketAddr,
    /// How it is spoken to.
    pub scheme: Scheme,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.addr)
    }
}

/// Keeps the choice of an item apart from everything else that is drawn from the seed.
const CHOICE: u64 = 0x6974_656d_735f_6f66;

/// Something that is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its primary key.
    pub id: u64,
    /// Price sent for it, in cents.
    pub price_cents: i64,
}

/// The shop that is bought from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Entry points. Buyer n begins at entry n modulo their number and fails over to the next.
    pub entries: Vec<Entry>,
    /// `Host` header: the host of the shop's site URL, or `localhost`. Pretix answers 400 to others.
    pub host_header: String,
    /// Slug of the organizer.
    pub organizer: String,
    /// Slug of the event.
    pub event: String,
    /// What is bought, by weight: each purchase is of one of them.
    pub items: Vec<(Item, u32)>,
    /// Token with permission to write orders of the event.
    pub api_token: ApiToken,
    /// Whose certificates are trusted, where entry points speak HTTPS.
    pub trust: Trust,
}

/// A target that cannot be bought from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No entry point.
    #[error("the target has no entry point: name at least one address of the shop")]
    NoEntries,
    /// A text that does not fit into an HTTP header.
    #[error("the target's {field} has characters that no HTTP header may have: correct it")]
    Header {
        /// Which one.
        field: &'static str,
    },
    /// A slug that is not one.
    #[error("the target's {field} is {value:?}: a slug has letters, digits, '.', '-' and '_' only")]
    Slug {
        /// Which one.
        field: &'static str,
        /// What was given.
        value: String,
    },
    /// HTTPS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nothing to buy.
    #[error("the target has no item with a weight above 0: nothing would be bought; name one")]
    NoItems,
    /// A negative price.
    #[error("the target's price is {}: give 0 or more", format_cents(*.0))]
    Price(i64),
}

/// A target checked once, with everything that all requests share.
#[derive(Debug, Clone)]
pub struct Prepared {
    target: Target,
    items: Weighted<Item>,
    host: HeaderValue,
    authorization: HeaderValue,
    event_path: String,
    orders_uri: Uri,
    /// Present where an entry point speaks HTTPS.
    tls: Option<Tls>,
}

impl Target {
    /// Checks the target and builds what all requests share.
    ///
    /// # Errors
    /// A [`TargetError`] that says which field cannot be used.
    pub fn prepare(&self) -> Result<Prepared, TargetError> {
        if self.entries.is_empty() {
            return Err(TargetError::NoEntries);
        }
        if let Some((item, _)) = self.items.iter().find(|(item, _)| item.price_cents < 0) {
            return Err(TargetError::Price(item.price_cents));
        }
        let items = Weighted::new(self.items.iter().copied()).ok_or(TargetError::NoItems)?;
        check_slug("organizer", &self.organizer)?;
        check_slug("event", &self.event)?;
        let host =
            HeaderValue::from_str(&self.host_header).map_err(|_| TargetError::Header { field: "host_header" })?;
        let mut authorization = HeaderValue::from_str(&format!("Token {}", self.api_token.0))
            .map_err(|_| TargetError::Header { field: "api_token" })?;
        authorization.set_sensitive(true);
        let event_path = format!("/api/v1/organizers/{}/events/{}", self.organizer, self.event);
        let orders_uri = parse_uri(&format!("{event_path}/orders/"))?;
        let is_https = self.entries.iter().any(|entry| entry.scheme == Scheme::Https);
        let tls = if is_https { Some(Tls::new(&self.host_header, &self.trust)?) } else { None };
        Ok(Prepared { target: self.clone(), items, host, authorization, event_path, orders_uri, tls })
    }
}

fn parse_uri(path: &str) -> Result<Uri, TargetError> {
    path.parse().map_err(|_| TargetError::Slug { field: "path", value: path.to_owned() })
}

fn check_slug(field: &'static str, value: &str) -> Result<(), TargetError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if value.is_empty() || !value.bytes().all(fits) {
        return Err(TargetError::Slug { field, value: value.to_owned() });
    }
    Ok(())
}

impl Prepared {
    /// The entry points; there is at least one.
    pub fn entries(&self) -> &[Entry] {
        &self.target.entries
    }

    /// How to connect to one of its entry points.
    pub fn way(&self, entry: &Entry) -> Way {
        let tls = match entry.scheme {
            Scheme::Http => None,
            Scheme::Https => self.tls.clone(),
        };
        Way { addr: entry.addr, tls }
    }

    /// The target as it was given.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// `POST orders/`: the order of a purchase. `body` is JSON.
    pub fn post_order(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = self.request(Method::POST, self.orders_uri.clone(), body);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request
    }

    /// `GET orders/CODE/`: what became of an order. A code that is no path segment asks for all orders,
    /// which classifies as unreadable.
    pub fn get_order(&self, code: &str) -> Request<Full<Bytes>> {
        let uri = parse_uri(&format!("{}/orders/{code}/", self.event_path)).unwrap_or_else(|_| self.orders_uri.clone());
        self.request(Method::GET, uri, Bytes::new())
    }

    /// What an operation buys. It depends on seed and operation only.
    pub fn item_of(&self, seed: u64, op: OpId) -> Item {
        *self.items.choose(for_operation(seed, op, CHOICE))
    }

    /// All that is bought; there is at least one.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        self.items.iter().copied()
    }

    /// `GET items/ID/`: whether event, item and token fit together.
    pub fn get_item(&self, item: Item) -> Request<Full<Bytes>> {
        let uri =
            parse_uri(&format!("{}/items/{}/", self.event_path, item.id)).unwrap_or_else(|_| self.orders_uri.clone());
        self.request(Method::GET, uri, Bytes::new())
    }

    /// The `Host` header of all requests.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Scheme and host of the shop's pages, as this entry point has them.
    pub fn origin(&self, entry: &Entry) -> String {
        let scheme = match entry.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}/", self.target.host_header)
    }

    /// Whether there is a token, without which the API answers nobody.
    pub fn has_token(&self) -> bool {
        !self.target.api_token.0.is_empty()
    }

    /// A request to the API: a `GET`, or a `POST` of a JSON body. `path` is below the event, without a slash
    /// before it; or below the shop, with one. None if it is no path.
    pub fn api(&self, path: &str, body: Option<Bytes>) -> Option<Request<Full<Bytes>>> {
        let uri = match path.starts_with('/') {
            true => path.parse().ok()?,
            false => format!("{}/{path}", self.event_path).parse().ok()?,
        };
        let Some(body) = body else { return Some(self.request(Method::GET, uri, Bytes::new())) };
        let mut request = self.request(Method::POST, uri, body);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(request)
    }

    /// The body of an order of one ticket: pending, paid by hand, no mail, and the code once more in
    /// `api_meta`, where SQL finds it even if the shop changed the code.
    pub fn order_body(&self, item: Item, code: &str, email: &str) -> Bytes {
        Bytes::from(self.order_json(item, code, email).to_string())
    }

    /// The same before it is written, for those who want more of it.
    pub fn order_json(&self, item: Item, code: &str, email: &str) -> serde_json::Value {
        serde_json::json!({
            "code": code,
            "email": email,
            "locale": "en",
            "sales_channel": "web",
            "payment_provider": "manual",
            "status": "n",
            "send_email": false,
            "api_meta": {"hid": code},
            "positions": [{"item": item.id, "price": format_cents(item.price_cents)}],
        })
    }

    fn request(&self, method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        // The classifier knows the shop's English texts.
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("firedrill"));
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: Item = Item { id: 5, price_cents: 2_300 };

    fn target() -> Target {
        Target {
            entries: vec![Entry { name: "web-1".into(), addr: ([127, 0, 0, 1], 80).into(), scheme: Scheme::Http }],
            host_header: "localhost".to_owned(),
            organizer: "org".to_owned(),
            event: "fair".to_owned(),
            items: vec![(TICKET, 1)],
            api_token: ApiToken::new("geheim"),
            trust: Trust::Public,
        }
    }

    #[test]
    fn requests_carry_host_token_and_paths() {
        let prepared = target().prepare().expect("a sound target");
        let post = prepared.post_order(prepared.order_body(TICKET, "AB37", "ab37@buyers.example.org"));
        assert_eq!(post.uri(), "/api/v1/organizers/org/events/fair/orders/");
        assert_eq!(post.headers()[header::HOST], "localhost");
        assert_eq!(post.headers()[header::AUTHORIZATION], "Token geheim");
        assert!(post.headers().get("x-idempotency-key").is_none());
        assert_eq!(prepared.get_order("AB37").uri(), "/api/v1/organizers/org/events/fair/orders/AB37/");
        assert_eq!(prepared.get_item(TICKET).uri(), "/api/v1/organizers/org/events/fair/items/5/");
    }

    #[test]
    fn the_order_names_code_token_and_price_as_text() {
        let prepared = target().prepare().expect("a sound target");
        let body = prepared.order_body(TICKET, "AB37", "ab37@buyers.example.org");
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(json["code"], "AB37");
        assert_eq!(json["api_meta"]["hid"], "AB37");
        assert_eq!(json["positions"][0]["price"], "23.00");
        assert_eq!(json["status"], "n");
        assert_eq!(json["send_email"], false);
    }

    #[test]
    fn the_origin_is_that_of_the_entry_point() {
        let plain = target().entries[0].clone();
        let secure = Entry { scheme: Scheme::Https, ..plain.clone() };
        let mixed = Target { entries: vec![plain, secure], ..target() }.prepare().expect("a sound target");
        let origins: Vec<String> = mixed.entries().iter().map(|entry| mixed.origin(entry)).collect();
        assert_eq!(origins, ["http://localhost/", "https://localhost/"]);
    }

    #[test]
    fn the_token_is_not_printed() {
        let prepared = target().prepare().expect("a sound target");
        assert!(!format!("{:?} {prepared:?}", target()).contains("geheim"));
    }

    #[test]
    fn unusable_targets_are_refused() {
        let none = Target { entries: vec![], ..target() };
        assert_eq!(none.prepare().err(), Some(TargetError::NoEntries));
        let slug = Target { event: "a/b".to_owned(), ..target() };
        assert!(matches!(slug.prepare(), Err(TargetError::Slug { field: "event", .. })));
        let token = Target { api_token: ApiToken::new("a\nb"), ..target() };
        assert_eq!(token.prepare().err(), Some(TargetError::Header { field: "api_token" }));
        let price = Target { items: vec![(TICKET, 1), (Item { id: 6, price_cents: -1 }, 1)], ..target() };
        assert_eq!(price.prepare().err(), Some(TargetError::Price(-1)));
    }

    #[test]
    fn items_are_bought_by_weight_and_seed() {
        let dear = Item { id: 6, price_cents: 9_900 };
        let prepared = Target { items: vec![(TICKET, 3), (dear, 1)], ..target() }.prepare().expect("a target");
        let chosen = |seed| (0..4_000).map(|op| prepared.item_of(seed, OpId(op)).id).collect::<Vec<_>>();
        let share = chosen(7).iter().filter(|id| **id == 5).count() as f64 / 4_000.0;
        assert!((share - 0.75).abs() < 0.03, "{share}");
        assert_eq!(chosen(7), chosen(7));
        assert_ne!(chosen(7), chosen(8));
        let nothing = Target { items: vec![(TICKET, 0)], ..target() };
        assert_eq!(nothing.prepare().err(), Some(TargetError::NoItems));
    }
}
