//! Progress for people: bars that move on a terminal, plain lines elsewhere.

use firedrill_engine::progress::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The display that fits where the output goes: `CI` or no terminal means lines.
pub(crate) fn display() -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() && std::env::var_os("CI").is_none() {
        Arc::new(Bars { all: MultiProgress::new(), open: Mutex::default() })
    } else {
        Arc::new(Lines { begin: Instant::now(), updated: Mutex::default() })
    }
}

/// One moving line a task.
struct Bars {
    all: MultiProgress,
    open: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Progress for Bars {
    fn begin(&self, task: &str) {
        let style = ProgressStyle::with_template("{spinner} {prefix:.bold} {elapsed:>4} {wide_msg}");
        let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let bar = self.all.add(bar.with_prefix(task.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(task.to_owned(), bar);
    }

    fn update(&self, task: &str, text: &str) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = open.get(task) {
            bar.set_message(text.to_owned());
        }
    }

    fn end(&self, task: &str, note: &str) {
        let bar = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
        if let Some(bar) = bar {
            let elapsed = bar.elapsed().as_secs_f64();
            bar.finish_and_clear();
            let _ = self.all.println(format!("  {task}: {note} ({elapsed:.1} s)"));
        }
    }

    fn note(&self, text: &str) {
        let _ = self.all.println(format!("  note: {text}"));
    }
}

/// Plain lines with the time since the start; what changes often is told at most every few seconds.
struct Lines {
    begin: Instant,
    updated: Mutex<BTreeMap<String, Instant>>,
}

/// Image builds print hundreds of lines; a log wants to know that they still go on.
const UPDATE_PERIOD: Duration = Duration::from_secs(5);

impl Lines {
    fn line(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "[{:>6.1} s] {text}", self.begin.elapsed().as_secs_f64());
    }
}

impl Progress for Lines {
    fn begin(&self, task: &str) {
        self.line(&format!("{task} ..."));
    }

    fn update(&self, task: &str, text: &str) {
        let mut updated = self.updated.lock().unwrap_or_else(PoisonError::into_inner);
        let due = updated.get(task).is_none_or(|last| last.elapsed() >= UPDATE_PERIOD);
        // The boot's breakdown is rare and all of it matters.
        if due || task == "boot" {
            updated.insert(task.to_owned(), Instant::now());
            self.line(&format!("{task}: {text}"));
        }
    }

    fn end(&self, task: &str, note: &str) {
        self.line(&format!("{task}: {note}"));
    }

    fn note(&self, text: &str) {
        self.line(&format!("note: {text}"));
    }
}
