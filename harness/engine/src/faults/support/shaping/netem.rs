//! The kernel's own queue, where it has one: `tc` with netem, for the delay of what leaves.
//!
//! A `prio` discipline with a fourth band stands at the root of every interface; filters lead packets to the
//! peers into that band, where netem holds them. The first three bands are what an interface has anyway.
//! This was not run on a kernel with netem; the commands are tested as text (`docs/delay-accuracy.md`).

use crate::docker::DockerError;
use crate::docker::Engine;
use crate::labels;
use crate::stack::{Stack, random_hex};
use crate::toolbox::{Command, IMAGE, Spec};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptions};
use firedrill_core::fault::catalogue::network::{Direction, Traffic};
use firedrill_core::ids::{RunId, StepId};
use futures_util::StreamExt;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Packets that netem must have let through before its delay counts as proven.
const PACKETS: u64 = 10;

/// Whether netem can do it: it stands where packets leave, and tells peers by their addresses.
pub(super) fn can(traffic: &Traffic) -> bool {
    traffic.direction == Direction::Out && !traffic.outside
}

/// Whether the kernel has netem, tried once a process.
pub(super) async fn of_stack(stack: &Stack) -> Result<bool, DockerError> {
    static ANSWER: OnceCell<bool> = OnceCell::const_new();
    let Some(image) = stack.images.id(IMAGE) else { return Ok(false) };
    ANSWER.get_or_try_init(|| in_kernel(&stack.engine, image, &stack.run)).await.copied()
}

/// Tries netem in a container with an empty network of its own, which is removed again.
pub async fn in_kernel(engine: &Engine, image: &str, run: &RunId) -> Result<bool, DockerError> {
    let docker = &engine.docker;
    let mut of_run = labels::of_run(run, &labels::this_process());
    // One of the helpers, so that whoever cleans up after a killed harness removes it with them.
    of_run.insert(labels::TOOLBOX.to_owned(), "netem".to_owned());
    let words = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"];
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        labels: Some(of_run),
        entrypoint: Some(words.map(str::to_owned).to_vec()),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(vec!["NET_ADMIN".to_owned()]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let name = labels::name(run, &format!("toolbox-netem-{}", random_hex(4)));
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let created = docker.create_container(Some(options), body).await;
    created.map_err(DockerError::call("create a container to try netem in"))?;
    let started = docker.start_container(&name, None).await;
    // Anything but code 0 comes as an error.
    let ended = docker.wait_container(&name, None::<WaitContainerOptions>).next().await;
    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    let removed = docker.remove_container(&name, Some(remove)).await;
    started.map_err(DockerError::call("start a container to try netem in"))?;
    removed.map_err(DockerError::call("remove the container in which netem was tried"))?;
    Ok(matches!(ended, Some(Ok(ended)) if ended.status_code == 0))
}

/// The handle of a step's disciplines, as `tc` writes it.
pub(super) fn handle(step: StepId) -> String {
    format!("{:x}:", handle_number(step))
}

fn handle_number(step: StepId) -> u32 {
    0xf000 + step.0 % 0x0800
}

/// What the toolbox does.
pub(super) fn spec(handle: &str, delay: (Duration, Duration), traffic: &Traffic, peers: &[Ipv4Addr]) -> Spec {
    // The disciplines inside get numbers of their own.
    let root = u32::from_str_radix(handle.trim_end_matches(':'), 16).unwrap_or(0xf000);
    let inside = format!("{:x}", root + 0x0800);
    let (mean, most) = (delay.0.as_millis(), delay.1.as_millis());
    let jitter = if most == 0 { String::new() } else { format!(" {most}ms") };
    let mut lines = vec![
        // Without the fourth band it is what every interface begins with.
        format!("tc qdisc add dev $d root handle {handle} prio bands 4"),
        format!("tc qdisc add dev $d parent {handle}4 handle {inside}: netem delay {mean}ms{jitter} limit 16384"),
    ];
    if most > 0 {
        // Its own inner queue sorts by time; this one keeps the order.
        lines.push(format!("tc qdisc add dev $d parent {inside}:1 pfifo limit 16384"));
    }
    for address in peers {
        let base = format!("tc filter add dev $d parent {handle} protocol ip prio 1 u32 match ip dst {address}/32");
        match traffic.port {
            None => lines.push(format!("{base} flowid {handle}4")),
            Some(port) => {
                for (protocol, side) in [(6, "dport"), (6, "sport"), (17, "dport"), (17, "sport")] {
                    let ports = format!("match ip protocol {protocol} 0xff match ip {side} {port} 0xffff");
                    lines.push(format!("{base} {ports} flowid {handle}4"));
                }
            }
        }
    }
    let each = "for d in $(ls /sys/class/net | grep -vx lo); do";
    let apply = format!("set -e; {each} {}; done", lines.join("; "));
    let revert = format!("{each} tc qdisc del dev $d root handle {handle} 2>/dev/null; done; true");
    Spec {
        apply: vec![Command::of(&["sh", "-c", &apply])],
        revert: vec![Command::of(&["sh", "-c", &revert])],
        ..Spec::empty()
    }
}

/// Connects to the first end that answers in whatever way, and prints how long that took, in milliseconds.
pub(super) fn timed_connection(ends: &[(Ipv4Addr, u16)]) -> Command {
    let ends: Vec<String> = ends.iter().map(|(address, port)| format!("('{address}', {port})")).collect();
    let program = format!(
        "import socket, time\n\
         for end in [{}]:\n    begin = time.monotonic()\n    try: socket.create_connection(end, 8).close()\n\
         \x20   except TimeoutError: continue\n    except OSError: pass\n\
         \x20   print((time.monotonic() - begin) * 1e3)\n    break\n",
        ends.join(", ")
    );
    Command::of(&["python3", "-c", &program])
}

/// What netem's counters and a measured connection prove.
pub(super) fn proven(
    queues: &[Value],
    handle: &str,
    (mean, most): (Duration, Duration),
    measured_ms: Option<f64>,
) -> Option<String> {
    let parent = format!("{handle}4");
    let ours = |queue: &&Value| queue["kind"] == "netem" && queue["parent"] == parent.as_str();
    let packets: u64 = queues.iter().filter(ours).filter_map(|queue| queue["packets"].as_u64()).sum();
    let measured_ms = measured_ms.filter(|ms| *ms >= (mean - most).as_secs_f64() * 1e3)?;
    (packets >= PACKETS).then(|| format!("{packets} packets through netem, a connection took {measured_ms:.0} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn packets_to_peers_take_the_fourth_band() {
        let traffic = Traffic { direction: Direction::Out, ..Traffic::default() };
        let spec = spec(&handle(StepId(3)), (ms(50), ms(10)), &traffic, &[Ipv4Addr::new(10, 0, 0, 2)]);
        assert_eq!(spec.apply[0].argv[..2], ["sh", "-c"]);
        assert_eq!(
            spec.apply[0].argv[2],
            "set -e; for d in $(ls /sys/class/net | grep -vx lo); do \
             tc qdisc add dev $d root handle f003: prio bands 4; \
             tc qdisc add dev $d parent f003:4 handle f803: netem delay 50ms 10ms limit 16384; \
             tc qdisc add dev $d parent f803:1 pfifo limit 16384; \
             tc filter add dev $d parent f003: protocol ip prio 1 u32 match ip dst 10.0.0.2/32 flowid f003:4; done"
        );
        assert_eq!(
            spec.revert[0].argv[2],
            "for d in $(ls /sys/class/net | grep -vx lo); do \
             tc qdisc del dev $d root handle f003: 2>/dev/null; done; true"
        );
    }

    #[test]
    fn a_port_is_met_at_either_end_and_no_jitter_needs_no_inner_queue() {
        let traffic = Traffic { direction: Direction::Out, port: Some(5432), ..Traffic::default() };
        let spec = spec(&handle(StepId(0)), (ms(50), ms(0)), &traffic, &[Ipv4Addr::new(10, 0, 0, 2)]);
        let text = &spec.apply[0].argv[2];
        assert!(text.contains("netem delay 50ms limit") && !text.contains("pfifo"), "{text}");
        let wanted = "match ip dst 10.0.0.2/32 match ip protocol 17 0xff match ip sport 5432 0xffff flowid f000:4";
        assert!(text.contains(wanted), "{text}");
        assert_eq!(text.matches("tc filter add").count(), 4);
    }

    #[test]
    fn only_what_leaves_to_nodes() {
        let out = Traffic { direction: Direction::Out, ..Traffic::default() };
        assert!(can(&out));
        assert!(!can(&Traffic { outside: true, ..out }));
        assert!(!can(&Traffic::default()));
    }

    #[test]
    fn the_proof_wants_packets_and_time() {
        let queue = |packets: u64| {
            serde_json::json!([
                {"kind": "prio", "handle": "f003:", "packets": 900},
                {"kind": "netem", "handle": "f803:", "parent": "f003:4", "packets": packets}
            ])
        };
        let look = |packets, measured: Option<f64>| {
            let queues = queue(packets).as_array().cloned().unwrap_or_default();
            proven(&queues, "f003:", (ms(50), ms(10)), measured)
        };
        let proof = look(12, Some(49.6)).expect("proven");
        assert_eq!(proof, "12 packets through netem, a connection took 50 ms");
        assert_eq!(look(12, Some(2.0)), None);
        assert_eq!(look(12, None), None);
        assert_eq!(look(9, Some(50.0)), None);
    }
}
