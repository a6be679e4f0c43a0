//! What several faults have in common. A fault is a file of the folder above; nothing here is one.
//!
//! * [`state`], [`inside`], [`process`], [`signal`], [`limits`]: a node's container, seen and changed by the engine, by
//!   commands inside, and past the engine.
//! * [`orderly`]: ends of a node, which the engine carries on with when nobody waits any more.
//! * [`traffic`], [`shaping`]: which packets a fault of networks concerns, and the queue that they pass.
//! * [`sql`], [`cache`]: sessions at databases, and at Redis and Sentinel.
//! * [`background`]: tasks that keep a fault up.

pub(super) mod background;
pub(super) mod cache;
pub(super) mod inside;
pub(super) mod limits;
pub(super) mod orderly;
pub(super) mod process;
pub(super) mod shaping;
pub(super) mod signal;
pub(super) mod sql;
pub(super) mod state;
pub(super) mod traffic;
