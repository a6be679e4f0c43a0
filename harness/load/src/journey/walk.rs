//! One buyer on his way through a journey, and what all kinds of steps share.

use super::Ending;
use super::script::Script;
use crate::buyer::{Ask, Buyer};
use crate::classify::Classified;
use crate::draw::{Draws, mix};
use crate::line::Line;
use crate::operation::{Ended, Operation};
use crate::retry::Backoff;
use crate::target::Item;
use crate::web::meaning::Said;
use crate::web::request::Hop;
use crate::web::session::Session;
use crate::wire::{Answer, Keep};
use bytes::Bytes;
use firedrill_core::history::{AttemptKind, OrderAck, Outcome};
use firedrill_core::load::Journey as Model;
use firedrill_core::load::journey::{Action, Wait};
use http_body_util::Full;
use hyper::{Request, header};
use std::time::Duration;

/// Longest page that is read, in bytes. An event page of Pretix has 30 to 100 KB.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    Next,
    /// The first one, as somebody unknown: the shop has lost session or cart before anything was bought.
    Over,
    /// None.
    End(Ending),
}

/// A buyer on his way.
pub(super) struct Walk<'a> {
    pub(super) script: &'a Script,
    pub(super) journey: &'a Model,
    pub(super) buyer: &'a mut Buyer,
    pub(super) operation: Operation,
    /// None where the shop's `Host` header is no host: then there are no pages.
    pub(super) session: Option<Session>,
    /// Connections beside the buyer's own, for what pages are made of: none before the first such page.
    pub(super) lines: Vec<Line>,
    pub(super) backoff: Backoff,
    /// The confirmed order.
    pub(super) order: Option<OrderAck>,
    /// What there is only one of, and he has asked for.
    pub(super) claim: Option<String>,
    /// Whether something may have been bought: then he never begins anew.
    pub(super) in_doubt: bool,
    /// Index of the step.
    pub(super) at: usize,
    /// What is drawn: waits.
    draws: Draws,
}

impl<'a> Walk<'a> {
    pub(super) fn new(script: &'a Script, journey: &'a Model, buyer: &'a mut Buyer, operation: Operation) -> Self {
        let entry = buyer.target().entries().get(operation.entry());
        Self {
            session: entry.filter(|_| journey.uses_pages()).and_then(|entry| Session::new(buyer.target(), entry)),
            lines: Vec::new(),
            backoff: Backoff::new(script.seed(), operation.id()),
            draws: Draws::new(script.seed() ^ mix(operation.id().0.rotate_left(17))),
            order: None,
            claim: None,
            in_doubt: false,
            at: 0,
            script,
            journey,
            buyer,
            operation,
        }
    }

    /// Walks to the end of the journey, or of the buyer's patience.
    pub(super) async fn walk(mut self) -> Ended {
        let ending = self.walk_on().await;
        self.operation.end(ending)
    }

    async fn walk_on(&mut self) -> Ending {
        let journey = self.journey;
        while let Some(action) = journey.steps.get(self.at) {
            match self.step(action).await {
                // What comes after a purchase does not undo it.
                Step::Next | Step::Over if self.order.is_some() => self.at += 1,
                Step::Next => self.at += 1,
                Step::Over => {
                    let wait = self.backoff.next_wait();
                    if self.in_doubt || !self.buyer.wait(&self.operation, wait).await {
                        return Ending::GaveUp;
                    }
                    if let Some(session) = &mut self.session {
                        session.forget();
                    }
                    self.at = 0;
                }
                Step::End(_) if self.order.is_some() => return Ending::Acknowledged,
                Step::End(ending) => return ending,
            }
        }
        if self.order.is_some() { Ending::Acknowledged } else { Ending::Visited }
    }

    async fn step(&mut self, action: &'a Action) -> Step {
        // Elsewhere while it lasts, so that buyers who read or are idle have no room for the largest of them.
        match action {
            Action::Page(page) => Box::pin(self.page(page)).await,
            Action::Submit(submit) if submit.purchase => Box::pin(self.purchase(submit)).await,
            Action::Submit(submit) => Box::pin(self.submit(submit)).await,
            Action::Order(order) => Box::pin(self.order(order)).await,
            Action::LookUp(look_up) => Box::pin(self.look_up(look_up)).await,
            Action::Redeem(redeem) => Box::pin(self.redeem(redeem)).await,
            Action::Cancel(cancel) => Box::pin(self.cancel(cancel)).await,
            Action::Wait(wait) => self.pause(*wait).await,
        }
    }

    async fn pause(&mut self, wait: Wait) -> Step {
        let ms = self.draws.within(wait.min_ms, wait.max_ms);
        match self.buyer.think(&mut self.operation, Duration::from_millis(ms)).await {
            true => Step::Next,
            false => Step::End(Ending::GaveUp),
        }
    }

    /// What he buys.
    pub(super) fn item(&self) -> Item {
        self.buyer.target().item_of(self.script.seed(), self.operation.id())
    }

    /// What a page or a form on the way counts as.
    pub(super) fn kind(&self) -> AttemptKind {
        match self.journey.buys() && self.order.is_none() {
            true => AttemptKind::Prepare,
            false => AttemptKind::Visit,
        }
    }

    /// A text of the journey with its places filled in.
    pub(super) fn filled(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        let target = self.buyer.target().target();
        let code = self.order.as_ref().map_or(self.operation.code(), |order| &order.code);
        let secret = self.order.as_ref().map_or("", |order| &order.secret);
        text.replace("{organizer}", &target.organizer)
            .replace("{event}", &target.event)
            .replace("{item}", &self.item().id.to_string())
            .replace("{email}", self.operation.email())
            .replace("{code}", code)
            .replace("{secret}", secret)
    }

    /// Waits before something that did not go through is tried again. False where there is no time for it.
    pub(super) async fn again(&mut self, result: &Classified) -> bool {
        let wait = match result.outcome {
            Outcome::NotApplied => self.backoff.after_busy(result.retry_after),
            // The next entry point is tried at once; only after all of them failed it is time to wait.
            Outcome::NotSent if !self.operation.is_nowhere() => Duration::ZERO,
            _ => self.backoff.next_wait(),
        };
        self.buyer.wait(&self.operation, wait).await
    }

    /// One exchange with the API.
    pub(super) async fn ask_api(
        &mut self,
        ask: Ask<'_>,
        request: Request<Full<Bytes>>,
        judge: impl FnOnce(&Answer) -> Classified,
    ) -> Classified {
        self.buyer.attempt(&mut self.operation, ask, request, judge).await
    }

    /// One exchange with the pages of the shop: with cookies, which are kept. `judge` is told what was said;
    /// what it finds beside the outcome is handed back, or nothing where there was no answer.
    pub(super) async fn ask_page<T>(
        &mut self,
        kind: AttemptKind,
        group: &str,
        hop: &Hop,
        judge: impl FnOnce(&Session, Said<'_>) -> (Classified, T),
    ) -> Result<(Classified, Option<T>), Step> {
        let Self { buyer, operation, session, .. } = self;
        let session = session.as_mut().ok_or(NOWHERE)?;
        session.enter(buyer.target(), &buyer.target().entries()[operation.entry()]);
        let request = hop.request(buyer.target(), session).ok_or(NOWHERE)?;
        let ask = Ask { kind, group, keep: Keep::Body { max_bytes: PAGE_BYTES_MAX }, ticket: None, claim: None };
        let mut found = None;
        let result = buyer
            .attempt(operation, ask, request, |answer| {
                session.answered(&hop.url, answer);
                let said = Said {
                    status: answer.status.as_u16(),
                    location: answer.header(&header::LOCATION),
                    retry_after: answer.header(&header::RETRY_AFTER),
                    body: &answer.body,
                };
                let (result, more) = judge(session, said);
                found = Some(more);
                result
            })
            .await;
        Ok((result, found))
    }
}

/// The shop cannot be addressed as its target has it: nothing can be asked, and nothing is recorded.
pub(super) const NOWHERE: Step = Step::End(Ending::Rejected(firedrill_core::history::RejectReason::Invalid));
