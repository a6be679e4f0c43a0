//! Faults of volumes with a file system of their own.

use crate::lab::{Lab, Trial, cache, database, fault};
use firedrill_core::ids::StepId;
use firedrill_engine::faults::{Site, injector};
use std::time::Duration;

/// Runs a command in a node as its own user.
async fn inside(lab: &Lab, node: &str, command: &[&str], deadline: Duration) -> Result<(i64, String), String> {
    let ran = lab.stack.engine.exec(&lab.node(node).container, command, deadline).await;
    ran.map(|output| (output.code, format!("{}{}", output.stdout, output.stderr))).map_err(|error| error.to_string())
}

/// One write of the node's own user: whether it fails for want of space.
async fn full(lab: &Lab, node: &str) -> Result<String, String> {
    let script = "dd if=/dev/zero of=/data/.outside bs=64k count=1 conv=fsync; rm -f /data/.outside";
    let (_, text) = inside(lab, node, &["sh", "-c", script], Duration::from_secs(10)).await?;
    if text.contains("No space left on device") { Ok(text) } else { Err(text) }
}

/// Ten syncs of a program that is not the one of the proof: whether each takes 50 ms.
async fn slow(lab: &Lab, node: &str) -> Result<String, String> {
    let program = "import os, time\n\
                   path = '/data/.outside'\n\
                   file = os.open(path, os.O_CREAT | os.O_WRONLY)\n\
                   begin = time.monotonic()\n\
                   for number in range(10): os.pwrite(file, b'x' * 8192, 0); os.fdatasync(file)\n\
                   took = time.monotonic() - begin\n\
                   os.unlink(path)\n\
                   print(f'10 syncs took {took:.2f} s', 'slow' if took > 0.45 else 'fast')";
    let (_, text) = inside(lab, node, &["python3", "-c", program], Duration::from_secs(20)).await?;
    if text.contains("slow") { Ok(text) } else { Err(text) }
}

/// One synced write of the node's own user, which removes its file when it comes back.
async fn stalled(lab: &Lab, node: &str) -> Result<String, String> {
    let script = "dd if=/dev/zero of=/data/.outside bs=4k count=1 conv=fsync; rm -f /data/.outside";
    match inside(lab, node, &["sh", "-c", script], Duration::from_secs(4)).await {
        Ok((_, text)) => Err(text),
        Err(text) if text.contains("took longer") => Ok(text),
        Err(text) => Err(text),
    }
}

#[test]
fn full_disk_of_a_redis() {
    let lab = cache();
    let proofs = lab.trial(&Trial { fault: "disk-full", target: "node(redis2)", visible: || full(&lab, "redis2") });
    for proof in proofs {
        assert!(proof.contains("0 bytes free") && proof.contains("No space left"), "{proof}");
    }
}

#[test]
fn full_disk_with_something_left() {
    let lab = cache();
    let left_is_taken = || async {
        let script = "dd if=/dev/zero of=/data/.outside bs=64k count=16 conv=fsync 2>/dev/null && echo fits; \
                      dd if=/dev/zero of=/data/.outside bs=64k count=64 conv=fsync; rm -f /data/.outside";
        let (_, text) = inside(&lab, "redis2", &["sh", "-c", script], Duration::from_secs(10)).await?;
        if text.contains("fits") && text.contains("No space left") { Ok(text) } else { Err(text) }
    };
    let fault = "disk-full: {left_kib: 2048}";
    lab.trial(&Trial { fault, target: "node(redis2)", visible: left_is_taken });
}

#[test]
fn full_disk_of_a_standby() {
    let lab = database();
    let standby = lab.standby();
    lab.trial(&Trial { fault: "disk-full", target: &format!("node({standby})"), visible: || full(&lab, &standby) });
}

/// Makes the primary switch to a new segment of its log, which the standby has to make room for, and looks
/// whether it has stopped to stream.
async fn cut_off(lab: &Lab, primary: &str, standby: &str) -> Result<String, String> {
    let password = format!("PGPASSWORD={}", lab.stack.secrets.get("POSTGRES_PASSWORD"));
    let statements = "select pg_logical_emit_message(false, 'firedrill', 'one'); select pg_switch_wal(); \
                      select string_agg(application_name, ' ') from pg_stat_replication where state = 'streaming'";
    let mut command = vec!["psql", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-At"];
    command.extend(statements.split("; ").flat_map(|statement| ["-c", statement]));
    let engine = &lab.stack.engine;
    let ran = engine.exec_ok(&lab.node(primary).container, &command, &[password], Duration::from_secs(10)).await;
    let text = ran.map_err(|error| error.to_string())?;
    let streaming = text.lines().last().unwrap_or_default();
    if streaming.contains(standby) { Err(streaming.to_owned()) } else { Ok(format!("streaming: {streaming}")) }
}

#[test]
fn full_disk_cuts_a_standby_off() {
    let lab = database();
    let (primary, standby) = (lab.primary(), lab.standby());
    let visible = || cut_off(&lab, &primary, &standby);
    lab.trial(&Trial { fault: "disk-full", target: &format!("node({standby})"), visible });
}

#[test]
fn slow_disk_of_a_redis() {
    let lab = cache();
    let proofs = lab.trial(&Trial { fault: "disk-slow", target: "node(redis2)", visible: || slow(&lab, "redis2") });
    for proof in proofs {
        assert!(proof.contains("20 synced writes on its volume took"), "{proof}");
    }
}

#[test]
fn slow_disk_of_a_standby() {
    let lab = database();
    let standby = lab.standby();
    lab.trial(&Trial { fault: "disk-slow", target: &format!("node({standby})"), visible: || slow(&lab, &standby) });
}

#[test]
fn stalled_disk_of_a_redis() {
    let lab = cache();
    let visible = || stalled(&lab, "redis2");
    let proofs = lab.trial(&Trial { fault: "disk-stall", target: "node(redis2)", visible });
    for proof in proofs {
        assert!(proof.contains("did not come back within 1 s"), "{proof}");
    }
}

#[test]
fn stalled_disk_of_a_standby() {
    let lab = database();
    let standby = lab.standby();
    lab.trial(&Trial { fault: "disk-stall", target: &format!("node({standby})"), visible: || stalled(&lab, &standby) });
}

#[test]
fn what_was_done_to_a_disk_is_undone_when_the_node_has_ended() {
    let lab = cache();
    let node = lab.node("redis2");
    let site = Site { stack: &lab.stack, step: StepId(8), candidates: &[], observer: None, seed: 0 };
    for name in ["disk-full", "disk-slow", "disk-stall"] {
        let injector = injector(&fault(name));
        lab.runtime.block_on(async {
            lab.whole("before").await;
            let memo = injector.prepare(&site, node).await.expect("prepared");
            injector.undo(&site, node, &memo).await.expect("nothing is to undo yet");
            injector.arm(&site, node, &memo).await.expect("armed");
            injector.inject(&site, node, &memo).await.expect("injected");
            lab.stack.engine.docker.kill_container(&node.container, None).await.expect("killed");
            // As by another process, and twice.
            let other = firedrill_engine::faults::injector(&fault(name));
            other.undo(&site, node, &memo).await.expect("undone");
            other.undo(&site, node, &memo).await.expect("undone again");
            let started = lab.stack.engine.docker.start_container(&node.container, None).await;
            let running = started.is_ok() || name == "disk-full";
            assert!(running, "{name}: {started:?}");
            let undone = other.undone(&site, node, &memo).await.expect("a look");
            assert!(undone.is_some(), "{name} is not undone");
            lab.whole("after the undo").await;
            for left in [full(&lab, "redis2").await, slow(&lab, "redis2").await, stalled(&lab, "redis2").await] {
                assert!(left.is_err(), "{name} left something: {left:?}");
            }
        });
    }
}

#[test]
fn a_volume_without_a_file_system_of_its_own_is_refused() {
    let lab = cache();
    let site = Site { stack: &lab.stack, step: StepId(9), candidates: &[], observer: None, seed: 0 };
    for name in ["disk-full", "disk-slow", "disk-stall"] {
        let injector = injector(&fault(name));
        let refused = lab.runtime.block_on(injector.prepare(&site, lab.node("redis1")));
        let text = refused.expect_err("redis1 has a plain volume").to_string();
        assert!(text.contains(name) && text.contains("disk_mb"), "{text}");
    }
}
