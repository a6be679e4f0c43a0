//! What some bugs need of the databases: a standby that does not replay, a standby that takes writes.

use crate::house::House;
use firedrill_core::history::Role;
use firedrill_engine::stack::Node;
use firedrill_engine::wait::{self, Look};
use std::time::Duration;

/// How long a command inside a container, or a promotion, may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// Signals the agent of a PostgreSQL node, and nothing that it started.
const SIGNAL_AGENT: &str = r#"
for folder in /proc/[0-9]*; do
  case "$(tr '\0' ' ' < "$folder/cmdline" 2>/dev/null)" in
    python3*/ha/agent.py*) kill -s "$1" "${folder#/proc/}" || exit 1; found=yes ;;
  esac
done
[ -n "$found" ]
"#;

/// The standby replays nothing from now on, while it receives everything.
pub(crate) async fn pause_replay(house: &House) {
    let standby = house.superuser(house.node(Role::Standby)).await;
    standby.batch_execute("select pg_wal_replay_pause()").await.expect("replay is paused");
    let paused = wait::until("replay is paused", DEADLINE, Duration::from_millis(20), || async {
        let state = standby.query_one("select pg_get_wal_replay_pause_state()", &[]).await;
        match state.map(|row| row.get::<_, String>(0)) {
            Ok(state) if state == "paused" => Look::Ready(()),
            Ok(state) => Look::NotYet(state),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    paused.await.unwrap_or_else(|expired| panic!("{expired}"));
}

/// It replays again.
pub(crate) async fn resume_replay(house: &House) {
    let standby = house.superuser(house.node(Role::Standby)).await;
    standby.batch_execute("select pg_wal_replay_resume()").await.expect("replay goes on");
}

/// A standby that was made a primary beside the other. Nobody fences it and nobody follows it, because the agents
/// of all standbys are stopped.
pub(crate) struct Split<'a> {
    house: &'a House,
    standbys: Vec<&'a Node>,
    second: &'a Node,
}

impl<'a> Split<'a> {
    /// Splits the house: two databases take writes from now on.
    pub(crate) async fn begin(house: &'a House) -> Self {
        let split = Self { house, standbys: house.nodes(Role::Standby), second: house.node(Role::Standby) };
        for node in &split.standbys {
            split.signal(node, "STOP").await;
        }
        let session = house.superuser(split.second).await;
        let promoted = session.query_one("select pg_promote(wait_seconds => 15)", &[]).await;
        assert!(promoted.expect("a promotion").get::<_, bool>(0), "{} was not promoted", split.second.name);
        split
    }

    /// The agent finds a primary that nobody elected, stops it, and makes it the standby that it was.
    pub(crate) async fn end(self) {
        self.signal(self.second, "CONT").await;
        // Two primaries are not whole.
        self.house.whole().await;
        for node in self.standbys.iter().filter(|node| node.name != self.second.name) {
            self.signal(node, "CONT").await;
        }
    }

    async fn signal(&self, node: &Node, signal: &str) {
        let engine = &self.house.stack.engine;
        let command = ["sh", "-c", SIGNAL_AGENT, "agent", signal];
        let done = engine.exec(&node.container, &command, DEADLINE).await.expect("a command inside");
        assert_eq!(done.code, 0, "{signal} to the agent of {}: {}{}", node.name, done.stdout, done.stderr);
    }
}
