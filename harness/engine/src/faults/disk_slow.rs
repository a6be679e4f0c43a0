//! `disk-slow`: the block device of the node's volume takes few writes a second from the node's cgroup
//! (`blkio.throttle.write_iops_device`, or `io.max` with cgroup v2).
//!
//! What a process writes and waits for is slow: commits of a PostgreSQL, a synced append-only file. What the
//! kernel writes back later on its own account is not with cgroup v1. A commit is two writes, the data and
//! the flush of the device's cache. The engine's API can set this limit only when a container is made, so
//! the holder of the run's disks writes the cgroup's file.
//!
//! Proof of effect: synced writes in the volume, made in the node, take as long as asked for. Undo: the limit
//! is taken away. A node that is started anew has a new cgroup without it.

use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::disks;
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource::DiskSlow as Parameters;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// See the module.
pub(super) struct DiskSlow {
    /// What was asked for.
    pub(super) parameters: Parameters,
}

/// What the undo has to know.
#[derive(Serialize, Deserialize)]
struct Throttled {
    /// Id of the container, which names its cgroup.
    container: String,
    /// Major and minor number of the device, as in `7:3`.
    device: String,
    /// The volume.
    volume: String,
    /// Where the node has it.
    path: String,
    /// The file that the proof writes.
    probe: String,
}

/// Sets the limit $3 (0 is none) on the device $2 for the cgroup of the container $1 and says the limits of
/// this device; `look` instead of a limit changes nothing. Says `gone` where there is no such cgroup.
///
/// The cgroups are mounted in a mount namespace that ends with the command. Both drivers of the engine have the
/// container's id in the name of its cgroup.
const LIMIT: &str = r#"
exec unshare --mount bash -c '
    mkdir -p /run/cgroup
    mount -t cgroup -o blkio none /run/cgroup 2>/dev/null || mount -t cgroup2 none /run/cgroup || exit
    folder=$(find /run/cgroup -type d -name "*$1*" -print -quit)
    [ -n "$folder" ] || { echo gone; exit; }
    file=$folder/blkio.throttle.write_iops_device limit=$3
    if [ ! -e "$file" ]; then
        file=$folder/io.max
        case $3 in 0) limit=wiops=max ;; *) limit=wiops=$3 ;; esac
    fi
    [ -e "$file" ] || { echo "no control of block devices in $folder" >&2; exit 1; }
    [ "$3" = look ] || echo "$2 $limit" > "$file" || exit
    grep "^$2 " "$file" || echo none
' limit "$@"
"#;

/// Writes the file $1 by $2 synced writes, removes it, and says what dd says.
const WRITE: &str =
    "LC_ALL=C dd if=/dev/zero of=\"$1\" bs=4k count=\"$2\" oflag=dsync 2>&1; code=$?; rm -f \"$1\"; exit $code";

/// Time that the engine takes for a command by itself, and slack for a machine under load.
const PROBE_SLACK: Duration = Duration::from_secs(8);

/// The shortest proof: the kernel lets writes through in bursts of up to a tenth of a second.
const FEWEST_WRITES: u32 = 4;

impl DiskSlow {
    /// Synced writes for the proof: a second's worth, each of which is at least one write of the device.
    fn writes(&self) -> u32 {
        self.parameters.writes_per_s.max(FEWEST_WRITES)
    }

    /// How long they must take: less, for the burst at the begin, and because the first need not wait.
    fn least_s(&self) -> f64 {
        f64::from(self.writes()) / f64::from(self.parameters.writes_per_s) * 0.7
    }
}

async fn limit(site: &Site<'_>, node: &Node, throttled: &Throttled, limit: &str) -> Done<String> {
    let arguments = [throttled.container.as_str(), &throttled.device, limit];
    let output = disks::run(site.stack, LIMIT, &arguments).await?;
    if output.code == 0 {
        return Ok(output.stdout.trim().to_owned());
    }
    Err(InjectorError::failed(node, format!("its cgroup cannot be written: {}", output.stderr.trim())))
}

#[async_trait]
impl Injector for DiskSlow {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "disk-slow").await?;
        let impossible = |why: String| InjectorError::impossible(node, "disk-slow", why);
        let disk = disks::of_node(site.stack, node).map_err(impossible)?;
        let container = state::inspect(site.stack, node).await?.id;
        let container = container.ok_or_else(|| InjectorError::failed(node, "its container has no id"))?;
        let device = disks::run_ok(site.stack, "mountpoint -d \"/mnt/$1\"", &[&disk.volume]).await?;
        let throttled = Throttled {
            container,
            device: device.trim().to_owned(),
            volume: disk.volume,
            path: disk.path,
            probe: format!(".firedrill-slow-{}", site.step.0),
        };
        match limit(site, node, &throttled, "look").await {
            Ok(limits) if limits == "none" => Memo::of(node, &throttled),
            Ok(limits) if limits == "gone" => Err(impossible("its cgroup is not found".to_owned())),
            Ok(limits) => Err(impossible(format!("its volume is throttled already ({limits})"))),
            Err(error) => Err(impossible(error.to_string())),
        }
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let throttled: Throttled = memo.read(node)?;
        limit(site, node, &throttled, &self.parameters.writes_per_s.to_string()).await?;
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let throttled: Throttled = memo.read(node)?;
        let writes = self.writes();
        let file = format!("{}/{}", throttled.path, throttled.probe);
        let command = ["sh", "-c", WRITE, "write", &file, &writes.to_string()];
        // A synced write is up to three of the device.
        let deadline = Duration::from_secs_f64(self.least_s() * 4.0) + PROBE_SLACK;
        let text = site.stack.engine.exec_ok(&node.container, &command, &[], deadline).await?;
        let took_s = took_s(&text)
            .ok_or_else(|| InjectorError::failed(node, format!("the answer of dd cannot be read: {text:?}")))?;
        let slow = took_s >= self.least_s();
        Ok(slow.then(|| {
            let rate = f64::from(writes) / took_s;
            format!("{}: {writes} synced writes on its volume took {took_s:.1} s ({rate:.1} a second)", node.name)
        }))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let throttled: Throttled = memo.read(node)?;
        limit(site, node, &throttled, "0").await?;
        disks::run_ok(site.stack, "rm -f \"/mnt/$1/$2\"", &[&throttled.volume, &throttled.probe]).await?;
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let throttled: Throttled = memo.read(node)?;
        let limits = limit(site, node, &throttled, "look").await?;
        let free = limits == "none" || limits == "gone";
        Ok(free.then(|| format!("{}: no throttle on its volume", node.name)))
    }
}

/// The seconds in the last line of dd: `81920 bytes (82 kB, 80 KiB) copied, 3.98 s, 20.5 kB/s`.
fn took_s(text: &str) -> Option<f64> {
    let (_, after) = text.rsplit_once("copied, ")?;
    after.split_once(" s")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_read_from_what_dd_says() {
        let text = "20+0 records in\n20+0 records out\n81920 bytes (82 kB, 80 KiB) copied, 1.98686 s, 41.2 kB/s\n";
        assert_eq!(took_s(text), Some(1.98686));
        assert_eq!(took_s("dd: failed to open"), None);
    }

    #[test]
    fn the_proof_asks_for_the_time_that_the_writes_must_take() {
        let slow = |writes_per_s| DiskSlow { parameters: Parameters { writes_per_s } };
        assert_eq!((slow(20).writes(), slow(20).least_s()), (20, 0.7));
        assert_eq!((slow(1).writes(), slow(1).least_s()), (4, 2.8));
    }
}
