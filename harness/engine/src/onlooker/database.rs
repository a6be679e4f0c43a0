//! What the primary has written: invoices, which a failover may take back and give to others, and its own count of
//! the quotas.

use super::pause;
use crate::ledger::tables;
use crate::probe::connect_primary;
use crate::recorder::Recorder;
use crate::stack::Stack;
use firedrill_core::history::{Event, InvoiceRow};
use firedrill_core::ids::NodeName;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Client;

/// How long a look may take before its connection is thrown away, and a statement before the database gives it up.
const DEADLINE: Duration = Duration::from_secs(5);

/// Keys are given before they are committed, so that a lower one may appear later, and a failover gives some of
/// them a second time: so many of the last ones are read again.
const AGAIN: i64 = 200;

/// Quotas are counted at every so many looks: that takes longer, the more is sold.
const QUOTAS_EVERY: u32 = 6;

/// Reads at the node that is the primary now.
pub(super) struct Reader {
    stack: Stack,
    recorder: Recorder,
    connection: Option<(NodeName, Client)>,
    seen: Seen,
    looks: u32,
}

impl Reader {
    /// A reader of invoices with a key above this one.
    pub(super) fn new(stack: Stack, recorder: Recorder, above: i64) -> Self {
        Self { stack, recorder, connection: None, seen: Seen::new(above), looks: 0 }
    }

    /// Looks again and again.
    pub(super) async fn read(mut self) {
        loop {
            let began = Instant::now();
            self.look().await;
            sleep_until(began + pause(began.elapsed())).await;
        }
    }

    /// Looks once. A connection that failed, or whose node is the primary no more, is not used again.
    async fn look(&mut self) {
        let connection = self.connection.take();
        self.connection = timeout(DEADLINE, self.look_with(connection)).await.ok().flatten();
    }

    async fn look_with(&mut self, connection: Option<(NodeName, Client)>) -> Option<(NodeName, Client)> {
        let (node, client) = match connection {
            Some(connection) => connection,
            None => {
                let (node, client) = connect_primary(&self.stack, DEADLINE).await.ok()?;
                (node.name.clone(), client)
            }
        };
        let row = client.query_one("select pg_is_in_recovery()", &[]).await.ok()?;
        if row.get::<_, bool>(0) {
            return None;
        }
        for (key, invoice) in tables::invoices(&client, &node, &self.recorder, self.seen.above()).await.ok()? {
            if self.seen.is_new(key, &invoice) {
                self.recorder.record(Event::Invoice(invoice));
            }
        }
        if self.looks.is_multiple_of(QUOTAS_EVERY) {
            tables::quotas(&client, &node, &self.recorder).await.ok()?;
        }
        self.looks = self.looks.wrapping_add(1);
        Some((node, client))
    }
}

/// The invoices that were seen last, so that each is recorded once: as long as it stays the same, at the same node.
struct Seen {
    /// Highest key that was there before.
    above: i64,
    highest: i64,
    /// By key: where, and whose.
    last: BTreeMap<i64, Vec<InvoiceRow>>,
}

impl Seen {
    fn new(above: i64) -> Self {
        Self { above, highest: above, last: BTreeMap::new() }
    }

    /// The key above which invoices are to be read.
    fn above(&self) -> i64 {
        self.above.max(self.highest - AGAIN)
    }

    /// Whether this has not been seen, which it then has.
    fn is_new(&mut self, key: i64, invoice: &InvoiceRow) -> bool {
        let same = |seen: &InvoiceRow| InvoiceRow { at: seen.at, ..invoice.clone() } == *seen;
        let seen = self.last.entry(key).or_default();
        let is_new = !seen.iter().any(same);
        if is_new {
            seen.push(invoice.clone());
        }
        self.highest = self.highest.max(key);
        let above = self.above();
        // What is not read again need not be known any more.
        while self.last.first_key_value().is_some_and(|(key, _)| *key <= above) {
            self.last.pop_first();
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_core::history::At;

    fn invoice(at_ms: u64, source: &str, number: u64, code: &str) -> InvoiceRow {
        let (at, source) = (At::from_ms(at_ms), source.into());
        InvoiceRow { at, source, series: "FAIR-".to_owned(), number, code: code.to_owned(), cents: 2_300 }
    }

    #[test]
    fn an_invoice_is_new_once_and_again_when_it_is_somebody_elses_or_elsewhere() {
        let mut seen = Seen::new(10);
        assert_eq!(seen.above(), 10);
        assert!(seen.is_new(11, &invoice(1, "pg1", 7, "A")));
        assert!(!seen.is_new(11, &invoice(2, "pg1", 7, "A")));
        assert!(seen.is_new(11, &invoice(3, "pg2", 7, "A")));
        assert!(seen.is_new(11, &invoice(4, "pg2", 7, "B")), "the number was given a second time");
        assert!(!seen.is_new(11, &invoice(5, "pg2", 7, "B")));
    }

    #[test]
    fn some_of_the_last_ones_are_read_again_and_no_more_are_kept() {
        let mut seen = Seen::new(10);
        for key in 11..=1_000 {
            assert!(seen.is_new(key, &invoice(1, "pg1", key.unsigned_abs(), "A")));
        }
        assert_eq!((seen.above(), seen.last.len()), (800, 200));
        assert!(!seen.is_new(801, &invoice(2, "pg1", 801, "A")));
    }
}
