//! The purchase load of firedrill.
//!
//! ```text
//! model (when does a purchase begin?) ──► crew (which buyer is free?) ──► buyer ──► journey ──► wire
//!                                                                           │
//!                                                      records (history) ◄──┴──► stats (live figures)
//! ```
//!
//! * [`model`] decides when purchases begin. The open model does not care what became of the ones before; the
//!   closed one has users who begin again. `watch` there voids a load that does not do what was planned.
//! * [`journey`] decides what a buyer does: it walks the files of `fixtures/journeys/`, one kind of step a file.
//! * [`web`] is the shop as a browser sees it: pages, forms, cookies, tasks in the background.
//! * [`wire`] speaks HTTP/1.1 on one connection a buyer and never repeats anything on its own, so that "not
//!   one byte was sent" and "nobody knows" stay apart.
//! * [`classify`](mod@classify) is the pure function that says what an answer of the shop means.
//!
//! Every exchange becomes one [`Attempt`](firedrill_core::history::Attempt) in the history. Latency is
//! measured from the instant at which the purchase was due, so that a stalled shop cannot hide by slowing
//! down its own examiner (coordinated omission).

pub mod buyer;
pub mod classify;
pub mod clock;
mod crew;
mod draw;
pub mod front;
pub mod journey;
mod line;
pub mod model;
pub mod money;
pub mod operation;
pub mod order_code;
pub mod probe;
pub mod retry;
pub mod run;
pub mod settings;
pub mod stats;
pub mod target;
pub mod web;
pub mod wire;

pub use clock::RunClock;
pub use model::watch::LATE_MS;
pub use order_code::OrderCodes;
pub use probe::{PROBE_BUYER, PROBE_OPS_FROM, PreflightError, Uses, preflight, purchase_once};
pub use run::{Drained, LoadHandle, LoadView, StartError, start_journey};
pub use settings::Settings;
pub use stats::{Answer, Breakdown, Snapshot};
pub use target::{ApiToken, Entry, Item, Scheme, Target, TargetError, Trust};
