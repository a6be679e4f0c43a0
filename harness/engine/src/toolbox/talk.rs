//! One toolbox container: started, spoken to, and gone.

use super::{Command, IMAGE, Spec, ToolboxError};
use crate::docker::{DockerError, Output, status};
use crate::labels;
use crate::stack::{Node, Stack, random_hex};
use crate::wait::{self, Look};
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use firedrill_core::ids::{NodeName, StepId};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// An answer takes milliseconds; this is for a machine under load, and for a daemon that has to start.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// How long a look-up may take, in milliseconds: the engine's resolver answers for nodes in one or two.
const RESOLVE_MS: u32 = 1_000;

/// How long the engine may take to remove a helper.
const GONE_DEADLINE: Duration = Duration::from_secs(15);

/// Rules, links and sockets; what iptables and copies of packets need; and that the queue is on time on a busy
/// machine (`docs/privileges.md`).
const CAPABILITIES: [&str; 3] = ["NET_ADMIN", "NET_RAW", "SYS_NICE"];

/// What the counters of one rule say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RuleCount {
    /// Its table.
    pub table: String,
    /// Its chain, `FD-STEP-I` or `FD-STEP-O`.
    pub chain: String,
    /// What it does.
    pub target: String,
    /// Packets that it hit.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The rule without its chain.
    pub rule: String,
}

/// What is known about a daemon.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DaemonState {
    /// Whether it runs.
    pub alive: bool,
    /// How it ended.
    pub code: Option<i64>,
    /// Its last lines.
    pub last: Vec<String>,
    /// Its counters, where it has some.
    pub status: Option<Value>,
}

/// Counters of a fault, by the kernel and by the daemon.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Counters {
    /// The rules in the step's own chains.
    pub rules: Vec<RuleCount>,
    /// Every queueing discipline of the namespace, as `tc -s -j` shows it.
    pub queues: Vec<Value>,
    /// The daemon.
    pub daemon: Option<DaemonState>,
}

impl Counters {
    /// Packets that rules with one of these targets hit.
    pub fn packets(&self, targets: &[&str]) -> u64 {
        let rules = self.rules.iter().filter(|rule| targets.contains(&rule.target.as_str()));
        rules.map(|rule| rule.packets).sum()
    }
}

/// A few packets, so that rules that saw no traffic have something to count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Ends to open a TCP connection to.
    pub tcp: Vec<(Ipv4Addr, u16)>,
    /// Ends to send UDP to.
    pub udp: Vec<(Ipv4Addr, u16)>,
    /// UDP packets for each end.
    pub packets: u32,
    /// How long TCP is waited for, in milliseconds.
    pub timeout_ms: u32,
}

/// What became of a [`Probe`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Probed {
    /// Packets and connections that were sent.
    pub sent: u64,
    /// TCP connections that came about.
    pub open: u64,
    /// TCP connections that were refused.
    pub refused: u64,
    /// TCP connections that got no answer.
    pub silent: u64,
}

/// What became of a look-up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Resolved {
    /// `answered`, `silent`, `refused` or `empty`, the latter two with a reason.
    pub outcome: String,
    /// The addresses.
    pub addresses: Vec<Ipv4Addr>,
}

#[derive(Deserialize)]
struct Ran {
    code: i64,
    stdout: String,
    stderr: String,
}

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    ok: Option<Value>,
    error: Option<String>,
}

/// A running helper. Dropping it ends its standard input: it then reverts what it applied, and goes.
pub struct Toolbox {
    node: NodeName,
    container: String,
    stack: Stack,
    stream: AttachContainerResults,
    buffer: Vec<u8>,
    complaints: String,
    requests: u64,
}

impl Toolbox {
    /// Starts the helper that holds a fault of a step.
    pub async fn of_step(stack: &Stack, step: StepId, node: &Node) -> Result<Self, ToolboxError> {
        let name = labels::name(&stack.run, &format!("toolbox-{}-{}", step.0, node.name));
        Self::start(stack, node, name, step_label(step, node)).await
    }

    /// Starts a helper for a look or a single command; it holds nothing.
    pub async fn one_shot(stack: &Stack, node: &Node) -> Result<Self, ToolboxError> {
        let name = labels::name(&stack.run, &format!("toolbox-{}-{}", node.name, random_hex(4)));
        Self::start(stack, node, name, "look".to_owned()).await
    }

    async fn start(stack: &Stack, node: &Node, name: String, purpose: String) -> Result<Self, ToolboxError> {
        let docker = &stack.engine.docker;
        let inspected = docker.inspect_container(&node.container, None).await;
        let inspected = inspected.map_err(DockerError::call(format!("{}: inspect", node.name)))?;
        if inspected.state.and_then(|state| state.running) != Some(true) {
            return Err(ToolboxError::NotRunning { node: node.name.clone() });
        }
        // The owner is the node's, so that whoever removes the run removes the helper too.
        let its = inspected.config.and_then(|config| config.labels).unwrap_or_default();
        let owner = its.get(labels::OWNER).cloned().unwrap_or_else(labels::this_process);
        let mut own = labels::of_run(&stack.run, &owner);
        own.insert(labels::TOOLBOX.to_owned(), purpose);
        let image = stack.images.id(IMAGE).ok_or(ToolboxError::NoImage)?;
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            labels: Some(own),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(true),
            stdin_once: Some(true),
            host_config: Some(HostConfig {
                network_mode: Some(format!("container:{}", inspected.id.unwrap_or(node.container.clone()))),
                cap_drop: Some(vec!["ALL".to_owned()]),
                cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                readonly_rootfs: Some(true),
                auto_remove: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let created = docker.create_container(Some(options), body).await;
        let container = created.map_err(DockerError::call(format!("{}: create its helper {name}", node.name)))?.id;
        match attach(stack, &container).await {
            Ok(stream) => Ok(Self {
                node: node.name.clone(),
                container,
                stack: stack.clone(),
                stream,
                buffer: Vec::new(),
                complaints: String::new(),
                requests: 0,
            }),
            // Auto-removal is for what has run.
            Err(error) => {
                let _ = remove(stack, &container).await;
                Err(DockerError::call(format!("{}: start its helper {name}", node.name))(error).into())
            }
        }
    }

    fn failed(&self, what: impl Into<String>) -> ToolboxError {
        ToolboxError::Failed { node: self.node.clone(), what: what.into() }
    }

    /// One request, one answer. An answer that comes too late for an earlier request is passed over.
    async fn ask(&mut self, mut request: Value) -> Result<Value, ToolboxError> {
        self.requests += 1;
        let id = self.requests;
        request["id"] = json!(id);
        let what = request["do"].as_str().unwrap_or_default().to_owned();
        let line = format!("{request}\n");
        let exchange = async {
            let sent = self.stream.input.write_all(line.as_bytes()).await;
            sent.map_err(|error| format!("{what}: {error}"))?;
            self.stream.input.flush().await.map_err(|error| format!("{what}: {error}"))?;
            loop {
                let answer = self.line().await?;
                let answer: Answer =
                    serde_json::from_str(&answer).map_err(|error| format!("{what}: {error}: {answer}"))?;
                match answer {
                    Answer { id: Some(other), .. } if other != id => {}
                    Answer { error: Some(error), .. } => return Err(error),
                    Answer { ok, .. } => return Ok(ok.unwrap_or_default()),
                }
            }
        };
        let answer = match timeout(ANSWER_DEADLINE, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{what}: no answer within {} s", ANSWER_DEADLINE.as_secs())),
        };
        answer.map_err(|error: String| self.failed(error))
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim().to_owned());
            }
            match self.stream.output.next().await {
                Some(Ok(LogOutput::StdErr { message })) => {
                    self.complaints.push_str(&String::from_utf8_lossy(&message));
                }
                Some(Ok(other)) => self.buffer.extend_from_slice(&other.into_bytes()),
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err(format!("it is gone {}", crate::docker::last_lines(&self.complaints, 5))),
            }
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(&mut self, request: Value) -> Result<T, ToolboxError> {
        let answer = self.ask(request).await?;
        serde_json::from_value(answer).map_err(|error| self.failed(format!("an answer of another form: {error}")))
    }

    /// Hands it what it shall do; nothing is applied yet, the daemon runs.
    pub async fn arm(&mut self, spec: &Spec) -> Result<(), ToolboxError> {
        self.ask(json!({ "do": "arm", "spec": spec })).await.map(|_| ())
    }

    /// Applies. Where one command fails, all are reverted.
    pub async fn go(&mut self) -> Result<(), ToolboxError> {
        self.ask(json!({ "do": "go" })).await.map(|_| ())
    }

    /// Reads the counters.
    pub async fn count(&mut self) -> Result<Counters, ToolboxError> {
        self.read(json!({ "do": "count" })).await
    }

    /// Sends a few packets.
    pub async fn probe(&mut self, probe: &Probe) -> Result<Probed, ToolboxError> {
        let mut request = json!(probe);
        request["do"] = json!("probe");
        self.read(request).await
    }

    /// Looks a name up by the engine's resolver, once.
    pub async fn resolve(&mut self, name: &str) -> Result<Resolved, ToolboxError> {
        self.read(json!({ "do": "resolve", "name": name, "timeout_ms": RESOLVE_MS })).await
    }

    /// Runs commands, each whatever becomes of the others.
    pub async fn run(&mut self, commands: &[Command]) -> Result<Vec<Output>, ToolboxError> {
        let ran: Vec<Ran> = self.read(json!({ "do": "run", "commands": commands })).await?;
        Ok(ran.into_iter().map(|ran| Output { code: ran.code, stdout: ran.stdout, stderr: ran.stderr }).collect())
    }

    /// Reverts, and waits until it is gone. What could not be reverted is the text: mostly it was not there.
    pub async fn undo(mut self) -> Result<String, ToolboxError> {
        let answer = self.ask(json!({ "do": "undo" })).await;
        self.close().await?;
        let failed = answer?["failed"].as_array().cloned().unwrap_or_default();
        Ok(failed.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
    }

    /// Lets it go, and waits until it is gone.
    pub async fn close(self) -> Result<(), ToolboxError> {
        let Self { stack, container, stream, .. } = self;
        // The end of its input.
        drop(stream);
        let gone = wait::until("the helper is gone", GONE_DEADLINE, Duration::from_millis(20), || async {
            match stack.engine.docker.inspect_container(&container, None).await {
                Err(error) if status(&error) == Some(404) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
                Ok(_) => Look::NotYet("it is still listed".to_owned()),
            }
        });
        match gone.await {
            Ok(()) => Ok(()),
            Err(_) => Ok(remove(&stack, &container).await?),
        }
    }
}

fn step_label(step: StepId, node: &Node) -> String {
    format!("{}/{}", step.0, node.name)
}

async fn attach(stack: &Stack, container: &str) -> Result<AttachContainerResults, bollard::errors::Error> {
    let options = AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
    let stream = stack.engine.docker.attach_container(container, Some(options)).await?;
    stack.engine.docker.start_container(container, None).await?;
    Ok(stream)
}

async fn remove(stack: &Stack, container: &str) -> Result<(), DockerError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match stack.engine.docker.remove_container(container, Some(options)).await {
        Ok(()) => Ok(()),
        // 404: gone; 409: it is being removed.
        Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
        Err(source) => Err(DockerError::Call { what: format!("remove the helper {container}"), source }),
    }
}

/// Removes the helper that another process, or this one, left for a step on a node, and waits until it is
/// gone: what it may still hold must not come back after it was reverted.
pub(super) async fn remove_of_step(stack: &Stack, step: StepId, node: &Node) -> Result<(), ToolboxError> {
    let labels =
        vec![format!("{}={}", labels::RUN, stack.run), format!("{}={}", labels::TOOLBOX, step_label(step, node))];
    let filters = HashMap::from([("label".to_owned(), labels)]);
    let gone = wait::until("the helper is removed", GONE_DEADLINE, Duration::from_millis(20), || async {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = match stack.engine.docker.list_containers(Some(options)).await {
            Ok(listed) if listed.is_empty() => return Look::Ready(()),
            Ok(listed) => listed,
            Err(error) => return Look::NotYet(error.to_string()),
        };
        let mut last = "it is still listed".to_owned();
        for container in listed.iter().filter_map(|container| container.id.as_deref()) {
            if let Err(error) = remove(stack, container).await {
                last = error.to_string();
            }
        }
        Look::NotYet(last)
    });
    gone.await.map_err(|expired| ToolboxError::Failed { node: node.name.clone(), what: expired.to_string() })
}
