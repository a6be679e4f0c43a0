//! The step `submit` before a purchase: forms, and tasks in the background as Pretix's page has them
//! (`static/pretixbase/js/asynctask.js`).

use super::Ending;
use super::walk::{NOWHERE, Step, Walk};
use crate::classify::Classified;
use crate::web::form::{Body, Pair};
use crate::web::meaning::{Task, classify_task};
use crate::web::request::{Hop, Wants};
use crate::web::session::{Found, Session, Wanted};
use firedrill_core::history::{AttemptKind, Outcome};
use firedrill_core::load::journey::Submit;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// When the page first asks how far a task is, in milliseconds.
const FIRST_POLL_MS: u64 = 100;

/// When it asks again, in milliseconds.
const POLL_MS: u64 = 250;

/// When it asks again after no answer, or one that says that the shop is ill, in milliseconds.
const POLL_AFTER_ERROR_MS: u64 = 5_000;

/// Part of his patience at which a buyer who looks at a page that says "please wait" begins to ask, beside that,
/// whether there is an order of his: the result of a task may be lost for good.
const PATIENCE_FOR_ASKING: f64 = 0.25;

/// How asking ended.
pub(super) enum Polled {
    /// With an answer.
    Answered(Box<Classified>, Task),
    /// The order was found by its e-mail address.
    Found,
    /// The buyer's patience was over.
    TimeUp,
}

/// What a buyer waits for while the page says "please wait".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    /// A step on the way.
    Step,
    /// His order: late he also asks for it by his e-mail address, while the page goes on asking.
    Order,
}

impl Walk<'_> {
    pub(super) async fn submit(&mut self, submit: &Submit) -> Step {
        let kind = self.kind();
        let next = self.at + 1;
        let hop = match self.form_hop(submit) {
            Ok(Some(hop)) => hop,
            // The shop has left this step out: the page has the form of a later one.
            Ok(None) if self.awaited(next).iter().any(|wanted| self.has_form(wanted)) => return Step::Next,
            Ok(None) => return Step::Over,
            Err(step) => return step,
        };
        let opened = match submit.background {
            true => self.submit_task(kind, submit, hop, next).await,
            false => self.open(kind, &submit.group, hop, next).await,
        };
        match opened {
            Ok(assets) if submit.assets => self.fetch(kind, &submit.group, assets).await,
            Ok(_) => Step::Next,
            Err(step) => step,
        }
    }

    fn has_form(&self, wanted: &Wanted) -> bool {
        self.session.as_ref().is_some_and(|session| session.form(wanted).is_some())
    }

    /// Which form a step submits.
    pub(super) fn wanted(&self, submit: &Submit) -> Wanted {
        Wanted { part: self.filled(&submit.form), button: submit.button.as_ref().map(|button| self.filled(button)) }
    }

    /// The form of the open page, filled in; none where the page has no such form.
    pub(super) fn form_hop(&self, submit: &Submit) -> Result<Option<Hop>, Step> {
        let session = self.session.as_ref().ok_or(NOWHERE)?;
        let Some(Found { form, button, url }) = session.form(&self.wanted(submit)) else { return Ok(None) };
        let fill: Vec<(String, String)> =
            submit.fill.iter().map(|(name, value)| (self.filled(name), self.filled(value))).collect();
        let mut pairs = form.filled(&fill, button);
        if submit.background {
            pairs.push(Pair::text("ajax", "1"));
        }
        let from = session.page().map(|page| page.url.clone());
        let wants = if submit.background { Wants::Task } else { Wants::Page };
        let body = if form.is_multipart { Body::multipart(&pairs) } else { Body::urlencoded(&pairs) };
        Ok(Some(Hop::post(url, body, from, wants)))
    }

    /// Submits a form that is worked on in the background, waits for the end, and opens the page at which it
    /// goes on.
    ///
    /// What may have been done already is not sent again in the same visit: two tickets in the cart would be
    /// bought both.
    async fn submit_task(
        &mut self,
        kind: AttemptKind,
        submit: &Submit,
        hop: Hop,
        next: usize,
    ) -> Result<std::collections::BTreeSet<String>, Step> {
        let group = &submit.group;
        loop {
            let asked = self.ask_page(kind, group, &hop, |_, said| classify_task(kind, said)).await?;
            let (result, task) = match asked {
                (_, Some(Task::Works(Some(check)))) => {
                    match self.poll(kind, group, &hop, &check, Awaits::Step).await? {
                        Polled::Answered(result, task) => (*result, task),
                        Polled::Found | Polled::TimeUp => return Err(Step::End(Ending::GaveUp)),
                    }
                }
                (result, task) => (result, task.unwrap_or(Task::Nothing)),
            };
            match (result.outcome, task) {
                (_, Task::Done(to)) => {
                    let session = self.session.as_ref().ok_or(NOWHERE)?;
                    let url = session.resolve(&hop.url, &to).ok_or(NOWHERE)?;
                    return self.open(kind, group, Hop::get(url, hop.from, Wants::Page), next).await;
                }
                (Outcome::Rejected(reason), _) => return Err(Step::End(Ending::Rejected(reason))),
                (Outcome::NotApplied, Task::Nothing) | (Outcome::NotSent, _) => {
                    if !self.again(&result).await {
                        return Err(Step::End(Ending::GaveUp));
                    }
                }
                _ => return Err(Step::Over),
            }
        }
    }

    /// Asks how far a task is until it has come to an end, or until the buyer's patience is over.
    pub(super) async fn poll(
        &mut self,
        kind: AttemptKind,
        group: &str,
        task: &Hop,
        check: &str,
        awaits: Awaits,
    ) -> Result<Polled, Step> {
        let session = self.session.as_ref().ok_or(NOWHERE)?;
        let url: Url = session.resolve(&task.url, check).ok_or(NOWHERE)?;
        let from = session.page().map(|page| page.url.clone());
        let hop = Hop::get(url, from, Wants::Task);
        let mut wait_ms = FIRST_POLL_MS;
        let mut next_search = Instant::now();
        loop {
            if !self.buyer.wait(&self.operation, Duration::from_millis(wait_ms)).await {
                return Ok(Polled::TimeUp);
            }
            let is_late = self.buyer.patience_left(&self.operation) <= PATIENCE_FOR_ASKING;
            if awaits == Awaits::Order && is_late && self.buyer.target().has_token() && next_search <= Instant::now() {
                if self.find_by_email(group).await {
                    return Ok(Polled::Found);
                }
                next_search = Instant::now() + self.backoff.next_wait();
            }
            let judge = |_: &Session, said: crate::web::meaning::Said<'_>| {
                let is_error = said.status >= 500 || said.status == 429 || said.status == 408;
                let (result, task) = classify_task(kind, said);
                (result, (task, is_error))
            };
            let (result, found) = self.ask_page(kind, group, &hop, judge).await?;
            wait_ms = match found {
                Some((Task::Works(_), _)) => POLL_MS,
                Some((task, false)) => return Ok(Polled::Answered(Box::new(result), task)),
                None if result.outcome == Outcome::NotSent && !self.operation.is_nowhere() => 0,
                Some((_, true)) | None => POLL_AFTER_ERROR_MS,
            };
        }
    }
}
