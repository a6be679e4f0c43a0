//! The connection to the Docker engine and what it says about its machine.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use firedrill_core::manifest::Host;
use futures_util::StreamExt;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// The engine cannot be used.
#[derive(Debug, Error)]
pub enum DockerError {
    /// Nobody answers.
    #[error("no Docker engine answers: {cause}; start it, or set DOCKER_HOST, then run `firedrill doctor`")]
    Unreachable {
        /// The innermost cause.
        cause: String,
    },
    /// Not allowed.
    #[error("the Docker engine refuses this user: {cause}; add the user to the group docker, or run as root")]
    Refused {
        /// The innermost cause.
        cause: String,
    },
    /// Too old.
    #[error("the Docker engine has API {api}, firedrill needs 1.41 (engine 20.10) or newer: upgrade the engine")]
    TooOld {
        /// The version found.
        api: String,
    },
    /// A call failed.
    #[error("{what}: {source}")]
    Call {
        /// What was attempted.
        what: String,
        /// What the engine said.
        source: bollard::errors::Error,
    },
    /// A command inside a container failed.
    #[error("{node}: `{command}` {problem}")]
    Exec {
        /// The container.
        node: String,
        /// The command.
        command: String,
        /// How.
        problem: String,
    },
}

impl DockerError {
    /// Wraps the error of a call with what was attempted.
    pub fn call(what: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let what = what.into();
        move |source| Self::Call { what, source }
    }

    /// Whether the engine said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Call { source, .. } if status(source) == Some(404))
    }
}

/// HTTP status of an engine's refusal.
pub fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Output of a command inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A connected engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The client.
    pub docker: Docker,
    /// The machine.
    pub host: Host,
}

/// How long the engine may take for one call, in seconds. Building an image streams its answer and is not
/// bound by it as long as lines come.
const CALL_TIMEOUT_S: u64 = 120;

impl Engine {
    /// Connects by `DOCKER_HOST` or the local socket and agrees on an API version.
    pub async fn connect() -> Result<Self, DockerError> {
        let docker = Docker::connect_with_defaults().map_err(unreachable)?;
        let docker = docker.with_timeout(Duration::from_secs(CALL_TIMEOUT_S));
        let docker = docker.negotiate_version().await.map_err(unreachable)?;
        let version = docker.client_version();
        let api = format!("{}.{}", version.major_version, version.minor_version);
        if (version.major_version, version.minor_version) < (1, 41) {
            return Err(DockerError::TooOld { api });
        }
        let info = docker.info().await.map_err(unreachable)?;
        let cgroup = info.cgroup_version.map_or_else(String::new, |version| format!(", cgroup v{version}"));
        let host = Host {
            engine: info.server_version.unwrap_or_default(),
            api,
            kernel: info.kernel_version.unwrap_or_default(),
            cores: info.ncpu.and_then(|cores| u32::try_from(cores).ok()).unwrap_or(0),
            memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
            details: format!("{}{cgroup}", info.driver.unwrap_or_default()),
        };
        Ok(Self { docker, host })
    }

    /// Runs a command inside a container and waits for it, at most `deadline`.
    pub async fn exec(&self, container: &str, command: &[&str], deadline: Duration) -> Result<Output, DockerError> {
        self.exec_with_env(container, command, &[], deadline).await
    }

    /// The same with further environment variables (`NAME=value`), which is how secrets are passed: they
    /// do not show up in the process list.
    pub async fn exec_with_env(
        &self,
        container: &str,
        command: &[&str],
        env: &[String],
        deadline: Duration,
    ) -> Result<Output, DockerError> {
        let options = CreateExecOptions { env: Some(env.to_vec()), ..Default::default() };
        self.exec_with(container, command, options, deadline).await
    }

    /// The same as this user, `uid` or `uid:gid`, whatever user the image runs as; empty is the image's.
    pub async fn exec_as(
        &self,
        user: &str,
        container: &str,
        command: &[&str],
        deadline: Duration,
    ) -> Result<Output, DockerError> {
        let options = CreateExecOptions { user: (!user.is_empty()).then(|| user.to_owned()), ..Default::default() };
        self.exec_with(container, command, options, deadline).await
    }

    async fn exec_with(
        &self,
        container: &str,
        command: &[&str],
        options: CreateExecOptions<String>,
        deadline: Duration,
    ) -> Result<Output, DockerError> {
        let failed =
            |problem: String| DockerError::Exec { node: container.to_owned(), command: command.join(" "), problem };
        match timeout(deadline, self.exec_unbounded(container, command, options)).await {
            Ok(result) => result,
            Err(_) => Err(failed(format!("took longer than {:.0} s", deadline.as_secs_f64()))),
        }
    }

    async fn exec_unbounded(
        &self,
        container: &str,
        command: &[&str],
        options: CreateExecOptions<String>,
    ) -> Result<Output, DockerError> {
        let what = || format!("{container}: run `{}`", command.join(" "));
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(ToString::to_string).collect()),
            ..options
        };
        let exec = self.docker.create_exec(container, options).await.map_err(DockerError::call(what()))?;
        let started = self.docker.start_exec(&exec.id, None::<StartExecOptions>).await;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let StartExecResults::Attached { mut output, .. } = started.map_err(DockerError::call(what()))? {
            while let Some(chunk) = output.next().await {
                match chunk.map_err(DockerError::call(what()))? {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    other => stdout.extend_from_slice(&other.into_bytes()),
                }
            }
        }
        let inspected = self.docker.inspect_exec(&exec.id).await.map_err(DockerError::call(what()))?;
        Ok(Output {
            code: inspected.exit_code.unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }

    /// The same, where anything but exit code 0 is an error.
    pub async fn exec_ok(
        &self,
        container: &str,
        command: &[&str],
        env: &[String],
        deadline: Duration,
    ) -> Result<String, DockerError> {
        let output = self.exec_with_env(container, command, env, deadline).await?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        Err(DockerError::Exec {
            node: container.to_owned(),
            command: command.join(" "),
            problem: format!("ended with code {}: {}", output.code, last_lines(text, 20)),
        })
    }
}

/// The last lines of a text, for messages.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn unreachable(error: bollard::errors::Error) -> DockerError {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cause.to_string();
    let denied = cause.to_lowercase().contains("permission denied");
    if denied { DockerError::Refused { cause } } else { DockerError::Unreachable { cause } }
}
