//! Faults of packets on their way: late, twice, with a wrong bit, out of order.

use crate::lab::{Lab, Trial, cache};
use std::time::Duration;

/// A Redis answers PING three times on one connection: prints the median round trip in milliseconds.
const ROUND_TRIP: &str = "
import socket, sys, time
link = socket.create_connection((sys.argv[1], 6379), 5)
link.settimeout(5)
times = []
for _ in range(3):
    begin = time.monotonic()
    link.sendall(b'PING\\r\\n')
    link.recv(64)
    times.append(time.monotonic() - begin)
print(sorted(times)[1] * 1e3)
";

/// Receives numbered packets until none come for a while: prints how many came, how many came twice, and how
/// many were overtaken.
const RECEIVE: &str = "
import socket
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.bind(('', 7777))
link.settimeout(5)
seen, count, twice, overtaken, last = set(), 0, 0, 0, -1
try:
    while True:
        number = int(link.recv(64))
        link.settimeout(0.4)
        count += 1
        twice += number in seen
        overtaken += number < last and number not in seen
        seen.add(number)
        last = max(last, number)
except TimeoutError:
    pass
print(count, twice, overtaken)
";

/// Sends 200 numbered packets in half a second, after the receiver had the time to start.
const SEND: &str = "
import socket, sys, time
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
time.sleep(0.5)
for number in range(200):
    link.sendto(str(number).encode(), (sys.argv[1], 7777))
    time.sleep(0.0025)
";

/// What a receiver saw.
struct Stream {
    count: u64,
    twice: u64,
    overtaken: u64,
    /// By how much the receiver's kernel's count of wrong checksums has grown.
    wrong: u64,
}

async fn python(lab: &Lab, node: &str, program: &str, argument: &str) -> Result<String, String> {
    let command = ["python3", "-c", program, argument];
    let output = lab.stack.engine.exec(&lab.node(node).container, &command, Duration::from_secs(20)).await;
    let output = output.map_err(|error| error.to_string())?;
    if output.code == 0 { Ok(output.stdout) } else { Err(output.stderr) }
}

fn address(lab: &Lab, node: &str) -> String {
    lab.node(node).addresses[0].to_string()
}

/// A value of a row pair of `/proc/net/snmp` or `netstat`, as the kernel of a node's network says it.
async fn kernel_count(lab: &Lab, node: &str, protocol: &str, name: &str) -> Result<u64, String> {
    let container = &lab.node(node).container;
    let command = ["cat", "/proc/net/snmp"];
    let output = lab.stack.engine.exec(container, &command, Duration::from_secs(10)).await;
    let output = output.map_err(|error| error.to_string())?;
    let mut rows = output.stdout.lines().filter(|line| line.starts_with(protocol)).map(str::split_whitespace);
    let (names, values) = (rows.next().ok_or("no names")?, rows.next().ok_or("no values")?);
    let found = names.zip(values).find(|(row, _)| *row == name).ok_or("no such count")?;
    found.1.parse().map_err(|error| format!("{name}: {error}"))
}

async fn stream(lab: &Lab, from: &str, to: &str) -> Result<Stream, String> {
    let before = kernel_count(lab, to, "Udp:", "InCsumErrors").await?;
    let to_address = address(lab, to);
    let (received, sent) = tokio::join!(python(lab, to, RECEIVE, ""), python(lab, from, SEND, &to_address));
    sent?;
    let received = received?;
    let numbers: Vec<u64> = received.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[count, twice, overtaken] = numbers.as_slice() else { return Err(format!("received {received:?}")) };
    let wrong = kernel_count(lab, to, "Udp:", "InCsumErrors").await? - before;
    Ok(Stream { count, twice, overtaken, wrong })
}

/// The same in both directions, and whether something was seen in each.
async fn both_ways(lab: &Lab, hit: impl Fn(&Stream) -> u64, what: &str) -> Result<String, String> {
    let arriving = stream(lab, "redis1", "redis2").await?;
    let leaving = stream(lab, "redis2", "redis1").await?;
    let (there, back) = (hit(&arriving), hit(&leaving));
    let text = format!(
        "{there} of {} packets that arrived and {back} of {} that left were {what}",
        arriving.count, leaving.count
    );
    if there > 0 && back > 0 { Ok(text) } else { Err(text) }
}

/// Round trip of a PING from one node to another, whether it is at least this long.
async fn slow(lab: &Lab, from: &str, to: &str, least_ms: f64) -> Result<String, String> {
    let printed = python(lab, from, ROUND_TRIP, &address(lab, to)).await?;
    let ms: f64 = printed.trim().parse().map_err(|error| format!("{printed:?}: {error}"))?;
    let text = format!("a round trip from {from} to {to} takes {ms:.1} ms");
    if ms >= least_ms { Ok(text) } else { Err(text) }
}

#[test]
fn delay_lets_packets_to_every_peer_wait() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "{delay: {delay_ms: 100, jitter_ms: 10}}",
        target: "node(redis2)",
        visible: || async {
            let one = slow(&lab, "redis1", "redis2", 90.0).await?;
            let other = slow(&lab, "sentinel1", "redis2", 90.0).await?;
            Ok(format!("{one}; {other}"))
        },
    });
    for proof in proofs {
        assert!(proof.contains("packets were held") && proof.contains("asked for were 100 +- 10 ms"), "{proof}");
    }
}

#[test]
fn delay_of_what_arrives_from_one_peer_spares_the_others() {
    let lab = cache();
    let traffic = "traffic: {peers: [node(redis1)], direction: in, port: 6379}";
    let fault = format!("{{delay: {{delay_ms: 200, jitter_ms: 0, {traffic}}}}}");
    let proofs = lab.trial(&Trial {
        fault: &fault,
        target: "node(redis2)",
        visible: || async {
            let hit = slow(&lab, "redis1", "redis2", 195.0).await?;
            match slow(&lab, "sentinel1", "redis2", 100.0).await {
                Err(spared) => Ok(format!("{hit}; {spared}")),
                Ok(too_many) => Err(too_many),
            }
        },
    });
    for proof in proofs {
        assert!(proof.ends_with("to or from redis1"), "{proof}");
    }
}

#[test]
fn duplicate_sends_packets_twice() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "{duplicate: {percent: 20}}",
        target: "node(redis2)",
        visible: || both_ways(&lab, |stream| stream.twice, "received twice"),
    });
    for proof in proofs {
        assert!(proof.contains("were sent twice"), "{proof}");
    }
}

#[test]
fn corrupt_is_noticed_by_the_receivers_checksum() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "{corrupt: {percent: 20}}",
        target: "node(redis2)",
        visible: || both_ways(&lab, |stream| stream.wrong, "thrown away for their checksum"),
    });
    for proof in proofs {
        assert!(proof.contains("got a wrong bit"), "{proof}");
    }
}

#[test]
fn reorder_lets_packets_overtake() {
    let lab = cache();
    let proofs = lab.trial(&Trial {
        fault: "reorder",
        target: "node(redis2)",
        visible: || both_ways(&lab, |stream| stream.overtaken, "overtaken"),
    });
    for proof in proofs {
        assert!(proof.contains("were overtaken"), "{proof}");
    }
}
