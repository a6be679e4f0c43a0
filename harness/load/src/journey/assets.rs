//! What a page is made of: style sheets, icons, scripts and pictures.
//!
//! As a browser fetches them by HTTP/1.1: up to six at a time, each on a connection of its own. One of these is
//! the buyer's; the others are opened for the first page that has so many, kept for the visit, and closed with
//! it, because the next visitor is somebody else. Bodies are thrown away as they come. What style sheets ask for
//! in turn (fonts, backgrounds) is not fetched, and a picture that failed is not asked for again.

use super::Ending;
use super::walk::{Step, Walk};
use crate::buyer::{Ask, Shared, Try};
use crate::classify::Classified;
use crate::line::Line;
use crate::operation::Operation;
use crate::web::request::{Hop, Wants};
use crate::web::session::Session;
use crate::wire::{Answer, Failure, Keep};
use bytes::Bytes;
use firedrill_core::history::{AttemptKind, Event, Outcome};
use firedrill_core::ids::BuyerId;
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::Request;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections to one host, at most: what Chromium, Firefox and Safari have for HTTP/1.1.
const CONNECTIONS_MAX: usize = 6;

/// Longest asset that is read, in bytes. Pretix's script has 901 KB.
const ASSET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What all connections of a visit work on.
struct Common<'a> {
    buyer: BuyerId,
    ask: Ask<'a>,
    operation: &'a mut Operation,
    session: &'a mut Session,
    /// What is left to be fetched, the next one last.
    hops: Vec<Hop>,
}

impl Walk<'_> {
    /// Fetches what the open page is made of, as far as it was not fetched before.
    pub(super) async fn fetch(&mut self, kind: AttemptKind, group: &str, assets: BTreeSet<String>) -> Step {
        let hops = self.missing(assets);
        if hops.is_empty() {
            return Step::Next;
        }
        let ask = Ask { kind, group, keep: Keep::Nothing { max_bytes: ASSET_BYTES_MAX }, ticket: None, claim: None };
        // Elsewhere, so that buyers of whom nobody fetches anything have no room for it.
        Box::pin(self.fetch_all(ask, hops)).await;
        match self.buyer.wait(&self.operation, Duration::ZERO).await {
            true => Step::Next,
            false => Step::End(Ending::GaveUp),
        }
    }

    /// Requests for what was not fetched before, the first one last.
    fn missing(&mut self, assets: BTreeSet<String>) -> Vec<Hop> {
        let Some(session) = &mut self.session else { return Vec::new() };
        let Some(from) = session.page().map(|page| page.url.clone()) else { return Vec::new() };
        let mut hops = Vec::new();
        for address in assets.iter().rev() {
            if let Some(url) = session.resolve(&from, address).filter(|url| session.needs(url)) {
                hops.push(Hop::get(url, Some(from.clone()), Wants::Asset));
            }
        }
        hops
    }

    async fn fetch_all(&mut self, ask: Ask<'_>, hops: Vec<Hop>) {
        let Self { buyer, operation, session: Some(session), lines, .. } = self else { return };
        let connections = hops.len().min(CONNECTIONS_MAX);
        let (buyer, own) = buyer.parts();
        while lines.len() + 1 < connections {
            lines.push(own.another());
        }
        let common = Mutex::new(Common { buyer, ask, operation, session, hops });
        let all = std::iter::once(own).chain(lines.iter_mut()).take(connections);
        join_all(all.map(|line| fetch_by(line, &common))).await;
    }
}

/// Fetches by one connection until nothing is left, or until patience is over or the load is.
async fn fetch_by(line: &mut Line, common: &Mutex<Common<'_>>) {
    let shared = Arc::clone(line.shared());
    let mut again = None;
    while !line.is_hung_up() {
        let Some((hop, request, attempt)) = lock(common).next(&shared, again.take()) else { return };
        let keep = lock(common).ask.keep;
        let exchanged = line.exchange(attempt.entry, request, keep, attempt.until).await;
        let (is_elsewhere, record) = lock(common).ended(&shared, &hop, attempt, &exchanged);
        shared.record(record).await;
        again = is_elsewhere.then_some(hop);
    }
}

fn lock<'a, 'b>(common: &'b Mutex<Common<'a>>) -> MutexGuard<'b, Common<'a>> {
    common.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Common<'_> {
    /// The next request, with the cookies that there are now.
    fn next(&mut self, shared: &Shared, again: Option<Hop>) -> Option<(Hop, Request<Full<Bytes>>, Try)> {
        if !shared.has_time(self.operation) {
            return None;
        }
        self.session.enter(&shared.target, &shared.target.entries()[self.operation.entry()]);
        let mut wanted = again;
        loop {
            let hop = wanted.take().or_else(|| self.hops.pop())?;
            // An address that no request can have is left out.
            if let Some(request) = hop.request(&shared.target, self.session) {
                return Some((hop, request, shared.begin(self.operation)));
            }
        }
    }

    /// Takes the answer. True where it has to be asked for at another entry point; with its record.
    fn ended(
        &mut self,
        shared: &Shared,
        hop: &Hop,
        attempt: Try,
        exchanged: &Result<Answer, Failure>,
    ) -> (bool, Event) {
        let Self { buyer, ask, operation, session, .. } = self;
        let (result, record) = shared.end(*buyer, operation, *ask, attempt, exchanged, |answer| {
            session.answered(&hop.url, answer);
            classify_asset(answer.status.as_u16())
        });
        (result.outcome == Outcome::NotSent && !operation.is_nowhere(), record)
    }
}

/// What the answer to an asset means: a page without its picture is still a page, so that nothing is refused
/// for good by it.
fn classify_asset(status: u16) -> Classified {
    match status {
        200..=399 => Classified { outcome: Outcome::Passed, order: None, retry_after: None, note: None },
        status => Classified::plain(Outcome::InDoubt, format!("asset: {status}")),
    }
}
