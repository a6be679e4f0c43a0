//! A look at the public page of the event, as a browser comes to it.

use super::{PreflightError, Uses, exchange_once};
use crate::front::{Front, classify_front};
use crate::target::{Entry, Prepared};
use crate::web::meaning::Said;
use crate::web::request::{Hop, Wants};
use crate::web::session::Session;
use crate::wire::{Failure, Keep};
use hyper::header;
use tokio::time::Instant;

/// Redirections that are followed: within the shop there is one at most, to where cookies are asked for.
const REDIRECTS_MAX: u32 = 5;

/// Longest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The page of the event.
pub(super) struct EventPage<'a> {
    target: &'a Prepared,
    path: String,
    uses: Uses,
}

impl<'a> EventPage<'a> {
    /// The page of the target's event.
    pub(super) fn new(target: &'a Prepared, uses: Uses) -> Result<Self, PreflightError> {
        let plain = target.target();
        if target.entries().first().and_then(|entry| Session::new(target, entry)).is_none() {
            return Err(PreflightError::NoHost { host: plain.host_header.clone() });
        }
        let path = format!("/{}/{}/", plain.organizer, plain.event);
        Ok(Self { target, path, uses })
    }

    /// Opens it at an entry point and says what is wrong with it.
    pub(super) async fn look(&self, entry: &Entry, ends: Instant) -> Result<Result<(), PreflightError>, Failure> {
        let page = format!("{} at {entry}", self.path);
        let host = self.target.target().host_header.clone();
        let no_host = || PreflightError::NoHost { host: host.clone() };
        let Some(mut session) = Session::new(self.target, entry) else { return Ok(Err(no_host())) };
        let Some(url) = session.at(&self.path) else { return Ok(Err(no_host())) };
        let mut hop = Hop::get(url, None, Wants::Page);
        loop {
            let Some(request) = hop.request(self.target, &session) else { return Ok(Err(no_host())) };
            let keep = Keep::Body { max_bytes: PAGE_BYTES_MAX };
            let answer = exchange_once(&self.target.way(entry), request, keep, ends).await?;
            session.answered(&hop.url, &answer);
            let location = answer.header(&header::LOCATION);
            let status = answer.status.as_u16();
            let said = Said { status, location, retry_after: None, body: &answer.body };
            let (front, item_id) = self.classify(said);
            match front {
                Front::Redirect(to) => match session.resolve(&hop.url, &to).filter(|_| hop.redirects < REDIRECTS_MAX) {
                    Some(url) => hop = hop.redirected(url),
                    None => return Ok(Err(PreflightError::Elsewhere { page, to })),
                },
                front => return Ok(self.meaning(front, item_id, page, entry, status)),
            }
        }
    }

    /// What the page says of the first item that cannot be bought there, or else of all of them.
    fn classify(&self, said: Said<'_>) -> (Front, u64) {
        let mut last = (classify_front(said, None), 0);
        for item in self.target.items().filter(|_| self.uses.buys) {
            last = (classify_front(said, Some(item.id)), item.id);
            if last.0 != Front::Open {
                break;
            }
        }
        last
    }

    fn meaning(
        &self,
        front: Front,
        item_id: u64,
        page: String,
        entry: &Entry,
        status: u16,
    ) -> Result<(), PreflightError> {
        let entry = entry.to_string();
        Err(match front {
            Front::Open => return Ok(()),
            // By the API it can be bought all the same.
            Front::NotOffered(_) if self.uses.api => return Ok(()),
            Front::Redirect(to) => PreflightError::Elsewhere { page, to },
            Front::Host(answer) => {
                PreflightError::Host { entry, host: self.target.target().host_header.clone(), answer }
            }
            Front::NoEvent => PreflightError::NoEvent { page },
            Front::NotLive(answer) => PreflightError::NotLive { page, answer },
            Front::SoldOut => PreflightError::SoldOut { page, item_id },
            Front::NotOffered(warning) => PreflightError::NotOffered { page, item_id, warning },
            Front::Stranger(answer) => PreflightError::Stranger { page, status, answer },
            Front::Other(answer) => PreflightError::Page { page, status, answer },
        })
    }
}
