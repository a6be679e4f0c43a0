//! The step `submit` before a purchase: forms, and tasks in the background as Pretix's page has them
//! (`static/pretixbase/js/asynctask.js`).

use super::Ending;
use super::walk::{NOWHERE, Step, Walk};
use crate::classify::Classified;
use crate::web::form::encode;
use crate::web::meaning::{Task, classify_task};
use crate::web::request::{Hop, Wants};
use crate::web::session::Session;
use firedrill_core::history::{AttemptKind, Outcome};
use firedrill_core::load::journey::Submit;
use std::time::Duration;
use url::Url;

/// When the page first asks how far a task is, in milliseconds.
const FIRST_POLL_MS: u64 = 100;

/// When it asks again, in milliseconds.
const POLL_MS: u64 = 250;

/// When it asks again after no answer, or one that says that the shop is ill, in milliseconds.
const POLL_AFTER_ERROR_MS: u64 = 5_000;

/// How asking ended.
pub(super) enum Polled {
    /// With an answer.
    Answered(Box<Classified>, Task),
    /// The time for it was over.
    TimeUp,
}

impl Walk<'_> {
    pub(super) async fn submit(&mut self, submit: &Submit) -> Step {
        let kind = self.kind();
        let next = self.at + 1;
        let hop = match self.form_hop(submit) {
            Ok(Some(hop)) => hop,
            // The shop has left this step out: the page has the form of a later one.
            Ok(None) if self.awaited(next).iter().any(|part| self.has_form(part)) => return Step::Next,
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

    fn has_form(&self, part: &str) -> bool {
        self.session.as_ref().is_some_and(|session| session.form(part).is_some())
    }

    /// The form of the open page, filled in; none where the page has no such form.
    pub(super) fn form_hop(&self, submit: &Submit) -> Result<Option<Hop>, Step> {
        let session = self.session.as_ref().ok_or(NOWHERE)?;
        let Some((form, url)) = session.form(&self.filled(&submit.form)) else { return Ok(None) };
        let fill: Vec<(String, String)> =
            submit.fill.iter().map(|(name, value)| (self.filled(name), self.filled(value))).collect();
        let mut pairs = form.filled(&fill);
        if submit.background {
            pairs.push(("ajax".to_owned(), "1".to_owned()));
        }
        let from = session.page().map(|page| page.url.clone());
        let wants = if submit.background { Wants::Task } else { Wants::Page };
        Ok(Some(Hop::post(url, encode(&pairs), from, wants)))
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
                (_, Some(Task::Works(Some(check)))) => match self.poll(kind, group, &hop, &check, 0.0).await? {
                    Polled::Answered(result, task) => (*result, task),
                    Polled::TimeUp => return Err(Step::End(Ending::GaveUp)),
                },
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

    /// Asks how far a task is until it has come to an end, or until no more than a part of the buyer's
    /// patience is left.
    pub(super) async fn poll(
        &mut self,
        kind: AttemptKind,
        group: &str,
        task: &Hop,
        check: &str,
        until_left: f64,
    ) -> Result<Polled, Step> {
        let session = self.session.as_ref().ok_or(NOWHERE)?;
        let url: Url = session.resolve(&task.url, check).ok_or(NOWHERE)?;
        let from = session.page().map(|page| page.url.clone());
        let hop = Hop::get(url, from, Wants::Task);
        let mut wait_ms = FIRST_POLL_MS;
        loop {
            let has_time = self.buyer.wait(&self.operation, Duration::from_millis(wait_ms)).await;
            if !has_time || self.buyer.patience_left(&self.operation) <= until_left {
                return Ok(Polled::TimeUp);
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
