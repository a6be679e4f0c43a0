//! Fingerprints: 64 bits that stand for a text.
//!
//! XXH3 with a seed for every domain. Equal texts have equal prints, so that a difference of prints is a
//! difference of texts. The opposite is only likely: with 20 million texts two different ones have the same
//! print in one history of 90,000 (n²/2⁶⁵), and what is found by prints is therefore looked at again in the
//! texts themselves (`checker/books`).

use crate::history::record::TicketRef;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Domains, so that a code is never taken for a secret.
const TEXT: u64 = 0x7e87;
const TICKET_ID: u64 = 0x71d;
const SECRET: u64 = 0x5ec2e7;
const ORDER: u64 = 0x02de2;

/// The print of an order code or of a token, which names a code; [`NO_CODE`](super::NO_CODE) of none.
pub(crate) fn code(code: &str) -> u64 {
    if code.is_empty() { super::NO_CODE } else { text(code) }
}

/// The print of an e-mail address.
pub(crate) fn text(text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), TEXT)
}

/// The print of a ticket's primary key.
pub(crate) fn ticket_id(id: u64) -> u64 {
    xxh3_64_with_seed(&id.to_le_bytes(), TICKET_ID)
}

/// The print of a ticket's secret.
pub(crate) fn ticket_secret(secret: &str) -> u64 {
    xxh3_64_with_seed(secret.as_bytes(), SECRET)
}

/// Prints orders, field by field; keeps its buffer.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    bytes: Vec<u8>,
}

impl Printer {
    /// The print of all that a confirmation and its row have in common: total, e-mail address and every ticket
    /// with its key, item, price and secret. A cancelled ticket is marked, so that it never equals one that
    /// was confirmed. A token of another writer, which no confirmation has, goes in as well.
    pub(crate) fn order<'a>(
        &mut self,
        total_cents: i64,
        email: &str,
        tickets: impl Iterator<Item = &'a TicketRef<'a>>,
        token: Option<&str>,
    ) -> u64 {
        self.bytes.clear();
        self.bytes.extend_from_slice(&total_cents.to_le_bytes());
        self.put(email);
        for ticket in tickets {
            self.bytes.extend_from_slice(&ticket.id.unwrap_or_default().to_le_bytes());
            self.bytes.extend_from_slice(&ticket.item.to_le_bytes());
            self.bytes.extend_from_slice(&ticket.price_cents.to_le_bytes());
            self.put(ticket.secret.unwrap_or_default());
            if ticket.canceled {
                self.bytes.extend_from_slice(b"cancelled");
            }
        }
        if let Some(token) = token {
            self.bytes.extend_from_slice(b"token");
            self.put(token);
        }
        xxh3_64_with_seed(&self.bytes, ORDER)
    }

    fn put(&mut self, text: &str) {
        self.bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}
