//! Trouble in one node's log, while it is written: found, brought together by the second, and capped.

use super::trouble::{is_trouble, template};
use firedrill_core::history::{At, LogLines};
use firedrill_core::ids::NodeName;
use firedrill_core::topology::NodeKind;
use std::collections::{BTreeMap, HashSet};

/// Characters of a line that are kept.
const LINE_CHARS: usize = 300;

/// How Python begins to tell of an error.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// How Python goes on from one error to that which followed from it.
const CHAINED: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// One node's log.
pub(super) struct Scanner {
    node: NodeName,
    kind: NodeKind,
    traceback: Traceback,
    /// What is not handed out yet, by second and template.
    seconds: BTreeMap<u64, BTreeMap<String, LogLines>>,
    budget: Budget,
}

/// Where in an error that Python tells of the log is.
enum Traceback {
    /// In none.
    None,
    /// Its calls are listed; the error itself comes.
    Calls,
    /// The error was told; perhaps another one followed from it, as `is_chained` says once that is said.
    Told { at: At, line: String, is_chained: bool },
}

/// How many records a node may still have.
struct Budget {
    left: usize,
    /// What is left for lines that there have been before: a storm of one kind must not hide the others.
    left_for_known: usize,
    known: HashSet<String>,
    /// What had no room.
    rest: Option<LogLines>,
}

impl Scanner {
    /// The scanner of a node whose log may have so many records, and one more that counts the rest.
    pub(super) fn new(node: NodeName, kind: NodeKind, records_max: usize) -> Self {
        let budget = Budget { left: records_max, left_for_known: records_max / 2, known: HashSet::new(), rest: None };
        Self { node, kind, traceback: Traceback::None, seconds: BTreeMap::new(), budget }
    }

    /// Takes the next line, and hands out what is complete: the seconds before that of this line.
    pub(super) fn line(&mut self, at: At, line: &str) -> Vec<LogLines> {
        let line = line.trim_end();
        if !self.is_of_traceback(at, line) && is_trouble(self.kind, line) {
            self.add(at, line);
        }
        let later = self.seconds.split_off(&second(at));
        let complete = std::mem::replace(&mut self.seconds, later);
        self.within_budget(complete)
    }

    /// The log is over: hands out everything, and the rest that had no room.
    pub(super) fn finish(&mut self) -> Vec<LogLines> {
        self.end_traceback();
        let complete = std::mem::take(&mut self.seconds);
        let mut records = self.within_budget(complete);
        records.extend(self.budget.rest.take().map(|rest| LogLines {
            line: format!("{} more lines had no room in the history; the first of them: {}", rest.count, rest.line),
            ..rest
        }));
        records
    }

    /// Whether a line belongs to an error that Python tells of, of which the last line is kept: it says what
    /// happened. Of errors that followed from one another it is that of the last one.
    fn is_of_traceback(&mut self, at: At, line: &str) -> bool {
        if !matches!(self.kind, NodeKind::PretixWeb | NodeKind::PretixWorker | NodeKind::PretixPeriodic) {
            return false;
        }
        if line.ends_with(TRACEBACK) {
            if !matches!(self.traceback, Traceback::Told { is_chained: true, .. }) {
                self.end_traceback();
            }
            self.traceback = Traceback::Calls;
            return true;
        }
        let goes_on = line.is_empty() || line.starts_with([' ', '\t']);
        match &mut self.traceback {
            Traceback::None => false,
            Traceback::Calls if goes_on => true,
            Traceback::Calls => {
                self.traceback = Traceback::Told { at, line: line.to_owned(), is_chained: false };
                true
            }
            Traceback::Told { .. } if goes_on => true,
            Traceback::Told { is_chained, .. } if CHAINED.contains(&line) => {
                *is_chained = true;
                true
            }
            Traceback::Told { .. } => {
                self.end_traceback();
                false
            }
        }
    }

    fn end_traceback(&mut self) {
        if let Traceback::Told { at, line, .. } = std::mem::replace(&mut self.traceback, Traceback::None) {
            self.add(at, &line);
        }
    }

    fn add(&mut self, at: At, line: &str) {
        let alike = self.seconds.entry(second(at)).or_default();
        let lines = alike.entry(template(line)).or_insert_with(|| LogLines {
            node: self.node.clone(),
            at,
            count: 0,
            line: cut(line),
        });
        lines.count += 1;
        lines.at = lines.at.min(at);
    }

    fn within_budget(&mut self, complete: BTreeMap<u64, BTreeMap<String, LogLines>>) -> Vec<LogLines> {
        let mut seconds: Vec<(String, LogLines)> = complete.into_values().flatten().collect();
        seconds.sort_by_key(|(_, lines)| lines.at);
        seconds.into_iter().filter_map(|(template, lines)| self.budget.spend(template, lines)).collect()
    }
}

impl Budget {
    /// The record, if there is room for it; otherwise it is counted.
    fn spend(&mut self, template: String, lines: LogLines) -> Option<LogLines> {
        let is_known = self.known.contains(&template);
        let has_room = self.left > 0 && !(is_known && self.left_for_known == 0);
        if !has_room {
            match &mut self.rest {
                Some(rest) => rest.count += lines.count,
                None => self.rest = Some(lines),
            }
            return None;
        }
        self.left -= 1;
        if is_known {
            self.left_for_known -= 1;
        } else {
            self.known.insert(template);
        }
        Some(lines)
    }
}

fn second(at: At) -> u64 {
    at.0 / 1_000_000_000
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(kind: NodeKind, records_max: usize, lines: &[(u64, &str)]) -> Vec<(u64, u64, String)> {
        let mut scanner = Scanner::new("n1".into(), kind, records_max);
        let mut records = Vec::new();
        for (ms, line) in lines {
            records.extend(scanner.line(At::from_ms(*ms), line));
        }
        records.extend(scanner.finish());
        assert!(scanner.finish().is_empty(), "nothing is handed out twice");
        records.into_iter().map(|lines| (lines.at.0 / 1_000_000, lines.count, lines.line)).collect()
    }

    fn error(text: &str) -> String {
        format!("pgpool 2026-11-21 18:07:12 [55] ERROR:  {text}")
    }

    #[test]
    fn lines_that_are_alike_are_one_record_a_second() {
        let (one, two) = (error("backend 1 is gone"), error("out of memory"));
        let lines = [(100, one.as_str()), (200, two.as_str()), (900, one.as_str()), (1_500, one.as_str())];
        let expected = [(100, 2, one.clone()), (200, 1, two.clone()), (1_500, 1, one.clone())];
        assert_eq!(scan(NodeKind::Pgpool, 100, &lines), expected);
    }

    #[test]
    fn what_is_complete_is_handed_out_while_the_log_goes_on() {
        let mut scanner = Scanner::new("n1".into(), NodeKind::Pgpool, 10);
        assert!(scanner.line(At::from_ms(100), &error("gone")).is_empty());
        assert!(scanner.line(At::from_ms(999), "LOG:  all is well").is_empty());
        assert_eq!(scanner.line(At::from_ms(1_000), "LOG:  all is well").len(), 1);
    }

    const CHAIN: &str = "\
ERROR 2026-11-21 18:07:12,345 django.request log Internal Server Error: /api/v1/organizers/drill/events/fair/orders/
Traceback (most recent call last):
  File \"/venv/lib/python3.11/site-packages/django/db/backends/base/base.py\", line 279, in ensure_connection
    self.connect()
psycopg2.OperationalError: server closed the connection unexpectedly
\tThis probably means the server terminated abnormally
\tbefore or while processing the request.

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/venv/lib/python3.11/site-packages/django/core/handlers/exception.py\", line 55, in inner
    response = get_response(request)
django.db.utils.OperationalError: server closed the connection unexpectedly
\tThis probably means the server terminated abnormally

[2026-11-21 18:07:13 +0000] [7] [INFO] Booting worker with pid: 8";

    #[test]
    fn of_a_traceback_only_its_last_line_is_kept() {
        let lines: Vec<(u64, &str)> = CHAIN.lines().map(|line| (100, line)).collect();
        let found = scan(NodeKind::PretixWeb, 100, &lines);
        let [first, second] = found.as_slice() else { panic!("two records, not {found:?}") };
        let told: Vec<&str> = [first, second].iter().map(|(_, _, line)| line.as_str()).collect();
        assert!(told.contains(&"django.db.utils.OperationalError: server closed the connection unexpectedly"));
        assert!(told.iter().any(|line| line.starts_with("ERROR 2026-11-21") && line.contains("Internal Server Error")));
    }

    #[test]
    fn errors_that_have_nothing_to_do_with_each_other_are_not_one() {
        let text = "Traceback (most recent call last):\n  File \"a\"\nValueError: x\n\
            Traceback (most recent call last):\n  File \"c\"\nIndexError: z\n\
            [2026-11-21 18:07:12,345: WARNING/MainProcess] Traceback (most recent call last):\n  File \"b\"\nKeyError: 'y'";
        let lines: Vec<(u64, &str)> = text.lines().map(|line| (100, line)).collect();
        let found = scan(NodeKind::PretixWorker, 100, &lines);
        let told: Vec<&str> = found.iter().map(|(_, _, line)| line.as_str()).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for error in ["ValueError: x", "IndexError: z", "KeyError: 'y'"] {
            assert!(told.contains(&error), "{error} is not in {told:?}");
        }
    }

    #[test]
    fn a_storm_does_not_fill_the_history_and_hides_nothing_new() {
        let same = error("gone");
        let new: Vec<String> = ["a", "b", "c", "d"].iter().map(|what| error(&format!("{what} broke"))).collect();
        let mut lines: Vec<(u64, &str)> = (0..1_000).map(|second| (second * 1_000, same.as_str())).collect();
        lines.extend(new.iter().map(|line| (1_000_000, line.as_str())));
        let found = scan(NodeKind::Pgpool, 10, &lines);
        assert_eq!(found.len(), 11);
        for line in &new {
            assert!(found.iter().any(|(_, _, found)| found == line), "{line} is not in {found:?}");
        }
        let (at_ms, count, rest) = found.last().expect("records");
        assert_eq!((*at_ms, *count), (6_000, 994), "six of a thousand had room");
        assert!(rest.starts_with("994 more lines had no room") && rest.ends_with(&same), "{rest}");
    }

    #[test]
    fn long_lines_are_cut() {
        let long = error(&"ä".repeat(1_000));
        let found = scan(NodeKind::Pgpool, 10, &[(1, &long)]);
        assert_eq!(found[0].2.chars().count(), LINE_CHARS + 3);
    }
}
