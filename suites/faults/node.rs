//! Faults of whole nodes and of their processes.

use crate::lab::{Lab, Trial, cache, database, fault};
use bollard::query_parameters::KillContainerOptionsBuilder;
use firedrill_core::fault::Phase;
use firedrill_core::ids::StepId;
use firedrill_engine::faults::{FaultError, Injection, Site, undo_all};
use firedrill_engine::recorder::Recorder;
use firedrill_engine::wait::{self, Look};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One command to a Redis by a connection of its own, in at most 500 ms.
async fn ask(address: SocketAddr, command: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer[..count]).into_owned())
    };
    match timeout(Duration::from_millis(500), exchange).await {
        Err(_) => Err("no answer in 500 ms".to_owned()),
        Ok(answer) => answer.map_err(|error| error.to_string()),
    }
}

/// Whether the node is dead to an outsider.
async fn dead(address: SocketAddr) -> Result<String, String> {
    match ask(address, "PING").await {
        Err(error) => Ok(error),
        Ok(answer) if answer.starts_with("+PONG") => Err(answer),
        Ok(answer) => Ok(format!("answers {answer:?}")),
    }
}

/// Whether all of these Redis say that they were started a short while ago.
async fn young(addresses: &[SocketAddr], at_most_s: u64) -> Result<String, String> {
    let mut seen = Vec::new();
    for address in addresses {
        let info = ask(*address, "INFO server").await?;
        let uptime = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"));
        let uptime: u64 = uptime.and_then(|text| text.trim().parse().ok()).ok_or(info.clone())?;
        seen.push(format!("up for {uptime} s"));
        if uptime > at_most_s {
            return Err(seen.join(", "));
        }
    }
    Ok(seen.join(", "))
}

/// Whether nobody accepts connections.
async fn closed(address: SocketAddr) -> Result<String, String> {
    match timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
        Err(_) => Ok("no connection in 500 ms".to_owned()),
        Ok(Err(error)) => Ok(error.to_string()),
        Ok(Ok(_)) => Err("accepts connections".to_owned()),
    }
}

/// The id of a node's container.
fn container_id(lab: &Lab, node: &str) -> String {
    let inspected = lab.runtime.block_on(lab.stack.engine.docker.inspect_container(&lab.node(node).container, None));
    inspected.expect("the container is there").id.expect("it has an id")
}

/// An injection that nobody records.
fn injection<'a>(site: Site<'a>, recorder: &'a Recorder, undo: &'a tempfile::TempDir, yaml: &str) -> Injection<'a> {
    Injection::new(site, recorder, undo.path(), &fault(yaml), &"node(redis2)".parse().expect("a target"))
}

#[test]
fn kill_takes_the_node_away() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let proofs = lab.trial(&Trial { fault: "kill", target: "node(redis2)", visible: || dead(address) });
    for proof in proofs {
        assert!(proof.contains("exit code 137"), "{proof}");
    }
}

#[test]
fn stop_ends_the_node_in_an_orderly_way() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let trial = Trial { fault: "stop: {grace_ms: 4500}", target: "node(redis2)", visible: || dead(address) };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("redis2: ended with exit code 0 at "), "{proof}");
    }
}

#[test]
fn pause_freezes_the_node() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    for proof in lab.trial(&Trial { fault: "pause", target: "node(redis2)", visible: || dead(address) }) {
        assert!(proof.contains("redis2: paused"), "{proof}");
    }
}

#[test]
fn restart_brings_another_first_process() {
    let lab = cache();
    let address = [lab.node("redis2").published(6379).expect("published")];
    let trial = Trial { fault: "restart", target: "node(redis2)", visible: || young(&address, 4) };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("started anew at") && proof.contains("first process"), "{proof}");
    }
}

/// The uptime cannot grow as long as it loops, and has to after the undo.
#[test]
fn crash_loop_kills_the_node_until_it_is_undone() {
    let lab = cache();
    let address = [lab.node("redis2").published(6379).expect("published")];
    let trial = Trial {
        fault: "crash-loop: {alive_ms: 2000, dead_ms: 100}",
        target: "node(redis2)",
        visible: || young(&address, 4),
    };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("started anew 2 times"), "{proof}");
    }
}

#[test]
fn rolling_restart_takes_one_after_the_other() {
    let lab = cache();
    let addresses = ["redis1", "redis2"].map(|name| lab.node(name).published(6379).expect("published"));
    // The first one waits, young already, until the second one has ended (10 s of grace) and serves again.
    let trial = Trial { fault: "rolling-restart", target: "all(redis)", visible: || young(&addresses, 20) };
    for proof in lab.trial(&trial) {
        let times: Vec<&str> =
            proof.split("; ").map(|part| part.split(" at ").nth(1).expect("a time")).map(|at| &at[..23]).collect();
        assert_eq!(times.len(), 2, "{proof}");
        assert_ne!(times[0], times[1], "{proof}");
        assert_eq!(proof.matches("serves again").count(), 2, "{proof}");
    }
}

#[test]
fn recreate_replaces_the_machine_by_an_empty_one() {
    let lab = cache();
    let node = lab.node("redis2");
    let (address, container) = (node.published(6379).expect("published"), node.container.clone());
    let before = container_id(&lab, "redis2");
    let run = |script: &str| {
        let command = ["sh", "-c", script];
        let output = lab.runtime.block_on(lab.stack.engine.exec_as("0", &container, &command, Duration::from_secs(20)));
        output.expect("it runs").code
    };
    assert_eq!(run("touch /data/of-the-old-disk && test -e /data/of-the-old-disk"), 0);
    let proofs = lab.trial(&Trial { fault: "recreate", target: "node(redis2)", visible: || dead(address) });
    for proof in proofs {
        assert!(proof.contains("is gone for good") && proof.contains("-redis2"), "{proof}");
    }
    assert_ne!(container_id(&lab, "redis2"), before);
    assert_ne!(run("test -e /data/of-the-old-disk"), 0, "the old disk is back");
    // What is made anew is removed with the run.
    let volume = format!("fd-{}-redis2", lab.stack.run);
    let volume = lab.runtime.block_on(lab.stack.engine.docker.inspect_volume(&volume)).expect("the volume is there");
    assert_eq!(volume.labels.get("io.firedrill.run").map(String::as_str), Some(lab.stack.run.as_str()));
    assert!(volume.labels.contains_key("io.firedrill.owner"));
}

/// The lab is whole only with two standbys that stream.
#[test]
fn a_recreated_standby_is_cloned_from_the_primary() {
    let lab = database();
    let standby = lab.standby();
    let address = lab.node(&standby).published(5432).expect("published");
    let before = container_id(&lab, &standby);
    let target = format!("node({standby})");
    lab.trial(&Trial { fault: "recreate", target: &target, visible: || closed(address) });
    assert_ne!(container_id(&lab, &standby), before);
}

#[test]
fn kill_process_ends_one_inside() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let trial = Trial { fault: "kill-process", target: "node(redis2)", visible: || dead(address) };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("redis2: gone: ") && proof.contains("(redis-server"), "{proof}");
    }
}

/// Pgpool starts another child; the node lives on.
#[test]
fn kill_process_leaves_a_supervised_node_alive() {
    let lab = database();
    let (recorder, undo) = (Recorder::discard(), tempfile::tempdir().expect("a folder"));
    let started_at = |lab: &Lab| {
        let inspected = lab.stack.engine.docker.inspect_container(&lab.node("pgpool1").container, None);
        lab.runtime.block_on(inspected).expect("inspected").state.expect("a state").started_at
    };
    let before = started_at(&lab);
    lab.runtime.block_on(async {
        lab.whole("before").await;
        let candidates = lab.observer.candidates();
        let observer = Some(&lab.observer);
        let site = Site { stack: &lab.stack, step: StepId(0), candidates: &candidates, observer, seed: 7 };
        let fault = fault("kill-process: {command: 'pgpool: wait', count: 2}");
        let target = "node(pgpool1)".parse().expect("a target");
        let mut injection = Injection::new(site, &recorder, undo.path(), &fault, &target);
        injection.arm(|_| 0, &[]).await.expect("armed");
        injection.fire(None).await.expect("two are gone");
        injection.heal(Duration::from_secs(60)).await.expect("undone");
        lab.whole("after").await;
    });
    assert_eq!(started_at(&lab), before);
}

#[test]
fn freeze_process_hangs_one_inside() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let yaml = "freeze-process: {command: redis-server, count: 3}";
    for proof in lab.trial(&Trial { fault: yaml, target: "node(redis2)", visible: || dead(address) }) {
        assert!(proof.contains("stopped (state T): ") && proof.contains("(redis-server"), "{proof}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_done() {
    let lab = cache();
    let (recorder, undo) = (Recorder::discard(), tempfile::tempdir().expect("a folder"));
    lab.runtime.block_on(async {
        lab.whole("before").await;
        let candidates = lab.observer.candidates();
        let observer = Some(&lab.observer);
        let site = Site { stack: &lab.stack, step: StepId(0), candidates: &candidates, observer, seed: 7 };
        let refusal = async |yaml: &str| {
            let mut injection = injection(site, &recorder, &undo, yaml);
            let armed = injection.arm(|_| 0, &[]).await;
            assert_eq!(injection.phase(), Phase::Void, "{yaml}");
            armed.expect_err("it cannot be done").to_string()
        };
        let error = refusal("kill-process: {command: nginx}").await;
        assert!(error.contains("no process's command line has \"nginx\"") && error.contains("redis-server"), "{error}");
        let (docker, container) = (&lab.stack.engine.docker, &lab.node("redis2").container);
        docker.pause_container(container).await.expect("paused");
        let faults = ["kill", "stop", "pause", "restart", "crash-loop", "recreate", "kill-process", "freeze-process"];
        let mut errors = Vec::new();
        for name in faults {
            errors.push((name, refusal(name).await));
        }
        docker.unpause_container(container).await.expect("thawed");
        for (name, error) in errors {
            assert!(error.contains("the node is frozen"), "{name}: {error}");
        }
        lab.whole("after").await;
    });
}

#[test]
fn a_frozen_node_that_was_killed_is_left_as_it_is() {
    let lab = cache();
    let (recorder, undo) = (Recorder::discard(), tempfile::tempdir().expect("a folder"));
    let ended = lab.runtime.block_on(async {
        lab.whole("before").await;
        let candidates = lab.observer.candidates();
        let site = Site { stack: &lab.stack, step: StepId(0), candidates: &candidates, observer: None, seed: 7 };
        let mut injection = injection(site, &recorder, &undo, "pause");
        injection.arm(|_| 0, &[]).await?;
        injection.fire(None).await?;
        drop(injection);
        let (docker, container) = (&lab.stack.engine.docker, &lab.node("redis2").container);
        let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        docker.kill_container(container, Some(options)).await.expect("killed");
        let undone = undo_all(&lab.stack, undo.path(), Duration::from_secs(30)).await?;
        assert_eq!(undone.len(), 1);
        let state = docker.inspect_container(container, None).await.expect("inspected").state.expect("a state");
        docker.start_container(container, None).await.expect("started");
        lab.whole("after").await;
        Ok::<_, FaultError>((state.running, state.paused))
    });
    assert_eq!(ended.expect("it is undone"), (Some(false), Some(false)));
}

/// Cut off at the worst moment: the engine is at work on the call, or has not heard of the death.
#[test]
fn an_undo_in_the_middle_of_an_injection_holds() {
    let lab = cache();
    let (recorder, undo) = (Recorder::discard(), tempfile::tempdir().expect("a folder"));
    lab.runtime.block_on(async {
        let faults = ["kill", "stop", "restart", "rolling-restart", "crash-loop", "recreate", "kill-process"];
        for (yaml, abandoned) in faults.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
            lab.whole(yaml).await;
            let candidates = lab.observer.candidates();
            let site = Site { stack: &lab.stack, step: StepId(0), candidates: &candidates, observer: None, seed: 7 };
            let mut injection = injection(site, &recorder, &undo, yaml);
            injection.arm(|_| 0, &[]).await.expect("armed");
            let fired = timeout(Duration::from_millis(8), injection.fire(None)).await;
            println!("{yaml}, abandoned: {abandoned}: cut off: {}", fired.is_err());
            if abandoned {
                drop(injection);
                undo_all(&lab.stack, undo.path(), Duration::from_secs(60)).await.expect("undone");
            } else {
                injection.heal(Duration::from_secs(60)).await.expect("undone");
            }
            let docker = &lab.stack.engine.docker;
            let state = docker.inspect_container(&lab.node("redis2").container, None).await;
            let started_at = state.expect("inspected").state.expect("a state").started_at;
            println!("{yaml}, abandoned: {abandoned}: runs since {started_at:?}");
            lab.whole(yaml).await;
            // Whatever comes late comes within this.
            let address = lab.node("redis2").published(6379).expect("published");
            let lives = wait::until("it stays alive", Duration::from_secs(30), Duration::from_millis(100), || async {
                match young(&[address], 1).await {
                    Ok(seen) => Look::NotYet(seen),
                    Err(seen) if seen.starts_with("up for") => Look::Ready(()),
                    Err(seen) => Look::NotYet(seen),
                }
            });
            lives.await.expect("it stays alive");
            let state = docker.inspect_container(&lab.node("redis2").container, None).await;
            let now = state.expect("inspected").state.expect("a state").started_at;
            assert_eq!(now, started_at, "{yaml}, abandoned: {abandoned}: it ended after the undo");
        }
    });
}
