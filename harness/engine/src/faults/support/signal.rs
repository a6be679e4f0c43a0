//! Signals past the engine: where this process runs as root on the machine whose kernel runs the
//! containers, it signals their processes itself. One system call takes microseconds, a call of the engine
//! 15 to 50 ms, by which the planned instant would be missed.
//!
//! A process is held by a pidfd, which is opened before the planned instant and checked against the start
//! time of the process: a pid that was given to somebody else meanwhile is never hit. Where any of it cannot
//! be had (a remote engine, a virtual machine, not root), there is nothing to hold, and the fault takes the
//! engine's way.

use super::state;
use crate::faults::{Done, Site};
use crate::per_node::PerNode;
use crate::stack::{Node, Stack};
use crate::wait::{self, Look};
use bollard::models::ContainerInspectResponse;
pub(in crate::faults) use rustix::process::Signal;
use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What `/proc/PID/stat` says about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::faults) struct Stat {
    /// Its number.
    pub(in crate::faults) pid: i32,
    /// `R`, `S`, `D`, `T` (stopped), `Z` (dead, not yet waited for) and others.
    pub(in crate::faults) state: char,
    /// Its parent; 0 where that is outside of the pid namespace.
    pub(in crate::faults) parent: i32,
    /// The kernel's flags.
    flags: u32,
    /// When it started, in clock ticks since the machine did: with the pid, its identity.
    pub(in crate::faults) start_ticks: u64,
}

impl Stat {
    /// Reads a line; none where it is not one.
    pub(in crate::faults) fn parse(line: &str) -> Option<Self> {
        // The name stands in brackets and may hold spaces and brackets.
        let (pid, rest) = line.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split_whitespace().collect();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            flags: fields.get(6)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    fn of(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Whether it has ended, or can do nothing else any more.
    pub(in crate::faults) fn is_ending(&self) -> bool {
        /// Flags of the kernel for "is exiting" and "was killed by a signal".
        const EXITING: u32 = 0x4 | 0x400;
        matches!(self.state, 'Z' | 'X') || self.flags & EXITING != 0
    }
}

/// A process as this machine's kernel numbers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::faults) struct HostProcess {
    pid: i32,
    start_ticks: u64,
}

impl HostProcess {
    fn stat(&self) -> Option<Stat> {
        Stat::of(self.pid).filter(|stat| stat.start_ticks == self.start_ticks)
    }

    /// Whether it is gone, or about to be because SIGKILL waits for it.
    pub(in crate::faults) fn is_ending(&self) -> bool {
        self.stat().is_none_or(|stat| stat.is_ending() || kill_waits(self.pid))
    }

    /// A line of its `/proc/PID/NAME` files.
    pub(in crate::faults) fn read(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/{name}", self.pid)).ok()?;
        self.stat().map(|_| text)
    }

    /// Holds it, so that a signal can only ever reach this very process.
    pub(in crate::faults) fn hold(&self) -> Option<Held> {
        let held = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Looked at after it was opened: whoever has this start time now had the pid all the time.
        self.stat().map(|_| Held(held))
    }
}

/// Whether SIGKILL was sent and not yet taken: bit 8 of the pending signals.
fn kill_waits(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().filter_map(|line| line.strip_prefix("SigPnd:").or(line.strip_prefix("ShdPnd:")));
    let mut masks = pending.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    masks.any(|mask| mask & (1 << 8) != 0)
}

/// A process that can be signalled.
#[derive(Debug)]
pub(in crate::faults) struct Held(OwnedFd);

/// The processes that a fault holds, by node, between `arm` and `inject`.
#[derive(Debug, Default)]
pub(in crate::faults) struct Grip(PerNode<Arc<Vec<Held>>>);

impl Grip {
    /// Holds these processes of a node.
    pub(in crate::faults) fn keep(&self, node: &Node, held: Vec<Held>) {
        self.0.put(node, Arc::new(held));
    }

    /// Signals all that are held of a node. False where none is held or one could not be reached: then
    /// the engine has to do it.
    pub(in crate::faults) fn send(&self, node: &Node, signal: Signal) -> bool {
        let held = self.0.get(node).unwrap_or_default();
        // All of them, also when one fails.
        let reached = held.iter().filter(|held| pidfd_send_signal(&held.0, signal).is_ok()).count();
        !held.is_empty() && reached == held.len()
    }
}

/// The container's first process, where this machine's kernel runs it and this process may signal it.
pub(in crate::faults) async fn first(stack: &Stack, node: &Node) -> Done<Option<HostProcess>> {
    Ok(first_of(&state::inspect(stack, node).await?))
}

fn first_of(inspected: &ContainerInspectResponse) -> Option<HostProcess> {
    if !geteuid().is_root() {
        return None;
    }
    let pid = i32::try_from(inspected.state.as_ref()?.pid?).ok().filter(|pid| *pid > 0)?;
    let found = HostProcess { pid, start_ticks: Stat::of(pid)?.start_ticks };
    // The same number on another machine than the engine's would be somebody else: the container's id in
    // its cgroup and number 1 in its own namespace tell.
    let ours = found.read("cgroup")?.contains(inspected.id.as_deref().filter(|id| id.len() >= 12)?);
    (ours && found.inner_pid()? == 1).then_some(found)
}

impl HostProcess {
    /// Its number in the innermost pid namespace.
    fn inner_pid(&self) -> Option<i32> {
        let status = self.read("status")?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        numbers.split_whitespace().next_back()?.parse().ok()
    }

    /// The processes of this one's pid namespace that have these numbers in there and these start times.
    /// None where one of them is missing.
    pub(in crate::faults) fn beside(&self, wanted: &[(i32, u64)]) -> Option<Vec<Self>> {
        let space = |pid: i32| std::fs::read_link(Path::new("/proc").join(pid.to_string()).join("ns/pid")).ok();
        let own = space(self.pid)?;
        let entries = std::fs::read_dir("/proc").ok()?.flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let beside: Vec<(i32, Self)> = pids
            .filter(|pid| space(*pid).as_ref() == Some(&own))
            .filter_map(|pid| {
                let found = Self { pid, start_ticks: Stat::of(pid)?.start_ticks };
                Some((found.inner_pid()?, found))
            })
            .collect();
        let find = |(pid, start_ticks): &(i32, u64)| {
            let found = beside.iter().find(|(inner, found)| inner == pid && found.start_ticks == *start_ticks);
            found.map(|(_, found)| found.clone())
        };
        wanted.iter().map(find).collect()
    }
}

/// How long the engine may take to hear of a death.
const HEARD_DEADLINE: Duration = Duration::from_secs(10);

/// Waits until the engine knows of the end of a first process that was killed past it: it would answer a
/// start with "runs already" until then.
pub(in crate::faults) async fn settle(site: &Site<'_>, node: &Node, first: Option<&HostProcess>) -> Done<()> {
    let Some(first) = first else { return Ok(()) };
    let what = format!("{}: the engine knows of the end", node.name);
    let heard = wait::until(&what, HEARD_DEADLINE, Duration::from_millis(20), || async {
        match state::state(site.stack, node).await {
            Ok(state) if state.running == Some(true) && is_dying(first, state.pid) => {
                Look::NotYet("reported as running".to_owned())
            }
            Ok(_) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    Ok(heard.await?)
}

/// Whether what the engine reports as running is this first process, and it is ending.
pub(in crate::faults) fn is_dying(first: &HostProcess, reported: Option<i64>) -> bool {
    reported == Some(i64::from(first.pid)) && first.is_ending()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "42 (a) R (b) T 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 9";
        let stat = Stat::parse(line).expect("a line");
        assert_eq!((stat.pid, stat.state, stat.parent, stat.start_ticks), (42, 'T', 7, 12345));
        assert!(!stat.is_ending());
        assert_eq!(Stat::parse("42 (cut"), None);
    }

    #[test]
    fn only_the_very_process_is_held_and_its_end_is_seen() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("a child");
        let pid = i32::try_from(child.id()).expect("a pid");
        let found = HostProcess { pid, start_ticks: Stat::of(pid).expect("it runs").start_ticks };
        let earlier = HostProcess { pid, start_ticks: found.start_ticks - 1 };
        assert!(earlier.hold().is_none(), "same pid, another start");
        assert!(earlier.is_ending());
        assert!(!found.is_ending());
        let held = found.hold().expect("it runs");
        pidfd_send_signal(&held.0, Signal::KILL).expect("signalled");
        assert!(found.is_ending(), "no instant at which it is taken for alive");
        child.wait().expect("ended");
        assert!(found.is_ending());
        assert!(pidfd_send_signal(&held.0, Signal::KILL).is_err());
    }
}
