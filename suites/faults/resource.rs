//! Faults of what a node lives on: CPU, memory, files, connections, time.

use crate::lab::{Lab, Trial, cache, database, fault};
use firedrill_core::fault::Target;
use firedrill_engine::faults::{Injection, Site};
use firedrill_engine::recorder::Recorder;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One PING by a connection of its own: whether an outsider gets no answer.
async fn unanswered(address: SocketAddr) -> Result<String, String> {
    let ping = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 64];
        let count = stream.read(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer[..count]).into_owned())
    };
    match timeout(Duration::from_millis(1_000), ping).await {
        Err(_) => Ok("no answer in 1 s".to_owned()),
        Ok(Err(error)) => Ok(error.to_string()),
        Ok(Ok(answer)) if answer.starts_with("+PONG") => Err(answer),
        Ok(Ok(answer)) => Ok(format!("answers {answer:?}")),
    }
}

/// What a shell inside the node says.
async fn inside(lab: &Lab, node: &str, script: &str) -> Result<String, String> {
    let engine = &lab.stack.engine;
    let said = engine.exec_ok(&lab.node(node).container, &["sh", "-c", script], &[], Duration::from_secs(10)).await;
    said.map(|text| text.trim().to_owned()).map_err(|error| error.to_string())
}

/// Its memory limit, from its cgroup.
const LIMIT: &str = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";

/// That a fault is refused before anything happens, and why.
fn refused(lab: &Lab, yaml: &str, target: &str) -> String {
    let (fault, target): (_, Target) = (fault(yaml), target.parse().expect("a target"));
    let folder = tempfile::tempdir().expect("a folder");
    let candidates = lab.observer.candidates();
    let step = firedrill_core::ids::StepId(9);
    let site = Site { stack: &lab.stack, step, candidates: &candidates, observer: Some(&lab.observer), seed: 7 };
    let recorder = Recorder::discard();
    let mut injection = Injection::new(site, &recorder, folder.path(), &fault, &target);
    let armed = lab.runtime.block_on(injection.arm(|_| 0, &[]));
    armed.expect_err("it cannot be done").to_string()
}

#[test]
fn cpu_quota_throttles_the_node() {
    let lab = cache();
    let slow = || async {
        let begin = Instant::now();
        let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; \
                      cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max";
        let quota = inside(&lab, "redis2", script).await?;
        let seen = format!("quota {quota}, a loop takes {:.2} s", begin.elapsed().as_secs_f64());
        if quota == "5000" { Ok(seen) } else { Err(seen) }
    };
    let trial = Trial { fault: "cpu-quota: {cores: 0.05}", target: "node(redis2)", visible: slow };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("0.05 cores are left") && proof.contains("throttled"), "{proof}");
    }
    let why = refused(&lab, "cpu-quota: {cores: 500}", "node(redis2)");
    assert!(why.contains("no more than"), "{why}");
}

#[test]
fn cpu_stress_uses_up_the_cpu_time() {
    let lab = cache();
    // Ready to run, whether they get a core or not: other work on the machine does not matter. grep is one.
    let busy = || async {
        let count = inside(&lab, "redis2", "grep -ls '^State:.*running' /proc/[0-9]*/status | wc -l").await?;
        let seen = format!("{count} processes want a core");
        if count.parse().unwrap_or(0) >= 3 { Ok(seen) } else { Err(seen) }
    };
    let proofs = lab.trial(&Trial { fault: "cpu-stress", target: "node(redis2)", visible: busy });
    for proof in proofs {
        assert!(proof.contains("2 busy loops have used"), "{proof}");
    }
}

#[test]
fn memory_limit_is_in_the_kernel() {
    let lab = cache();
    let limited = || async {
        let limit = inside(&lab, "redis2", LIMIT).await?;
        let bytes: u64 = limit.parse().unwrap_or(u64::MAX);
        if bytes < 1 << 32 { Ok(limit) } else { Err(limit) }
    };
    let trial = Trial { fault: "memory-limit: {headroom_mib: 32}", target: "node(redis2)", visible: limited };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("its cgroup is limited to"), "{proof}");
    }
}

#[test]
fn out_of_memory_ends_the_process_that_was_named() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let trial = Trial {
        fault: "out-of-memory: {command: redis-server}",
        target: "node(redis2)",
        visible: || unanswered(address),
    };
    for proof in lab.trial(&trial) {
        assert!(proof.contains("for want of memory"), "{proof}");
    }
    let why = refused(&lab, "out-of-memory: {command: no-such-program}", "node(redis2)");
    assert!(why.contains("no process has"), "{why}");
}

#[test]
fn descriptors_keep_new_clients_out() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let proofs = lab.trial(&Trial { fault: "descriptors", target: "node(redis2)", visible: || unanswered(address) });
    for proof in proofs {
        assert!(proof.contains("redis-server") && proof.contains("may open 0 more files"), "{proof}");
    }
}

#[test]
fn connections_take_all_slots_of_a_redis() {
    let lab = cache();
    let address = lab.node("redis2").published(6379).expect("published");
    let proofs = lab.trial(&Trial { fault: "connections", target: "node(redis2)", visible: || unanswered(address) });
    for proof in proofs {
        assert!(proof.contains("max number of clients"), "{proof}");
    }
}

/// Whether the shop's user gets no session within two seconds.
async fn no_session(lab: &Lab, node: &str) -> Result<String, String> {
    let address = lab.node(node).published(5432).expect("published");
    let mut config = tokio_postgres::Config::new();
    config.host(address.ip().to_string()).port(address.port()).user("pretix").dbname("pretix");
    config.password(lab.stack.secrets.get("APP_PASSWORD"));
    match timeout(Duration::from_secs(2), config.connect(tokio_postgres::NoTls)).await {
        Err(_) => Ok("no session in 2 s".to_owned()),
        Ok(Err(error)) => {
            let said = error.as_db_error().map(|said| said.message().to_owned());
            Ok(said.unwrap_or_else(|| error.to_string()))
        }
        Ok(Ok(_)) => Err("a session".to_owned()),
    }
}

#[test]
fn connections_take_all_slots_of_a_postgresql_and_of_a_pgpool() {
    let lab = database();
    let standby = lab.standby();
    let visible = || no_session(&lab, &standby);
    for proof in lab.trial(&Trial { fault: "connections", target: &format!("node({standby})"), visible }) {
        assert!(proof.contains("connection slots"), "{proof}");
    }
    let visible = || no_session(&lab, "pgpool1");
    for proof in lab.trial(&Trial { fault: "connections", target: "node(pgpool1)", visible }) {
        assert!(proof.contains("connections are held; a further one met"), "{proof}");
    }
}

#[test]
fn clock_skew_is_what_the_server_says() {
    let lab = database();
    let skewed = |offset_s: f64| {
        let lab = &lab;
        move || async move {
            let address = lab.node("pg3").published(5432).expect("published");
            let password = lab.stack.secrets.get("POSTGRES_PASSWORD");
            let client = firedrill_engine::probe::connect_postgres(address, password, "postgres").await?;
            let row = client.query_one("select extract(epoch from now())::float8", &[]).await;
            let server: f64 = row.map_err(|error| error.to_string())?.get(0);
            let here = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
            let ahead = server - here.as_secs_f64();
            let seen = format!("the server's clock is {ahead:+.1} s ahead");
            if (ahead - offset_s).abs() < 5.0 { Ok(seen) } else { Err(seen) }
        }
    };
    let proofs = lab.trial(&Trial { fault: "clock-skew", target: "node(pg3)", visible: skewed(3_600.0) });
    for proof in proofs {
        assert!(proof.contains("the server reads +3"), "{proof}");
    }
    let fault = "clock-skew: {offset_s: -86400}";
    for proof in lab.trial(&Trial { fault, target: "node(pg3)", visible: skewed(-86_400.0) }) {
        assert!(proof.contains("the server reads -86"), "{proof}");
    }
    let why = refused(&lab, "clock-skew", "node(pg2)");
    assert!(why.contains("clock: faketime"), "{why}");
}
