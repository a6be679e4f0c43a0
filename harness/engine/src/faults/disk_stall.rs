//! `disk-stall`: the file system of the node's volume is frozen (FIFREEZE), so that every write to it hangs
//! until it is thawed. Reads are served.
//!
//! A process that hangs there cannot even be killed, and so its container cannot be removed: the freeze must not
//! outlive the harness. The command in the holder that freezes is a dead man's switch. It thaws when the
//! connection of whoever injected ends, and after ten minutes in any case.
//!
//! Proof of effect: a write of a process that is made for it does not come back. Undo: the file system is
//! thawed; the undo shows when such a write comes back, and the one of the proof has come back too.

use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::disks;
use crate::docker::DockerError;
use crate::per_node::PerNode;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

/// See the module.
#[derive(Default)]
pub(super) struct DiskStall {
    switches: PerNode<Arc<Mutex<Switch>>>,
}

/// The connection to a dead man's switch: it thaws when this is dropped.
struct Switch {
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: BoxStream<'static, Result<LogOutput, bollard::errors::Error>>,
}

/// What the undo has to know.
#[derive(Serialize, Deserialize)]
struct Frozen {
    volume: String,
    /// Without this file the switch neither freezes nor thaws: somebody else has undone the fault.
    token: String,
    /// The file that the proof writes.
    probe: String,
}

/// Says "armed", waits for a line, freezes the volume $1, says "frozen", and thaws it at the end of its
/// input or after ten minutes, all as long as the file $2 is there.
const SWITCH: &str = r#"
: > "/run/$2" && echo armed
read -r _ && [ -e "/run/$2" ] || exit 0
fsfreeze -f "/mnt/$1" || exit
echo frozen
timeout 600 cat > /dev/null
[ -e "/run/$2" ] && fsfreeze -u "/mnt/$1"
rm -f "/run/$2"
"#;

/// Thaws the volume $1 and takes the file $2 from the switch. Invalid argument: it is not frozen.
const THAW: &str = r#"
rm -f "/run/$2"
why=$(LC_ALL=C fsfreeze -u "/mnt/$1" 2>&1) && exit
case $why in *"Invalid argument"*) ;; *) echo "$why" >&2; exit 1 ;; esac
"#;

/// Writes and syncs the file $2 of the volume $1 in a process of its own, which removes it afterwards, and
/// says after a second at most whether it came back.
const PROBE: &str = r#"
file=/mnt/$1/$2
{ dd if=/dev/zero of="$file" bs=4k count=1 conv=fsync; rm -f "$file"; } < /dev/null > /dev/null 2>&1 &
for tick in {1..50}; do
    kill -0 $! 2> /dev/null || { echo "back after less than $((tick * 20)) ms"; exit; }
    sleep 0.02
done
echo hangs
"#;

impl Switch {
    /// Reads until the switch has said a word.
    async fn wait_for(&mut self, node: &Node, word: &str) -> Done<()> {
        let mut said = String::new();
        while let Some(chunk) = self.output.next().await {
            let chunk = chunk.map_err(DockerError::call(format!("{}: freeze", node.name)))?;
            said.push_str(&String::from_utf8_lossy(&chunk.into_bytes()));
            if said.lines().any(|line| line == word) {
                return Ok(());
            }
        }
        Err(InjectorError::failed(node, format!("its volume cannot be frozen: {}", said.trim())))
    }
}

async fn probe(site: &Site<'_>, frozen: &Frozen) -> Done<String> {
    Ok(disks::run_ok(site.stack, PROBE, &[&frozen.volume, &frozen.probe]).await?.trim().to_owned())
}

#[async_trait]
impl Injector for DiskStall {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "disk-stall").await?;
        let impossible = |why: String| InjectorError::impossible(node, "disk-stall", why);
        let disk = disks::of_node(site.stack, node).map_err(impossible)?;
        disks::run_ok(site.stack, "mountpoint -q \"/mnt/$1\"", &[&disk.volume]).await?;
        let step = site.step.0;
        let token = format!("stall.{}.{step}", disk.volume);
        Memo::of(node, &Frozen { volume: disk.volume, token, probe: format!(".firedrill-stall-{step}") })
    }

    async fn arm(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let frozen: Frozen = memo.read(node)?;
        let failed = || format!("{}: connect to the holder of its disk", node.name);
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(["bash", "-c", SWITCH, "stall", &frozen.volume, &frozen.token].map(str::to_owned).to_vec()),
            ..Default::default()
        };
        let docker = &site.stack.engine.docker;
        let exec = docker.create_exec(&disks::holder(&site.stack.run), options).await;
        let exec = exec.map_err(DockerError::call(failed()))?;
        let started =
            docker.start_exec(&exec.id, None::<StartExecOptions>).await.map_err(DockerError::call(failed()))?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(InjectorError::failed(node, failed()));
        };
        let mut switch = Switch { input, output };
        switch.wait_for(node, "armed").await?;
        self.switches.put(node, Arc::new(Mutex::new(switch)));
        Ok(())
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let switch = self.switches.get(node);
        let switch = switch.ok_or_else(|| InjectorError::failed(node, "nothing is armed to freeze its volume"))?;
        let mut switch = switch.lock().await;
        let written = match switch.input.write_all(b"freeze\n").await {
            Ok(()) => switch.input.flush().await,
            error => error,
        };
        written.map_err(|error| InjectorError::failed(node, format!("its volume cannot be frozen: {error}")))?;
        switch.wait_for(node, "frozen").await
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let frozen: Frozen = memo.read(node)?;
        let hangs = probe(site, &frozen).await? == "hangs";
        Ok(hangs.then(|| format!("{}: a write on its volume did not come back within 1 s", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let frozen: Frozen = memo.read(node)?;
        disks::run_ok(site.stack, THAW, &[&frozen.volume, &frozen.token]).await?;
        drop(self.switches.take(node));
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let frozen: Frozen = memo.read(node)?;
        let answer = probe(site, &frozen).await?;
        let script = "! test -e \"/mnt/$1/$2\"";
        let over = disks::run(site.stack, script, &[&frozen.volume, &frozen.probe]).await?.code == 0;
        Ok((answer != "hangs" && over).then(|| format!("{}: a write on its volume is {answer}", node.name)))
    }
}
