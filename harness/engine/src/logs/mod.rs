//! Logs: every node's output, streamed to a file of its own while it runs, across restarts. Lines that speak of
//! trouble also go into the history.

mod scan;
mod trouble;

use crate::docker::Engine;
use crate::recorder::Recorder;
use crate::stack::Stack;
use bollard::query_parameters::LogsOptionsBuilder;
use firedrill_core::history::{At, Event, LogLines};
use futures_util::StreamExt;
use jiff::Timestamp;
use scan::Scanner;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Records of trouble in a run, at most; a node has its share of them.
const RECORDS_MAX: usize = 4_000;

/// Follows the logs of a stack until it is dropped.
pub struct LogFollower {
    _tasks: JoinSet<()>,
    troubles: Vec<Trouble>,
}

impl LogFollower {
    /// Starts one file a node in `folder`, with what was written after `since`; all of it, where that is none. What is
    /// written from now on and speaks of trouble is recorded.
    ///
    /// Of a stack that has been drilled for long, ask for the rest only: twenty nodes write some ten thousand lines in a
    /// minute of drills, and all of them read again at the begin of a drill kept two cores from the shop for up to nine
    /// seconds.
    pub async fn start(
        stack: &Stack,
        folder: &Path,
        recorder: &Recorder,
        since: Option<Timestamp>,
    ) -> Result<Self, LogError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| LogError { path, source }
        };
        tokio::fs::create_dir_all(folder).await.map_err(failed(folder))?;
        let (mut tasks, mut troubles) = (JoinSet::new(), Vec::new());
        let share = RECORDS_MAX / stack.nodes.len().max(1);
        for node in &stack.nodes {
            let path = folder.join(format!("{}.log", node.name));
            let file = File::create(&path).await.map_err(failed(&path))?;
            let scanner = Arc::new(Mutex::new(Scanner::new(node.name.clone(), node.kind, share)));
            let trouble = Trouble { scanner, recorder: recorder.clone() };
            troubles.push(trouble.clone());
            tasks.spawn(follow(stack.engine.clone(), node.container.clone(), file, trouble, since));
        }
        Ok(Self { _tasks: tasks, troubles })
    }

    /// Ends, and records what has been found and not been recorded yet.
    pub fn finish(self) {
        for trouble in &self.troubles {
            trouble.finish();
        }
    }
}

/// The way of one node's trouble into the history.
#[derive(Clone)]
struct Trouble {
    scanner: Arc<Mutex<Scanner>>,
    recorder: Recorder,
}

impl Trouble {
    /// A line that was written at this time by the engine's clock. What is from before the run is left out.
    fn line(&self, written: Timestamp, text: &str) {
        let ago = Timestamp::now().duration_since(written).as_nanos();
        let at = i128::from(self.recorder.now().0) - ago;
        if let Ok(at) = u64::try_from(at) {
            let records = self.scanner.lock().unwrap_or_else(PoisonError::into_inner).line(At(at), text);
            self.record(records);
        }
    }

    fn finish(&self) {
        let records = self.scanner.lock().unwrap_or_else(PoisonError::into_inner).finish();
        self.record(records);
    }

    fn record(&self, records: Vec<LogLines>) {
        for lines in records {
            self.recorder.record(Event::Log(lines));
        }
    }
}

/// Follows one container. The engine ends the stream when the container stops; it is asked again from the
/// last second seen, and lines that were written already are skipped by their time stamp.
async fn follow(engine: Engine, container: String, mut file: File, trouble: Trouble, since: Option<Timestamp>) {
    // As the engine writes it: stamps of the same length are in the order of their texts.
    let mut last = since.map_or_else(String::new, |since| format!("{since:.9}"));
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
            let (stamp, line) = text.split_once(' ').unwrap_or((&text, ""));
            if stamp <= last.as_str() {
                continue;
            }
            last = stamp.to_owned();
            if let Ok(written) = stamp.parse() {
                trouble.line(written, line);
            }
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
