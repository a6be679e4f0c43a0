//! Operations in 64 bytes each: [`Operation`](crate::history::Operation) with prints instead of texts.

use super::baskets::BasketId;
use crate::history::At;
use crate::history::ops::Known;
use crate::ids::OpId;
use std::collections::BTreeMap;

/// The code of an operation that has none.
pub(crate) const NO_CODE: u64 = 0;

/// One logical purchase. The times are those of [`Operation`](crate::history::Operation).
#[derive(Debug, Clone, Copy)]
pub struct Op {
    /// When it was due.
    pub intended: At,
    /// When it was due, moved on by the time for which the buyer himself waited.
    pub due: At,
    /// When its first attempt began.
    pub invoked: At,
    /// When its last attempt ended.
    pub completed: At,
    /// When the buyer had the confirmation; meaningless before.
    pub(super) confirmed: At,
    /// Print of the code: the buyer's choice, or what the shop gave him, or [`NO_CODE`].
    pub(crate) code: u64,
    /// Print of the order once it is confirmed (of its e-mail address alone, where [`BARE`]), and of the
    /// buyer's e-mail address before.
    pub(crate) order: u64,
    /// What was confirmed.
    pub(crate) basket: BasketId,
    pub(crate) known: Known,
    pub(super) bits: u8,
}

/// There is such an operation.
pub(super) const THERE: u8 = 1;
/// The buyer chose his code.
pub(super) const OWN_CODE: u8 = 2;
/// Nothing speaks for "in doubt" but that the shop works in the background.
pub(super) const PENDING: u8 = 4;
/// One attempt so far, which is a sale (see `checker/sales`).
pub(super) const ONE_SALE: u8 = 8;
/// One attempt so far, which is a purchase.
pub(super) const ONE_PURCHASE: u8 = 16;
/// The confirmation told neither keys nor secrets of the tickets.
pub(super) const BARE: u8 = 32;
/// Prints cannot say whether it is as it should be: the texts have to be looked at.
pub(super) const ODD: u8 = 64;

impl Op {
    pub(super) const NONE: Self = Self {
        intended: At(0),
        due: At(0),
        invoked: At(0),
        completed: At(0),
        confirmed: At(0),
        code: NO_CODE,
        order: 0,
        basket: BasketId(0),
        known: Known::NotApplied,
        bits: 0,
    };

    pub(super) fn has(&self, bit: u8) -> bool {
        self.bits & bit != 0
    }

    pub(super) fn set(&mut self, bit: u8, on: bool) {
        self.bits = if on { self.bits | bit } else { self.bits & !bit };
    }

    /// See [`Operation::has_own_code`](crate::history::Operation::has_own_code).
    pub fn has_own_code(&self) -> bool {
        self.has(OWN_CODE)
    }

    /// Whether the buyer has a confirmation.
    pub fn is_acknowledged(&self) -> bool {
        self.known == Known::Acknowledged
    }

    /// See [`Operation::acknowledged_at`](crate::history::Operation::acknowledged_at).
    pub fn acknowledged_at(&self) -> Option<At> {
        self.is_acknowledged().then_some(self.confirmed)
    }

    /// See [`Operation::served_at`](crate::history::Operation::served_at).
    pub fn served_at(&self) -> Option<At> {
        match self.known {
            Known::Rejected(reason) if reason.is_gone() => Some(self.completed),
            Known::Visited => Some(self.completed),
            _ => self.acknowledged_at(),
        }
    }

    /// See [`Operation::latency_ms`](crate::history::Operation::latency_ms).
    pub fn latency_ms(&self) -> f64 {
        self.acknowledged_at().unwrap_or(self.completed).ms_since(self.due)
    }

    /// Whether the texts have to be looked at.
    pub(crate) fn is_odd(&self) -> bool {
        self.has(ODD)
    }

    /// Whether [`Op::order`] is the print of the e-mail address alone.
    pub(crate) fn is_bare(&self) -> bool {
        self.has(BARE)
    }

    /// The sale that it is, where it is one attempt and that is a sale.
    pub(crate) fn one_sale(&self) -> Option<(At, At)> {
        self.has(ONE_SALE).then_some((self.invoked, self.completed))
    }

    /// Milliseconds of its purchase, where it is one attempt and that is a purchase.
    pub(crate) fn one_purchase_ms(&self) -> Option<f64> {
        self.has(ONE_PURCHASE).then(|| self.completed.ms_since(self.invoked))
    }
}

/// All operations, by id.
///
/// Ids are numbers from 0 on in every history of a load; they are places in a list then. Others are kept beside.
#[derive(Debug, Clone, Default)]
pub struct Ops {
    dense: Vec<Op>,
    sparse: BTreeMap<u64, Op>,
    far: Vec<(OpId, Op)>,
    count: usize,
}

/// Place of an operation among all, in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) u32);

impl Ops {
    /// The operation with an id, which begins as [`Op::NONE`].
    pub(super) fn entry(&mut self, id: OpId) -> &mut Op {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        if index >= self.dense.len() {
            // At most every second place stays empty.
            if index / 2 > self.count + 512 {
                self.count += usize::from(!self.sparse.contains_key(&id.0));
                return self.sparse.entry(id.0).or_insert(Op::NONE);
            }
            self.dense.resize(index + 1, Op::NONE);
            while let Some(first) = self.sparse.first_entry().filter(|first| *first.key() <= index as u64) {
                let (id, op) = first.remove_entry();
                self.dense[id as usize] = op;
            }
        }
        let op = &mut self.dense[index];
        self.count += usize::from(!op.has(THERE));
        op
    }

    /// No more operations come.
    pub(super) fn close(&mut self) {
        self.far = std::mem::take(&mut self.sparse).into_iter().map(|(id, op)| (OpId(id), op)).collect();
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &Op)> {
        self.placed().map(|(place, op)| (self.id(place), op))
    }

    /// In the order of their ids, with their places.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (Place, &Op)> {
        let far = self.far.iter().map(|(_, op)| op);
        let all = self.dense.iter().chain(far).enumerate();
        all.filter(|(_, op)| op.has(THERE)).map(|(place, op)| (Place(place as u32), op))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many places there are; some may be empty.
    pub(crate) fn places(&self) -> usize {
        self.dense.len() + self.far.len()
    }

    /// The one at a place.
    pub(crate) fn at(&self, place: Place) -> &Op {
        let index = place.0 as usize;
        self.dense.get(index).unwrap_or_else(|| &self.far[index - self.dense.len()].1)
    }

    /// The id of the one at a place.
    pub(crate) fn id(&self, place: Place) -> OpId {
        let index = place.0 as usize;
        if index < self.dense.len() { OpId(index as u64) } else { self.far[index - self.dense.len()].0 }
    }

    /// The place of an id, if there is such an operation.
    pub(crate) fn place(&self, id: OpId) -> Option<Place> {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        let place = match self.dense.get(index) {
            Some(op) => op.has(THERE).then_some(index),
            None => self.far.binary_search_by_key(&id, |(id, _)| *id).ok().map(|far| self.dense.len() + far),
        };
        place.and_then(|place| u32::try_from(place).ok()).map(Place)
    }

    /// One, by id.
    pub fn get(&self, id: OpId) -> Option<&Op> {
        self.place(id).map(|place| self.at(place))
    }
}
