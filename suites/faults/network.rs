//! Faults of a node's network, by rules in its namespace.

use crate::lab::{Lab, Trial, cache, database, fault};
use firedrill_core::ids::StepId;
use firedrill_engine::docker::Output;
use firedrill_engine::faults::{Memo, Site, injector};
use firedrill_engine::probe::connect_postgres;
use firedrill_engine::toolbox::fingerprint;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tries to connect from inside another container, which has no part in the fault: `open`, `refused` or
/// `silent`.
async fn connects(lab: &Lab, from: &str, to: &str, port: u16) -> String {
    let address = lab.node(to).addresses[0];
    let program = format!(
        "import socket\n\
         try: socket.create_connection(('{address}', {port}), 1).close(); print('open')\n\
         except TimeoutError: print('silent')\n\
         except OSError: print('refused')"
    );
    let command = ["python3", "-c", &program];
    let output = lab.stack.engine.exec(&lab.node(from).container, &command, Duration::from_secs(10)).await;
    output.map_or_else(|error| error.to_string(), |output| output.stdout.trim().to_owned())
}

/// Whether the way from one node to another is as it is with the fault in force, and as without it else.
async fn cut(lab: &Lab, from: &str, to: &str, port: u16, how: &str) -> Result<String, String> {
    let found = connects(lab, from, to, port).await;
    let text = format!("{from} to {to}:{port}: {found}");
    if found == how { Ok(text) } else { Err(text) }
}

/// Runs a command in a node.
async fn exec(lab: &Lab, node: &str, command: &[&str]) -> Result<Output, String> {
    let output = lab.stack.engine.exec(&lab.node(node).container, command, Duration::from_secs(20)).await;
    output.map_err(|error| error.to_string())
}

/// One command to a Redis by its published port, which firedrill's observers use as well.
async fn redis(lab: &Lab, node: &str, command: &[&str]) -> Result<String, String> {
    let address = lab.node(node).published(6379).expect("published");
    let ask = async {
        let client = redis::Client::open(format!("redis://{address}/"))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(command[0]).arg(&command[1..]).query_async::<String>(&mut connection).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(1), ask).await;
    answer.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())
}

/// One field of a Redis's INFO.
async fn info(lab: &Lab, node: &str, field: &str) -> Result<String, String> {
    let text = redis(lab, node, &["INFO"]).await?;
    let found = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    found.map(|value| value.trim().to_owned()).ok_or_else(|| format!("no {field}"))
}

#[test]
fn partition_by_drop_is_silence_in_both_directions() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "partition",
        target: "node(redis2)",
        visible: || async {
            let there = cut(&lab, "redis1", "redis2", 6379, "silent").await?;
            let back = cut(&lab, "redis2", "sentinel1", 26379, "silent").await?;
            // The observers come from outside, and are let alone.
            redis(&lab, "redis2", &["PING"]).await.expect("the published port answers");
            Ok(format!("{there}; {back}"))
        },
    });
    for proof in proofs {
        assert!(proof.contains("packets") && proof.contains("dropped"), "{proof}");
        assert!(proof.contains("redis1") && proof.contains("sentinel1"), "{proof}");
    }
}

#[test]
fn partition_by_reject_is_an_answer() {
    let lab = cache();
    let (primary, standby) = (lab.primary(), lab.standby());
    let proofs = lab.trial(&Trial {
        fault: &format!("{{partition: {{by: reject, traffic: {{peers: ['node({primary})']}}}}}}"),
        target: &format!("node({standby})"),
        visible: || async {
            let there = cut(&lab, &primary, &standby, 6379, "refused").await?;
            let back = cut(&lab, &standby, &primary, 6379, "refused").await?;
            let link = info(&lab, &standby, "master_link_status").await.expect("its own word");
            // Nobody else is concerned.
            assert_eq!(connects(&lab, "sentinel1", &standby, 6379).await, "open");
            if link == "down" { Ok(format!("{there}; {back}; link {link}")) } else { Err(format!("link {link}")) }
        },
    });
    for proof in proofs {
        assert!(proof.contains("refused") && !proof.contains("sentinel1"), "{proof}");
    }
}

#[test]
fn partition_of_one_direction_and_port() {
    let lab = cache();
    // What the peer's attempt sees, and what the node's own: with "in" the refusal goes to the peer, also of
    // what the peer only answered; with "out" the node's own kernel refuses.
    let cases = [
        ("in", "drop", "silent", "silent"),
        ("out", "reject", "silent", "refused"),
        ("in", "reject", "refused", "silent"),
    ];
    for (direction, by, peers, own) in cases {
        let fault = format!(
            "{{partition: {{by: {by}, traffic: {{peers: ['all(redis)'], direction: {direction}, port: 6379}}}}}}"
        );
        let proofs = lab.trial(&Trial {
            fault: &fault,
            target: "node(redis2)",
            visible: || async {
                let there = cut(&lab, "redis1", "redis2", 6379, peers).await?;
                let back = cut(&lab, "redis2", "redis1", 6379, own).await?;
                assert_eq!(connects(&lab, "sentinel1", "redis2", 6379).await, "open", "not among the peers");
                Ok(format!("{there}; {back}"))
            },
        });
        assert!(proofs.iter().all(|proof| proof.contains("redis1")), "{proofs:?}");
    }
}

#[test]
fn partition_from_the_outside_spares_the_nodes() {
    let lab = cache();
    lab.trial(&Trial {
        fault: "{partition: {traffic: {peers: ['node(sentinel1)'], outside: true}}}",
        target: "node(redis2)",
        visible: || async {
            let Err(outside) = redis(&lab, "redis2", &["PING"]).await else { return Err("answers".to_owned()) };
            cut(&lab, "sentinel1", "redis2", 6379, "silent").await?;
            assert_eq!(connects(&lab, "redis1", "redis2", 6379).await, "open", "not among the peers");
            Ok(outside)
        },
    });
}

#[test]
fn loss_takes_a_share() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "{loss: {percent: 40}}",
        target: "node(redis2)",
        visible: || async {
            let address = lab.node("redis2").addresses[0];
            let program = format!(
                "import socket\nlost = 0\nfor _ in range(20):\n try: socket.create_connection(('{address}', 6379), \
                 0.2).close()\n except TimeoutError: lost += 1\nprint(lost)"
            );
            let output = exec(&lab, "redis1", &["python3", "-c", &program]).await?;
            let lost: u32 = output.stdout.trim().parse().map_err(|_| output.stderr.clone())?;
            let text = format!("{lost} of 20 connections were not made at once");
            if (3..20).contains(&lost) { Ok(text) } else { Err(text) }
        },
    });
    for proof in proofs {
        assert!(proof.contains("packets lost ("), "{proof}");
    }
}

#[test]
fn link_down_takes_everybody_away_and_gives_the_routes_back() {
    let lab = cache();
    let look = |node| lab.runtime.block_on(fingerprint(&lab.stack, lab.node(node))).expect("a fingerprint");
    let before = look("redis2");
    assert!(before.iter().any(|line| line.starts_with("route default via")), "{before:#?}");
    let proofs = lab.trial(&Trial {
        fault: "link-down",
        target: "node(redis2)",
        visible: || async {
            let Err(outside) = redis(&lab, "redis2", &["PING"]).await else { return Err("answers".to_owned()) };
            let there = connects(&lab, "redis1", "redis2", 6379).await;
            if there == "open" { Err(there) } else { Ok(format!("{there}; outside: {outside}")) }
        },
    });
    for proof in proofs {
        assert!(proof.contains("eth0 read back as down"), "{proof}");
    }
    assert_eq!(look("redis2"), before);
}

#[test]
fn rate_limit_makes_a_large_answer_late() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "rate-limit",
        target: "node(redis2)",
        visible: || async {
            let begin = Instant::now();
            let address = lab.node("redis2").addresses[0];
            // 200 KB back take 1.6 s at 1 Mbit/s.
            let program = format!(
                "import socket\ns = socket.create_connection(('{address}', 6379), 10)\nn = 200000\n\
                 s.sendall(b'*2\\r\\n$4\\r\\nECHO\\r\\n$%d\\r\\n' % n + b'x' * n + b'\\r\\n')\n\
                 while n > 0: n -= len(s.recv(65536))"
            );
            let output = exec(&lab, "redis1", &["python3", "-c", &program]).await?;
            assert_eq!(output.code, 0, "{}", output.stderr);
            let text = format!("200 KB in {:.2} s", begin.elapsed().as_secs_f64());
            if begin.elapsed() > Duration::from_millis(1_200) { Ok(text) } else { Err(text) }
        },
    });
    for proof in proofs {
        assert!(proof.contains("1000 kbit/s read back on eth0"), "{proof}");
    }
}

#[test]
fn reset_breaks_what_is_established() {
    let lab = cache();
    let primary = lab.primary();
    let syncs = || async {
        let mut sum = 0;
        for field in ["sync_full", "sync_partial_ok"] {
            sum += info(&lab, &primary, field).await?.parse::<u64>().map_err(|error| error.to_string())?;
        }
        Ok::<u64, String>(sum)
    };
    let known = Mutex::new(lab.runtime.block_on(syncs()).expect("counted"));
    let proofs = lab.trial(&Trial {
        fault: "{reset: {traffic: {peers: ['primary(redis)'], port: 6379}}}",
        target: "standby(redis)",
        visible: || async {
            // The replica's connection broke and was made anew, once for each injection.
            let now = syncs().await?;
            let before = std::mem::replace(&mut *known.lock().expect("no panic"), now);
            let text = format!("{} synchronisations, {now} now", before);
            if now > before { Ok(text) } else { Err(text) }
        },
    });
    for proof in proofs {
        assert!(proof.contains(&format!("1 connections with {primary} destroyed")), "{proof}");
    }
}

/// A look-up in a node, by its own C library: the addresses, or how it failed.
async fn lookup(lab: &Lab, node: &str, name: &str) -> Result<String, String> {
    let output = exec(lab, node, &["timeout", "2", "getent", "ahostsv4", name]).await?;
    match output.code {
        0 => Ok(output.stdout.split_whitespace().next().unwrap_or_default().to_owned()),
        124 => Err("silent".to_owned()),
        _ => Err("refused".to_owned()),
    }
}

#[test]
fn dns_failure_is_silence_or_a_refusal() {
    let lab = cache();
    // A name that is not in the node's /etc/hosts.
    let name = lab.node("redis1").container.clone();
    for (fault, how) in [("dns-failure", "silent"), ("{dns-failure: {by: reject}}", "refused")] {
        let proofs = lab.trial(&Trial {
            fault,
            target: "node(redis2)",
            visible: || async {
                match lookup(&lab, "redis2", &name).await {
                    Err(found) if found == how => {
                        lookup(&lab, "redis1", &name).await.expect("the others look up as ever");
                        Ok(found)
                    }
                    other => Err(format!("{other:?}")),
                }
            },
        });
        for proof in proofs {
            assert!(proof.contains(how) && proof.contains("rules counted"), "{proof}");
        }
    }
}

#[test]
fn dns_wrong_answers_for_all_names_or_for_some() {
    let lab = cache();
    let name = lab.node("redis1").container.clone();
    let other = lab.node("sentinel1").container.clone();
    let (right, some) = (lab.node("sentinel1").addresses[0].to_string(), format!("{{dns-wrong: {{names: [{name}]}}}}"));
    for (fault, others) in [("dns-wrong", "192.0.2.1"), (some.as_str(), right.as_str())] {
        let proofs = lab.trial(&Trial {
            fault,
            target: "node(redis2)",
            visible: || async {
                let found = lookup(&lab, "redis2", &name).await?;
                if found != "192.0.2.1" {
                    return Err(found);
                }
                let seen = lookup(&lab, "redis2", &other).await?;
                if seen == others { Ok(format!("{found}, and {seen} for another name")) } else { Err(seen) }
            },
        });
        for proof in proofs {
            assert!(proof.contains("is 192.0.2.1 by a look-up"), "{proof}");
        }
    }
}

#[test]
fn replication_cut_ends_the_stream_of_one_standby() {
    let lab = database();
    let password = lab.stack.secrets.get("POSTGRES_PASSWORD");
    let address = |node: &str| lab.node(node).published(5432).expect("published");
    let (primary, name) = (lab.primary(), lab.standby());
    let target = format!("node({name})");
    let count = |node: String, question: String| async move {
        let client = connect_postgres(address(&node), password, "postgres").await?;
        let row = client.query_one(&question, &[]).await.map_err(|error| error.to_string())?;
        Ok::<i64, String>(row.get(0))
    };
    let proofs = lab.trial(&Trial {
        fault: "replication-cut",
        target: &target,
        visible: || async {
            // By the primary's word: nobody of this name takes its stream, and the other standby does.
            let question = format!("select count(*) from pg_stat_replication where application_name = '{name}'");
            let senders = count(primary.clone(), question).await?;
            let receivers = count(name.clone(), "select count(*) from pg_stat_wal_receiver".to_owned()).await?;
            let text = format!("{senders} senders, {receivers} receivers");
            if senders + receivers == 0 { Ok(text) } else { Err(text) }
        },
    });
    for proof in proofs {
        assert!(proof.contains("receives from nobody"), "{proof}");
    }
}

/// What `prepare` says about a fault on a node.
async fn prepared(lab: &Lab, text: &str, node: &str) -> Result<Memo, String> {
    let candidates = lab.observer.candidates();
    let site = Site { stack: &lab.stack, step: StepId(9), candidates: &candidates, observer: None, seed: 7 };
    injector(&fault(text)).prepare(&site, lab.node(node)).await.map_err(|error| error.to_string())
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_happens() {
    let lab = cache();
    let refused = |fault: &str, node: &str, why: &str| {
        let said = lab.runtime.block_on(prepared(&lab, fault, node)).expect_err("it cannot be done");
        assert!(said.contains(why), "{said}");
    };
    refused("{partition: {traffic: {peers: ['node(redis2)']}}}", "redis2", "no node(redis2) shares a network with it");
    refused("{partition: {traffic: {peers: ['one(web)']}}}", "redis2", "names nothing in this topology");
    refused("{reset: {traffic: {direction: in}}}", "redis2", "leave the direction out");
    drop(lab);
    let lab = database();
    let said = lab.runtime.block_on(prepared(&lab, "replication-cut", &lab.primary()));
    assert!(said.expect_err("it is not a standby").contains("it is not a standby"));
}
