//! `descriptors`: the soft limit of open files of the service's processes, lowered until no more than the
//! headroom can be opened. Done by `prlimit` as each process's own user: that needs no privilege, and the
//! hard limit stays, so that it can be raised again.
//!
//! The kernel gives the lowest free number and refuses numbers from the limit on; so the limit is the number
//! below which just the headroom is free.
//!
//! Proof of effect: the limits are read back from the kernel. Undo: the limit that the undo record has, for
//! each process that still lives; one that was born meanwhile inherited a limit lower than any process had
//! before, and gets the lowest of those.

use super::support::inside::{self, ROOT};
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the kernel says about every process, one fact a line, each with its path.
const LIST: &str = "\
    cd /proc && grep -sE '^(Name|PPid|Uid|Gid):' [0-9]*/status; grep -s '^Max open files' [0-9]*/limits; \
    grep -s '' [0-9]*/stat; true";

/// Lowers the limit of the processes from `$2` on, so that each can open `$1` more. Says whom, and to what.
const LOWER: &str = r#"
    room=$1; shift
    for p; do
      [ -r "/proc/$p/fd" ] || continue
      n=0; free=0
      while :; do
        if [ ! -L "/proc/$p/fd/$n" ]; then [ $free -eq "$room" ] && break; free=$((free+1)); fi
        n=$((n+1))
      done
      prlimit --pid "$p" --nofile="$n": && echo "$p $n"
    done; true"#;

/// Sets the limit of process `$1` to `$2`, `$3` to `$4`, and so on.
const RAISE: &str = r#"while [ $# -gt 1 ]; do prlimit --pid "$1" --nofile="$2": ; shift 2; done; true"#;

/// See the module.
pub(super) struct Descriptors {
    headroom: u32,
    lowered: PerNode<BTreeMap<u32, u64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    name: String,
    start: u64,
    soft: u64,
    #[serde(skip)]
    parent: u32,
    #[serde(skip)]
    user: String,
    #[serde(skip)]
    group: String,
}

impl Process {
    fn owner(&self) -> String {
        format!("{}:{}", self.user, self.group)
    }
}

type Processes = BTreeMap<u32, Process>;

impl Descriptors {
    pub(super) fn new(parameters: &resource::Descriptors) -> Self {
        Self { headroom: parameters.headroom, lowered: PerNode::default() }
    }
}

/// The processes of the service: what descends from the first one. The init only passes signals on, and
/// what was put in from outside has no parent.
async fn list(site: &Site<'_>, node: &Node) -> Done<Processes> {
    let said = inside::shell(site.stack, node, ROOT, LIST, &[]).await?;
    Ok(service(parse(&said)))
}

fn parse(said: &str) -> Processes {
    let mut processes = Processes::new();
    for line in said.lines() {
        let Some((path, fact)) = line.split_once(':') else { continue };
        let Some((id, file)) = path.split_once('/') else { continue };
        let Ok(id) = id.parse() else { continue };
        let process: &mut Process = processes.entry(id).or_default();
        let word = |index: usize| fact.split_whitespace().nth(index).unwrap_or_default();
        match (file, word(0)) {
            ("status", "Name:") => process.name = word(1).to_owned(),
            ("status", "PPid:") => process.parent = word(1).parse().unwrap_or(0),
            ("status", "Uid:") => process.user = word(1).to_owned(),
            ("status", "Gid:") => process.group = word(1).to_owned(),
            // Max open files            1024                 4096                 files
            ("limits", _) => process.soft = word(3).parse().unwrap_or(u64::MAX),
            ("stat", _) => {
                let fields = fact.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(19));
                process.start = fields.and_then(|ticks| ticks.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    processes
}

fn service(all: Processes) -> Processes {
    let is_init = |process: &Process| matches!(process.name.as_str(), "docker-init" | "tini");
    let descends = |mut id: u32| {
        while id > 1 {
            id = all.get(&id).map_or(0, |process| process.parent);
        }
        id == 1
    };
    let own = all.iter().filter(|(id, process)| !(**id == 1 && is_init(process)) && descends(**id));
    // One that ended while it was looked at has no limits.
    own.filter(|(_, process)| process.soft > 0 && process.start > 0).map(|(id, p)| (*id, p.clone())).collect()
}

/// Whose limit has to be raised to what.
fn to_raise(before: &Processes, now: &Processes) -> Vec<(u32, u64)> {
    let Some(floor) = before.values().map(|process| process.soft).min() else { return Vec::new() };
    let raise = |(id, process): (&u32, &Process)| {
        let known = before.get(id).filter(|known| known.start == process.start);
        let soft = known.map_or(floor, |known| known.soft);
        let lowered = process.soft < if known.is_some() { soft } else { floor };
        lowered.then_some((*id, soft))
    };
    now.iter().filter_map(raise).collect()
}

#[async_trait]
impl Injector for Descriptors {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "descriptors").await?;
        let has = inside::shell(site.stack, node, ROOT, "command -v prlimit || true", &[]).await?;
        if has.is_empty() {
            let why = "its image has no prlimit: install util-linux";
            return Err(InjectorError::impossible(node, "descriptors", why));
        }
        Memo::of(node, &list(site, node).await?)
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let processes = list(site, node).await?;
        let owners: BTreeSet<String> = processes.values().map(Process::owner).collect();
        let mut lowered: BTreeMap<u32, u64> = BTreeMap::new();
        for owner in owners {
            let own = processes.iter().filter(|(_, process)| process.owner() == owner);
            let mut arguments = vec![self.headroom.to_string()];
            arguments.extend(own.map(|(id, _)| id.to_string()));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = inside::shell(site.stack, node, &owner, LOWER, &arguments).await?;
            lowered.extend(said.lines().filter_map(|line| -> Option<(u32, u64)> {
                let (id, limit) = line.split_once(' ')?;
                Some((id.parse().ok()?, limit.parse().ok()?))
            }));
        }
        if lowered.is_empty() {
            return Err(InjectorError::failed(node, "no process's limit of open files could be lowered"));
        }
        self.lowered.put(node, lowered);
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let Some(lowered) = self.lowered.get(node) else { return Ok(None) };
        let (before, now) = (memo.read::<Processes>(node)?, list(site, node).await?);
        let mut seen = Vec::new();
        for (id, limit) in &lowered {
            // Those that ended since, as Pgpool's children do, do not count.
            let Some(process) = now.get(id) else { continue };
            if process.soft != *limit {
                return Ok(None);
            }
            let was = before.get(id).map_or(String::new(), |before| format!("{} to ", before.soft));
            seen.push(format!("{} ({id}) {was}{limit}", process.name));
        }
        let headroom = self.headroom;
        let text = || format!("{}: may open {headroom} more files; limit of {}", node.name, seen.join(", "));
        Ok((!seen.is_empty()).then(text))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        self.lowered.take(node);
        if !state::is_up(site.stack, node).await? {
            return Ok(());
        }
        let (before, now) = (memo.read::<Processes>(node)?, list(site, node).await?);
        let mut by_owner: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, soft) in to_raise(&before, &now) {
            let owner = now.get(&id).map(Process::owner).unwrap_or_default();
            by_owner.entry(owner).or_default().extend([id.to_string(), soft.to_string()]);
        }
        for (owner, arguments) in by_owner {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            inside::shell(site.stack, node, &owner, RAISE, &arguments).await?;
        }
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: no process is left", node.name)));
        }
        let (before, now) = (memo.read::<Processes>(node)?, list(site, node).await?);
        let done = to_raise(&before, &now).is_empty();
        Ok(done.then(|| format!("{}: limits of open files as before ({} processes)", node.name, now.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
1/status:Name:\tdocker-init
1/status:PPid:\t0
7/status:Name:\tredis-server
7/status:PPid:\t1
7/status:Uid:\t100\t100\t100\t100
7/status:Gid:\t101\t101\t101\t101
20/status:Name:\tsh
20/status:PPid:\t0
21/status:PPid:\t20
1/limits:Max open files            20000                20000                files     
7/limits:Max open files            20000                20000                files     
1/stat:1 (docker-init) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0
7/stat:7 (redis: server) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 101 0 0";

    #[test]
    fn neither_the_init_nor_what_was_put_in_is_the_service() {
        let own = service(parse(SAID));
        assert_eq!(own.keys().copied().collect::<Vec<_>>(), [7]);
        let redis = &own[&7];
        assert_eq!((redis.owner().as_str(), redis.soft, redis.start), ("100:101", 20_000, 101));
    }

    #[test]
    fn who_was_born_meanwhile_inherited_the_lowered_limit() {
        let process = |start, soft| Process { start, soft, ..Process::default() };
        let before = Processes::from([(7, process(1, 20_000)), (8, process(2, 1_024))]);
        let now =
            Processes::from([(7, process(1, 9)), (8, process(9, 9)), (9, process(3, 12)), (10, process(4, 4_096))]);
        assert_eq!(to_raise(&before, &now), [(7, 20_000), (8, 1_024), (9, 1_024)]);
        assert!(to_raise(&before, &before).is_empty());
    }
}
