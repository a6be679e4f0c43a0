//! Faults inside Redis and Sentinel.

use crate::hardship::{refused, survives};
use crate::lab::{Lab, Trial, cache};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One command by a connection of its own; none is no answer in 400 ms.
async fn said(lab: &Lab, node: &str, command: &str) -> Result<Option<String>, String> {
    let address = lab.node(node).published(6379).expect("published");
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = [0; 256];
    match timeout(Duration::from_millis(400), stream.read(&mut answer)).await {
        Err(_) => Ok(None),
        Ok(read) => {
            let count = read.map_err(|error| error.to_string())?;
            Ok(Some(String::from_utf8_lossy(&answer[..count]).trim().to_owned()))
        }
    }
}

/// Whether a command gets no answer.
async fn silent(lab: &Lab, node: &str, command: &str) -> Result<String, String> {
    match said(lab, node, command).await? {
        None => Ok(format!("`{command}`: no answer in 400 ms")),
        Some(answer) => Err(answer),
    }
}

fn all_contain(proofs: &[String], text: &str) {
    for proof in proofs {
        assert!(proof.contains(text), "{text:?} is not in {proof:?}");
    }
}

#[test]
fn redis_sleep_answers_nobody() {
    let lab = cache();
    let replica = lab.standby();
    let proofs = lab.trial(&Trial {
        fault: "redis-sleep: {sleep_ms: 4000}",
        target: &format!("node({replica})"),
        visible: || silent(&lab, &replica, "ECHO awake"),
    });
    all_contain(&proofs, "DEBUG SLEEP is under way, PING is not answered in 200 ms");
    // From outside it stays forbidden.
    let refusal = lab.runtime.block_on(said(&lab, &replica, "DEBUG SLEEP 0.001")).expect("an answer");
    assert!(refusal.is_some_and(|text| text.starts_with("-ERR DEBUG command not allowed")));
}

#[test]
fn redis_maxmemory_refuses_writes() {
    let lab = cache();
    let (master, replica) = (lab.primary(), lab.standby());
    let refuses = || async {
        match said(&lab, &master, "SET firedrill:trial 1 PX 100").await? {
            Some(answer) if answer.starts_with("-OOM") => Ok(answer),
            other => Err(format!("{other:?}")),
        }
    };
    let target = format!("node({master})");
    let proofs = lab.trial(&Trial { fault: "redis-maxmemory", target: &target, visible: refuses });
    all_contain(&proofs, "maxmemory is 1 with noeviction; a write is refused with OOM");

    let limit = || async {
        let info = said(&lab, &replica, "CONFIG GET maxmemory").await?.unwrap_or_default();
        if info.ends_with("4096") { Ok(info) } else { Err(info) }
    };
    let target = format!("node({replica})");
    let proofs = lab.trial(&Trial { fault: "redis-maxmemory: {bytes: 4096}", target: &target, visible: limit });
    all_contain(&proofs, "maxmemory is 4096 with noeviction; it is a replica");
    let probe = lab.runtime.block_on(said(&lab, &master, "EXISTS firedrill:probe")).expect("an answer");
    assert_eq!(probe.as_deref(), Some(":0"), "nothing was written");
}

#[test]
fn redis_client_pause_lets_clients_wait() {
    let lab = cache();
    let (master, replica) = (lab.primary(), lab.standby());
    let all = "redis-client-pause";
    let target = format!("node({master})");
    let visible = || silent(&lab, &master, "ECHO awake");
    let proofs = lab.trial(&Trial { fault: all, target: &target, visible });
    all_contain(&proofs, "does not answer PING");

    let write = "redis-client-pause: {mode: write}";
    let visible = || async {
        let writes = silent(&lab, &master, "SET firedrill:trial 1 PX 100").await;
        let reads = silent(&lab, &master, "GET firedrill:trial").await;
        writes.and_then(|seen| if reads.is_err() { Ok(seen) } else { Err("reads wait as well".to_owned()) })
    };
    let proofs = lab.trial(&Trial { fault: write, target: &target, visible });
    all_contain(&proofs, "does not answer a write");
    let refusal = refused(&lab, write, &format!("node({replica})"));
    assert!(refusal.contains("no write waits where it is refused: -READONLY"), "{refusal}");
}

#[test]
fn sentinel_failover_makes_another_master() {
    let lab = cache();
    let first = lab.primary();
    let known = Mutex::new(None);
    // An instant: seen once, when a node has become master that was none at the look before.
    let visible = || async {
        let mut masters = BTreeSet::new();
        for name in ["redis1", "redis2"] {
            let role = said(&lab, name, "ROLE").await?.ok_or("no answer")?;
            if role.contains("master") {
                masters.insert(name);
            }
        }
        let before = known.lock().expect("not poisoned").replace(masters.clone());
        match before.and_then(|before| masters.difference(&before).next().copied()) {
            Some(new) => Ok(format!("{new} has become master")),
            None => Err(format!("{masters:?}")),
        }
    };
    let proofs = lab.trial(&Trial { fault: "sentinel-failover", target: "node(sentinel1)", visible });
    all_contain(&proofs, "sentinel1: the master is redis");
    assert!(proofs[0].contains(&format!("was {first} in epoch")), "{proofs:?}");
    assert!(proofs[1].contains(&format!("the master is {first} in epoch")), "{proofs:?}");
}

#[test]
fn what_ended_with_its_redis_is_undone() {
    let lab = cache();
    let replica = lab.standby();
    for fault in ["redis-maxmemory", "redis-client-pause", "redis-sleep: {sleep_ms: 5000}"] {
        survives(&lab, fault, &format!("node({replica})"));
    }
    let limit = lab.runtime.block_on(said(&lab, &replica, "CONFIG GET maxmemory")).expect("an answer");
    assert!(limit.is_some_and(|text| text.ends_with("$1\r\n0")));
}
