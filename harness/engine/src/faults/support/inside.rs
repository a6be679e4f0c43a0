//! Shell commands inside a node's container.

use crate::docker::{DockerError, Output, last_lines};
use crate::faults::{Done, InjectorError};
use crate::stack::{Node, Stack};
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who may look at everything and change what belongs to the container.
pub(in crate::faults) const ROOT: &str = "0";

/// A command takes some milliseconds; this is for an engine under load.
const COMMAND_DEADLINE: Duration = Duration::from_secs(15);

/// What a running command has said so far.
#[derive(Debug, Clone, Default)]
pub(in crate::faults) struct Said(Arc<Mutex<(String, bool)>>);

impl Said {
    /// The text so far, and whether the command has ended.
    pub(in crate::faults) fn so_far(&self) -> (String, bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the engine is asked to run.
fn command<'a>(node: &'a Node, script: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [["sh", "-c", script, node.name.as_str()].as_slice(), arguments].concat()
}

/// Runs a shell script inside, as this user (`uid` or `uid:gid`; empty is the image's), and gives what it said. `$0`
/// is the node's name, `$1` and on are the arguments. Anything but exit code 0 is an error.
pub(in crate::faults) async fn shell(
    stack: &Stack,
    node: &Node,
    user: &str,
    script: &str,
    arguments: &[&str],
) -> Done<String> {
    let command = command(node, script, arguments);
    // The whole script would be no message.
    let Output { code, stdout, stderr } =
        match stack.engine.exec_as(user, &node.container, &command, COMMAND_DEADLINE).await {
            Ok(output) => output,
            Err(DockerError::Call { source, .. }) => return Err(DockerError::call(what(node))(source).into()),
            Err(DockerError::Exec { problem, .. }) => {
                return Err(InjectorError::failed(node, format!("a command inside {problem}")));
            }
            Err(other) => return Err(other.into()),
        };
    if code == 0 {
        return Ok(stdout);
    }
    let said = last_lines(&format!("{stdout}{stderr}"), 5);
    Err(InjectorError::failed(node, format!("a command inside ended with code {code}: {said}")))
}

/// Runs a shell script inside, like [`shell`], and does not wait for its end.
pub(in crate::faults) async fn spawn(
    stack: &Stack,
    node: &Node,
    user: &str,
    script: &str,
    arguments: &[&str],
) -> Done<Said> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        user: (!user.is_empty()).then_some(user),
        cmd: Some(command(node, script, arguments)),
        ..Default::default()
    };
    let docker = &stack.engine.docker;
    let exec = docker.create_exec(&node.container, options).await.map_err(DockerError::call(what(node)))?.id;
    let started = docker.start_exec(&exec, None::<StartExecOptions>).await.map_err(DockerError::call(what(node)))?;
    let StartExecResults::Attached { mut output, .. } = started else {
        return Err(InjectorError::failed(node, "the engine gives no output of a command"));
    };
    let said = Said::default();
    let kept = said.clone();
    tokio::spawn(async move {
        while let Some(Ok(chunk)) = output.next().await {
            let text = String::from_utf8_lossy(&chunk.into_bytes()).into_owned();
            kept.0.lock().unwrap_or_else(PoisonError::into_inner).0.push_str(&text);
        }
        kept.0.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
    });
    Ok(said)
}

fn what(node: &Node) -> String {
    format!("{}: run a command inside", node.name)
}

/// Ids of the processes inside whose command line has a text. The pattern does not match its own command line.
pub(in crate::faults) async fn marked(stack: &Stack, node: &Node, marker: &str) -> Done<Vec<u32>> {
    let (first, rest) = marker.split_at(1);
    // 1: none has it; 2: a process ended meanwhile.
    let script = "grep -als \"$1\" /proc/[0-9]*/cmdline; true";
    let said = shell(stack, node, ROOT, script, &[&format!("[{first}]{rest}")]).await?;
    Ok(said.split_whitespace().filter_map(|path| path.split('/').nth(2)?.parse().ok()).collect())
}

/// Ends the processes inside whose command line has a text.
pub(in crate::faults) async fn end_marked(stack: &Stack, node: &Node, marker: &str) -> Done<()> {
    let ids: Vec<String> = marked(stack, node, marker).await?.iter().map(ToString::to_string).collect();
    if ids.is_empty() {
        return Ok(());
    }
    shell(stack, node, ROOT, &format!("kill -9 {} 2>/dev/null; true", ids.join(" ")), &[]).await.map(|_| ())
}

/// Whether a process of this node has a text in its command line, by the engine's word: nothing has to be run inside,
/// which may be stuck. The node must run.
pub(in crate::faults) async fn has_command(stack: &Stack, node: &Node, text: &str) -> Done<bool> {
    let top = stack.engine.docker.top_processes(&node.container, None).await;
    let top = top.map_err(DockerError::call(format!("{}: list its processes", node.name)))?;
    Ok(top.processes.unwrap_or_default().iter().flatten().any(|column| column.contains(text)))
}
