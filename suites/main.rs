//! The verification suites: what a redundant ticket shop promises, each test readable as a sentence.
//!
//! They run against the real stack: `pretix-ha` is booted once, shared by all tests, and removed at the
//! end. Only one drill runs at a time; the order does not matter, because every drill waits until the
//! stack is whole.

mod browser;
mod common;
mod guards;
mod n_plus_one;
mod quotas;
mod shop;
mod sla;
mod triggers;
mod vouchers;
