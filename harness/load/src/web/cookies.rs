//! The cookies of one visitor: a jar for one host.
//!
//! `cookie` reads the headers; which cookie goes where is decided here (RFC 6265, sections 5.1.4, 5.2 and
//! 5.4). A virtual user knows one shop, so that cookies have no host; what is meant for another domain is
//! dropped, as a browser drops it.

use cookie::time::OffsetDateTime;
use cookie::{Cookie, Expiration};
use hyper::header::{self, HeaderMap};
use std::time::{Duration, Instant};

/// Cookies that are kept, at most. Pretix sets two; a browser keeps 50 of one host or more.
const COOKIES_MAX: usize = 50;

/// Longest cookie that is kept, name and value together, in bytes: as in browsers.
const COOKIE_BYTES_MAX: usize = 4096;

/// A jar.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: Vec<Stored>,
}

#[derive(Debug, Clone)]
struct Stored {
    name: String,
    value: String,
    path: String,
    secure: bool,
    /// None until the visitor goes.
    ends: Option<Instant>,
}

impl Jar {
    /// Takes the cookies of an answer to a request for `path` of `host`.
    pub fn take(&mut self, host: &str, path: &str, headers: &HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            if let Some(cookie) = value.to_str().ok().and_then(|text| Cookie::parse(text).ok()) {
                self.set(host, path, &cookie);
            }
        }
    }

    fn set(&mut self, host: &str, path: &str, cookie: &Cookie<'_>) {
        let fits = cookie.name().len() + cookie.value().len() <= COOKIE_BYTES_MAX;
        let is_ours = cookie.domain().is_none_or(|domain| is_within(host, domain));
        if !fits || !is_ours || cookie.name().is_empty() {
            return;
        }
        let path = match cookie.path() {
            Some(path) if path.starts_with('/') => path,
            _ => default_path(path),
        };
        self.cookies.retain(|stored| stored.name != cookie.name() || stored.path != path);
        let ends = match lifetime(cookie) {
            Lifetime::Over => return,
            Lifetime::Visit => None,
            Lifetime::For(time) => Instant::now().checked_add(time),
        };
        if self.cookies.len() >= COOKIES_MAX {
            self.cookies.remove(0);
        }
        let (name, value) = (cookie.name().to_owned(), cookie.value().to_owned());
        self.cookies.push(Stored { name, value, path: path.to_owned(), secure: cookie.secure() == Some(true), ends });
    }

    /// The header of a request for `path`; none without a cookie for it. `secure` is whether nobody can
    /// listen: by `https`.
    pub fn header(&self, path: &str, secure: bool) -> Option<String> {
        let now = Instant::now();
        let goes = |stored: &&Stored| {
            stored.ends.is_none_or(|ends| ends > now) && (secure || !stored.secure) && is_below(path, &stored.path)
        };
        let mut cookies: Vec<&Stored> = self.cookies.iter().filter(goes).collect();
        // Of two with one name, that of the longer path comes first.
        cookies.sort_by_key(|stored| std::cmp::Reverse(stored.path.len()));
        let pairs: Vec<String> = cookies.iter().map(|stored| format!("{}={}", stored.name, stored.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

enum Lifetime {
    Over,
    Visit,
    For(Duration),
}

/// How long a cookie lives; `Max-Age` counts more than `Expires`.
fn lifetime(cookie: &Cookie<'_>) -> Lifetime {
    let left = match (cookie.max_age(), cookie.expires()) {
        (Some(age), _) => age,
        (None, Some(Expiration::DateTime(at))) => at - OffsetDateTime::now_utc(),
        (None, Some(Expiration::Session) | None) => return Lifetime::Visit,
    };
    match Duration::try_from(left) {
        Ok(time) if !time.is_zero() => Lifetime::For(time),
        _ => Lifetime::Over,
    }
}

/// Whether a host is this domain or below it.
fn is_within(host: &str, domain: &str) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// The folder of a path: where a cookie without a path belongs.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}

/// Whether a path is this folder or below it.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;
    use rstest::rstest;

    fn jar(cookies: &[&str]) -> Jar {
        let mut jar = Jar::default();
        for cookie in cookies {
            let mut headers = HeaderMap::new();
            headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).expect("a header"));
            jar.take("shop.example", "/org/fair/cart/add", &headers);
        }
        jar
    }

    #[rstest]
    #[case::none(&[], "/", None)]
    #[case::of_the_visit(&["a=1; Path=/"], "/x", Some("a=1"))]
    #[case::of_a_folder(&["a=1; Path=/org"], "/org/fair/", Some("a=1"))]
    #[case::of_the_folder_itself(&["a=1; Path=/org"], "/org", Some("a=1"))]
    #[case::of_another_folder(&["a=1; Path=/org"], "/organic", None)]
    #[case::without_a_path(&["a=1"], "/org/fair/cart/x", Some("a=1"))]
    #[case::without_a_path_elsewhere(&["a=1"], "/org/fair/", None)]
    #[case::replaced(&["a=1; Path=/", "a=2; Path=/"], "/", Some("a=2"))]
    #[case::longer_path_first(&["a=1; Path=/", "a=2; Path=/org"], "/org", Some("a=2; a=1"))]
    #[case::deleted(&["a=1; Path=/", "a=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/"], "/", None)]
    #[case::long_past(&["a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/", None)]
    #[case::max_age_counts_more(&["a=1; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/", Some("a=1"))]
    #[case::secure(&["a=1; Path=/; Secure; HttpOnly"], "/", None)]
    #[case::of_this_domain(&["a=1; Path=/; Domain=.example"], "/", Some("a=1"))]
    #[case::of_another_domain(&["a=1; Path=/; Domain=ample"], "/", None)]
    #[case::no_cookie(&["=; Path=/", "", ";"], "/", None)]
    fn cookies_go_where_they_belong(#[case] set: &[&str], #[case] path: &str, #[case] header: Option<&str>) {
        assert_eq!(jar(set).header(path, false).as_deref(), header);
    }

    #[test]
    fn secure_cookies_go_where_nobody_can_listen() {
        assert_eq!(jar(&["a=1; Path=/; Secure"]).header("/", true).as_deref(), Some("a=1"));
    }

    #[test]
    fn a_jar_stays_small() {
        let many: Vec<String> = (0..200).map(|n| format!("c{n}=1; Path=/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(jar(&many).cookies.len(), COOKIES_MAX);
        assert!(jar(&[&format!("a={}", "x".repeat(5_000))]).cookies.is_empty());
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "\\PC{0,60}", path in "\\PC{0,20}") {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(header::SET_COOKIE, value);
            }
            let mut jar = Jar::default();
            jar.take("shop.example", &path, &headers);
            let _ = jar.header(&path, true);
        }
    }
}
