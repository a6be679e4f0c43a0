//! What the public page of an event says to somebody who wants to buy: a pure function, as in
//! [`crate::classify`](mod@crate::classify).
//!
//! Pages and texts are those of Pretix 2026.8.0 (`presale/utils.py`, `presale/templates/pretixpresale/event/`).
//! What is there is told by forms, names and classes, which are the same in every language.

use crate::classify::excerpt;
use crate::web::form::Form;
use crate::web::html::{self, Piece, Tag, pieces, short};
use crate::web::meaning::Said;

/// What the page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Front {
    /// The item can be bought there; or whoever comes only wants to look, and can.
    Open,
    /// He is sent to another page.
    Redirect(String),
    /// The `Host` header is none of the shop's.
    Host(String),
    /// A Pretix without this event.
    NoEvent,
    /// The shop is not live, with its words.
    NotLive(String),
    /// The item is sold out.
    SoldOut,
    /// The page does not offer the item, with its warning, if it has one.
    NotOffered(String),
    /// Something that is no Pretix, in short.
    Stranger(String),
    /// Nothing of all that, in short.
    Other(String),
}

/// Says what the page of an event says. `item` is what is to be bought, if anything.
pub fn classify_front(said: Said<'_>, item: Option<u64>) -> Front {
    let words = || {
        let page = html::read(said.body);
        Some(page.warning).filter(|warning| !warning.is_empty()).unwrap_or_else(|| words(said.body))
    };
    match (said.status, said.location) {
        (200, _) if !is_pretix(said.body) => Front::Stranger(words()),
        (200, _) => item.map_or(Front::Open, |item| offer(said.body, item)),
        (301 | 302 | 303 | 307 | 308, Some(location)) => Front::Redirect(location.to_owned()),
        (400, _) => Front::Host(words()),
        (403, _) => Front::NotLive(words()),
        (404, _) if is_pretix(said.body) => Front::NoEvent,
        (404, _) => Front::Stranger(words()),
        _ => Front::Other(words()),
    }
}

/// Whether this is a page of Pretix: it has a form for the cart, or style sheets and scripts of its own.
fn is_pretix(page: &[u8]) -> bool {
    let page = html::read(page);
    let has_cart = page.forms.iter().any(is_cart);
    has_cart || page.assets.iter().any(|address| address.contains("pretix") || address.contains("/static/CACHE/"))
}

fn is_cart(form: &Form) -> bool {
    form.is_post && form.action.as_deref().is_some_and(|action| action.contains("cart/add"))
}

/// Whether the page sells an item: its form has a field for it, or for one of its variations.
fn offer(page: &[u8], item: u64) -> Front {
    let (own, variation) = (format!("item_{item}"), format!("variation_{item}_"));
    let document = html::read(page);
    let mut fields = document.forms.iter().filter(|form| is_cart(form)).flat_map(|form| &form.fields);
    if fields.any(|field| field.name == own || field.name.starts_with(&variation)) {
        return Front::Open;
    }
    match is_gone(page, item) {
        true => Front::SoldOut,
        false => Front::NotOffered(document.warning),
    }
}

/// Whether the page says of an item that it is gone: by a class within the item's own section.
fn is_gone(page: &[u8], item: u64) -> bool {
    let section = format!("item-{item}");
    let mut is_within = false;
    for piece in pieces(page) {
        if let Piece::Open(tag) = piece {
            is_within = match item_of(&tag) {
                Some(id) => id == section || id.starts_with(&format!("{section}-")),
                None => is_within,
            };
            if is_within && tag.has_word("class", "gone") {
                return true;
            }
        }
    }
    false
}

/// The id of a section of an item.
fn item_of(tag: &Tag) -> Option<String> {
    let is_section = matches!(tag.name(), b"article" | b"div" | b"details");
    tag.attribute("id").filter(|id| is_section && id.starts_with("item-"))
}

/// The words of a page that a person sees first.
fn words(page: &[u8]) -> String {
    let mut text = String::new();
    let mut is_hidden = false;
    for piece in pieces(page) {
        match piece {
            Piece::Open(tag) => is_hidden = matches!(tag.name(), b"script" | b"style" | b"title"),
            Piece::Close(_) => is_hidden = false,
            Piece::Text(piece) if !is_hidden => {
                text.push_str(&String::from_utf8_lossy(&piece));
                text.push(' ');
            }
            Piece::Text(_) => {}
        }
    }
    excerpt(&short(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const CSS: &str = r#"<link rel="stylesheet" href="/static/CACHE/css/presale.css">"#;
    const CART: &str = r#"<form method="post" action="/o/e/cart/add?next=/">"#;

    fn page(inside: &str) -> String {
        format!("<title>Fair</title>{CSS}{CART}{inside}</form>")
    }

    fn of(status: u16, body: &str, item: Option<u64>) -> Front {
        let location = (300..400).contains(&status).then_some("https://shop.example/");
        classify_front(Said { status, location, retry_after: None, body: body.as_bytes() }, item)
    }

    #[rstest]
    #[case::offered(r#"<input name="item_5">"#, Front::Open)]
    #[case::in_variations(r#"<input name="variation_5_1">"#, Front::Open)]
    #[case::sold_out(
        r#"<article id="item-5"><div id="item-5-description"></div><div class="availability-box gone"><strong>AUSVERKAUFT"#,
        Front::SoldOut
    )]
    #[case::another_is_sold_out(
        r#"<article id="item-5">x</article><article id="item-6"><strong class="gone">SOLD OUT</strong></article>"#,
        Front::NotOffered(String::new())
    )]
    #[case::item_55_is_sold_out(r#"<article id="item-55"><b class="gone">"#, Front::NotOffered(String::new()))]
    #[case::not_begun(
        r#"<div class="alert alert-warning">The booking period has not started yet.</div>"#,
        Front::NotOffered("The booking period has not started yet.".to_owned())
    )]
    fn the_page_of_an_event_says_whether_it_sells(#[case] inside: &str, #[case] front: Front) {
        assert_eq!(of(200, &page(inside), Some(5)), front);
        assert_eq!(of(200, &page(inside), None), Front::Open, "who only looks");
    }

    #[rstest]
    #[case(200, "<h1>It works!</h1>", Front::Stranger("It works!".to_owned()))]
    #[case(302, "", Front::Redirect("https://shop.example/".to_owned()))]
    #[case(400, "<h1>Unknown domain</h1>", Front::Host("Unknown domain".to_owned()))]
    #[case(
        403,
        "<title>x</title><p>The selected ticket shop is currently not available.",
        Front::NotLive("The selected ticket shop is currently not available.".to_owned())
    )]
    #[case(404, &page("Not found"), Front::NoEvent)]
    #[case(404, "nginx", Front::Stranger("nginx".to_owned()))]
    #[case(502, "<h1>Bad gateway</h1>", Front::Other("Bad gateway".to_owned()))]
    fn other_answers_mean(#[case] status: u16, #[case] body: &str, #[case] front: Front) {
        assert_eq!(of(status, body, Some(5)), front);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(status in 0u16..1000, body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = classify_front(Said { status, location: None, retry_after: None, body: &body }, Some(5));
        }
    }
}
