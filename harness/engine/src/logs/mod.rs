//! Logs: every node's output, streamed to a file of its own while it runs, across restarts.

use crate::docker::Engine;
use crate::stack::Stack;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

/// Logs cannot be written.
#[derive(Debug, Error)]
#[error("the log file {path} cannot be written: {source}; check the free space and the permissions of runs/")]
pub struct LogError {
    path: PathBuf,
    source: std::io::Error,
}

/// Follows the logs of a stack until it is dropped.
pub struct LogFollower {
    _tasks: JoinSet<()>,
}

impl LogFollower {
    /// Starts one file a node in `folder`.
    pub async fn start(stack: &Stack, folder: &Path) -> Result<Self, LogError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| LogError { path, source }
        };
        tokio::fs::create_dir_all(folder).await.map_err(failed(folder))?;
        let mut tasks = JoinSet::new();
        for node in &stack.nodes {
            let path = folder.join(format!("{}.log", node.name));
            let file = File::create(&path).await.map_err(failed(&path))?;
            tasks.spawn(follow(stack.engine.clone(), node.container.clone(), file));
        }
        Ok(Self { _tasks: tasks })
    }
}

/// Follows one container. The engine ends the stream when the container stops; it is asked again from the
/// last second seen, and lines that were written already are skipped by their time stamp.
async fn follow(engine: Engine, container: String, mut file: File) {
    let mut last = String::new();
    loop {
        let since = last.parse::<jiff::Timestamp>().ok().and_then(|at| i32::try_from(at.as_second()).ok()).unwrap_or(0);
        let options =
            LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).timestamps(true).since(since).build();
        let mut lines = engine.docker.logs(&container, Some(options));
        let mut gone = false;
        while let Some(line) = lines.next().await {
            let Ok(line) = line else {
                gone = engine.docker.inspect_container(&container, None).await.is_err();
                break;
            };
            let bytes = line.into_bytes();
            let text = String::from_utf8_lossy(&bytes);
            let stamp = text.split(' ').next().unwrap_or_default();
            if stamp <= last.as_str() {
                continue;
            }
            last = stamp.to_owned();
            let _ = file.write_all(&bytes).await;
        }
        let _ = file.flush().await;
        if gone || engine.docker.inspect_container(&container, None).await.is_err() {
            return;
        }
        // The container is stopped; this is the pace at which a new start is looked for, not a wait for
        // something to settle.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The last lines of a container, for messages.
pub async fn tail(engine: &Engine, container: &str, count: usize) -> String {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&count.to_string()).build();
    let lines: Vec<String> = engine
        .docker
        .logs(container, Some(options))
        .filter_map(|line| async { line.ok().map(|line| line.to_string().trim_end().to_owned()) })
        .collect()
        .await;
    if lines.is_empty() { "(no output)".to_owned() } else { lines.join("\n") }
}
