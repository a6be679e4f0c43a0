//! One visit of a shop: cookies, the page that is open, and what the browser has fetched already.

use super::cookies::Jar;
use super::form::{Button, Form, Pressed};
use super::html::Document;
use crate::target::{Entry, Prepared, Scheme};
use crate::wire::Answer;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use url::Url;

/// A page that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// Its forms.
    pub forms: Vec<Form>,
}

/// Which form a step submits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// A part of its address.
    pub part: String,
    /// The button that is pressed, `NAME` or `NAME=VALUE`; none is the first.
    pub button: Option<String>,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.button {
            Some(button) => write!(f, "{:?} with the button {button:?}", self.part),
            None => write!(f, "{:?}", self.part),
        }
    }
}

/// A form that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The form.
    pub form: &'a Form,
    /// The button that submits it; none where it has none.
    pub button: Option<&'a Button>,
    /// Where it goes.
    pub url: Url,
}

/// A visit.
#[derive(Debug)]
pub struct Session {
    /// Scheme and host of the shop, as the entry point that is used has them.
    origin: Url,
    /// Addresses of its entry points, by which its site URL may call it as well.
    addresses: Vec<IpAddr>,
    jar: Jar,
    page: Option<Page>,
    /// Hashes of the addresses of assets that were fetched.
    cached: HashSet<u64>,
}

impl Session {
    /// A new visitor of the shop by this entry point: no cookies, nothing fetched. None where the `Host` header is
    /// no host.
    pub fn new(target: &Prepared, entry: &Entry) -> Option<Self> {
        let origin = Url::parse(&target.origin(entry)).ok().filter(Url::has_host)?;
        let addresses = target.entries().iter().map(|entry| entry.addr.ip()).collect();
        Some(Self { origin, addresses, jar: Jar::default(), page: None, cached: HashSet::new() })
    }

    /// From here on he uses this entry point. Where it has another scheme, addresses that he has from the one
    /// before lead here all the same, and cookies that are for `https` only stay behind.
    pub fn enter(&mut self, target: &Prepared, entry: &Entry) {
        let is_secure = entry.scheme == Scheme::Https;
        if is_secure != self.is_secure() {
            // The same host was an address before.
            self.origin = Url::parse(&target.origin(entry)).unwrap_or_else(|_| self.origin.clone());
        }
    }

    fn is_secure(&self) -> bool {
        self.origin.scheme() == "https"
    }

    /// The visitor comes back as somebody unknown. What the browser has fetched stays.
    pub fn forget(&mut self) {
        self.jar = Jar::default();
        self.page = None;
    }

    /// The page that is open.
    pub fn page(&self) -> Option<&Page> {
        self.page.as_ref()
    }

    /// Opens a page; its text is dropped. Hands back the addresses of its assets.
    pub fn turn_to(&mut self, url: Url, document: Document) -> BTreeSet<String> {
        self.page = Some(Page { url, forms: document.forms });
        document.assets
    }

    /// The address that a link leads to, if it is one of the shop. A link to the shop's site URL, or to one
    /// of its entry points, leads to the entry point that is being used, whatever port it names.
    pub fn resolve(&self, base: &Url, link: &str) -> Option<Url> {
        let mut url = base.join(link.trim()).ok()?;
        let host = url.host_str()?;
        let is_own = self.origin.host_str() == Some(host)
            || host == "localhost"
            || host.trim_matches(['[', ']']).parse().is_ok_and(|ip| self.addresses.contains(&ip));
        if !is_own || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        url.set_fragment(None);
        Some(self.own(&url))
    }

    /// An address of the shop, as the entry point that is used has it.
    pub fn own(&self, url: &Url) -> Url {
        let mut own = self.origin.clone();
        own.set_path(url.path());
        own.set_query(url.query());
        own
    }

    /// The address of a path of the shop.
    pub fn at(&self, path: &str) -> Option<Url> {
        self.resolve(&self.origin, path)
    }

    /// The first posted form of the open page that is the wanted one.
    pub fn form(&self, wanted: &Wanted) -> Option<Found<'_>> {
        let page = self.page.as_ref()?;
        self.form_of(&page.url, &page.forms, wanted)
    }

    /// The same of another page.
    pub fn form_of<'a>(&self, url: &Url, forms: &'a [Form], wanted: &Wanted) -> Option<Found<'a>> {
        forms.iter().filter(|form| form.is_post).find_map(|form| {
            let button = match form.pressed(wanted.button.as_deref()) {
                Pressed::Button(button) => Some(button),
                Pressed::Enter => None,
                Pressed::Missing => return None,
            };
            let action = button.and_then(|button| button.action.as_ref()).or(form.action.as_ref());
            let target = match action {
                Some(action) => self.resolve(url, action)?,
                None => url.clone(),
            };
            let address = format!("{}?{}", target.path(), target.query().unwrap_or_default());
            address.contains(&wanted.part).then_some(Found { form, button, url: target })
        })
    }

    /// The `Cookie` header of a request.
    pub fn cookies(&self, url: &Url) -> Option<String> {
        self.jar.header(url.path(), self.is_secure())
    }

    /// Takes the cookies of an answer.
    pub fn answered(&mut self, url: &Url, answer: &Answer) {
        self.jar.take(self.origin.host_str().unwrap_or_default(), url.path(), &answer.headers);
    }

    /// Whether an asset still has to be fetched; then it counts as fetched from here on.
    pub fn needs(&mut self, url: &Url) -> bool {
        let mut hasher = DefaultHasher::new();
        (url.path(), url.query()).hash(&mut hasher);
        self.cached.insert(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Item;
    use crate::target::{ApiToken, Target, Trust};
    use crate::web::form::Body;
    use crate::web::html;
    use crate::web::request::{Hop, Wants};
    use rstest::rstest;

    fn prepared() -> Prepared {
        let target = Target {
            entries: vec![Entry { name: "web-1".into(), addr: ([127, 0, 0, 1], 8081).into(), scheme: Scheme::Http }],
            host_header: "shop.example:8443".to_owned(),
            organizer: "org".to_owned(),
            event: "fair".to_owned(),
            items: vec![(Item { id: 5, price_cents: 2_300 }, 1)],
            api_token: ApiToken::new(""),
            trust: Trust::Public,
        };
        target.prepare().expect("a target")
    }

    fn session() -> Session {
        let target = prepared();
        Session::new(&target, &target.entries()[0]).expect("a session")
    }

    #[rstest]
    #[case::below("cart/add?x=1#top", Some("http://shop.example:8443/org/fair/cart/add?x=1"))]
    #[case::of_the_shop("/static/a.css", Some("http://shop.example:8443/static/a.css"))]
    #[case::by_its_site_url("https://shop.example/org/", Some("http://shop.example:8443/org/"))]
    #[case::by_its_address("http://127.0.0.1:9000/x", Some("http://shop.example:8443/x"))]
    #[case::elsewhere("http://evil.example/x", None)]
    #[case::without_a_scheme("//evil.example/x", None)]
    #[case::data("data:image/png;base64,xx", None)]
    #[case::no_address("http://[", None)]
    fn links_lead_nowhere_but_to_the_shop(#[case] link: &str, #[case] url: Option<&str>) {
        let session = session();
        let base = session.at("/org/fair/").expect("a page");
        assert_eq!(session.resolve(&base, link).as_ref().map(Url::as_str), url);
    }

    #[test]
    fn a_form_is_found_by_its_address() {
        let mut session = session();
        let page = r#"<form action="/search"></form><form method=post action="cart/add?next=x"></form>
            <form method=post></form><form method=post action="http://evil.example/"></form>"#;
        let url = session.at("/org/fair/").expect("a page");
        session.turn_to(url, html::read(page.as_bytes()));
        let wanted = |part: &str, button: Option<&str>| Wanted { part: part.into(), button: button.map(str::to_owned) };
        let path = |part| session.form(&wanted(part, None)).map(|found| found.url.path().to_owned());
        assert_eq!(path("cart/add").as_deref(), Some("/org/fair/cart/add"));
        assert_eq!(path("").as_deref(), Some("/org/fair/cart/add"));
        assert_eq!(path("/org/fair/?").as_deref(), Some("/org/fair/"));
        assert_eq!((path("search"), path("evil")), (None, None));
        assert_eq!(session.form(&wanted("cart/add", Some("extend"))), None, "it has no such button");
    }

    #[test]
    fn a_button_may_send_its_form_elsewhere() {
        let mut session = session();
        let page =
            r#"<form method=post action="cart/add"><button name=a><button name=b formaction="cart/remove"></form>"#;
        let url = session.at("/org/fair/").expect("a page");
        session.turn_to(url, html::read(page.as_bytes()));
        let wanted = Wanted { part: "cart/".into(), button: Some("b".into()) };
        assert_eq!(session.form(&wanted).expect("a form").url.path(), "/org/fair/cart/remove");
        assert_eq!(wanted.to_string(), r#""cart/" with the button "b""#);
    }

    #[test]
    fn addresses_and_cookies_are_those_of_the_entry_point_that_is_used() {
        let (target, mut session) = (prepared(), session());
        let plain = target.entries()[0].clone();
        let secure = Entry { scheme: Scheme::Https, ..plain.clone() };
        let url = session.at("/org/fair/").expect("a page");
        let mut headers = hyper::HeaderMap::new();
        headers.append("set-cookie", "a=1; Path=/; Secure".parse().expect("a header"));
        session.answered(&url, &Answer { status: hyper::StatusCode::OK, headers, body: bytes::Bytes::new() });
        for (entry, address, cookies) in [
            (&plain, "http://shop.example:8443/org/fair/", None),
            (&secure, "https://shop.example:8443/org/fair/", Some("a=1")),
            (&plain, "http://shop.example:8443/org/fair/", None),
        ] {
            session.enter(&target, entry);
            let hop = Hop::post(url.clone(), Body::urlencoded(&[]), Some(url.clone()), Wants::Page);
            let request = hop.request(&target, &session).expect("a request");
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
            assert_eq!((header("referer"), header("cookie")), (Some(address), cookies));
            assert_eq!(header("origin"), address.strip_suffix("/org/fair/"));
            assert_eq!(session.at("/org/fair/").as_ref().map(Url::as_str), Some(address));
        }
    }

    #[test]
    fn an_asset_is_needed_once() {
        let mut session = session();
        let url = session.at("/a.css?1").expect("an asset");
        assert!(session.needs(&url) && !session.needs(&url));
        session.forget();
        assert!(!session.needs(&url));
    }
}
