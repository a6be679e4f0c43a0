//! Logs: lines that nobody expected.

use super::story::{Story, check};
use firedrill_core::history::{At, LogLines, Subject};
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

fn write(story: &mut Story, at_ms: u64, count: u64, line: &str) {
    story.logs.push(LogLines { node: "web1".into(), at: At::from_ms(at_ms), count, line: line.to_owned() });
}

#[test]
fn judges() {
    check(
        "logs",
        &[
            ("not looked at", |_| {}, Pass, "this run did not look"),
            ("quiet", |s| s.observes = vec![Subject::Logs], Pass, "0 unexpected lines; 0 around faults"),
            ("trouble without a fault", |s| write(s, 10_000, 1, "KeyError: 7"), Fail, "web1: KeyError: 7"),
            (
                "much of it, each with its own time",
                |s| {
                    write(s, 10_000, 2, "12:00:10 [7] KeyError");
                    write(s, 11_000, 3, "12:00:11 [8] KeyError");
                },
                Fail,
                "web1 (5 times): 12:00:10 [7] KeyError",
            ),
            (
                "two kinds of it, the more frequent first",
                |s| {
                    write(s, 10_000, 1, "KeyError: 7");
                    write(s, 11_000, 2, "took 7 ms of 5");
                    write(s, 12_000, 1, "took 1200 ms of 5");
                    write(s, 13_000, 1, "KeyError: ");
                },
                Fail,
                "web1 (3 times): took 7 ms of 5",
            ),
            (
                "with the first purchase, and with the end of the last",
                |s| {
                    s.stages[0].at = At::from_ms(1_000);
                    write(s, 1_000, 1, "KeyError: begin");
                    write(s, 150_000, 1, "KeyError: end");
                    write(s, 999, 1, "KeyError: before");
                    write(s, 150_001, 1, "KeyError: after");
                },
                Fail,
                "web1: KeyError: begin",
            ),
            (
                "trouble in a fault's window, and right behind it",
                |s| {
                    s.observes = vec![Subject::Logs];
                    write(s, 20_500, 1, "OperationalError: server closed the connection");
                    write(s, 44_000, 1, "OperationalError: server closed the connection");
                },
                Pass,
                "0 unexpected lines; 2 around faults",
            ),
            ("trouble long after it", |s| write(s, 46_000, 1, "KeyError: 7"), Fail, "KeyError"),
            (
                "broken data in a fault's window",
                |s| write(s, 25_000, 1, "PANIC: invalid page in block 7"),
                Fail,
                "invalid page",
            ),
            (
                "before the load and after the drain",
                |s| {
                    s.observes = vec![Subject::Logs];
                    s.stages[0].at = At::from_ms(500);
                    write(s, 100, 1, "KeyError: 7");
                    write(s, 151_000, 1, "KeyError: 7");
                },
                Pass,
                "0 unexpected lines; 2 around faults",
            ),
            (
                "known to be harmless",
                |s| {
                    s.observes = vec![Subject::Logs];
                    write(s, 10_000, 4, "ERROR: canceling statement due to lock timeout");
                },
                Pass,
                "4 known to be harmless",
            ),
            (
                "allowed by the agreement",
                |s| {
                    s.observes = vec![Subject::Logs];
                    s.sla.logs.allow = vec!["KeyError".to_owned()];
                    write(s, 10_000, 4, "KeyError: 7");
                },
                Pass,
                "4 known to be harmless",
            ),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}
