//! Single exchanges before and beside a load: is the shop there, and does it sell?

use crate::buyer::settle;
use crate::clock::RunClock;
use crate::journey::judge_order;
use crate::order_code::{OrderCodes, email_of};
use crate::target::{Entry, Prepared, Target, TargetError};
use crate::wire::{Answer, Cut, Failure, Keep, Link, Way};
use bytes::Bytes;
use firedrill_core::history::{Attempt, AttemptKind};
use firedrill_core::ids::{BuyerId, OpId};
use http_body_util::Full;
use hyper::Request;
use serde::Deserialize;
use std::time::Duration;

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

/// Asks the first entry point that can be reached for the item, which shows whether host, token, event and
/// item fit together. Takes at most `deadline`.
///
/// # Errors
/// A [`PreflightError`] that says what is wrong and what to do.
pub async fn preflight(target: &Target, deadline: Duration) -> Result<(), PreflightError> {
    let prepared = target.prepare()?;
    let ends = tokio::time::Instant::now() + deadline;
    let mut last = String::new();
    let entries = prepared.entries();
    for (index, entry) in entries.iter().enumerate() {
        let left = ends.saturating_duration_since(tokio::time::Instant::now());
        // Each entry point gets an equal share of what is left.
        let share = left / u32::try_from(entries.len() - index).unwrap_or(u32::MAX).max(1);
        match exchange_once(&prepared.way(entry), prepared.get_item(), share).await {
            Ok(answer) => return check_item(&prepared, entry, &answer),
            Err(failure) => last = failure.text,
        }
    }
    let names: Vec<String> = entries.iter().map(ToString::to_string).collect();
    let entries = names.join(", ");
    Err(PreflightError::Unreachable { entries, waited_ms: deadline.as_millis(), last })
}

fn check_item(prepared: &Prepared, entry: &Entry, answer: &Answer) -> Result<(), PreflightError> {
    #[derive(Deserialize)]
    struct Item {
        id: u64,
        active: bool,
    }
    let target = prepared.target();
    let entry = entry.to_string();
    let (organizer, event) = (target.organizer.clone(), target.event.clone());
    let item_id = target.item_id;
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
    let request = prepared.post_order(prepared.order_body(&code, &email));
    let started = clock.now();
    let exchanged = exchange_once(&prepared.way(entry), request, deadline).await;
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
        error: result.note,
    })
}

/// One exchange on a connection of its own.
async fn exchange_once(way: &Way, request: Request<Full<Bytes>>, deadline: Duration) -> Result<Answer, Failure> {
    let ends = tokio::time::Instant::now() + deadline;
    let cut = || async move {
        tokio::time::sleep_until(ends).await;
        Cut::Timeout
    };
    let mut link = Link::open(way, deadline, cut()).await?;
    link.exchange(request, Keep::ANSWER, cut()).await
}
