//! `cpu-stress`: busy loops inside the container, as its own user. They look at the kernel's up-time, which
//! no skewed clock touches, and end by themselves after a while when nobody ends them.
//!
//! Proof of effect: the CPU time that they have used, by the kernel. Undo: exactly the processes with this
//! step's mark in their command line are ended.

use super::support::{inside, state};
use super::{Done, Injector, Memo, Site};
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource;

/// Seconds after which a loop ends by itself.
const LONGEST_S: &str = "900";

/// CPU time that every loop must have used, on average, in ticks of 10 ms.
const PROVEN_TICKS: u64 = 5;

/// `$1` loops for `$2` seconds; `$3` is the mark.
const LOOPS: &str = "\
    burn() { \
      while read -r up rest < /proc/uptime && [ \"${up%.*}\" -lt \"$1\" ]; do \
        i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; \
      done; }
    read -r up rest < /proc/uptime; end=$((${up%.*} + $2)); n=0
    while [ $n -lt \"$1\" ]; do burn $end & n=$((n+1)); done
    wait";

/// See the module.
pub(super) struct CpuStress {
    workers: u32,
}

impl CpuStress {
    pub(super) fn new(parameters: &resource::CpuStress) -> Self {
        Self { workers: parameters.workers }
    }
}

fn mark(site: &Site<'_>) -> String {
    format!("firedrill-stress-{}-", site.step.0)
}

/// Ticks in user and kernel mode: fields 14 and 15 of `/proc/PID/stat`, counted after the name.
fn ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[async_trait]
impl Injector for CpuStress {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "cpu-stress").await?;
        inside::shell(site.stack, node, "", "command -v grep", &[]).await?;
        Ok(Memo::none())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let arguments = [&*self.workers.to_string(), LONGEST_S, &*mark(site)];
        inside::spawn(site.stack, node, "", LOOPS, &arguments).await.map(|_| ())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let ids = inside::marked(site.stack, node, &mark(site)).await?;
        let paths: Vec<String> = ids.iter().map(|id| format!("/proc/{id}/stat")).collect();
        let script = format!("cat {} 2>/dev/null; true", paths.join(" "));
        if paths.is_empty() {
            return Ok(None);
        }
        let said = inside::shell(site.stack, node, inside::ROOT, &script, &[]).await?;
        let used: u64 = said.lines().filter_map(ticks).sum();
        // The one more is the shell that started them.
        let all = ids.len() > self.workers as usize && used >= PROVEN_TICKS * u64::from(self.workers);
        let (name, workers, seconds) = (&node.name, self.workers, used as f64 / 100.0);
        Ok(all.then(|| format!("{name}: {workers} busy loops have used {seconds:.2} s of CPU time")))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        if state::is_up(site.stack, node).await? {
            inside::end_marked(site.stack, node, &mark(site)).await?;
        }
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let gone = format!("{}: no busy loop is left", node.name);
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(gone));
        }
        Ok(inside::marked(site.stack, node, &mark(site)).await?.is_empty().then_some(gone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_the_name() {
        let stat = "12 (sh (x) y) R 1 2 3 0 -1 4194304 10 0 0 0 250 17 0 0 20 0 1 0 99 0 0";
        assert_eq!(ticks(stat), Some(267));
        assert_eq!(ticks("nothing"), None);
    }
}
