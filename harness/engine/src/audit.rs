//! The residue audit: whether anything that a fault can change on a node is still changed.
//!
//! Absolute and not against a baseline: none of this exists on a node of a stack that nobody drills. It
//! looks where the engine, the kernel and the nodes keep it, and not into our own records.

use crate::residue;
use crate::stack::{Node, Stack};
use crate::toolbox;
use firedrill_core::ids::NodeName;
use futures_util::{StreamExt, stream};
use std::collections::BTreeSet;
use std::time::Duration;

/// Looks inside a node take a helper container each: so many at a time.
const AT_ONCE: usize = 3;

/// One look inside a container.
const LOOK_DEADLINE: Duration = Duration::from_secs(20);

/// What no limit can be any more: an engine of 20.10 takes "no memory limit" back only as a very large one.
const UNLIMITED: i64 = 1 << 60;

/// Processes that are stopped (state T), and files that faults leave: what only the node's inside shows.
const INSIDE: &str = "for p in /proc/[0-9]*; do \
      read -r line < $p/stat 2>/dev/null || continue; rest=${line##*) }; \
      case $rest in T*) echo \"process ${p#/proc/} is stopped\";; esac; done; \
    for f in /data/.firedrill-full-*; do [ -e \"$f\" ] && echo \"$f fills the volume\"; done; \
    if [ -s /run/firedrill/clock ] && ! grep -qx '+0' /run/firedrill/clock; then \
      echo \"the clock is skewed by $(cat /run/firedrill/clock)\"; fi; true";

/// What is left of faults on the nodes of a stack, in words; empty where nothing is. `hit` are the nodes
/// whose network is looked into: those that a fault of the run was done to.
pub async fn audit(stack: &Stack, hit: &BTreeSet<NodeName>) -> Vec<String> {
    let mut left = match residue::helpers(&stack.engine, &stack.run).await {
        Ok(helpers) => helpers.into_iter().map(|(_, name)| format!("helper container {name}")).collect(),
        Err(error) => vec![error.to_string()],
    };
    let looks = stack.nodes.iter().map(|node| look(stack, node, hit.contains(&node.name)));
    let found: Vec<Vec<String>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    left.extend(found.into_iter().flatten());
    left
}

async fn look(stack: &Stack, node: &Node, hit: bool) -> Vec<String> {
    let named = |text: String| format!("{}: {text}", node.name);
    let inspected = stack.engine.docker.inspect_container(&node.container, None).await;
    let Ok(inspected) = inspected else { return vec![named("the container is gone".to_owned())] };
    let state = inspected.state.unwrap_or_default();
    if state.paused == Some(true) {
        return vec![named("is frozen".to_owned())];
    }
    if state.running != Some(true) {
        return vec![named("does not run".to_owned())];
    }
    let mut left = Vec::new();
    let host = inspected.host_config.unwrap_or_default();
    let limits = [("CPU quota", host.cpu_quota), ("CPU limit", host.nano_cpus), ("memory limit", host.memory)];
    left.extend(limits.iter().filter_map(|(what, value)| {
        let value = value.filter(|value| (1..UNLIMITED).contains(value))?;
        Some(named(format!("{what} {value}")))
    }));
    if !hit {
        return left;
    }
    match stack.engine.exec(&node.container, &["sh", "-c", INSIDE], LOOK_DEADLINE).await {
        Ok(output) => left.extend(output.stdout.lines().map(|line| named(line.to_owned()))),
        Err(error) => left.push(error.to_string()),
    }
    match toolbox::fingerprint(stack, node).await {
        Ok(lines) => left.extend(lines.into_iter().filter(|line| is_ours(line)).map(named)),
        Err(error) => left.push(error.to_string()),
    }
    left
}

/// Whether a line of a network namespace's fingerprint can only come from a fault.
fn is_ours(line: &str) -> bool {
    let queueing = ["tbf", "netem", "prio", "htb", "ingress"];
    let words = || line.split(|c: char| !c.is_ascii_alphanumeric());
    match line.split_once(' ') {
        Some(("queue", _)) => words().any(|word| queueing.contains(&word)),
        // Tunnels that the kernel gives to every namespace are down for good.
        Some(("link", rest)) => rest.contains("\"eth") && !words().any(|word| word == "UP"),
        _ => line.contains("firedrill") || line.contains("FD-") || line.contains("NFQUEUE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_faults_make_is_told_from_what_every_namespace_has() {
        let ours = [
            r#"queue dev="eth0" kind="tbf" root=true options={}"#,
            r#"link ifname="eth0" flags=["BROADCAST","MULTICAST"] mtu=1500"#,
            "iptables filter chain FD-r1-0-I -",
            "iptables mangle -A FD-r1-0 -j NFQUEUE --queue-num 3 --queue-bypass",
        ];
        let others = [
            r#"queue dev="eth0" kind="noqueue" root=true options={}"#,
            r#"link ifname="eth0" flags=["BROADCAST","UP","LOWER_UP"] mtu=1500"#,
            r#"link ifname="tunl0" flags=["NOARP"] mtu=1480"#,
            "iptables nat -A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
            "route default via 172.30.0.1 dev eth0",
        ];
        for line in ours {
            assert!(is_ours(line), "{line}");
        }
        for line in others {
            assert!(!is_ours(line), "{line}");
        }
    }
}
