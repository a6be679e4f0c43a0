//! The table of the judges: which bug was found by whom, with what words, after which time.

use crate::house::root;
use firedrill_boxoffice::Bug;
use std::fmt::{self, Write};
use std::time::Duration;

const HEAD: &str = "\
# The judges judged

    FIREDRILL_WRITE=1 cargo test --test boxoffice

writes this table. A small shop (`fixtures/boxoffice`) sells over a real PostgreSQL and its standbys; with one bug
switched on at a time the load buys from it for three seconds, everything is read, and the checkers judge. A bug bites
every fifth time that it can, and nothing is left to chance. Without a bug the same shop is judged twenty times, and
everything must pass each time.

*Found after* counts from the first purchase to the verdict: the load, the last buyer's end, the final read of all
databases, and the judging.

| bug | what it does | found by | also failed | first finding | found after (s) |
| --- | --- | --- | --- | --- | --- |
";

/// What became of one bug.
pub(crate) struct Row {
    pub(crate) bug: Bug,
    /// None where its checker did not find it.
    pub(crate) caught_by: Option<String>,
    pub(crate) also: Vec<String>,
    pub(crate) finding: String,
    pub(crate) took: Duration,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bug, caught_by, also, finding, took } = self;
        let nobody = || format!("not by `{}`", bug.checker());
        let caught_by = caught_by.as_ref().map_or_else(nobody, |name| format!("`{name}`"));
        let also: Vec<String> = also.iter().map(|name| format!("`{name}`")).collect();
        let (about, finding) = (cell(bug.about()), cell(finding));
        write!(f, "| `{bug}` | {about} | {caught_by} | {} | {finding} | {:.1} |", also.join(", "), took.as_secs_f64())
    }
}

/// A text that fits into a cell.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// Writes the table where that was asked for.
pub(crate) fn write(rows: &[Row]) {
    if std::env::var_os("FIREDRILL_WRITE").is_none() {
        return;
    }
    let mut text = HEAD.to_owned();
    for row in rows {
        writeln!(text, "{row}").expect("a string takes everything");
    }
    std::fs::write(root().join("docs/judges.md"), text).expect("docs/judges.md is written");
}
