//! Replicas: the same orders everywhere after heal and drain.

use super::story::{check, code, row, seen, sold};
use firedrill_core::history::Role;
use firedrill_core::verdict::Judgement::{Fail, Pass, Unknown};

#[test]
fn judges() {
    check(
        "replicas",
        &[
            ("good", |_| {}, Pass, "0 differences in 600 orders between pg2 and 2 others"),
            ("rows in another order", |s| s.rows.reverse(), Pass, "0 differences"),
            (
                "one database in all",
                |s| {
                    s.reads.retain(|read| read.source.as_str() == "pg2");
                    s.observations.retain(|seen| seen.node.as_str() == "pg2");
                },
                Pass,
                "one database, pg2",
            ),
            (
                "written on the wrong side",
                |s| {
                    let row = row("pg1", &sold(9_000, 0, 0, 0, 1));
                    s.rows.push(row);
                },
                Fail,
                "1 order only on pg1",
            ),
            (
                "missing on a standby",
                |s| s.rows.retain(|r| r.code != code(3) || r.source.as_str() != "pg3"),
                Fail,
                "missing on pg3: FD00003",
            ),
            (
                "missing at the end of the list",
                |s| s.rows.retain(|r| r.code != code(599) || r.source.as_str() != "pg3"),
                Fail,
                "missing on pg3: FD00599",
            ),
            (
                "missing on the only standby",
                |s| {
                    s.reads.retain(|read| read.source.as_str() != "pg3");
                    s.rows.retain(|r| r.code != code(3) || r.source.as_str() != "pg1");
                },
                Fail,
                "missing on pg1: FD00003",
            ),
            (
                "written on the wrong side of two",
                |s| {
                    s.reads.retain(|read| read.source.as_str() != "pg3");
                    s.rows.push(row("pg1", &sold(9_000, 0, 0, 0, 1)));
                },
                Fail,
                "only on pg1 and not on the primary pg2 (split brain): FD09000",
            ),
            (
                "more are missing than are named",
                |s| s.rows.retain(|r| !(code(580)..=code(592)).contains(&r.code) || r.source.as_str() != "pg3"),
                Fail,
                "13 orders of the primary pg2 missing on pg3: FD00580, FD00581, FD00582, FD00583, FD00584, FD00585, \
                 FD00586, FD00587, FD00588, FD00589",
            ),
            (
                "the same, read backwards",
                |s| {
                    s.rows.retain(|r| !(code(580)..=code(592)).contains(&r.code) || r.source.as_str() != "pg3");
                    s.rows.reverse();
                },
                Fail,
                "13 orders of the primary pg2 missing on pg3: FD00580, FD00581, FD00582, FD00583, FD00584, FD00585, \
                 FD00586, FD00587, FD00588, FD00589",
            ),
        ],
    );
}

#[test]
fn judges_what_is_there_twice_or_changed_and_who_was_asked() {
    check(
        "replicas",
        &[
            (
                "twice in all databases",
                |s| {
                    let twice: Vec<_> = s.rows_of(3).map(|row| row.clone()).collect();
                    s.rows.extend(twice);
                },
                Pass,
                "0 differences",
            ),
            (
                "twice on the primary, and missing on a standby",
                |s| {
                    let twice = s.rows_of(3).find(|row| row.source.as_str() == "pg2").map(|row| row.clone());
                    s.rows.retain(|r| r.code != code(3) || r.source.as_str() != "pg3");
                    s.rows.extend(twice);
                },
                Fail,
                "1 order of the primary pg2 missing on pg1: FD00003",
            ),
            (
                "twice, and on a standby only",
                |s| (0..2).for_each(|_| s.rows.push(row("pg1", &sold(9_000, 0, 0, 0, 1)))),
                Fail,
                "2 orders only on pg1",
            ),
            (
                "another tier was seen first",
                |s| {
                    let mut redis = seen(0, "redis-1", Role::Primary);
                    redis.tier = "redis".into();
                    s.observations.insert(0, redis);
                },
                Pass,
                "0 differences",
            ),
            (
                "different on a standby",
                |s| {
                    s.rows_of(3).filter(|row| row.source.as_str() == "pg3").for_each(|row| row.total_cents = 1);
                },
                Fail,
                "1 order not the same",
            ),
            (
                "another ticket on a standby",
                |s| {
                    s.rows_of(3).filter(|row| row.source.as_str() == "pg3").for_each(|row| row.positions[0].id = 1);
                },
                Fail,
                "1 order not the same",
            ),
            (
                "two primaries at the end",
                |s| s.reads[0].role = Role::Primary,
                Fail,
                "both say that they are the primary",
            ),
            ("a standby read in part", |s| s.reads[2].complete = false, Unknown, "not read completely: pg3"),
            (
                "a standby never asked",
                |s| s.reads.retain(|read| read.source.as_str() != "pg3"),
                Unknown,
                "pg3 (never asked)",
            ),
            (
                "a fourth node was seen",
                |s| s.observations.push(seen(0, "pg4", Role::Standby)),
                Unknown,
                "pg4 (never asked)",
            ),
            ("no primary read", |s| s.reads[1].complete = false, Unknown, "no complete final read"),
            ("damage", |s| s.damage.push("torn".to_owned()), Unknown, "damaged"),
        ],
    );
}

#[test]
fn of_two_reads_the_last_counts() {
    // The first read of pg3 was in part; its rows precede its record, and a second read follows.
    let story = super::story::Story::good();
    let mut history = story.history();
    let is_read = |e: &firedrill_core::history::Event| matches!(e, firedrill_core::history::Event::Source(r) if r.source.as_str() == "pg3");
    let position = history.events.iter().position(is_read).unwrap();
    let end = history.events.len() - 1;
    let again: Vec<_> = history.events.iter().filter(|e| is_read(e) || is_row_of(e, "pg3")).cloned().collect();
    history.events.splice(end..end, again);
    if let firedrill_core::history::Event::Source(read) = &mut history.events[position] {
        read.complete = false;
    }
    let result = firedrill_core::checker::replicas::check(&firedrill_core::checker::Evidence::of(&history, &story.sla));
    assert_eq!(result.judgement, Pass, "{result:#?}");
}

fn is_row_of(event: &firedrill_core::history::Event, source: &str) -> bool {
    matches!(event, firedrill_core::history::Event::Ledger(row) if row.source.as_str() == source)
}
