//! Labels: how everything that belongs to a run is found again, by this process or by another one.

use firedrill_core::ids::RunId;
use std::collections::HashMap;

/// The run that a container, network or volume belongs to.
pub const RUN: &str = "io.firedrill.run";
/// The node that a container is.
pub const NODE: &str = "io.firedrill.node";
/// The process that owns the run, see [`owner`].
pub const OWNER: &str = "io.firedrill.owner";
/// What a helper in a node's network namespace is for: the step and the node, or a look.
pub const TOOLBOX: &str = "io.firedrill.toolbox";
/// On a volume that has a file system of its own: the image by which it was made, and can be thawed.
pub const DISK: &str = "io.firedrill.disk";
/// Hash of the build context of an image.
pub const CONTEXT: &str = "io.firedrill.context";

/// Value of [`OWNER`] of a stack that was booted to stay (`firedrill up`): nobody's death removes it.
pub const OWNER_NOBODY: &str = "up";

/// Name at the engine of what belongs to a run: a node's container, a network, a volume, a helper.
pub(crate) fn name(run: &RunId, part: &str) -> String {
    format!("fd-{run}-{part}")
}

/// Labels of everything that belongs to a run.
pub fn of_run(run: &RunId, owner: &str) -> HashMap<String, String> {
    HashMap::from([(RUN.to_owned(), run.to_string()), (OWNER.to_owned(), owner.to_owned())])
}

/// This process as an owner: its id and the time at which the kernel started it, so that another process
/// with the same id is not taken for it.
pub fn this_process() -> String {
    let pid = std::process::id();
    format!("{pid}:{}", start_ticks(pid).unwrap_or(0))
}

/// Whether the process that a label names still runs. What cannot be read counts as alive: removing a
/// living run's containers is worse than leaving a dead one's.
pub fn owner_is_alive(owner: &str) -> bool {
    let Some((pid, ticks)) = owner.split_once(':') else { return true };
    let (Ok(pid), Ok(ticks)) = (pid.parse::<u32>(), ticks.parse::<u64>()) else { return true };
    start_ticks(pid).is_some_and(|now| now == ticks)
}

/// Field 22 of `/proc/PID/stat`, counted after the closing bracket of the name, which may hold spaces.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_others_are_told_apart() {
        let me = this_process();
        assert!(owner_is_alive(&me));
        assert!(owner_is_alive(OWNER_NOBODY));
        let (pid, ticks) = me.split_once(':').expect("pid:ticks");
        let earlier = ticks.parse::<u64>().expect("a number") - 1;
        assert!(!owner_is_alive(&format!("{pid}:{earlier}")), "same id, another start");
        // Process ids end at 4194304 on Linux.
        assert!(!owner_is_alive("4999999:1"));
    }
}
