//! The page of an order: what a buyer in the browser has as his confirmation.
//!
//! Code and secret are in its address; e-mail address, tickets and prices on the page
//! (`presale/templates/pretixpresale/event/order.html` and `fragment_cart.html` of Pretix 2026.8.0, in
//! English). Keys and secrets of tickets are not shown: they are none.

use super::html::{Piece, Tag, pieces, short};
use super::meaning::{Said, Seen, refused};
use crate::classify::Classified;
use crate::money::parse_cents;
use firedrill_core::history::{OrderAck, Outcome, PositionAck};

/// Code and secret in the path of an order's page: `/ORGANIZER/EVENT/order/CODE/SECRET/...`.
pub fn code_and_secret(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.split('/').filter(|part| !part.is_empty()).skip_while(|part| *part != "order").skip(1);
    Some((parts.next()?, parts.next()?))
}

/// Says what the answer means where the page of an order was asked for, at this path. The shop has said
/// before that there is an order: an answer that is none, even "not found", leaves it in doubt.
pub fn classify(path: &str, said: Said<'_>) -> (Classified, Seen) {
    match (said.status, said.location) {
        (301 | 302 | 303 | 307 | 308, Some(location)) => {
            let passed = Classified { outcome: Outcome::Passed, order: None, retry_after: None, note: None };
            (passed, Seen::Redirect(location.to_owned()))
        }
        (200, _) => match read(path, said.body) {
            Some(order) => {
                let acknowledged = Outcome::Acknowledged;
                (Classified { outcome: acknowledged, order: Some(order), retry_after: None, note: None }, Seen::Nothing)
            }
            None => {
                let mut classified = refused(said, Outcome::InDoubt);
                classified.note = classified.note.map(|note| format!("not the page of the order: {note}"));
                (classified, Seen::Nothing)
            }
        },
        _ => (refused(said, Outcome::InDoubt), Seen::Nothing),
    }
}

/// Reads the page at `path`. None if it is not the page of the order that its address names, or if
/// anything that is checked is missing.
pub fn read(path: &str, page: &[u8]) -> Option<OrderAck> {
    let (code, secret) = code_and_secret(path)?;
    let mut reader = Reader::default();
    for piece in pieces(page) {
        match piece {
            Piece::Open(tag) => reader.open(&tag),
            Piece::Close(name) => reader.close(&name),
            Piece::Text(text) => {
                if reader.taking.is_some() {
                    reader.text.push_str(&String::from_utf8_lossy(&text));
                }
            }
        }
    }
    let is_of_this_order = reader.heading.split_whitespace().any(|word| word == code);
    (is_of_this_order && !reader.email.is_empty() && !reader.is_unreadable).then_some(())?;
    Some(OrderAck {
        code: code.to_owned(),
        secret: secret.to_owned(),
        status: status(&reader.status).to_owned(),
        total_cents: reader.total_cents?,
        email: reader.email,
        positions: reader.positions,
    })
}

/// Cents of an amount with its currency, as English pages write it: `€1,234.50`.
fn cents(text: &str) -> Option<i64> {
    let amount: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-')).collect();
    parse_cents(&amount)
}

/// The letter of a status. A pending order may show nothing, as an event can hide that it is not paid.
fn status(words: &str) -> &'static str {
    match words {
        "Paid" | "Confirmed" => "p",
        "Expired" => "e",
        words if words.starts_with("Canceled") => "c",
        _ => "n",
    }
}

/// What the text that is being read is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    Heading,
    Term,
    Details,
    Amount,
    Count,
}

/// The row of the table of tickets that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    Ticket(u64),
    Total,
    Other,
}

#[derive(Default)]
struct Reader {
    taking: Option<Taking>,
    text: String,
    term: String,
    heading: String,
    status: String,
    email: String,
    row: Option<Row>,
    /// Tickets of the row.
    count: Option<i64>,
    /// Whether this is the row's last cell, that of its price.
    in_price: bool,
    positions: Vec<PositionAck>,
    total_cents: Option<i64>,
    is_unreadable: bool,
}

impl Reader {
    fn take(&mut self, what: Taking) {
        self.taking = Some(what);
        self.text.clear();
    }

    fn open(&mut self, tag: &Tag) {
        match tag.name() {
            b"h2" if self.heading.is_empty() || !self.heading.starts_with("Order ") => self.take(Taking::Heading),
            b"dl" if tag.has_word("class", "order-details") => self.status = "?".to_owned(),
            b"dt" => self.take(Taking::Term),
            b"dd" => self.take(Taking::Details),
            b"strong" if self.in_price => self.take(Taking::Amount),
            b"div" if tag.has_word("class", "cart-row") => {
                let item = tag.attribute("data-article-id");
                let item = item.as_deref().and_then(|id| id.strip_prefix("item-")).and_then(|id| id.split('-').next());
                self.row = Some(match item.and_then(|id| id.parse().ok()) {
                    Some(item) => Row::Ticket(item),
                    None if tag.has_word("class", "total") => Row::Total,
                    None => Row::Other,
                });
                (self.count, self.in_price) = (None, false);
            }
            b"div" if self.row.is_some() => {
                self.in_price = tag.has_word("class", "totalprice");
                if tag.has_word("class", "count") {
                    self.take(Taking::Count);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &[u8]) {
        let Some(what) = self.taking else { return };
        let ends: &[u8] = match what {
            Taking::Heading => b"h2",
            Taking::Term => b"dt",
            Taking::Details => b"dd",
            Taking::Amount => b"strong",
            Taking::Count => b"div",
        };
        if name != ends {
            return;
        }
        self.taking = None;
        let text = short(&self.text);
        match what {
            Taking::Heading => self.heading = text,
            Taking::Term => self.term = text,
            Taking::Details => match self.term.as_str() {
                "Status" if self.status == "?" => self.status = text,
                "Email" if self.email.is_empty() => self.email = text,
                _ => {}
            },
            Taking::Amount => self.amount(&text),
            Taking::Count => self.count = text.parse().ok(),
        }
    }

    fn amount(&mut self, text: &str) {
        self.in_price = false;
        let amount = cents(text);
        match self.row {
            Some(Row::Ticket(item)) => {
                // Alike tickets share a row, with the price of all of them.
                let count = self.count.unwrap_or(1);
                match amount.filter(|cents| (1..=500).contains(&count) && cents % count == 0) {
                    Some(cents) => {
                        let position = PositionAck { id: None, item, price_cents: cents / count, secret: None };
                        self.positions.extend((0..count).map(|_| position.clone()));
                    }
                    None => self.is_unreadable = true,
                }
            }
            // A second total is what is left to be paid.
            Some(Row::Total) if self.total_cents.is_none() => {
                self.total_cents = amount;
                self.is_unreadable |= amount.is_none();
            }
            _ => {}
        }
        self.row = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const PATH: &str = "/org/fair/order/AB37C/k24fiuwvu8kxz3y1/";

    const PAGE: &str = r#"<h2 class="h1">Thank you!</h2><h2 class="h1">Order AB37C <span></span></h2>
        <dl class="lead order-details"><dt class="sr-only">Status</dt>
        <dd class="text-muted"><span class="textbubble-warning"><i></i> Payment pending</span></dd></dl>
        <div role="table"><div role="row" class="row cart-row " data-article-id="item-5">
          <div role="cell" class="product"><p><strong>Paid</strong></p><dl><dt>Fairs?</dt><dd>3</dd></dl></div>
          <div role="cell" class="count"> 2 </div>
          <div role="cell" class="singleprice price">€1,023.00</div>
          <div role="cell" class="totalprice price"><strong>€2,046.00</strong><br><small>incl. 19% VAT</small></div>
        </div><div role="row" class="row cart-row"><div role="cell" class="col-md-4"><strong>Payment fee</strong></div>
          <div role="cell" class="price"><strong>€0.50</strong></div></div>
        <div role="row" class="row cart-row total"><div role="cell" class="product"><strong>Total</strong><br></div>
          <div role="cell" class="count hidden-xs"></div><div role="cell" class="singleprice price"></div>
          <div role="cell" class="totalprice price"><strong>€2,046.50</strong></div></div></div>
        <div class="row cart-row total"><strong>Pending total</strong><div class="price"><strong>€1.00</strong></div></div>
        <dl class="dl-horizontal"><dt>Email</dt><dd>ab37@buyers.example.org</dd></dl>"#;

    #[test]
    fn an_order_is_read_field_by_field() {
        let order = read(PATH, PAGE.as_bytes()).expect("the page of an order");
        assert_eq!((order.code.as_str(), order.secret.as_str()), ("AB37C", "k24fiuwvu8kxz3y1"));
        assert_eq!((order.email.as_str(), order.status.as_str()), ("ab37@buyers.example.org", "n"));
        assert_eq!(order.total_cents, 204_650);
        let ticket = PositionAck { id: None, item: 5, price_cents: 102_300, secret: None };
        assert_eq!(order.positions, [ticket.clone(), ticket]);
    }

    #[rstest]
    #[case::of_another_order("Order AB37C", "Order AB37D")]
    #[case::no_email("<dt>Email</dt>", "<dt>Phone</dt>")]
    #[case::no_total("cart-row total", "cart-row")]
    #[case::no_price("€2,046.00", "free")]
    #[case::no_money("€2,046.50", "€2.046,505")]
    fn a_damaged_page_is_none(#[case] from: &str, #[case] to: &str) {
        assert!(PAGE.contains(from));
        assert_eq!(read(PATH, PAGE.replace(from, to).as_bytes()), None);
    }

    #[rstest]
    #[case(200, PAGE, Outcome::Acknowledged)]
    #[case(200, "<h1>Welcome</h1>", Outcome::InDoubt)]
    #[case(302, "", Outcome::Passed)]
    #[case(403, "", Outcome::InDoubt)]
    #[case(404, "", Outcome::InDoubt)]
    #[case(429, "", Outcome::InDoubt)]
    #[case(500, PAGE, Outcome::InDoubt)]
    fn only_the_page_itself_confirms(#[case] status: u16, #[case] body: &str, #[case] outcome: Outcome) {
        let location = (status == 302).then_some("/org/fair/order/AB37C/k24fiuwvu8kxz3y1/");
        let said = Said { status, location, retry_after: None, body: body.as_bytes() };
        let (classified, _) = classify(PATH, said);
        assert_eq!((classified.outcome, classified.order.is_some()), (outcome, outcome == Outcome::Acknowledged));
    }

    #[rstest]
    #[case("Payment pending", "n")]
    #[case("Paid", "p")]
    #[case("Expired", "e")]
    #[case("Canceled (paid fee)", "c")]
    #[case("", "n")]
    fn the_status_is_a_letter(#[case] words: &str, #[case] letter: &str) {
        let page = PAGE.replace("Payment pending", words);
        assert_eq!(read(PATH, page.as_bytes()).expect("an order").status, letter);
    }

    #[rstest]
    #[case("/org/fair/order/AB/s/", Some(("AB", "s")))]
    #[case("/org/fair/order/AB/s/pay/3/complete", Some(("AB", "s")))]
    #[case("/org/fair/order/AB/", None)]
    #[case("/org/fair/", None)]
    fn an_address_names_an_order(#[case] path: &str, #[case] order: Option<(&str, &str)>) {
        assert_eq!(code_and_secret(path), order);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(page in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(PATH, &page);
        }

        #[test]
        fn a_page_that_breaks_off_confirms_nothing_or_the_order(cut in 0usize..PAGE.len()) {
            if let Some(order) = read(PATH, &PAGE.as_bytes()[..cut]) {
                prop_assert_eq!(order.total_cents, 204_650);
            }
        }
    }
}
