//! Baskets: what was bought together, at which prices. Few differ, so that millions of orders name theirs by a
//! number.

use crate::history::record::TicketRef;
use std::collections::HashMap;

/// Number of a basket in [`Baskets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BasketId(pub u32);

/// All baskets of a history. Equal numbers mean equal baskets: they are compared, not only hashed.
#[derive(Debug)]
pub struct Baskets {
    /// The total in cents, then items and prices in cents, in the order of the tickets' keys.
    known: Vec<Box<[(u64, i64)]>>,
    by_content: HashMap<Box<[(u64, i64)]>, BasketId>,
    /// Most orders have a basket that one of the few before them had.
    recent: [BasketId; 8],
    next: usize,
    scratch: Vec<(u64, i64)>,
}

impl Default for Baskets {
    fn default() -> Self {
        let empty: Box<[(u64, i64)]> = Box::new([(0, 0)]);
        Self {
            by_content: HashMap::from([(empty.clone(), BasketId(0))]),
            known: vec![empty],
            recent: [BasketId(0); 8],
            next: 0,
            scratch: Vec::new(),
        }
    }
}

impl Baskets {
    /// The number of a basket.
    pub(crate) fn number<'a>(
        &mut self,
        total_cents: i64,
        tickets: impl Iterator<Item = &'a TicketRef<'a>>,
    ) -> BasketId {
        self.scratch.clear();
        self.scratch.push((0, total_cents));
        self.scratch.extend(tickets.map(|ticket| (ticket.item, ticket.price_cents)));
        let is_this = |id: &&BasketId| *self.known[id.0 as usize] == *self.scratch;
        if let Some(id) = self.recent.iter().find(is_this) {
            return *id;
        }
        let id = match self.by_content.get(&self.scratch[..]) {
            Some(id) => *id,
            None => {
                let id = BasketId(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
                let content: Box<[(u64, i64)]> = self.scratch.as_slice().into();
                self.known.push(content.clone());
                self.by_content.insert(content, id);
                id
            }
        };
        self.recent[self.next] = id;
        self.next = (self.next + 1) % self.recent.len();
        id
    }

    /// What the order of a basket costs, in cents.
    pub fn total_cents(&self, basket: BasketId) -> i64 {
        self.known[basket.0 as usize][0].1
    }

    /// The items of a basket.
    pub fn items(&self, basket: BasketId) -> impl Iterator<Item = u64> {
        self.known[basket.0 as usize][1..].iter().map(|(item, _)| *item)
    }

    /// How many baskets there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none; there is always the empty one.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Something of every basket, by its number.
    pub(crate) fn map<T>(&self, what: impl Fn(&mut dyn Iterator<Item = u64>) -> T) -> Vec<T> {
        self.known.iter().map(|basket| what(&mut basket[1..].iter().map(|(item, _)| *item))).collect()
    }
}
