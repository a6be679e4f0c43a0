//! `disk-full`: one file takes all the space of the node's volume. It is made from outside of the node, by the
//! holder of the run's disks, so that it can be removed whatever has become of the node.
//!
//! Proof of effect: the free space is read back, and a write fails for want of space. Undo: exactly this
//! file is removed, and the node is started where it has ended: many services do end when they cannot write.

use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::disks;
use crate::stack::{Node, Stack};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::resource::DiskFull as Parameters;
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) struct DiskFull {
    /// What was asked for.
    pub(super) parameters: Parameters,
}

/// What the undo has to know.
#[derive(Serialize, Deserialize)]
struct Taken {
    volume: String,
    file: String,
}

/// Free bytes of the volume $1.
const FREE: &str = "read -r blocks size < <(stat -f -c '%a %S' \"/mnt/$1\") && echo $((blocks * size))";

/// Makes the file $2 in the volume $1 so that $3 KiB are left. What allocation in one go does not get, for
/// it has to book it somewhere too, is taken by writing until nothing more fits.
const FILL: &str = r#"
cd "/mnt/$1" || exit
read -r blocks size < <(stat -f -c '%a %S' .)
take=$((blocks * size - $3 * 1024))
[ "$take" -le 0 ] || fallocate -l "$take" "$2" 2>/dev/null
[ "$3" -gt 0 ] || dd if=/dev/zero of="$2" bs=4k oflag=append conv=notrunc 2>/dev/null
sync "$2"
"#;

/// Says the free bytes of the volume $1 if nothing more can be written than the $3 KiB that were left, by a
/// file $2 that is removed again.
const FULL: &str = r#"
cd "/mnt/$1" || exit
read -r blocks size < <(stat -f -c '%a %S' .)
[ "$3" -eq 0 ] || fallocate -l "$3KiB" "$2" 2>/dev/null
why=$(LC_ALL=C dd if=/dev/zero of="$2" bs=64k count=1 oflag=append conv=notrunc,fsync 2>&1 >/dev/null) && why=
rm -f "$2"
case $why in *"No space left on device"*) echo $((blocks * size)) ;; esac
"#;

impl DiskFull {
    fn probe(taken: &Taken) -> String {
        format!("{}.probe", taken.file)
    }
}

#[async_trait]
impl Injector for DiskFull {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "disk-full").await?;
        let disk = disks::of_node(site.stack, node);
        let disk = disk.map_err(|why| InjectorError::impossible(node, "disk-full", why))?;
        let free = free(site.stack, node, &disk.volume).await?;
        let left = self.parameters.left_kib.saturating_mul(1024);
        if free <= left {
            let why =
                format!("{free} bytes are free on its volume, and {left} shall be left: ask for a larger disk_mb");
            return Err(InjectorError::impossible(node, "disk-full", why));
        }
        let file = format!(".firedrill-full-{}", site.step.0);
        Memo::of(node, &Taken { volume: disk.volume, file })
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let taken: Taken = memo.read(node)?;
        let left = self.parameters.left_kib.to_string();
        disks::run_ok(site.stack, FILL, &[&taken.volume, &taken.file, &left]).await?;
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let taken: Taken = memo.read(node)?;
        let left = self.parameters.left_kib.to_string();
        let free = disks::run_ok(site.stack, FULL, &[&taken.volume, &Self::probe(&taken), &left]).await?;
        let free = free.trim();
        let full = !free.is_empty();
        Ok(full.then(|| {
            format!("{}: {free} bytes free on its volume, and a write fails: No space left on device", node.name)
        }))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let taken: Taken = memo.read(node)?;
        let script = "rm -f \"/mnt/$1/$2\" \"/mnt/$1/$3\"";
        disks::run_ok(site.stack, script, &[&taken.volume, &taken.file, &Self::probe(&taken)]).await?;
        start_where_ended(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let taken: Taken = memo.read(node)?;
        let there = disks::run(site.stack, "test -e \"/mnt/$1/$2\"", &[&taken.volume, &taken.file]).await?;
        if there.code == 0 || !runs_or_gone(site.stack, node).await? {
            return Ok(None);
        }
        let free = free(site.stack, node, &taken.volume).await?;
        Ok((free > 0).then(|| format!("{}: the file is removed, {free} bytes are free", node.name)))
    }
}

async fn free(stack: &Stack, node: &Node, volume: &str) -> Done<u64> {
    let text = disks::run_ok(stack, FREE, &[volume]).await?;
    text.trim().parse().map_err(|_| InjectorError::failed(node, format!("free bytes of its volume: {text:?}")))
}

/// Starts the node where it has ended. A frozen one runs, and one that was removed has nothing to start.
async fn start_where_ended(stack: &Stack, node: &Node) -> Done<()> {
    if runs_or_gone(stack, node).await? {
        return Ok(());
    }
    state::start(stack, node).await
}

async fn runs_or_gone(stack: &Stack, node: &Node) -> Done<bool> {
    match state::state(stack, node).await {
        Ok(state) => Ok(state.running == Some(true)),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error.into()),
    }
}
