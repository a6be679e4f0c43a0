//! Tasks in the background that nobody has done: Celery's queues in Redis.
//!
//! A queue is a list, one for every priority (`mail`, `mail:4`); what a worker has taken and not yet acknowledged is
//! in the hash `unacked`. Both are in the database that the workers' broker address names.

use crate::probe::connect_redis;
use crate::recorder::Recorder;
use crate::stack::{Node, Stack};
use firedrill_core::history::Leftover;
use firedrill_core::ids::NodeName;
use firedrill_core::topology::NodeKind;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, RedisError};

/// Variable of the workers with the address of the broker: `redis://redis:6379/2`.
const BROKER: &str = "PRETIX_CELERY_BROKER";

const UNACKNOWLEDGED: &str = "tasks that no worker has acknowledged";
const QUEUED: &str = "tasks that no worker has taken";

/// Tasks that are described, at most.
const DESCRIBED: usize = 3;

/// What is left in the broker, one for every kind; nothing where there are no workers.
pub async fn count(stack: &Stack, recorder: &Recorder) -> Vec<Leftover> {
    if !has_workers(stack) {
        return Vec::new();
    }
    match count_at_master(stack).await {
        Ok((node, unacknowledged, queued)) => {
            vec![leftover(recorder, &node, UNACKNOWLEDGED, unacknowledged), leftover(recorder, &node, QUEUED, queued)]
        }
        Err(why) => uncounted(stack, recorder, &why),
    }
}

/// The same where nobody could count.
pub(super) fn uncounted(stack: &Stack, recorder: &Recorder, why: &str) -> Vec<Leftover> {
    let Some(node) = stack.of_kind(NodeKind::Redis).next().filter(|_| has_workers(stack)) else { return Vec::new() };
    let uncounted = |what: &str| Leftover {
        at: recorder.now(),
        node: node.name.clone(),
        what: what.to_owned(),
        count: None,
        detail: why.to_owned(),
    };
    [UNACKNOWLEDGED, QUEUED].into_iter().map(uncounted).collect()
}

fn has_workers(stack: &Stack) -> bool {
    stack.of_kind(NodeKind::PretixWorker).next().is_some()
}

fn leftover(recorder: &Recorder, node: &NodeName, what: &str, (count, detail): (u64, String)) -> Leftover {
    Leftover { at: recorder.now(), node: node.clone(), what: what.to_owned(), count: Some(count), detail }
}

/// How many, and the first of them.
type Counted = (u64, String);

async fn count_at_master(stack: &Stack) -> Result<(NodeName, Counted, Counted), String> {
    let broker = stack.topology.services.iter().find_map(|service| service.environment.get(BROKER));
    let database = broker.and_then(|url| database(url));
    let database = database.ok_or_else(|| format!("the topology names no database of a Redis in {BROKER}"))?;
    let (node, mut connection) = connect_master(stack).await?;
    let counted = async {
        redis::cmd("SELECT").arg(database).query_async::<()>(&mut connection).await?;
        Ok::<_, RedisError>((unacknowledged(&mut connection).await?, queued(&mut connection).await?))
    };
    let (unacknowledged, queued) = counted.await.map_err(|error| format!("{}: {error}", node.name))?;
    Ok((node.name.clone(), unacknowledged, queued))
}

/// The first node that says that it is the master, or why there is none.
async fn connect_master(stack: &Stack) -> Result<(&Node, MultiplexedConnection), String> {
    let mut last = "no master".to_owned();
    for node in stack.of_kind(NodeKind::Redis) {
        let asked = async {
            let address = node.published(6379).ok_or("its port is not published")?;
            let mut connection = connect_redis(address).await?;
            let mut question = redis::cmd("INFO");
            let info = question.arg("replication").query_async::<String>(&mut connection).await;
            Ok::<_, String>((connection, info.map_err(|error| error.to_string())?))
        };
        match asked.await {
            Ok((connection, info)) if info.contains("role:master") => return Ok((node, connection)),
            Ok(_) => {}
            Err(error) => last = format!("{}: {error}", node.name),
        }
    }
    Err(last)
}

async fn unacknowledged(connection: &mut MultiplexedConnection) -> Result<Counted, RedisError> {
    let count: u64 = connection.hlen("unacked").await?;
    if count == 0 {
        return Ok((0, String::new()));
    }
    let (_, some): (u64, Vec<(String, String)>) =
        redis::cmd("HSCAN").arg("unacked").arg(0).arg("COUNT").arg(DESCRIBED).query_async(connection).await?;
    let names: Vec<String> = some.iter().take(DESCRIBED).map(|(_, task)| task_name(task)).collect();
    Ok((count, names.join(", ")))
}

async fn queued(connection: &mut MultiplexedConnection) -> Result<Counted, RedisError> {
    let mut names = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(1_000).arg("TYPE").arg("list");
        let (next, some): (u64, Vec<String>) = scan.query_async(connection).await?;
        names.extend(some.into_iter().filter(|name| is_queue(name)));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    names.sort_unstable();
    names.dedup();
    let (mut count, mut detail) = (0, Vec::new());
    for name in names {
        let length: u64 = connection.llen(&name).await?;
        if length > 0 {
            count += length;
            detail.push(format!("{name} {length}"));
        }
    }
    Ok((count, detail.join(", ")))
}

/// Whether a list is a queue of tasks: answers to questions of the administrator are lists too.
fn is_queue(list: &str) -> bool {
    !list.contains("pidbox")
}

/// The number of the database at the end of a broker's address; several addresses have `;` between them.
fn database(url: &str) -> Option<i64> {
    let first = url.split(';').next()?;
    let path = first.split_once("://")?.1.split_once('/').map_or("", |(_, path)| path);
    match path.split('?').next()? {
        "" => Some(0),
        number => number.parse().ok(),
    }
}

/// The name of a task that waits for its acknowledgement: `[{"headers": {"task": NAME}}, EXCHANGE, KEY]`.
fn task_name(task: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(task).ok();
    let name = parsed.as_ref().and_then(|task| task.get(0)?.get("headers")?.get("task")?.as_str());
    name.unwrap_or("a task that cannot be read").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("redis://redis:6379/2", Some(2))]
    #[case("redis://:secret@redis:6379/13?socket_timeout=3", Some(13))]
    #[case("redis://redis:6379", Some(0))]
    #[case("redis://redis:6379/", Some(0))]
    #[case("sentinel://s1:26379/1;sentinel://s2:26379/1", Some(1))]
    #[case("amqp://rabbit/vhost", None)]
    #[case("nowhere", None)]
    fn the_broker_s_database_is_at_the_end_of_its_address(#[case] url: &str, #[case] expected: Option<i64>) {
        assert_eq!(database(url), expected);
    }

    #[test]
    fn a_task_is_known_by_its_name() {
        let task = r#"[{"body": "W10=", "headers": {"lang": "py", "task": "pretix.base.services.orders.perform_order"},
            "properties": {"priority": 0}}, "", "checkout"]"#;
        assert_eq!(task_name(task), "pretix.base.services.orders.perform_order");
        assert_eq!(task_name("[]"), "a task that cannot be read");
        assert_eq!(task_name("{"), "a task that cannot be read");
    }

    #[test]
    fn answers_to_the_administrator_are_no_queues() {
        assert!(is_queue("checkout") && is_queue("mail:4"));
        assert!(!is_queue("1f6a.reply.celery.pidbox"));
    }
}
