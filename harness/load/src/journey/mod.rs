//! What a buyer does with an arrival: he walks a journey, step by step.
//!
//! [`Script`] reads the journeys of [`firedrill_core::load::journey`]. Each kind of step is a file here, and
//! a line in `walk.rs`:
//!
//! | file | step | exchanges |
//! | --- | --- | --- |
//! | `page.rs`, `assets.rs` | `page` | pages and what they are made of |
//! | `submit.rs` | `submit` | forms before a purchase, and tasks in the background |
//! | `purchase.rs` | `submit` with `purchase` | the order's form, its task, its page |
//! | `order.rs` | `order` | the order by the API |
//! | `look_up.rs` | `look-up`, and whoever has lost sight of his order | the order by the API |
//! | `redeem.rs` | `redeem` | tickets at the door |
//! | `cancel.rs` | `cancel` | the order is given back by the API |
//! | `keys.rs` | `order`, `redeem` | lists of the API: questions, check-in lists |

mod assets;
mod cancel;
mod keys;
mod look_up;
mod order;
mod page;
mod purchase;
mod redeem;
mod script;
mod submit;
mod walk;

pub use cancel::classify_cancel;
pub(crate) use order::judge_order;
pub use redeem::classify_door;
pub use script::{Script, ScriptError};

use crate::buyer::Buyer;
use crate::operation::Ended;
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
    /// Nothing was to be bought, and the journey came to its end.
    Visited,
    /// Patience was over, or the load was.
    GaveUp,
}

/// What a buyer does with an arrival: one operation of one or more exchanges, each recorded by
/// [`Buyer::attempt`].
pub trait Journey: Send + Sync + 'static {
    /// Its name in drills and reports.
    fn name(&self) -> &str;

    /// Serves one arrival, to its end or until the buyer's patience is over.
    fn serve(&self, buyer: &mut Buyer, arrival: Arrival) -> impl Future<Output = Ended> + Send;
}
