//! The Docker engine of firedrill: everything that acts on containers.
//!
//! * [`images`] builds the topology's images, once per content.
//! * [`prepare`] migrates and seeds a database once per image and event file.
//! * [`boot`] starts a topology and waits until it is whole by real conditions.
//! * [`probe`] asks a node what it is; [`observe`] does so all the time and writes down what changes.
//! * [`faults`] does things to nodes, with an undo record on disk first.
//! * [`disks`] are the volumes with a file system of their own, which faults fill, slow down and freeze.
//! * [`toolbox`] is the helper container by which faults work inside a node's network namespace.
//! * [`ledger`] reads the databases at the end; [`onlooker`] reads in the middle of a run what can be taken back.
//! * [`logs`] keeps the nodes' logs, and finds the lines in them that speak of trouble.
//! * [`audit`] looks whether anything that a fault changed is still changed.
//! * [`residue`] removes everything that carries a run's label and audits that nothing is left.
//! * [`standing`] keeps what another process needs to know of a stack.
//! * [`guard`] is the dead man's switch: another process that cleans up when the harness dies.
//!
//! Nothing here judges: what is seen goes into the history, and the core judges that.

pub mod audit;
pub mod boot;
pub mod disks;
pub mod docker;
mod durable;
pub mod faults;
pub mod guard;
pub mod images;
pub mod labels;
pub mod ledger;
pub mod logs;
pub mod observe;
pub mod onlooker;
mod per_node;
pub mod prepare;
pub mod probe;
pub mod progress;
pub mod recorder;
pub mod residue;
pub mod seed;
pub mod stack;
pub mod standing;
pub mod toolbox;
pub mod usage;
pub mod wait;
