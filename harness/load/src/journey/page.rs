//! The step `page`, and how pages are opened by all others.

use super::Ending;
use super::walk::{NOWHERE, Step, Walk};
use crate::classify::Classified;
use crate::web::form::Form;
use crate::web::html::Document;
use crate::web::meaning::{Said, Seen, classify_page, classify_warning};
use crate::web::request::{Hop, Wants};
use crate::web::session::{Session, Wanted};
use firedrill_core::history::{AttemptKind, Outcome, RejectReason};
use firedrill_core::load::journey::{Action, Page};
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// Redirections that are followed from one page, at most. Browsers stop after 20; Pretix needs 3.
const REDIRECTS_MAX: u32 = 10;

/// Where an answer leads.
enum Landed {
    Page(Document),
    Sent(Url),
    /// On a page that says "please wait", and for how long.
    Waiting(Duration),
    Lost,
    Nothing,
}

impl Walk<'_> {
    pub(super) async fn page(&mut self, page: &Page) -> Step {
        let path = self.filled(&page.path);
        let session = self.session.as_ref();
        let Some(url) = session.and_then(|session| session.at(&path)) else { return NOWHERE };
        let from = session.and_then(Session::page).map(|page| page.url.clone());
        let kind = self.kind();
        match self.open(kind, &page.group, Hop::get(url, from, Wants::Page), self.at + 1).await {
            Ok(assets) if page.assets => self.fetch(kind, &page.group, assets).await,
            Ok(_) => Step::Next,
            Err(step) => step,
        }
    }

    /// Opens a page, over all redirections, as often as it takes. It must have the form of the step number
    /// `next`, if that is one that submits. Hands back the addresses of its assets.
    pub(super) async fn open(
        &mut self,
        kind: AttemptKind,
        group: &str,
        mut hop: Hop,
        next: usize,
    ) -> Result<BTreeSet<String>, Step> {
        let forms = self.awaited(next);
        loop {
            let judge = |session: &Session, said: Said<'_>| judge(session, &hop, &forms, said);
            let (result, landed) = self.ask_page(kind, group, &hop, judge).await?;
            match (result.outcome, landed) {
                (_, Some(Landed::Page(document))) => {
                    let session = self.session.as_mut().ok_or(NOWHERE)?;
                    return Ok(session.turn_to(hop.url, document));
                }
                (_, Some(Landed::Sent(to))) => hop = hop.redirected(to),
                (_, Some(Landed::Waiting(time))) => {
                    hop = Hop::get(hop.url, hop.from, hop.wants);
                    if !self.buyer.wait(&self.operation, time).await {
                        return Err(Step::End(Ending::GaveUp));
                    }
                }
                (_, Some(Landed::Lost)) => return Err(Step::Over),
                (Outcome::Rejected(reason), _) => return Err(Step::End(Ending::Rejected(reason))),
                _ if self.again(&result).await => {}
                _ => return Err(Step::End(Ending::GaveUp)),
            }
        }
    }

    /// Parts of the addresses of the forms of which a page must have one, for the steps from number `from`
    /// on to make sense: of all that are submitted one after another, because a shop leaves out what it does
    /// not need (the payment of what is free).
    pub(super) fn awaited(&self, from: usize) -> Vec<Wanted> {
        let steps = self.journey.steps.iter().skip(from).filter(|step| !matches!(step, Action::Wait(_)));
        let forms = steps.map_while(|step| match step {
            Action::Submit(submit) => Some(self.wanted(submit)),
            _ => None,
        });
        forms.collect()
    }
}

fn judge(session: &Session, hop: &Hop, forms: &[Wanted], said: Said<'_>) -> (Classified, Landed) {
    let (result, seen) = classify_page(said);
    match seen {
        Seen::Page(document) => match forms.first().filter(|_| !has_one(session, &hop.url, &document.forms, forms)) {
            None => (result, Landed::Page(document)),
            // The shop works on it, and the page loads itself anew until it is done.
            Some(_) if document.refresh_s.is_some() => {
                (result, Landed::Waiting(Duration::from_secs(document.refresh_s.unwrap_or_default().max(1))))
            }
            // The form came back with what is wrong with it.
            Some(missing) if hop.form.is_some() => {
                let note = format!("the shop wants something else than {missing}: {}", document.warning);
                (Classified::plain(Outcome::Rejected(RejectReason::Invalid), note), Landed::Nothing)
            }
            Some(missing) => match classify_warning(&document.warning, &missing.to_string()) {
                (result, Seen::Lost) => (result, Landed::Lost),
                (result, _) => (result, Landed::Nothing),
            },
        },
        Seen::Redirect(to) => match session.resolve(&hop.url, &to) {
            Some(_) if hop.redirects >= REDIRECTS_MAX => {
                let note = format!("redirected more than {REDIRECTS_MAX} times, at last to {to}");
                (Classified::plain(Outcome::Rejected(RejectReason::Invalid), note), Landed::Nothing)
            }
            Some(url) => (result, Landed::Sent(url)),
            None => {
                let note = format!("redirected out of the shop, to {to}");
                (Classified::plain(Outcome::Rejected(RejectReason::Invalid), note), Landed::Nothing)
            }
        },
        Seen::Lost => (result, Landed::Lost),
        Seen::Nothing => (result, Landed::Nothing),
    }
}

fn has_one(session: &Session, url: &Url, forms: &[Form], wanted: &[Wanted]) -> bool {
    wanted.iter().any(|wanted| session.form_of(url, forms, wanted).is_some())
}
