//! Requests as a browser sends them.

use super::form::Body;
use super::session::Session;
use crate::target::Prepared;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use url::Url;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// A page, by a click.
    Page,
    /// An answer to a script of the page.
    Task,
    /// A style sheet, a script, a picture.
    Asset,
}

/// A request, and where it comes from.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Where it goes.
    pub url: Url,
    /// The form that is posted; none is a `GET`.
    pub form: Option<Body>,
    /// The page that it comes from.
    pub from: Option<Url>,
    /// What it is for.
    pub wants: Wants,
    /// Redirections that led here.
    pub redirects: u32,
}

impl Hop {
    /// A page or an asset that is asked for.
    pub fn get(url: Url, from: Option<Url>, wants: Wants) -> Self {
        Self { url, form: None, from, wants, redirects: 0 }
    }

    /// A form that is sent.
    pub fn post(url: Url, form: Body, from: Option<Url>, wants: Wants) -> Self {
        Self { url, form: Some(form), from, wants, redirects: 0 }
    }

    /// Where a redirection leads. A posted form is not posted again, as browsers have it for 302.
    pub fn redirected(&self, to: Url) -> Self {
        Self { url: to, form: None, from: self.from.clone(), wants: self.wants, redirects: self.redirects + 1 }
    }

    /// The request, with the cookies of the visit, as the entry point that the visit uses has addresses. None where
    /// the address cannot be written in one.
    pub fn request(&self, target: &Prepared, session: &Session) -> Option<Request<Full<Bytes>>> {
        let path = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let mut request =
            Request::new(Full::new(self.form.as_ref().map(|form| Bytes::from(form.text.clone())).unwrap_or_default()));
        *request.uri_mut() = path.parse::<Uri>().ok()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, target.host().clone());
        headers.insert(header::USER_AGENT, HeaderValue::from_static("firedrill"));
        // What pages and tasks mean is known in English.
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        let accept = match self.wants {
            Wants::Page => "text/html,application/xhtml+xml,*/*;q=0.8",
            Wants::Task => "application/json, text/javascript, */*; q=0.01",
            Wants::Asset => "*/*",
        };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        match self.wants {
            Wants::Page => {}
            Wants::Task => {
                headers.insert(HeaderName::from_static("x-requested-with"), HeaderValue::from_static("XMLHttpRequest"));
            }
            // Nobody reads it, so that it may come as small as the shop can make it.
            Wants::Asset => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        let from = self.from.as_ref().map(|from| session.own(from));
        if let Some(from) = from.and_then(|from| HeaderValue::from_str(from.as_str()).ok()) {
            headers.insert(header::REFERER, from);
        }
        if let Some(cookies) = session.cookies(&self.url).and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(header::COOKIE, cookies);
        }
        if let Some(form) = &self.form {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&form.content_type).ok()?);
            // Django compares it with the host, so that no other page can send the form.
            headers.insert(
                header::ORIGIN,
                HeaderValue::from_str(&session.own(&self.url).origin().ascii_serialization()).ok()?,
            );
            *request.method_mut() = Method::POST;
        }
        Some(request)
    }
}
