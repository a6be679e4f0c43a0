//! What several faults have in common. A fault is a file of the folder above; nothing here is one.
//!
//! * [`state`], [`inside`], [`process`], [`signal`], [`limits`]: a node's container, seen and changed by the engine, by
//!   commands inside, and past the engine.
//! * [`orderly`]: ends of a node, which the engine carries on with when nobody waits any more.
//! * [`in_namespace`]: faults that change a node's network namespace by a toolbox; [`traffic`], [`shaping`], [`dns`]:
//!   which packets they concern, the queue that these pass, and the engine's resolver.
//! * [`sql`], [`cache`]: sessions at databases, and at Redis and Sentinel.
//! * [`background`]: tasks that keep a fault up.

pub(super) mod background;
pub(super) mod cache;
pub(super) mod dns;
pub(super) mod in_namespace;
pub(super) mod inside;
pub(super) mod limits;
pub(super) mod orderly;
pub(super) mod process;
pub(super) mod shaping;
pub(super) mod signal;
pub(super) mod sql;
pub(super) mod state;
pub(super) mod traffic;
