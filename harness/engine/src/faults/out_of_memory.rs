//! `out-of-memory`: a memory limit just above what the node's processes hold, and a taker inside that fills
//! shared memory until the kernel ends a process. A file in shared memory counts like a process's memory but
//! can itself not be ended: so it is one of the node's own processes that is hit, and not the taker.
//!
//! Proof of effect: the cgroup's count of processes that were ended for want of memory, told by the taker
//! together with who is gone; where the node ended with its process, what the engine reports. Undo: the
//! limit that it had, the file and the taker go, the victim's score is put back, and a node that ended is
//! started.

use super::support::inside::{self, ROOT, Said};
use super::support::limits::{self, MemoryBefore, mib};
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use crate::wait::{self, Look};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is left to the processes. The taker's own shell needs a part of it.
const HEADROOM_BYTES: u64 = 4 << 20;

/// How long the taker may take to start.
const READY_DEADLINE: Duration = Duration::from_secs(5);

/// `$1` is the limit to wait for, `$2` the file. Built-in commands only: under the limit every new process
/// would have to read its program from disk again.
const TAKER: &str = r#"
    d=/sys/fs/cgroup/memory; l=$d/memory.limit_in_bytes; c=$d/memory.oom_control
    [ -e $l ] || { d=/sys/fs/cgroup; l=$d/memory.max; c=$d/memory.events; }
    count() { while read -r k v; do [ "$k" = oom_kill ] && kills=$v; done < $c; }
    list() { for p in /proc/[0-9]*; do read -r name < $p/comm && echo "$1 ${p#/proc/} $name"; done 2>/dev/null; }
    count; before=$kills
    list was; echo ready; n=0
    while read -r now < $l && [ "$now" != "$1" ]; do
      n=$((n+1)); [ $n -lt 1000 ] || { echo "the limit did not come"; exit 1; }; sleep 0.01
    done
    while count; [ "$kills" = "$before" ]; do printf '%65536s' '' >> "$2" || { echo full; exit 1; }; done
    sleep 0.1; list is; echo "ended $((kills - before))""#;

/// Id, start, score and name of the first process with a text in its command line: not the init (its command
/// line is everybody's), and not this shell and its children.
const VICTIM: &str = r#"
    for p in $(grep -alsF -- "$1" /proc/[0-9]*/cmdline | sed 's/[^0-9]//g' | sort -n); do
      [ "$p" = $$ ] && continue
      parent=$(sed -n 's/^PPid:\s*//p' /proc/$p/status 2>/dev/null)
      [ -n "$parent" ] && [ "$parent" != 0 ] && [ "$parent" != $$ ] || continue
      echo "$p $(sed 's/.*) //' /proc/$p/stat | cut -d' ' -f20) $(cat /proc/$p/oom_score_adj) $(cat /proc/$p/comm)"
      exit
    done"#;

/// Sets the score of process `$1`, if it is still the one that started at `$2`, to `$3`.
const SCORE: &str = r#"
    [ "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20)" = "$2" ] || exit 0
    echo "$3" > "/proc/$1/oom_score_adj""#;

/// The first process to be ended, whatever others hold.
const FIRST: &str = "1000";

/// See the module.
pub(super) struct OutOfMemory {
    command: String,
    taker: PerNode<Said>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Before {
    limit: MemoryBefore,
    victim: Option<Victim>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Victim {
    id: String,
    start: String,
    score: String,
    name: String,
}

impl Victim {
    fn parse(said: &str) -> Option<Self> {
        let mut words = said.split_whitespace().map(ToOwned::to_owned);
        Some(Self { id: words.next()?, start: words.next()?, score: words.next()?, name: words.next()? })
    }

    async fn set_score(&self, site: &Site<'_>, node: &Node, score: &str) -> Done<()> {
        inside::shell(site.stack, node, ROOT, SCORE, &[&self.id, &self.start, score]).await.map(|_| ())
    }
}

impl OutOfMemory {
    pub(super) fn new(parameters: &resource::OutOfMemory) -> Self {
        Self { command: parameters.command.clone(), taker: PerNode::default() }
    }

    async fn start_taker(&self, site: &Site<'_>, node: &Node, limit_bytes: u64) -> Done<()> {
        let said = inside::spawn(site.stack, node, ROOT, TAKER, &[&limit_bytes.to_string(), &file(site)]).await?;
        self.taker.put(node, said.clone());
        wait::until("the taker is ready", READY_DEADLINE, Duration::from_millis(5), || async {
            match said.so_far() {
                (text, _) if text.contains("ready") => Look::Ready(()),
                (text, _) => Look::NotYet(text),
            }
        })
        .await?;
        Ok(())
    }
}

fn file(site: &Site<'_>) -> String {
    format!("/dev/shm/firedrill-taker-{}-", site.step.0)
}

/// How many were ended, and the names of those that are gone.
fn toll(said: &str) -> Option<(u64, Vec<String>)> {
    let count = said.lines().find_map(|line| line.strip_prefix("ended ")?.parse().ok())?;
    let of = |mark: &'static str| said.lines().filter_map(move |line| line.strip_prefix(mark)).map(ToOwned::to_owned);
    let left: Vec<String> = of("is ").collect();
    let gone = of("was ").filter(|process| !left.contains(process));
    Some((count, gone.filter_map(|process| Some(process.split_once(' ')?.1.to_owned())).collect()))
}

#[async_trait]
impl Injector for OutOfMemory {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "out-of-memory").await?;
        let limit = MemoryBefore::read(site.stack, node).await?;
        let mut victim = None;
        if !self.command.is_empty() {
            let said = inside::shell(site.stack, node, ROOT, VICTIM, &[&self.command]).await?;
            let none = || format!("no process has {:?} in its command line", self.command);
            let found = Victim::parse(&said);
            victim = Some(found.ok_or_else(|| InjectorError::impossible(node, "out-of-memory", none()))?);
        }
        Memo::of(node, &Before { limit, victim })
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let before: Before = memo.read(node)?;
        if let Some(victim) = &before.victim {
            victim.set_score(site, node, FIRST).await?;
        }
        let used = limits::used_bytes(site.stack, node, false).await?;
        let bytes = limits::whole_pages(used + HEADROOM_BYTES);
        before.limit.must_shrink(node, bytes)?;
        self.start_taker(site, node, bytes).await?;
        limits::limit_memory(site.stack, node, bytes).await
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let state = state::state(site.stack, node).await?;
        let name = &node.name;
        if state.running == Some(false) {
            let by_kernel = state.oom_killed == Some(true);
            let code = state.exit_code.unwrap_or(-1);
            return Ok(by_kernel.then(|| format!("{name}: ended for want of memory with code {code}, says the engine")));
        }
        let Some(said) = self.taker.get(node) else { return Ok(None) };
        let (text, ended) = said.so_far();
        match toll(&text) {
            Some((count, gone)) => {
                let limit = limits::stats(site.stack, node).await?.memory_stats.unwrap_or_default().limit;
                let (limit, gone) = (mib(limit.unwrap_or(0)), gone.join(", "));
                Ok(Some(format!("{name}: {count} process ended for want of memory at {limit}; gone: {gone}")))
            }
            None if ended => Err(InjectorError::failed(node, format!("the taker ended without effect: {text}"))),
            None => Ok(None),
        }
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let before: Before = memo.read(node)?;
        self.taker.take(node);
        // First: under the limit nothing could be run inside.
        before.limit.restore(site.stack, node).await?;
        if state::is_up(site.stack, node).await? {
            inside::end_marked(site.stack, node, &file(site)).await?;
            inside::shell(site.stack, node, ROOT, "rm -f \"$1\"", &[&file(site)]).await?;
            if let Some(victim) = &before.victim {
                victim.set_score(site, node, &victim.score).await?;
            }
        }
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        if state::runs(site.stack, node).await?.is_none() {
            return Ok(None);
        }
        let file = file(site);
        let left = inside::shell(site.stack, node, ROOT, "[ ! -e \"$1\" ] || echo left", &[&file]).await?;
        if !left.is_empty() || !inside::marked(site.stack, node, &file).await?.is_empty() {
            return Ok(None);
        }
        memo.read::<Before>(node)?.limit.is_restored(site.stack, node).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toll_names_who_is_gone() {
        let said = "was 1 docker-init\nwas 7 redis-server\nwas 20 sh\nready\nis 1 docker-init\nis 20 sh\nended 1\n";
        assert_eq!(toll(said), Some((1, vec!["redis-server".to_owned()])));
        assert_eq!(toll("was 1 init\nready\n"), None, "not yet");
        let victim = Victim::parse("7 1234 0 redis-server\n").expect("a victim");
        assert_eq!((victim.id.as_str(), victim.start.as_str()), ("7", "1234"));
        assert_eq!(Victim::parse(""), None);
    }
}
