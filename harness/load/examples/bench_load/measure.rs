//! What this process uses, and where records go.

use crate::Failed;
use firedrill_core::history::Event;
use firedrill_core::history::codec::Writer;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// Records that are taken from the channel at once.
const BATCH: usize = 4_096;

/// How long records may gather in the channel: whoever is woken for every single one wakes 100,000 times a
/// second. A drill's journal writes to disk five times a second.
const GATHER: Duration = Duration::from_millis(5);

/// CPU time.
pub(crate) struct Usage {
    ticks: u64,
}

impl Usage {
    /// User and system time of this process so far.
    pub(crate) fn now() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        // The command's name, in brackets, may have spaces.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let field = |index: usize| rest.split_whitespace().nth(index).and_then(|text| text.parse::<u64>().ok());
        let (user, system) = (field(11).unwrap_or(0), field(12).unwrap_or(0));
        Ok(Self { ticks: user + system })
    }

    /// Seconds since then; Linux counts hundredths.
    pub(crate) fn since(&self, before: &Self) -> f64 {
        (self.ticks - before.ticks) as f64 / 100.0
    }
}

fn status_kb(key: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    Ok(line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Memory in use, in KB.
pub(crate) fn rss_kb() -> io::Result<u64> {
    status_kb("VmRSS:")
}

/// Most memory ever in use, in MB.
pub(crate) fn peak_mb() -> io::Result<u64> {
    Ok(status_kb("VmHWM:")? / 1024)
}

/// Where records go.
pub(crate) struct Sink {
    history: Option<(PathBuf, Writer<BufWriter<File>>)>,
}

impl Sink {
    /// Nowhere.
    pub(crate) fn nothing() -> Self {
        Self { history: None }
    }

    /// To a file as a drill's, which is removed at the end.
    pub(crate) fn history() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("bench-{}.jsonl.zst", std::process::id()));
        let writer = Writer::new(BufWriter::new(File::create(&path)?))?;
        Ok(Self { history: Some((path, writer)) })
    }

    /// Takes records on a thread of its own.
    pub(crate) fn start(self, receiver: mpsc::Receiver<Event>) -> Sinking {
        Sinking(std::thread::spawn(move || self.take_all(receiver)))
    }

    fn take_all(mut self, mut receiver: mpsc::Receiver<Event>) -> io::Result<(u64, u64)> {
        let (mut records, mut bytes) = (0, 0);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let count = receiver.blocking_recv_many(&mut batch, BATCH);
            if count == 0 {
                break;
            }
            records += count as u64;
            for event in batch.drain(..) {
                if let Some((_, writer)) = &mut self.history {
                    writer.write(&event)?;
                }
            }
            if count < BATCH {
                std::thread::sleep(GATHER);
            }
        }
        if let Some((path, writer)) = self.history {
            writer.finish()?.into_inner().map_err(io::Error::from)?.sync_all()?;
            bytes = fs::metadata(&path)?.len();
            fs::remove_file(path)?;
        }
        Ok((records, bytes))
    }
}

/// A sink at work.
pub(crate) struct Sinking(JoinHandle<io::Result<(u64, u64)>>);

impl Sinking {
    /// Waits for the last record: their number, and the size of the file.
    pub(crate) fn join(self) -> Result<(u64, u64), Failed> {
        Ok(self.0.join().map_err(|_| "the thread that takes the records panicked")??)
    }
}
