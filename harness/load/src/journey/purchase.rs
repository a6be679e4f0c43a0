//! The step `submit` with `purchase`: the form that places the order, and how the buyer comes to know what
//! became of it.
//!
//! ```text
//!            ┌────────────── too busy: click again ◄──────────┐
//!            ▼                                                │
//!  submit the form ──► the shop works on it: ask every 250 ms ┤
//!            │                                                ├──► done: open the order's page ──► confirmed
//!            └─────────────── no answer, "unexpected error" ──┤
//!                                                             ├──► sold out
//!                                                             └──► in doubt: ask for an order of this e-mail
//!                                                                  address; then look whether the cart is
//!                                                                  still there, and click again
//! ```
//!
//! Clicking again with the same cart is safe: Pretix deletes the cart in the transaction that places the
//! order, so that of two of them one finds it empty (`base/services/orders.py`, `_perform_order`). Beginning
//! anew is not, hence it is not done once something may have been bought.

use super::Ending;
use super::submit::{Awaits, Polled};
use super::walk::{NOWHERE, Step, Walk};
use crate::classify::Classified;
use crate::web::html;
use crate::web::meaning::{Said, Seen, Task, classify_page, classify_task};
use crate::web::order_page;
use crate::web::request::{Hop, Wants};
use crate::web::session::Session;
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use firedrill_core::load::journey::Submit;
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// How often he asks for his order before he clicks again.
const SEARCHES: u32 = 3;

/// Redirections to the page of an order, at most: over the payment's page there are two.
const REDIRECTS_MAX: u32 = 10;

/// What became of one click.
enum Clicked {
    /// There is an order, and this is its page.
    Placed(Url),
    /// Nothing was bought: the same click may be tried again.
    Again(Classified),
    /// Nothing was bought, and nothing can be: the shop does not know the buyer any more.
    Lost,
    Refused(RejectReason),
    Doubt,
    /// The order was found by its e-mail address while the shop still said "please wait".
    Found,
    /// The shop sent him out of itself, to a page that he does not follow.
    Elsewhere,
    /// The shop still worked on it when his patience was over.
    Unfinished,
}

impl Walk<'_> {
    pub(super) async fn purchase(&mut self, submit: &Submit) -> Step {
        self.buy(submit).await.unwrap_or_else(|step| step)
    }

    async fn buy(&mut self, submit: &Submit) -> Result<Step, Step> {
        loop {
            let Some(hop) = self.form_hop(submit)? else { return Ok(Step::Over) };
            match self.click(submit, &hop).await? {
                Clicked::Placed(url) => {
                    self.in_doubt = true;
                    return self.confirmation(submit, url, hop.from).await;
                }
                Clicked::Again(result) => {
                    if !self.again(&result).await {
                        return Err(Step::End(Ending::GaveUp));
                    }
                }
                Clicked::Lost if !self.in_doubt => return Ok(Step::Over),
                Clicked::Refused(reason) if !self.in_doubt => return Ok(Step::End(Ending::Rejected(reason))),
                Clicked::Found => return Ok(Step::Next),
                Clicked::Unfinished => return Ok(Step::End(Ending::GaveUp)),
                Clicked::Lost | Clicked::Refused(_) | Clicked::Elsewhere => {
                    self.in_doubt = true;
                    return Ok(self.search(&submit.group, None).await);
                }
                Clicked::Doubt => {
                    self.in_doubt = true;
                    if self.search(&submit.group, Some(SEARCHES)).await == Step::Next && self.order.is_some() {
                        return Ok(Step::Next);
                    }
                    if !self.cart_is_there(submit, &hop).await? {
                        return Ok(self.search(&submit.group, None).await);
                    }
                }
            }
        }
    }

    /// Opens the page of the form once more, after a back-off. False where the shop says that there is
    /// nothing to buy, because it was bought or lost.
    async fn cart_is_there(&mut self, submit: &Submit, hop: &Hop) -> Result<bool, Step> {
        let wait = self.backoff.next_wait();
        if !self.buyer.wait(&self.operation, wait).await {
            return Err(Step::End(Ending::GaveUp));
        }
        let url = hop.from.clone().ok_or(NOWHERE)?;
        match self.open(AttemptKind::Prepare, &submit.group, Hop::get(url, None, Wants::Page), self.at).await {
            Ok(_) => Ok(true),
            Err(Step::End(Ending::GaveUp)) => Err(Step::End(Ending::GaveUp)),
            Err(_) => Ok(false),
        }
    }

    /// Submits the form once and waits for what the shop says.
    async fn click(&mut self, submit: &Submit, hop: &Hop) -> Result<Clicked, Step> {
        let kind = AttemptKind::Purchase;
        let judge = |_: &Session, said: Said<'_>| match submit.background {
            true => classify_task(kind, said),
            false => classify_plain(said),
        };
        let (result, task) = self.ask_page(kind, &submit.group, hop, judge).await?;
        if let Some(Task::Works(Some(check))) = &task {
            let kind = AttemptKind::Lookup;
            return Ok(match self.poll(kind, &submit.group, hop, check, Awaits::Order).await? {
                Polled::Answered(result, task) => self.meaning(*result, task, hop),
                Polled::Found => Clicked::Found,
                Polled::TimeUp => Clicked::Unfinished,
            });
        }
        Ok(self.meaning(result, task.unwrap_or(Task::Nothing), hop))
    }

    fn meaning(&self, result: Classified, task: Task, hop: &Hop) -> Clicked {
        match (result.outcome, task) {
            (_, Task::Done(to)) => {
                let url = self.session.as_ref().and_then(|session| session.resolve(&hop.url, &to));
                // A page out of the shop is that of a payment provider: the order is there all the same.
                url.map_or(Clicked::Elsewhere, Clicked::Placed)
            }
            (_, Task::Lost) => Clicked::Lost,
            (Outcome::Rejected(reason), _) => Clicked::Refused(reason),
            (Outcome::NotApplied | Outcome::NotSent, _) => Clicked::Again(result),
            _ => Clicked::Doubt,
        }
    }

    /// Opens the page of the order until it is there: it is the buyer's confirmation.
    async fn confirmation(&mut self, submit: &Submit, url: Url, from: Option<Url>) -> Result<Step, Step> {
        let kind = AttemptKind::Lookup;
        let first = Hop::get(url, from, Wants::Page);
        let mut hop = first.clone();
        loop {
            let judge = |session: &Session, said: Said<'_>| {
                let (result, seen) = order_page::classify(hop.url.path(), said);
                let assets = match submit.assets && result.order.is_some() {
                    true => html::read(said.body).assets,
                    false => BTreeSet::new(),
                };
                let to = match seen {
                    Seen::Redirect(to) => session.resolve(&hop.url, &to),
                    _ => None,
                };
                (result, (to, assets))
            };
            let (mut result, found) = self.ask_page(kind, &submit.group, &hop, judge).await?;
            let (to, assets) = found.unwrap_or_default();
            if let Some(order) = result.order.take() {
                self.order = Some(order);
                if let Some(session) = &mut self.session {
                    session.turn_to(hop.url, html::Document::default());
                }
                return Ok(self.fetch(AttemptKind::Visit, &submit.group, assets).await);
            }
            match to {
                Some(to) if hop.redirects < REDIRECTS_MAX => hop = hop.redirected(to),
                _ if self.again(&result).await => hop = first.clone(),
                _ => return Err(Step::End(Ending::GaveUp)),
            }
        }
    }

    /// Asks for an order of the buyer's e-mail address, with back-off, as often as `times` or as patience
    /// allows. [`Step::Next`] where it was found, or where nobody can be asked and the number was not up to
    /// patience.
    async fn search(&mut self, group: &str, times: Option<u32>) -> Step {
        let has_token = self.buyer.target().has_token();
        for n in 0.. {
            if times.is_some_and(|times| n >= times || !has_token) {
                return Step::Next;
            }
            let wait = self.backoff.next_wait();
            if !self.buyer.wait(&self.operation, wait).await {
                return Step::End(Ending::GaveUp);
            }
            if !has_token {
                // Nobody can be asked: what is left is to wait for the mail.
                self.buyer.wait(&self.operation, Duration::from_secs(3_600)).await;
                return Step::End(Ending::GaveUp);
            }
            if self.find_by_email(group).await {
                return Step::Next;
            }
        }
        Step::End(Ending::GaveUp)
    }
}

/// What the answer to the order's form means where no script waits for the shop: it sends the buyer to the
/// order, or to a page that says "please wait", whose address can be asked like a task's.
fn classify_plain(said: Said<'_>) -> (Classified, Task) {
    let pending = Classified { outcome: Outcome::Pending, order: None, retry_after: None, note: None };
    match classify_page(said) {
        (_, Seen::Redirect(to)) if to.contains("async_id=") => (pending, Task::Works(Some(format!("{to}&ajax=1")))),
        (_, Seen::Redirect(to)) if order_page::code_and_secret(path_of(&to)).is_some() => (pending, Task::Done(to)),
        (_, Seen::Redirect(to)) => {
            (Classified::plain(Outcome::NotApplied, format!("{} to {to}", said.status)), Task::Lost)
        }
        (result, Seen::Lost) => (result, Task::Lost),
        (_, Seen::Page(document)) => {
            let note = format!("a page instead of the order: {}", document.warning);
            (Classified::plain(Outcome::InDoubt, note), Task::Nothing)
        }
        (result, Seen::Nothing) => (result, Task::Nothing),
    }
}

/// The path of an address that may have scheme and host.
fn path_of(address: &str) -> &str {
    let after_host = address.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let path = after_host.unwrap_or(address);
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(302, "/org/fair/order/AB/s/pay/1/complete", "", Outcome::Pending)]
    #[case(302, "http://127.0.0.1/org/fair/order/AB/s/?thanks=1", "", Outcome::Pending)]
    #[case(302, "/org/fair/checkout/confirm/?async_id=a-1", "", Outcome::Pending)]
    #[case(302, "/org/fair/?require_cookie=true", "", Outcome::NotApplied)]
    #[case(302, "/org/fair/checkout/payment/", "", Outcome::NotApplied)]
    #[case(200, "", "<div class='alert alert-danger'>no</div>", Outcome::InDoubt)]
    #[case(403, "", "CSRF verification failed", Outcome::NotApplied)]
    #[case(404, "", "", Outcome::Rejected(RejectReason::Invalid))]
    #[case(500, "", "", Outcome::InDoubt)]
    fn without_a_script_the_form_leads_to_the_order(
        #[case] status: u16,
        #[case] location: &str,
        #[case] body: &str,
        #[case] outcome: Outcome,
    ) {
        let location = Some(location).filter(|location| !location.is_empty());
        let (result, task) = classify_plain(Said { status, location, retry_after: None, body: body.as_bytes() });
        assert_eq!(result.outcome, outcome);
        assert_eq!(matches!(task, Task::Done(_) | Task::Works(_)), outcome == Outcome::Pending);
    }
}
