//! Every fault, tried out on a small real topology: it must be seen from outside, by something that is not
//! the fault's own proof, it must be gone after its undo, and it must be undone as well by a process that
//! knows nothing but the undo record.
//!
//! Two topologies of three and four containers (`fixtures/topologies`) are booted by whoever needs them first
//! and removed when the process ends.

mod database;
mod disk;
#[path = "../guards.rs"]
mod guards;
mod hardship;
mod lab;
mod network;
mod node;
mod redis;
mod resource;
mod shaping;
mod toolbox;
