//! The journal: records go to disk as they happen, on a thread of their own.
//!
//! The channel is bounded, so that memory stays flat; it holds several seconds of the fastest load, so
//! that a slow disk does not slow the buyers down. What is written is flushed as a whole compressed block
//! at least every [`FLUSH_PERIOD`] while records come: a crash of the harness loses less than that.

use firedrill_core::history::codec::Writer;
use firedrill_core::history::{At, Event, RunTrailer};
use firedrill_core::ids::NodeName;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::mpsc;

/// At 3,000 records a second these are 20 s.
const CHANNEL: usize = 65_536;

/// How much of the history a crash may cost at most.
const FLUSH_PERIOD: Duration = Duration::from_millis(200);

/// The history cannot be written.
#[derive(Debug, Error)]
#[error("the history {path} cannot be written: {source}; check the free space and the permissions of the runs folder")]
pub struct JournalError {
    path: PathBuf,
    source: io::Error,
}

/// A history that is being written.
pub struct Journal {
    path: PathBuf,
    sender: mpsc::Sender<Event>,
    thread: JoinHandle<io::Result<Writer<BufWriter<File>>>>,
}

impl Journal {
    /// Creates the file and starts writing.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError { path: path.to_path_buf(), source };
        let file = File::create(path).map_err(failed)?;
        let writer = Writer::new(BufWriter::new(file)).map_err(failed)?;
        let (sender, receiver) = mpsc::channel(CHANNEL);
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || write_all(writer, receiver)).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), sender, thread })
    }

    /// The way in. All clones have to be dropped before [`Journal::finish`] returns.
    pub fn sender(&self) -> mpsc::Sender<Event> {
        self.sender.clone()
    }

    /// Waits until everything is written, and completes the history with its trailer.
    pub fn finish(self, at: At, samples: Vec<(NodeName, u64)>) -> Result<(), JournalError> {
        let Self { path, sender, thread } = self;
        drop(sender);
        let failed = |source| JournalError { path: path.clone(), source };
        let joined = thread.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")));
        let mut writer = joined.map_err(failed)?;
        let trailer = RunTrailer { at, records: writer.records(), samples };
        writer.write(&Event::End(trailer)).map_err(failed)?;
        let file = writer.finish().and_then(|out| out.into_inner().map_err(io::Error::from)).map_err(failed)?;
        file.sync_all().map_err(failed)
    }
}

fn write_all(
    mut writer: Writer<BufWriter<File>>,
    mut receiver: mpsc::Receiver<Event>,
) -> io::Result<Writer<BufWriter<File>>> {
    let mut flushed = Instant::now();
    while let Some(event) = receiver.blocking_recv() {
        writer.write(&event)?;
        if flushed.elapsed() >= FLUSH_PERIOD {
            writer.flush()?;
            flushed = Instant::now();
        }
    }
    Ok(writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_core::history::{HISTORY_VERSION, RunHeader, Stage, StageEvent, codec};

    fn header() -> Event {
        Event::Run(RunHeader {
            version: HISTORY_VERSION,
            run: "r1".into(),
            started: String::new(),
            seed: 1,
            topology: "t".to_owned(),
            drill: "d".to_owned(),
            rate_per_s: 1.0,
            load: None,
            observes: Vec::new(),
        })
    }

    fn stage(ms: u64) -> Event {
        Event::Stage(StageEvent { at: At::from_ms(ms), stage: Stage::Steady, step: None, detail: String::new() })
    }

    #[test]
    fn what_is_sent_is_read_back_with_a_trailer_that_counts_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("h.zst");
        let journal = Journal::create(&path).expect("created");
        let sender = journal.sender();
        for event in [header(), stage(1), stage(2)] {
            sender.blocking_send(event).expect("sent");
        }
        drop(sender);
        journal.finish(At::from_ms(3), vec![("pg1".into(), 7)]).expect("finished");
        let history = codec::read(File::open(&path).expect("there")).expect("readable");
        assert_eq!(history.damage, Vec::<String>::new());
        assert_eq!(history.events.len(), 4);
        assert_eq!(history.trailer().map(|trailer| trailer.records), Some(3));
    }

    #[test]
    fn a_full_disk_is_said_and_not_survived_in_silence() {
        let path = Path::new("/dev/full");
        let journal = Journal::create(path).expect("the device is there");
        let sender = journal.sender();
        for ms in 0..100 {
            // The writing thread may be gone already; that is what is under test.
            let _ = sender.blocking_send(stage(ms));
        }
        drop(sender);
        let error = journal.finish(At::from_ms(3), Vec::new()).expect_err("nothing can be written");
        let text = error.to_string();
        assert!(text.contains("/dev/full") && text.contains("free space"), "{text}");
    }

    #[test]
    fn a_history_that_was_cut_off_keeps_what_was_flushed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("h.zst");
        let journal = Journal::create(&path).expect("created");
        let sender = journal.sender();
        sender.blocking_send(header()).expect("sent");
        let deadline = Instant::now() + Duration::from_secs(10);
        // Records keep coming until the file can be decoded while it is still being written.
        let history = loop {
            sender.blocking_send(stage(1)).expect("sent");
            let read = codec::read(File::open(&path).expect("there"));
            match read {
                Ok(history) if !history.events.is_empty() => break history,
                _ => assert!(Instant::now() < deadline, "nothing was flushed in 10 s"),
            }
        };
        assert!(history.header().is_some());
        assert!(history.damage.iter().any(|damage| damage.contains("cut off")), "{:?}", history.damage);
    }
}
