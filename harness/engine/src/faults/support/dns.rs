//! What faults of names have in common. The engine leads questions to [`RESOLVER`], port 53, to a port that it drew
//! when the container was started, by rules in the namespace's `nat` table. Names that a node has in its
//! `/etc/hosts` are not asked for, and so not concerned.

use crate::toolbox::Spec;
use serde::{Deserialize, Serialize};

/// The engine's resolver in every container.
pub(in crate::faults) const RESOLVER: &str = "127.0.0.11";

/// The memo of such a fault.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::faults) struct Plan {
    pub(in crate::faults) spec: Spec,
    /// The name that is looked up for the proof.
    pub(in crate::faults) name: String,
}
