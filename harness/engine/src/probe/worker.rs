//! A Celery worker, seen through the broker: its connections carry its host name, and a worker that lives
//! waits for tasks with a blocking pop. `celery inspect ping` would cost seconds of CPU a question.

use super::redis::connect;
use firedrill_core::cluster::Facts;
use firedrill_core::ids::NodeName;
use redis::aio::MultiplexedConnection;
use std::net::SocketAddr;

/// Asks the brokers about one worker.
pub(super) struct Probe {
    brokers: Vec<SocketAddr>,
    worker: NodeName,
    connections: Vec<Option<MultiplexedConnection>>,
}

impl Probe {
    pub(super) fn new(brokers: Vec<SocketAddr>, worker: NodeName) -> Self {
        let connections = brokers.iter().map(|_| None).collect();
        Self { brokers, worker, connections }
    }

    pub(super) fn reset(&mut self) {
        self.connections.iter_mut().for_each(|connection| *connection = None);
    }

    /// Whichever broker the worker is connected to is the one that counts; asking all of them needs no
    /// knowledge of who leads.
    pub(super) async fn ask(&mut self) -> Result<Facts, String> {
        let mut failures = Vec::new();
        for (address, slot) in self.brokers.iter().zip(&mut self.connections) {
            match clients(*address, slot).await {
                Ok(list) if consumes(&list, self.worker.as_str()) => {
                    return Ok(Facts::Worker { consuming: true });
                }
                Ok(_) => {}
                Err(error) => {
                    *slot = None;
                    failures.push(error);
                }
            }
        }
        if failures.len() == self.brokers.len() {
            return Err(format!("no broker answers: {}", failures.join("; ")));
        }
        Ok(Facts::Worker { consuming: false })
    }
}

async fn clients(address: SocketAddr, slot: &mut Option<MultiplexedConnection>) -> Result<String, String> {
    let connection = match slot.take() {
        Some(connection) => slot.insert(connection),
        None => slot.insert(connect(address).await?),
    };
    redis::cmd("CLIENT").arg("LIST").query_async(connection).await.map_err(|error: redis::RedisError| error.to_string())
}

/// Whether a connection with this name waits in a blocking pop.
fn consumes(list: &str, worker: &str) -> bool {
    list.lines().any(|line| {
        let field = |key: &str| line.split(' ').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
        field("name") == Some(worker) && field("cmd").is_some_and(|cmd| cmd.eq_ignore_ascii_case("brpop"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_blocking_pop_under_the_workers_name_counts() {
        let list = "id=3 addr=10.0.0.9:1 name=worker-1 age=1 idle=0 flags=b db=2 cmd=brpop user=default\n\
                    id=4 addr=10.0.0.9:2 name=worker-2 age=1 idle=0 flags=N db=2 cmd=get user=default\n\
                    id=5 addr=10.0.0.9:2 name= age=1 idle=0 flags=b db=2 cmd=brpop user=default\n";
        assert!(consumes(list, "worker-1"));
        assert!(!consumes(list, "worker-2"));
        assert!(!consumes(list, "worker"));
    }
}
