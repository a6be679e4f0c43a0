//! Processes inside a container: found and signalled through the container's own `/proc` by a POSIX shell
//! script, as root. A process is known by its number and its start time, so that a number which is in use
//! again is never taken for it.

use super::inside::ROOT;
use super::signal::{self, Grip, Stat};
use crate::docker::Output;
use crate::faults::{Done, InjectorError, Memo, Site};
use crate::stack::Node;
use firedrill_core::fault::catalogue::node::Process;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the script may take: it looks at some hundred processes.
const SCRIPT_DEADLINE: Duration = Duration::from_secs(15);

/// Two lines a process: its stat, and its command line. `read` takes one line only, whatever is in the
/// name of a process, so the pairs stay pairs.
const LIST: &str = r#"
for folder in /proc/[0-9]*; do
  { read -r stat < "$folder/stat"; } 2>/dev/null || continue
  printf '%s\n%s\n' "$stat" "$(tr '\0\n' '  ' < "$folder/cmdline" 2>/dev/null)"
done
"#;

/// Signals those of the processes (number, start time, number, ...) that are still the same.
const SIGNAL: &str = r#"
signal=$1
shift
start_of() { shift 19; echo "$1"; }
while [ $# -ge 2 ]; do
  if { read -r stat < "/proc/$1/stat"; } 2>/dev/null && [ "$(start_of ${stat##*) })" = "$2" ]; then
    kill -s "$signal" "$1" 2>/dev/null
  fi
  shift 2
done
exit 0
"#;

/// A process inside as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) struct Seen {
    pub(in crate::faults) stat: Stat,
    pub(in crate::faults) command: String,
}

/// A process that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::faults) struct Chosen {
    /// Its number inside.
    pub(in crate::faults) pid: i32,
    /// When it started, in clock ticks since the machine did.
    pub(in crate::faults) start_ticks: u64,
    /// Its command line.
    pub(in crate::faults) command: String,
}

impl Chosen {
    /// This process among those that were seen.
    pub(in crate::faults) fn find<'a>(&self, seen: &'a [Seen]) -> Option<&'a Seen> {
        seen.iter().find(|seen| seen.stat.pid == self.pid && seen.stat.start_ticks == self.start_ticks)
    }
}

/// What the undo has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::faults) struct Choice {
    /// Those that are hit.
    pub(in crate::faults) chosen: Vec<Chosen>,
    /// How many there were to choose from.
    pub(in crate::faults) of: usize,
}

impl Choice {
    /// Number and start time of each.
    pub(in crate::faults) fn keys(&self) -> Vec<(i32, u64)> {
        self.chosen.iter().map(|chosen| (chosen.pid, chosen.start_ticks)).collect()
    }

    /// In words.
    pub(in crate::faults) fn describe(&self) -> String {
        let words = self.chosen.iter().map(|chosen| format!("{} ({})", chosen.pid, short(&chosen.command)));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Chooses the processes of a node and makes the memo.
pub(in crate::faults) async fn choose(
    site: &Site<'_>,
    node: &Node,
    fault: &'static str,
    which: &Process,
) -> Done<Memo> {
    let all = list(site, node).await?;
    let fits = fitting(&all, &which.command);
    if fits.is_empty() {
        let others = fitting(&all, "").into_iter().map(|other| short(&other.command));
        let others = others.collect::<Vec<_>>().join(", ");
        let why = format!("no process's command line has {:?}; there are: {others}", which.command);
        return Err(InjectorError::impossible(node, fault, why));
    }
    let count = usize::try_from(which.count).unwrap_or(usize::MAX);
    let choice = Choice { chosen: draw(&fits, count, site.seed, node), of: fits.len() };
    Memo::of(node, &choice)
}

/// All processes inside.
pub(in crate::faults) async fn list(site: &Site<'_>, node: &Node) -> Done<Vec<Seen>> {
    Ok(parse(&run(site, node, &["sh", "-c", LIST]).await?.stdout))
}

/// Holds the chosen processes by the numbers that this machine's kernel has for them, where it runs them.
pub(in crate::faults) async fn hold(grip: &Grip, site: &Site<'_>, node: &Node, choice: &Choice) -> Done<()> {
    let first = signal::first(site.stack, node).await?;
    let found = first.and_then(|first| first.beside(&choice.keys())).unwrap_or_default();
    let held: Vec<_> = found.iter().filter_map(signal::HostProcess::hold).collect();
    // All or none: where one is missing, the engine's way finds out which.
    grip.keep(node, if held.len() == choice.chosen.len() { held } else { Vec::new() });
    Ok(())
}

/// Signals those that are still the same, by a command inside.
pub(in crate::faults) async fn signal(site: &Site<'_>, node: &Node, signal: &str, choice: &Choice) -> Done<()> {
    let keys: Vec<String> =
        choice.keys().into_iter().flat_map(|(pid, start)| [pid.to_string(), start.to_string()]).collect();
    let mut command = vec!["sh", "-c", SIGNAL, "sh", signal];
    command.extend(keys.iter().map(String::as_str));
    run(site, node, &command).await.map(|_| ())
}

async fn run(site: &Site<'_>, node: &Node, command: &[&str]) -> Done<Output> {
    let output = site.stack.engine.exec_as(ROOT, &node.container, command, SCRIPT_DEADLINE).await?;
    match output.code {
        0 => Ok(output),
        code => Err(InjectorError::failed(
            node,
            format!("the script that looks at its processes ended with code {code}: {}", output.stderr.trim()),
        )),
    }
}

fn parse(text: &str) -> Vec<Seen> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.chunks_exact(2);
    pairs.filter_map(|pair| Some(Seen { stat: Stat::parse(pair[0])?, command: pair[1].trim().to_owned() })).collect()
}

/// The processes that may be hit: descendants of the container's first process (what was put into the
/// container by the engine, like the script itself, descends from nobody), whose command line has the text.
/// Without a text the first process's first child, the program itself, is spared, unless there is nothing else: a
/// Sentinel is one process.
fn fitting(all: &[Seen], text: &str) -> Vec<Chosen> {
    let descends = |seen: &Seen| {
        let mut parent = seen.stat.parent;
        // No chain is longer than there are processes; a list that is not of one instant may have a circle.
        for _ in 0..all.len() {
            match all.iter().find(|other| other.stat.pid == parent) {
                _ if parent == 1 => return true,
                Some(other) => parent = other.stat.parent,
                None => return false,
            }
        }
        false
    };
    let children = all.iter().filter(|seen| seen.stat.parent == 1);
    let program = children.map(|seen| (seen.stat.start_ticks, seen.stat.pid)).min();
    let alive = all.iter().filter(|seen| !seen.stat.is_ending());
    let mut fits: Vec<&Seen> = alive.filter(|seen| descends(seen) && seen.command.contains(text)).collect();
    if text.is_empty() && fits.len() > 1 {
        fits.retain(|seen| program != Some((seen.stat.start_ticks, seen.stat.pid)));
    }
    let chosen = fits.into_iter().map(|seen| Chosen {
        pid: seen.stat.pid,
        start_ticks: seen.stat.start_ticks,
        command: seen.command.clone(),
    });
    chosen.collect()
}

/// How many fit now.
pub(in crate::faults) fn count_fitting(all: &[Seen], text: &str) -> usize {
    fitting(all, text).len()
}

/// Draws from the seed; another node draws others.
fn draw(fits: &[Chosen], count: usize, seed: u64, node: &Node) -> Vec<Chosen> {
    let seed = node.name.as_str().bytes().fold(seed, |seed, byte| seed.rotate_left(8) ^ u64::from(byte));
    fits.sample(&mut StdRng::seed_from_u64(seed), count).cloned().collect()
}

/// The beginning of a command line.
fn short(command: &str) -> String {
    const LENGTH: usize = 60;
    if command.chars().count() <= LENGTH {
        return command.to_owned();
    }
    command.chars().take(LENGTH).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: i32, name: &str, state: char, parent: i32, start: u64, command: &str) -> String {
        let fill = "0 ".repeat(12);
        format!("{pid} ({name}) {state} {parent} 0 0 0 -1 4194304 {fill}{start} 0\n{command}\n")
    }

    fn inside() -> Vec<Seen> {
        let text = [
            line(1, "docker-init", 'S', 0, 100, "/sbin/docker-init -- python3 /redis/node.py "),
            line(7, "python3", 'S', 1, 101, "python3 /redis/node.py "),
            line(12, "redis (1) x", 'S', 7, 150, "redis-server *:6379 "),
            line(13, "redis-bgsave", 'Z', 12, 160, ""),
            line(40, "sh", 'S', 0, 900, "sh -c redis-server "),
            line(41, "tr", 'R', 40, 901, "tr redis-server "),
        ];
        parse(&text.concat())
    }

    #[test]
    fn the_first_processes_and_what_the_engine_put_inside_are_never_hit() {
        let all = inside();
        assert_eq!(all.len(), 6);
        let any: Vec<i32> = fitting(&all, "").iter().map(|chosen| chosen.pid).collect();
        assert_eq!(any, [12]);
        let named: Vec<i32> = fitting(&all, "node.py").iter().map(|chosen| chosen.pid).collect();
        assert_eq!(named, [7], "the program itself only by its name, the init never");
        assert!(fitting(&all, "nginx").is_empty());
        let alone: Vec<Seen> = all.into_iter().filter(|seen| seen.stat.pid != 12).collect();
        let program: Vec<i32> = fitting(&alone, "").iter().map(|chosen| chosen.pid).collect();
        assert_eq!(program, [7], "where there is nothing else, the program itself");
    }

    #[test]
    fn a_number_in_use_again_is_somebody_else() {
        let all = inside();
        let mut chosen = fitting(&all, "").remove(0);
        assert!(chosen.find(&all).is_some());
        chosen.start_ticks -= 1;
        assert!(chosen.find(&all).is_none());
    }
}
