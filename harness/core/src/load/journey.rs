//! What a buyer does, step by step: a file below `fixtures/journeys/`.
//!
//! A journey is written, not programmed: pages to read, forms to submit, orders to post, tickets to redeem,
//! and pauses between them. Forms, their hidden fields and the assets of a page are found on the pages as
//! the shop serves them. A new journey is a new file; a new kind of step is one file of the load generator
//! and a line here.
//!
//! Texts may have places that are filled in for every buyer; [`PLACES`] lists them.

use crate::source::{self, Source, SourceError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The places that texts of a journey may have, and what is filled in.
pub const PLACES: &[(&str, &str)] = &[
    ("{organizer}", "short name of the organizer"),
    ("{event}", "short name of the event"),
    ("{item}", "number of the item that is bought"),
    ("{code}", "order code: the buyer's own choice, or what the shop gave him"),
    ("{secret}", "the order's secret, once the shop has given it"),
    ("{email}", "the buyer's e-mail address, which no other buyer has"),
];

/// Steps of a journey, at most.
const STEPS_MAX: usize = 100;

/// A journey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Journey {
    /// Its name: that of its file.
    pub name: String,
    /// What it is, in a sentence or two, with its source.
    pub description: String,
    /// How its source ran it, where it had users and not a rate: used by `firedrill load` unless a rate is
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<super::Users>,
    /// Multiples of these users that its source tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peaks: Vec<f64>,
    /// What a buyer does, in order. He stops at the first step that fails for good.
    pub steps: Vec<Action>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Reads a page, and what it is made of.
    Page(Page),
    /// Fills in a form of the page that was read last, and submits it.
    Submit(Submit),
    /// Posts an order by the API.
    Order(Order),
    /// Looks up the buyer's own order by the API, as a help desk does.
    LookUp(LookUp),
    /// Redeems the tickets of the buyer's own order at the door.
    Redeem(Redeem),
    /// Gives the buyer's own order back.
    Cancel(Cancel),
    /// Waits, as a person does who reads.
    Wait(Wait),
}

/// Reads a page. Redirections are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Name of its figures in summaries and reports.
    pub group: String,
    /// Path, with places: `/{organizer}/{event}/`.
    pub path: String,
    /// Whether style sheets, scripts and pictures are fetched too, each once a buyer, as a browser's cache
    /// has it.
    #[serde(default)]
    pub assets: bool,
}

/// Submits a form. Redirections are followed; hidden fields go with it as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// Name of its figures in summaries and reports.
    pub group: String,
    /// A part of the form's address that tells it from others on the page; empty is the first form that
    /// is posted.
    #[serde(default)]
    pub form: String,
    /// The button that is pressed: `NAME`, or `NAME=VALUE` of several with one name; `*` stands for anything.
    /// None is the form's first. A form without this button is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub button: Option<String>,
    /// Fields and what is filled in. `*` in a name stands for anything: `*question_*`. A field that the form
    /// does not have is sent only if its name has no `*`.
    #[serde(default)]
    pub fill: BTreeMap<String, String>,
    /// Whether the shop does it in the background: the page then asks every 250 ms what became of it, as
    /// Pretix's own script does.
    #[serde(default)]
    pub background: bool,
    /// Whether this is the purchase: what the shop confirms from here on is an order, and the page at its
    /// end must be that of the order.
    #[serde(default)]
    pub purchase: bool,
    /// As for a page.
    #[serde(default)]
    pub assets: bool,
}

/// Posts an order of one ticket with a code of the buyer's own choice, and repeats it until it is confirmed
/// or refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Name of its figures in summaries and reports.
    #[serde(default = "order_group")]
    pub group: String,
    /// How often the order is sent at most, retries included; none is as often as patience allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Whether it is paid at once.
    #[serde(default)]
    pub paid: bool,
    /// Whether an address for the invoice is sent.
    #[serde(default)]
    pub invoice_address: bool,
    /// Answer to the first question that the event asks for the item; none is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What there is only one of, and is asked for with the ticket: one of them, drawn from the seed, for each
    /// purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

fn order_group() -> String {
    "order".to_owned()
}

/// What buyers fight for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// Seats, by the names that the shop's seating plan gives them (`seat_guid`).
    Seats(Vec<String>),
    /// Vouchers, by their codes; each can be used once.
    Vouchers(Vec<String>),
}

impl Claim {
    /// What they are called, of which one is asked for.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Seats(names) | Self::Vouchers(names) => names,
        }
    }

    /// What one of them is, in a word: the key of it in an order, and how records begin that name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Seats(_) => "seat",
            Self::Vouchers(_) => "voucher",
        }
    }
}

/// Looks up an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookUp {
    /// Name of its figures in summaries and reports.
    pub group: String,
    /// Whether he comes in at the next entry point, as with another device.
    #[serde(default)]
    pub elsewhere: bool,
}

/// Redeems tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redeem {
    /// Name of its figures in summaries and reports.
    pub group: String,
    /// Name of the check-in list; none is the event's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Whether somebody comes with the same ticket a second time, who must be turned away.
    #[serde(default)]
    pub twice: bool,
}

/// Cancels an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Name of its figures in summaries and reports.
    #[serde(default = "cancel_group")]
    pub group: String,
    /// How many of a hundred buyers do it, drawn from the seed.
    #[serde(default = "all")]
    #[schemars(range(min = 1, max = 100))]
    pub share_percent: u32,
}

fn cancel_group() -> String {
    "cancel".to_owned()
}

fn all() -> u32 {
    100
}

/// Waits for a time between two bounds, drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Shortest, in milliseconds.
    pub min_ms: u64,
    /// Longest, in milliseconds.
    pub max_ms: u64,
}

impl Action {
    /// Name of its figures; none for a wait.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Page(page) => Some(&page.group),
            Self::Submit(submit) => Some(&submit.group),
            Self::Order(order) => Some(&order.group),
            Self::LookUp(look_up) => Some(&look_up.group),
            Self::Redeem(redeem) => Some(&redeem.group),
            Self::Cancel(cancel) => Some(&cancel.group),
            Self::Wait(_) => None,
        }
    }

    /// Whether it buys.
    pub fn is_purchase(&self) -> bool {
        match self {
            Self::Submit(submit) => submit.purchase,
            Self::Order(_) => true,
            Self::Page(_) | Self::LookUp(_) | Self::Redeem(_) | Self::Cancel(_) | Self::Wait(_) => false,
        }
    }

    fn texts(&self) -> Vec<&str> {
        match self {
            Self::Page(page) => vec![&page.path],
            Self::Submit(submit) => {
                let fields = submit.fill.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
                fields.chain([submit.form.as_str()]).chain(submit.button.as_deref()).collect()
            }
            Self::Order(order) => order.answer.as_deref().into_iter().collect(),
            Self::LookUp(_) | Self::Redeem(_) | Self::Cancel(_) | Self::Wait(_) => Vec::new(),
        }
    }
}

impl Journey {
    /// Reads a journey file and refuses what no shop could serve.
    ///
    /// # Errors
    /// A [`SourceError`] with the place in the file.
    pub fn parse(source: &Source) -> Result<Self, SourceError> {
        let journey: Self = source::parse_yaml(source)?;
        journey.check().map_err(|message| source.error(message))?;
        Ok(journey)
    }

    /// The JSON Schema of journey files.
    pub fn json_schema() -> String {
        crate::schema::of::<Self>()
    }

    /// Whether it buys anything. A journey that does not is one of looking only.
    pub fn buys(&self) -> bool {
        self.steps.iter().any(Action::is_purchase)
    }

    /// Whether pages are opened.
    pub fn uses_pages(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Action::Page(_)))
    }

    /// Whether anything is done by the API, which needs a token.
    pub fn uses_api(&self) -> bool {
        let by_api = |step: &Action| {
            matches!(step, Action::Order(_) | Action::LookUp(_) | Action::Redeem(_) | Action::Cancel(_))
        };
        self.steps.iter().any(by_api)
    }

    /// Whether the shop chooses the order code, so that only the e-mail address tells whose an order is.
    pub fn is_by_web(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Action::Submit(submit) if submit.purchase))
    }

    fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(format!("{} has {} steps: give 1 to {STEPS_MAX}", self.name, self.steps.len()));
        }
        if self.steps.iter().filter(|step| step.is_purchase()).count() > 1 {
            return Err(format!("{} buys more than once: one journey is one purchase at most", self.name));
        }
        if self.peaks.iter().any(|peak| !(*peak > 0.0 && peak.is_finite())) {
            return Err(format!("{} has a peak that is no multiple: give numbers above 0", self.name));
        }
        let mut bought = false;
        let mut has_page = false;
        for (index, step) in self.steps.iter().enumerate() {
            let place = format!("{}, step {}", self.name, index + 1);
            match step {
                Action::Wait(wait) if wait.min_ms > wait.max_ms => {
                    return Err(format!("{place}: min_ms is above max_ms"));
                }
                Action::Submit(_) if !has_page => {
                    return Err(format!("{place}: there is no page before it whose form could be submitted"));
                }
                Action::LookUp(_) | Action::Redeem(_) | Action::Cancel(_) if !bought => {
                    return Err(format!("{place}: there is no purchase before it whose order this could be"));
                }
                Action::Page(page) if !page.path.starts_with('/') => {
                    return Err(format!("{place}: the path {:?} must begin with /", page.path));
                }
                Action::Order(Order { claim: Some(claim), .. }) => {
                    check_claim(claim).map_err(|why| format!("{place}: {why}"))?;
                }
                Action::Cancel(cancel) if !(1..=100).contains(&cancel.share_percent) => {
                    return Err(format!("{place}: share_percent is {}: give 1 to 100", cancel.share_percent));
                }
                _ => {}
            }
            if step.group().is_some_and(str::is_empty) {
                return Err(format!("{place}: its group has no name"));
            }
            if let Some(text) = step.texts().into_iter().find_map(unknown_place) {
                let known: Vec<&str> = PLACES.iter().map(|(place, _)| *place).collect();
                return Err(format!("{place}: {text} is no place; there are {}", known.join(", ")));
            }
            has_page |= matches!(step, Action::Page(_));
            bought |= step.is_purchase();
        }
        Ok(())
    }
}

/// What buyers fight for has names, each its own.
fn check_claim(claim: &Claim) -> Result<(), String> {
    let (kind, names) = (claim.kind(), claim.names());
    if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        return Err(format!("its claim names no {kind}: give at least one, and no empty name"));
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(format!("its claim names {kind} {twice:?} twice: name each once")),
        None => Ok(()),
    }
}

/// The first `{...}` in a text that is none of [`PLACES`].
fn unknown_place(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let from = &rest[open..];
        let end = from.find('}').map_or(from.len(), |close| close + 1);
        if !PLACES.iter().any(|(place, _)| *place == &from[..end]) {
            return Some(from[..end].to_owned());
        }
        rest = &from[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn parse(steps: &str) -> Result<Journey, SourceError> {
        let text = format!("name: j\ndescription: d\nsteps: {steps}\n");
        Journey::parse(&Source::new("j.yaml", text))
    }

    #[rstest]
    #[case::nothing("[]", "has 0 steps")]
    #[case::unknown("[{dance: {}}]", "dance")]
    #[case::relative("[{page: {group: a, path: fair}}]", "must begin with /")]
    #[case::place("[{page: {group: a, path: '/{nobody}/'}}]", "{nobody} is no place")]
    #[case::place_of_a_button(
        "[{page: {group: a, path: /}}, {submit: {group: b, button: '{nobody}'}}]",
        "{nobody} is no place"
    )]
    #[case::no_page("[{submit: {group: a}}]", "no page before it")]
    #[case::no_order("[{redeem: {group: a}}]", "no purchase before it")]
    #[case::nothing_to_cancel("[{cancel: {}}]", "no purchase before it")]
    #[case::nobody_cancels("[{order: {}}, {cancel: {share_percent: 0}}]", "share_percent is 0")]
    #[case::more_than_all("[{order: {}}, {cancel: {share_percent: 101}}]", "share_percent is 101")]
    #[case::no_seat("[{order: {claim: {seats: []}}}]", "names no seat")]
    #[case::no_voucher("[{order: {claim: {vouchers: [A, '']}}}]", "names no voucher")]
    #[case::one_seat_twice("[{order: {claim: {seats: [A1, A2, A1]}}}]", "names seat \"A1\" twice")]
    #[case::two_claims("[{order: {claim: {seats: [A1], vouchers: [B]}}}]", "enum variant")]
    #[case::twice("[{order: {}}, {order: {}}]", "buys more than once")]
    #[case::wait("[{wait: {min_ms: 2, max_ms: 1}}]", "min_ms is above max_ms")]
    #[case::no_name("[{page: {group: '', path: /}}]", "has no name")]
    fn what_no_shop_could_serve_is_refused(#[case] steps: &str, #[case] why: &str) {
        let refused = parse(steps).expect_err("it is refused").to_string();
        assert!(refused.contains(why) && refused.contains("j.yaml"), "{refused}");
    }

    #[test]
    fn a_journey_says_whether_it_buys() {
        let look = parse("[{page: {group: a, path: '/{organizer}/{event}/', assets: true}}]").expect("a journey");
        assert!(!look.buys() && !look.is_by_web());
        assert!(look.uses_pages() && !look.uses_api());
        let api = parse("[{order: {attempts: 3}}, {redeem: {group: door, twice: true}}]").expect("a journey");
        assert!(api.buys() && !api.is_by_web());
        assert!(!api.uses_pages() && api.uses_api());
        let fight = parse("[{order: {claim: {seats: [A1, A2]}}}, {cancel: {share_percent: 50}}]").expect("a journey");
        assert!(fight.buys() && fight.uses_api());
        let Some(Action::Order(Order { claim: Some(claim), .. })) = fight.steps.first() else { panic!("{fight:?}") };
        assert_eq!((claim.kind(), claim.names().len()), ("seat", 2));
        let web = parse("[{page: {group: a, path: /}}, {submit: {group: b, purchase: true}}]").expect("a journey");
        assert!(web.buys() && web.is_by_web());
    }
}
