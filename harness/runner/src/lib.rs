//! Runs drills: one [`Session`] is one booted stack; a drill on it gives one history and one verdict.
//!
//! * [`session`] boots, proves that the stack sells, and removes everything again.
//! * [`drill`] runs a drill under load; its steps (`steps`): steady, trigger, inject, restored, heal, whole.
//! * [`certification`] runs the drills of a certificate one after the other.
//! * [`journal`] writes the history as it happens.
//! * [`archive`] reads what many stored runs came to.
//! * [`rundir`] is the layout of `runs/<id>/`, and judges and renders a stored run again.
//!
//! Order of the stages in the history, which the checkers rely on: `load_started`; for every step
//! `steady`, the phases of the fault, `service_restored` (or not), `whole` or `not_whole`; then
//! `load_stopped`, `drained`, the final read, and the trailer.

pub mod archive;
pub mod capacity;
pub mod certification;
pub mod drill;
pub mod journal;
pub mod journeys;
mod pace;
pub mod rundir;
pub mod session;
pub mod standalone;
mod steps;
mod trigger;

pub use archive::{Archive, ArchiveError};
pub use capacity::{Capacity, CapacityPlan};
pub use certification::{CertificateDir, CertificationError, Certified, Certifier};
pub use drill::{DrillError, Executed};
pub use rundir::{RunDir, RunDirError, Stored};
pub use session::{Session, SessionError, SessionOptions, stacks_folder};
