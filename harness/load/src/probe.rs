//! Single exchanges before and beside a load: is the shop there, and does it sell?

mod page;

use crate::buyer::settle;
use crate::clock::RunClock;
use crate::journey::judge_order;
use crate::order_code::{OrderCodes, email_of};
use crate::target::{Entry, Prepared, Target, TargetError};
use crate::wire::{Answer, Cut, Failure, Keep, Link, Way};
use bytes::Bytes;
use firedrill_core::history::{Attempt, AttemptKind};
use firedrill_core::ids::{BuyerId, OpId};
use firedrill_core::load::Journey;
use http_body_util::Full;
use hyper::Request;
use page::EventPage;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Numbers of operations from here on are the runner's readiness probes; the load counts from 0.
pub const PROBE_OPS_FROM: u64 = 1 << 62;

/// The buyer of probes.
pub const PROBE_BUYER: BuyerId = BuyerId(u32::MAX);

/// Why nothing can be bought, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreflightError {
    /// The target cannot be used as it stands.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No entry point answered.
    #[error(
        "no entry point of the shop answered within {waited_ms} ms: {entries}; last: {last}. Is the stack up, and are the ports published?"
    )]
    Unreachable {
        /// Who was asked.
        entries: String,
        /// For how long.
        waited_ms: u128,
        /// The last failure.
        last: String,
    },
    /// 401.
    #[error("{entry} refused the API token (401). Give the token that the seed file made for organizer {organizer:?}")]
    Token {
        /// Who answered.
        entry: String,
        /// The organizer that was asked.
        organizer: String,
    },
    /// 403.
    #[error(
        "{entry} denied access to event {event:?} of organizer {organizer:?} (403): there is no such event, or the token's team has no permission for it. Check the slugs and the seed file"
    )]
    Event {
        /// Who answered.
        entry: String,
        /// The organizer that was asked.
        organizer: String,
        /// The event that was asked.
        event: String,
    },
    /// 404.
    #[error(
        "{entry} has no item {item_id} in event {event:?} of organizer {organizer:?} (404). Check the slugs and the seed file, and that {entry} is a Pretix"
    )]
    Item {
        /// Who answered.
        entry: String,
        /// The organizer that was asked.
        organizer: String,
        /// The event that was asked.
        event: String,
        /// The item that was asked.
        item_id: u64,
    },
    /// The item cannot be bought.
    #[error("item {item_id} of event {event:?} is not active, so that nobody can buy it. Activate it in the seed file")]
    Inactive {
        /// The event that was asked.
        event: String,
        /// The item that was asked.
        item_id: u64,
    },
    /// 400: Pretix refuses unknown host names.
    #[error(
        "{entry} refused the request (400): {answer}. Pretix takes the Host header of its site URL and \"localhost\" only; this was {host:?}"
    )]
    Host {
        /// Who answered.
        entry: String,
        /// The header that was sent.
        host: String,
        /// The answer in short.
        answer: String,
    },
    /// Something is to be bought or shown by the API, and there is no token.
    #[error(
        "the journeys use the API, which answers nobody without a token. Give the token that the seed file made for organizer {organizer:?}, or walk journeys of pages only"
    )]
    NoToken {
        /// The organizer.
        organizer: String,
    },
    /// The page is somebody else's.
    #[error(
        "{page} is no page of a Pretix ({status}): {answer}. Check the URL: it must be that of the shop, without a path"
    )]
    Stranger {
        /// Where it was asked for.
        page: String,
        /// HTTP status.
        status: u16,
        /// The answer in short.
        answer: String,
    },
    /// The shop sends its visitors elsewhere.
    #[error(
        "{page} sends its visitors to {to:?}, which is not this shop. Give the URL and the host (--host) that it calls its own"
    )]
    Elsewhere {
        /// Where it was asked for.
        page: String,
        /// Where it leads.
        to: String,
    },
    /// 404 of a Pretix.
    #[error(
        "{page} does not exist (404): the shop has no such event. Check the slugs of organizer and event and the seed file"
    )]
    NoEvent {
        /// Where it was asked for.
        page: String,
    },
    /// 403.
    #[error(
        "{page} is closed to the public (403): {answer}. The shop is not live: take it live, as `live` in the seed file does"
    )]
    NotLive {
        /// Where it was asked for.
        page: String,
        /// The answer in short.
        answer: String,
    },
    /// There is none left.
    #[error(
        "item {item_id} is sold out, says {page}: nobody can buy it. Enlarge its quota, choose another item, or walk a journey that only looks"
    )]
    SoldOut {
        /// Where it was asked for.
        page: String,
        /// The item.
        item_id: u64,
    },
    /// It is not on the page.
    #[error("{page} does not offer item {item_id}{}. Check the item's number, that it is active, and that sales have begun and not ended", said(.warning))]
    NotOffered {
        /// Where it was asked for.
        page: String,
        /// The item.
        item_id: u64,
        /// What the page says, if anything.
        warning: String,
    },
    /// An error instead of the page.
    #[error(
        "{page} answered {status} instead of the event's page: {answer}. Are its database and Redis up? Look at its log"
    )]
    Page {
        /// Where it was asked for.
        page: String,
        /// HTTP status.
        status: u16,
        /// The answer in short.
        answer: String,
    },
    /// The target's `Host` header is no host.
    #[error("{host:?} is no host: pages have no address. Give the host of the shop's site URL, or localhost")]
    NoHost {
        /// The header.
        host: String,
    },
    /// Anything else.
    #[error(
        "{entry} answered {status} instead of the item: {answer}. Is it a Pretix, and are its database and Redis up? Look at its log"
    )]
    Answer {
        /// Who answered.
        entry: String,
        /// HTTP status.
        status: u16,
        /// The answer in short.
        answer: String,
    },
}

/// What of a shop a load uses, and what is looked at before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uses {
    /// Pages, as a browser sees them.
    pub pages: bool,
    /// The API, which needs a token.
    pub api: bool,
    /// Whether anything is bought, so that there must be something to buy.
    pub buys: bool,
}

impl Uses {
    /// What these journeys use.
    pub fn of<'a>(journeys: impl IntoIterator<Item = &'a Journey>) -> Self {
        journeys.into_iter().fold(Self::default(), |uses, journey| Self {
            pages: uses.pages || journey.uses_pages(),
            api: uses.api || journey.uses_api(),
            buys: uses.buys || journey.buys(),
        })
    }
}

/// Looks whether the load can begin, at the first entry point that can be reached: the event's public page for
/// journeys with pages, the item by the API where there is a token. Takes at most `deadline`.
///
/// # Errors
/// A [`PreflightError`] that says what is wrong and what to do.
pub async fn preflight(target: &Target, uses: Uses, deadline: Duration) -> Result<(), PreflightError> {
    let prepared = target.prepare()?;
    let ends = Instant::now() + deadline;
    if uses.pages {
        let page = EventPage::new(&prepared, uses)?;
        first_answer(&prepared, ends, deadline, async |entry, ends| page.look(entry, ends).await).await??;
    }
    if uses.api && !prepared.has_token() {
        return Err(PreflightError::NoToken { organizer: target.organizer.clone() });
    }
    // Journeys of pages do without, but by a token that is given orders in doubt are searched for.
    if prepared.has_token() {
        for item in prepared.items() {
            first_answer(&prepared, ends, deadline, async |entry, ends| {
                let request = prepared.get_item(item);
                let answer = exchange_once(&prepared.way(entry), request, Keep::ANSWER, ends).await?;
                Ok(check_item(&prepared, entry, item.id, &answer))
            })
            .await??;
        }
    }
    Ok(())
}

/// What the first entry point that answers says; each has an equal share of the time that is left.
async fn first_answer<T>(
    prepared: &Prepared,
    ends: Instant,
    deadline: Duration,
    mut ask: impl AsyncFnMut(&Entry, Instant) -> Result<T, Failure>,
) -> Result<T, PreflightError> {
    let entries = prepared.entries();
    let mut last = String::new();
    for (index, entry) in entries.iter().enumerate() {
        let left = ends.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(entries.len() - index).unwrap_or(u32::MAX).max(1);
        match ask(entry, Instant::now() + share).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => last = failure.text,
        }
    }
    let names: Vec<String> = entries.iter().map(ToString::to_string).collect();
    let entries = names.join(", ");
    Err(PreflightError::Unreachable { entries, waited_ms: deadline.as_millis(), last })
}

fn check_item(prepared: &Prepared, entry: &Entry, item_id: u64, answer: &Answer) -> Result<(), PreflightError> {
    #[derive(Deserialize)]
    struct Item {
        id: u64,
        active: bool,
    }
    let target = prepared.target();
    let entry = entry.to_string();
    let (organizer, event) = (target.organizer.clone(), target.event.clone());
    let status = answer.status.as_u16();
    let short = || {
        let text = String::from_utf8_lossy(&answer.body);
        text.chars().take(200).collect::<String>()
    };
    match status {
        200 => match serde_json::from_slice::<Item>(&answer.body) {
            Ok(item) if item.id == item_id && item.active => Ok(()),
            Ok(item) if item.id == item_id => Err(PreflightError::Inactive { event, item_id }),
            _ => Err(PreflightError::Answer { entry, status, answer: short() }),
        },
        400 => Err(PreflightError::Host { entry, host: target.host_header.clone(), answer: short() }),
        401 => Err(PreflightError::Token { entry, organizer }),
        403 => Err(PreflightError::Event { entry, organizer, event }),
        404 => Err(PreflightError::Item { entry, organizer, event, item_id }),
        _ => Err(PreflightError::Answer { entry, status, answer: short() }),
    }
}

/// Buys one ticket through one entry point in one exchange: the proof that it sells. The order is real:
/// record the attempt, so that the checkers know of it.
///
/// `op` is [`PROBE_OPS_FROM`] plus the number of the probe, `codes` are those of the run.
///
/// # Errors
/// A [`TargetError`] if the target cannot be used. That nothing was sold is no error but the attempt's
/// outcome.
pub async fn purchase_once(
    target: &Target,
    entry: &Entry,
    codes: &OrderCodes,
    op: OpId,
    clock: &RunClock,
    deadline: Duration,
) -> Result<Attempt, TargetError> {
    let prepared = target.prepare()?;
    let code = codes.code(op);
    let email = email_of(&code);
    let item = prepared.item_of(0, op);
    let request = prepared.post_order(prepared.order_body(item, &code, &email));
    let started = clock.now();
    let exchanged = exchange_once(&prepared.way(entry), request, Keep::ANSWER, Instant::now() + deadline).await;
    let ended = clock.now();
    let kind = AttemptKind::Purchase;
    let (status, result) = settle(&exchanged, |answer| judge_order(kind, answer));
    Ok(Attempt {
        op,
        buyer: PROBE_BUYER,
        number: 1,
        kind,
        entry: entry.name.clone(),
        intended: started,
        started,
        ended,
        status,
        outcome: result.outcome,
        group: String::new(),
        code,
        email,
        order: result.order,
        ticket: None,
        claim: None,
        error: result.note,
    })
}

/// One exchange on a connection of its own.
async fn exchange_once(way: &Way, request: Request<Full<Bytes>>, keep: Keep, ends: Instant) -> Result<Answer, Failure> {
    let cut = || async move {
        tokio::time::sleep_until(ends).await;
        Cut::Timeout
    };
    let mut link = Link::open(way, ends.saturating_duration_since(Instant::now()), cut()).await?;
    link.exchange(request, keep, cut()).await
}

/// What a page says, as part of a sentence.
fn said(warning: &str) -> String {
    match warning {
        "" => String::new(),
        _ => format!(", but says: {warning}"),
    }
}
