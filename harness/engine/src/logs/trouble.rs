//! Which lines of a node's log speak of trouble, by the kind of the node, and which of them are alike.
//!
//! What the lines mean, and whether they may be, is not said here: that is judged later, from what is recorded.

use firedrill_core::topology::NodeKind;

/// Whether a line of the log of such a node speaks of trouble. The lines of Python's tracebacks do not; those are
/// found before ([`super::scan`]).
pub(super) fn is_trouble(kind: NodeKind, line: &str) -> bool {
    match kind {
        NodeKind::Postgres => has_severity(line, &["PANIC", "FATAL", "ERROR"]) || is_repmgr_trouble(line),
        NodeKind::Pgpool => has_severity(line, &["PANIC", "FATAL", "ERROR"]) || is_watcher_trouble(line),
        NodeKind::Redis => redis_warning(line).is_some_and(speaks_of_failure),
        NodeKind::Sentinel => {
            redis_warning(line).is_some_and(|text| is_sentinel_trouble(text) || speaks_of_failure(text))
        }
        NodeKind::Haproxy => is_haproxy_trouble(line),
        NodeKind::Nginx => ["[error]", "[crit]", "[alert]", "[emerg]"].iter().any(|level| line.contains(level)),
        NodeKind::PretixWeb | NodeKind::PretixWorker | NodeKind::PretixPeriodic => is_python_trouble(line),
    }
}

/// Whether a line of PostgreSQL or Pgpool has one of these severities: `... FATAL:  the database system is ...`.
fn has_severity(line: &str, severities: &[&str]) -> bool {
    severities.iter().any(|severity| {
        line.match_indices(severity).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = &line[at + severity.len()..];
            before.is_none_or(|before| before == ' ') && after.starts_with(":  ")
        })
    })
}

/// `[2026-11-21 18:07:12] [ERROR] connection to database failed`.
fn is_repmgr_trouble(line: &str) -> bool {
    line.starts_with('[') && ["[ERROR]", "[CRITICAL]", "[ALERT]", "[EMERG]"].iter().any(|level| line.contains(level))
}

/// The watcher in the Pgpool image: it starts again what hangs, and refuses what could not be right.
fn is_watcher_trouble(line: &str) -> bool {
    line.contains("[pool ")
        && ["REFUSING", "pgpool has died", "pgpool is stuck", "no session through pgpool", "session through pgpool:"]
            .iter()
            .any(|said| line.contains(said))
}

/// The text of a warning of Redis: `1:M 21 Nov 2026 18:07:12.345 # TEXT`.
fn redis_warning(line: &str) -> Option<&str> {
    let (head, text) = line.split_once(" # ")?;
    let role = head.split(' ').next()?.split_once(':')?.1;
    matches!(role, "M" | "S" | "C" | "X").then_some(text)
}

/// Redis warns of much that is none of anybody's business (its start, the machine's settings).
fn speaks_of_failure(text: &str) -> bool {
    const SETTINGS: &str = "WARNING ";
    const SAID: [&str; 14] = [
        "error",
        "fail",
        "can't",
        "cannot",
        "could not",
        "unable",
        "misconf",
        "out of memory",
        "oom",
        "corrupt",
        "bad file format",
        "short read",
        "unexpected",
        "crashed",
    ];
    let lower = text.to_ascii_lowercase();
    !text.starts_with(SETTINGS) && SAID.iter().any(|said| lower.contains(said))
}

/// What a Sentinel takes for the loss of somebody, and failovers that come to nothing.
fn is_sentinel_trouble(text: &str) -> bool {
    ["+sdown", "+odown", "+tilt", "-failover-abort"].iter().any(|event| text.starts_with(event))
}

/// `[ALERT]    (8) : backend 'redis' has no server available!`, or the same without its head, as a log line.
fn is_haproxy_trouble(line: &str) -> bool {
    let is_loss = line.contains(" is DOWN") || line.contains("has no server available");
    ["[ALERT]", "[EMERG]", "[CRIT]", "[ERROR]"].iter().any(|level| line.starts_with(level))
        // A warning that is repeated as a log line counts once.
        || (is_loss && !line.starts_with('['))
}

/// Lines of Pretix (`ERROR 2026-11-21 ...`), gunicorn (`[...] [7] [ERROR] ...`), Celery (`[...: ERROR/Main...] ...`)
/// and of the loop around the periodic tasks (`periodic: OperationalError: ...`).
fn is_python_trouble(line: &str) -> bool {
    const LEVELS: [&str; 2] = ["ERROR", "CRITICAL"];
    let by_pretix = LEVELS.iter().any(|level| line.strip_prefix(level).is_some_and(|rest| rest.starts_with(" 2")));
    let by_gunicorn = line.starts_with('[') && LEVELS.iter().any(|level| line.contains(&format!("[{level}]")));
    let head = line.split(']').next().unwrap_or_default();
    let by_celery = line.starts_with('[') && LEVELS.iter().any(|level| head.contains(&format!(": {level}/")));
    // Celery's word for it is only a warning.
    let lost_broker = line.starts_with('[') && line.contains("Connection to broker lost");
    let by_the_loop = line.strip_prefix("periodic: ").is_some_and(|rest| match rest.strip_prefix("exit ") {
        Some(exit) => !exit.starts_with("0 "),
        None => rest != "ready",
    });
    by_pretix || by_gunicorn || by_celery || lost_broker || by_the_loop
}

/// What lines that are alike have in common: without quoted texts, numbers, and names with numbers in them
/// (addresses, codes, keys).
pub(super) fn template(line: &str) -> String {
    let mut template = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let after_word = template.chars().next_back().is_some_and(char::is_alphanumeric);
        let length = match first {
            // An apostrophe within a word opens nothing.
            '"' | '\'' if !(first == '\'' && after_word) => match quoted(rest, first) {
                Some(length) => {
                    template.push('Q');
                    length
                }
                None => {
                    template.push(first);
                    1
                }
            },
            first if first.is_alphanumeric() => {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                push_word(&mut template, &rest[..length], rest[length..].starts_with('@'));
                length
            }
            first => {
                if !(first == ' ' && template.ends_with(' ')) {
                    template.push(first);
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    template
}

/// Length of the quoted text that a text begins with.
fn quoted(text: &str, quote: char) -> Option<usize> {
    Some(text[1..].find(quote)? + 2)
}

/// Characters from which on a word of capitals is a code and not a word.
const CODE_CHARS: usize = 10;

fn push_word(template: &mut String, word: &str, is_name: bool) {
    let has_number = word.chars().any(|c| c.is_ascii_digit());
    let is_code = word.len() >= CODE_CHARS && word.chars().all(|c| c.is_ascii_uppercase());
    let is_hex = word.len() >= CODE_CHARS && word.chars().all(|c| c.is_ascii_hexdigit());
    if has_number || is_code || is_hex || is_name {
        template.push('N');
    } else {
        template.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NodeKind::{Haproxy, Nginx, Pgpool, Postgres, PretixPeriodic, PretixWeb, PretixWorker, Redis, Sentinel};
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(Postgres, "postgres 2026-11-21 18:07:12.345 UTC [77] FATAL:  the database system is starting up", true)]
    #[case(Postgres, "postgres 2026-11-21 18:07:12.345 UTC [77] pretix@pretix/web-1 ERROR:  deadlock detected", true)]
    #[case(Postgres, "postgres 2026-11-21 18:07:12.345 UTC [1] PANIC:  could not write to file", true)]
    #[case(Postgres, "postgres 2026-11-21 18:07:12.345 UTC [1] LOG:  checkpoint complete", false)]
    #[case(Postgres, "postgres 2026-11-21 18:07:12.345 UTC [1] STATEMENT:  select 'ERROR: no'", false)]
    #[case(Postgres, "[2026-11-21 18:07:12] [ERROR] connection to database failed", true)]
    #[case(Postgres, "[2026-11-21 18:07:12] [NOTICE] new standby \"pg2\" (ID: 2) has connected", false)]
    #[case(Postgres, "2026-11-21 18:07:12.345 UTC [ha pg1] STREAMING from pg2 term=2", false)]
    #[case(Pgpool, "pgpool 2026-11-21 18:07:12 [55] ERROR:  unable to read data from frontend", true)]
    #[case(Pgpool, "pgpool 2026-11-21 18:07:12 [55] FATAL:  failed to create a backend connection", true)]
    #[case(Pgpool, "pgpool 2026-11-21 18:07:12 [55] LOG:  failover or failback event detected", false)]
    #[case(Pgpool, "2026-11-21 18:07:12.345 UTC [pool pgpool1] pgpool is stuck: start it again", true)]
    #[case(Pgpool, "2026-11-21 18:07:12.345 UTC [pool pgpool1] ATTACH pg2 (age 0.1 s, closed 0.2 s)", false)]
    #[case(Redis, "18:M 21 Nov 2026 18:07:12.345 # Error writing to client: Broken pipe", true)]
    #[case(Redis, "18:S 21 Nov 2026 18:07:12.345 # Failed opening the temp RDB file for saving: No space left", true)]
    #[case(Redis, "18:M 21 Nov 2026 18:07:12.345 # Can't save in background: fork: Cannot allocate memory", true)]
    #[case(Redis, "18:C 21 Nov 2026 18:07:12.345 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", false)]
    #[case(
        Redis,
        "18:S 21 Nov 2026 18:07:12.345 # WARNING Memory overcommit must be enabled! Without it, a save may fail",
        false
    )]
    #[case(
        Redis,
        "18:M 21 Nov 2026 18:07:12.345 # Diskless rdb transfer, done reading from pipe, 2 replicas up",
        false
    )]
    #[case(Redis, "18:S 21 Nov 2026 18:07:12.345 * MASTER <-> REPLICA sync: failed", false)]
    #[case(Redis, "node 18:07:12 no majority of Sentinels yet: waiting", false)]
    #[case(Sentinel, "9:X 21 Nov 2026 18:07:12.345 # +sdown master firedrill 172.30.77.141 6379", true)]
    #[case(Sentinel, "9:X 21 Nov 2026 18:07:12.345 # +odown master firedrill 172.30.77.141 6379 #quorum 2/2", true)]
    #[case(Sentinel, "9:X 21 Nov 2026 18:07:12.345 # -failover-abort-no-good-slave master firedrill", true)]
    #[case(Sentinel, "9:X 21 Nov 2026 18:07:12.345 # +switch-master firedrill 172.30.77.141 6379 x 6379", false)]
    #[case(Sentinel, "9:X 21 Nov 2026 18:07:12.345 # -sdown master firedrill 172.30.77.141 6379", false)]
    #[case(
        Haproxy,
        "Server redis/redis1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\"",
        true
    )]
    #[case(Haproxy, "[WARNING]  (8) : Server redis/redis1 is DOWN, reason: Layer4 timeout", false)]
    #[case(Haproxy, "[ALERT]    (8) : backend 'redis' has no server available!", true)]
    #[case(Haproxy, "Server redis/redis1 is UP, reason: Layer7 check passed", false)]
    #[case(Haproxy, "[NOTICE]   (1) : New worker (8) forked", false)]
    #[case(
        Nginx,
        "2026/11/21 18:07:12 [error] 22#22: *1 connect() failed (111: Connection refused) while connecting",
        true
    )]
    #[case(Nginx, "2026/11/21 18:07:12 [warn] 22#22: *1 a client request body is buffered", false)]
    #[case(Nginx, "2026-11-21T18:07:12+00:00 172.30.77.1 \"POST /x HTTP/1.1\" 502 157 rt=0.1", false)]
    #[case(PretixWeb, "ERROR 2026-11-21 18:07:12,345 django.request log Internal Server Error: /api/v1/", true)]
    #[case(PretixWeb, "WARNING 2026-11-21 18:07:12,345 django.request log Not Found: /x", false)]
    #[case(PretixWeb, "[2026-11-21 18:07:12 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:123)", true)]
    #[case(PretixWeb, "[2026-11-21 18:07:12 +0000] [7] [ERROR] Worker (pid:123) was sent SIGKILL!", true)]
    #[case(PretixWeb, "[2026-11-21 18:07:12 +0000] [7] [INFO] Booting worker with pid: 8", false)]
    #[case(PretixWorker, "[2026-11-21 18:07:12,345: ERROR/ForkPoolWorker-1] Task pretix.x raised unexpected", true)]
    #[case(
        PretixWorker,
        "[2026-11-21 18:07:12,345: WARNING/MainProcess] consumer: Connection to broker lost. Trying again",
        true
    )]
    #[case(PretixWorker, "[2026-11-21 18:07:12,345: INFO/MainProcess] Task pretix.x[1-2] received", false)]
    #[case(PretixPeriodic, "periodic: exit 0 after 2.1 s", false)]
    #[case(PretixPeriodic, "periodic: exit 1 after 2.1 s", true)]
    #[case(PretixPeriodic, "periodic: OperationalError: server closed the connection unexpectedly", true)]
    #[case(PretixPeriodic, "periodic: ready", false)]
    fn lines_speak_of_trouble(#[case] kind: NodeKind, #[case] line: &str, #[case] expected: bool) {
        assert_eq!(is_trouble(kind, line), expected, "{line}");
    }

    #[rstest]
    #[case(
        "postgres 2026-11-21 18:07:12.345 UTC [77] FATAL:  role \"pretix\" does not exist",
        "postgres N-N-N N:N:N.N UTC [N] FATAL: role Q does not exist"
    )]
    #[case(
        "ERROR 2026-11-21 18:07:12,345 django.request log Not Found: /orders/ZTQMKDNRZKVK/",
        "ERROR N-N-N N:N:N,N django.request log Not Found: /orders/N/"
    )]
    #[case("no order of abcdef@buyers.example.org", "no order of N@buyers.example.org")]
    #[case("can't save: 'disk full' at 0x7f00aa", "can't save: Q at N")]
    #[case("key deadbeefcafe of pg1", "key N of N")]
    #[case("a lone \" is a lone quote", "a lone \" is a lone quote")]
    #[case("", "")]
    fn lines_that_are_alike_have_one_template(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(template(line), expected);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC{0,120}") {
            let _ = template(&line);
            for kind in [Postgres, Pgpool, Redis, Sentinel, Haproxy, Nginx, PretixWeb, PretixWorker, PretixPeriodic] {
                let _ = is_trouble(kind, &line);
            }
        }
    }
}
