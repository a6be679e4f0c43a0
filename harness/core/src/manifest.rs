//! What a run was made of, beside its history: enough to say later whether a certificate still applies.

use crate::ids::{NodeName, RunId, TierName};
use crate::sla::Sla;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `manifest.json` of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The run.
    pub run: RunId,
    /// Version of firedrill that ran it.
    pub firedrill: String,
    /// Command line that repeats it, seed included.
    pub replay: String,
    /// Topology name.
    pub topology: String,
    /// SHA-256 of the topology's Compose file.
    pub topology_sha256: String,
    /// The agreement judged against, whole, so that `firedrill check` needs nothing else.
    pub sla: Sla,
    /// Engine and kernel.
    pub host: Host,
    /// The images that ran.
    pub images: Vec<Image>,
    /// Every node.
    pub nodes: Vec<Node>,
    /// How long the boot took, step by step.
    pub boot: Vec<BootStep>,
    /// What this run does not cover and why, in words.
    pub not_covered: Vec<String>,
}

/// The machine that a run ran on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Docker Engine version.
    pub engine: String,
    /// API version that was negotiated.
    pub api: String,
    /// Kernel release.
    pub kernel: String,
    /// Cores.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Storage driver and cgroup version, in words.
    pub details: String,
}

/// An image that ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// Repository name, for example `firedrill/postgres`.
    pub name: String,
    /// Content-addressed id.
    pub id: String,
    /// Hash of the build context.
    pub context_sha256: String,
    /// Versions of the packages that matter, as the image itself reports them.
    pub versions: Vec<(String, String)>,
}

/// A node of the topology as it was booted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Its tier.
    pub tier: TierName,
    /// Its kind.
    pub kind: String,
    /// Its image.
    pub image: String,
    /// Why one instance is enough, where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single: Option<String>,
}

/// A step of the boot with its duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BootStep {
    /// What became true, for example `postgres: one primary, 2 standbys streaming`.
    pub what: String,
    /// Milliseconds from the begin of the boot until it was true.
    pub at_ms: f64,
}
