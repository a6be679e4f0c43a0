//! The toolbox: a helper container in a node's network namespace, for what cannot be done from outside.
//!
//! It joins the namespace of a node that runs and has the capabilities of `docs/privileges.md` there, and nothing else
//! of the node or of the host (`docs/privileges.md`). The program inside, `fixtures/images/toolbox/agent.py`,
//! is spoken to by lines over the container's standard input; when that ends, in whatever way, it reverts
//! what it applied and goes: the first dead man's switch. Rules that take packets away end in the kernel
//! after [`EXPIRY`] even if the helper is killed: the second.
//!
//! * [`Toolbox`] is one such container.
//! * [`Ruleset`] are iptables rules in chains of the step's own, with their exact way back.
//! * [`Held`] is what most faults use: one armed toolbox a node, and an undo that needs nothing but the memo.
//! * [`fingerprint`] is what an audit compares before and after.

mod fingerprint;
mod held;
mod rules;
mod talk;

pub use fingerprint::fingerprint;
pub use held::Held;
pub(crate) use held::look;
pub use rules::{Hook, Ruleset, Table};
pub use talk::{Counters, DaemonState, Probe, Probed, Resolved, RuleCount, Toolbox};

use crate::docker::DockerError;
use crate::images::Recipe;
use firedrill_core::ids::NodeName;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use thiserror::Error;

/// Repository of the toolbox's image.
pub const IMAGE: &str = "firedrill/toolbox";

/// When the kernel, or else the helper, ends a fault by itself. Longer than any step of a drill may last, and
/// short enough that a namespace that was forgotten is soon as it was.
pub const EXPIRY: Duration = Duration::from_secs(15 * 60);

/// A toolbox cannot do its work.
#[derive(Debug, Error)]
pub enum ToolboxError {
    /// The engine refused a call.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The image was not found when the stack was booted.
    #[error(
        "there is no image {IMAGE}: no folder above the topology has fixtures/images/toolbox; keep topologies inside \
         of firedrill's repository, and boot again"
    )]
    NoImage,
    /// The node does not run: it has no network namespace.
    #[error("{node}: does not run, so it has no network namespace to work in")]
    NotRunning {
        /// The node.
        node: NodeName,
    },
    /// It said no, said nothing, or is gone.
    #[error("{node}: the helper in its network namespace: {what}")]
    Failed {
        /// The node.
        node: NodeName,
        /// What it said.
        what: String,
    },
}

/// One command that the toolbox runs. `@EXPIRY@` in it becomes the instant of the expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
}

impl Command {
    /// A command that is split at its spaces.
    pub fn new(line: &str) -> Self {
        Self { argv: line.split_whitespace().map(str::to_owned).collect(), stdin: None }
    }

    /// A command by its words, which may have spaces in them.
    pub fn of(words: &[&str]) -> Self {
        Self { argv: words.iter().map(ToString::to_string).collect(), stdin: None }
    }

    /// The same with something to read.
    pub fn reading(self, stdin: impl Into<String>) -> Self {
        Self { stdin: Some(stdin.into()), ..self }
    }
}

/// A program that runs in the toolbox from `arm` to `undo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Part of the line by which it says that it is ready; empty does not wait.
    pub ready: String,
    /// Whether it answers a line `count` at its standard input with its counters, as one line of JSON.
    pub counts: bool,
}

/// What a toolbox does for a fault. Part of the fault's memo, so that another process can revert it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Commands at the injection, in order.
    pub apply: Vec<Command>,
    /// Commands at the undo. Each may find that there is nothing to do for it.
    pub revert: Vec<Command>,
    /// How the names of the fault's own chains begin: what is counted, and what must be gone. Empty where it
    /// has none.
    pub chains: String,
    /// When the helper reverts by itself, in seconds.
    pub expiry_s: u64,
    /// What runs meanwhile.
    pub daemon: Option<Daemon>,
}

impl Spec {
    /// The spec that applies a set of rules.
    pub fn of_rules(rules: &Ruleset) -> Self {
        Self { apply: rules.apply(), revert: rules.revert(), chains: rules.prefix(), ..Self::empty() }
    }

    /// A spec that does nothing.
    pub fn empty() -> Self {
        Self { expiry_s: EXPIRY.as_secs(), ..Self::default() }
    }

    /// The same with a daemon.
    pub fn with_daemon(self, daemon: Daemon) -> Self {
        Self { daemon: Some(daemon), ..self }
    }
}

/// How the toolbox's image is made, looked for above the folder of a topology.
pub fn recipe(topology_folder: &Path) -> Option<Recipe> {
    let absolute = topology_folder.canonicalize().ok()?;
    let contexts = absolute.ancestors().map(|folder| folder.join("fixtures/images/toolbox"));
    let context = contexts.into_iter().find(|context| context.join("Dockerfile").is_file())?;
    Some(Recipe { name: IMAGE.to_owned(), context })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_found_above_every_shipped_topology() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for folder in ["topologies/pretix-ha", "fixtures/topologies/cache", "fixtures/topologies/database"] {
            let recipe = recipe(&root.join(folder)).expect("found");
            assert!(recipe.context.ends_with("fixtures/images/toolbox"), "{recipe:?}");
        }
        assert_eq!(recipe(Path::new("/")), None);
    }

    #[test]
    fn commands_are_words() {
        assert_eq!(Command::new("ip  link show").argv, ["ip", "link", "show"]);
        assert_eq!(Command::of(&["a", "b c"]).argv, ["a", "b c"]);
        let json = serde_json::to_string(&Command::new("a").reading("x")).expect("json");
        assert_eq!(json, r#"{"argv":["a"],"stdin":"x"}"#);
    }
}
