//! What a buyer does with an arrival. One file per journey.

mod order_api;

pub use order_api::OrderApi;
pub(crate) use order_api::judge_order;

use crate::buyer::Buyer;
use firedrill_core::history::{At, RejectReason};
use firedrill_core::ids::OpId;
use std::future::Future;

/// A purchase that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its operation.
    pub op: OpId,
    /// When it is due. Everything is measured from here.
    pub intended: At,
}

/// How an operation ended, for the live figures. What it is *known to have done* follows from its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Confirmed.
    Acknowledged,
    /// Refused for good.
    Rejected(RejectReason),
    /// Everything was read, and nothing was to be bought.
    Visited,
    /// Patience was over, or the load was.
    GaveUp,
}

/// What a buyer does with an arrival: one operation of one or more exchanges, each recorded by
/// [`Buyer::attempt`].
pub trait Journey: Send + Sync + 'static {
    /// Its name in drills and reports.
    fn name(&self) -> &'static str;

    /// Serves one arrival, to its end or until the buyer's patience is over.
    fn serve(&self, buyer: &mut Buyer, arrival: Arrival) -> impl Future<Output = Ending> + Send;
}
