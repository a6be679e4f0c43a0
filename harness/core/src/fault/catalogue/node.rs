//! Faults of a whole node and of its processes.

use super::{Parameters, within};
use crate::fault::{About, Owns};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `kill`.
pub const KILL: About = About {
    summary: "the node is gone as if its power had failed; its disk stays",
    how: "SIGKILL to the container's first process, which takes all others with it; by the kernel itself where \
          the harness is root on the engine's machine, else by the engine",
    proof: "the engine reports the container as ended with code 137",
    undo: "start it again",
    owns: Owns::Life,
    ..About::DEFAULT
};

/// Parameters of `stop`, `restart` and `rolling-restart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// How long it may take to end by itself before it is killed, in milliseconds; whole seconds are what
    /// the engine knows.
    pub grace_ms: u64,
}

impl Default for Stop {
    /// The engine's own default.
    fn default() -> Self {
        Self { grace_ms: 10_000 }
    }
}

impl Parameters for Stop {
    fn check(&self) -> Result<(), String> {
        within("grace_ms", self.grace_ms, 1_000, 60_000)
    }
}

/// `stop`.
pub const STOP: About = About {
    summary: "the node ends in an orderly way, as for maintenance",
    how: "the container's stop signal (SIGTERM unless the topology says otherwise), SIGKILL after the grace",
    proof: "the engine reports the container as ended after the injection; the exit code is in the proof",
    undo: "start it again",
    owns: Owns::Life,
    effect_deadline: Duration::from_secs(75),
    ..About::DEFAULT
};

/// `pause`.
pub const PAUSE: About = About {
    summary: "the node is frozen: connections stay open, and nobody answers",
    how: "the container's freezer cgroup, by the engine",
    proof: "the engine reports it as paused, and so does the kernel's freezer where it can be read",
    undo: "thaw it; a node that was killed meanwhile is left as it is",
    owns: Owns::Freezer,
    ..About::DEFAULT
};

/// `restart`.
pub const RESTART: About = About {
    summary: "the node ends in an orderly way and comes back at once",
    how: "stop signal, SIGKILL after the grace, start",
    proof: "the engine reports a later start than before, and another first process",
    undo: "start it, where it did not come back",
    owns: Owns::Life,
    effect_deadline: Duration::from_secs(75),
    ..About::DEFAULT
};

/// Parameters of `crash-loop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrashLoop {
    /// How long it lives each time, in milliseconds.
    pub alive_ms: u64,
    /// How long it is dead each time, in milliseconds.
    pub dead_ms: u64,
}

impl Default for CrashLoop {
    /// Long enough to be noticed as alive by a health check of one second.
    fn default() -> Self {
        Self { alive_ms: 1_500, dead_ms: 500 }
    }
}

impl Parameters for CrashLoop {
    fn check(&self) -> Result<(), String> {
        within("alive_ms", self.alive_ms, 50, 60_000)?;
        within("dead_ms", self.dead_ms, 50, 60_000)
    }
}

/// `crash-loop`.
pub const CRASH_LOOP: About = About {
    summary: "the node comes up and dies, again and again",
    how: "SIGKILL and start in turn, as long as the fault is in force",
    proof: "the engine reports at least two later starts",
    undo: "stop doing so, and start it",
    owns: Owns::Life,
    effect_deadline: Duration::from_secs(150),
    ..About::DEFAULT
};

/// `recreate`.
pub const RECREATE: About = About {
    summary: "the machine is lost for good and replaced by an empty one",
    how: "the container and the volumes that only it uses are removed; a new one of the same configuration, \
          name, addresses and ports comes in its place when the fault ends",
    proof: "the engine knows neither the container nor its volumes any more",
    undo: "volumes and container are made anew, of the same plan as at the boot, and started",
    owns: Owns::Life,
    effect_deadline: Duration::from_secs(30),
    ..About::DEFAULT
};

/// Parameters of faults of processes inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// A part of the process's command line, for example `gunicorn`, `repmgrd` or `pgpool: wait`. Empty is
    /// any process but the container's first ones (the init and its child), or that child where it is the only one.
    pub command: String,
    /// How many, at most; drawn from the seed.
    pub count: u32,
}

impl Default for Process {
    fn default() -> Self {
        Self { command: String::new(), count: 1 }
    }
}

impl Parameters for Process {
    fn check(&self) -> Result<(), String> {
        within("count", self.count, 1, 1_000)?;
        if self.command.chars().any(char::is_control) {
            return Err("command has control characters: give a part of the command line".to_owned());
        }
        Ok(())
    }
}

/// `kill-process`.
pub const KILL_PROCESS: About = About {
    summary: "one process inside dies: a gunicorn worker, a Pgpool child, a replication manager",
    how: "SIGKILL to processes whose command line has the text",
    needs: "a shell and `tr` in the node's image",
    proof: "the processes (by number and start time) are gone",
    undo: "nothing to undo: whoever supervises it starts another one; where the node ended, it is started",
    owns: Owns::Process,
    inside: true,
    ..About::DEFAULT
};

/// `freeze-process`.
pub const FREEZE_PROCESS: About = About {
    summary: "one process inside hangs while all others go on",
    how: "SIGSTOP to processes whose command line has the text",
    needs: "a shell and `tr` in the node's image",
    proof: "the kernel shows the processes (by number and start time) as stopped",
    undo: "SIGCONT to exactly these processes",
    owns: Owns::Process,
    inside: true,
    ..About::DEFAULT
};

/// `rolling-restart`.
pub const ROLLING_RESTART: About = About {
    summary: "the tier is restarted node by node, as for an upgrade",
    how: "stop signal, SIGKILL after the grace, start; the next node when this one serves again",
    proof: "every node has a later start than before and another first process, and says that it serves",
    undo: "start what did not come back",
    owns: Owns::Life,
    effect_deadline: Duration::from_secs(180),
    ..About::DEFAULT
};
