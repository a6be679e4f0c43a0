//! What an audit compares: the state of a node's network that faults may change.

use super::{Command, Toolbox, ToolboxError};
use crate::stack::{Node, Stack};
use serde_json::Value;

/// Everything of a node's network that a fault may change, in a form in which two looks at an unchanged
/// namespace are equal: iptables rules without counters (the engine's own for its resolver included: their
/// ports stay as long as the container runs), queueing disciplines, links, addresses and routes. Empty for a
/// node that does not run.
pub async fn fingerprint(stack: &Stack, node: &Node) -> Result<Vec<String>, ToolboxError> {
    let mut toolbox = match Toolbox::one_shot(stack, node).await {
        Err(ToolboxError::NotRunning { .. }) => return Ok(Vec::new()),
        toolbox => toolbox?,
    };
    let commands = [
        Command::new("iptables-save"),
        Command::new("ip6tables-save"),
        Command::new("tc -j qdisc show"),
        Command::new("ip -j link show"),
        Command::new("ip -j address show"),
        Command::new("ip route show table all"),
    ];
    let outputs = toolbox.run(&commands).await;
    toolbox.close().await?;
    let outputs = outputs?;
    let text = |index: usize| outputs.get(index).map_or("", |output| output.stdout.as_str());
    let mut lines = rules("iptables", text(0));
    lines.extend(rules("ip6tables", text(1)));
    lines.extend(fields("queue", text(2), &["dev", "kind", "root", "parent", "options"]));
    // "state" follows from the flags, and from the other end of the cable.
    lines.extend(fields("link", text(3), &["ifname", "flags", "mtu", "qdisc"]));
    lines.extend(addresses(text(4)));
    let mut routes: Vec<String> = text(5).lines().map(|line| format!("route {}", line.trim())).collect();
    routes.sort();
    lines.extend(routes);
    Ok(lines)
}

/// The rules of `iptables-save`, each with its table. Tables and built-in chains without a rule do not show:
/// the first rule makes them, and they stay when it goes.
fn rules(program: &str, saved: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut table = "";
    for line in saved.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        } else if let Some(chain) = line.strip_prefix(':') {
            let chain = chain.split(" [").next().unwrap_or(chain);
            if !chain.ends_with(" ACCEPT") {
                lines.push(format!("{program} {table} chain {chain}"));
            }
        } else if line.starts_with('-') {
            lines.push(format!("{program} {table} {line}"));
        }
    }
    lines
}

/// These fields of every object of a JSON list.
fn fields(what: &str, json: &str, names: &[&str]) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let line = |value: &Value| {
        let pairs = names.iter().filter_map(|name| Some(format!("{name}={}", value.get(*name)?)));
        format!("{what} {}", pairs.collect::<Vec<_>>().join(" "))
    };
    list.iter().map(line).collect()
}

/// Interface and address, without what changes by itself.
fn addresses(json: &str) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let of = |link: &Value| {
        let name = link.get("ifname").and_then(Value::as_str).unwrap_or_default().to_owned();
        let addresses = link.get("addr_info").and_then(Value::as_array).cloned().unwrap_or_default();
        addresses.into_iter().filter_map(move |address| {
            let (local, prefix) = (address.get("local")?.as_str()?.to_owned(), address.get("prefixlen")?.as_u64()?);
            Some(format!("address {name} {local}/{prefix}"))
        })
    };
    list.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_lose_counters_and_empty_tables() {
        let saved = "# Generated\n*filter\n:INPUT ACCEPT [12:3]\n:FORWARD DROP [0:0]\nCOMMIT\n*nat\n\
                     :OUTPUT ACCEPT [0:0]\n:DOCKER_OUTPUT - [0:0]\n-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\nCOMMIT\n";
        assert_eq!(
            rules("iptables", saved),
            [
                "iptables filter chain FORWARD DROP",
                "iptables nat chain DOCKER_OUTPUT -",
                "iptables nat -A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
            ]
        );
        assert!(rules("iptables", "").is_empty());
    }

    #[test]
    fn what_changes_by_itself_is_left_out() {
        let queues = r#"[{"kind":"noqueue","handle":"0:","dev":"lo","root":true,"refcnt":2,"options":{}}]"#;
        let line = r#"queue dev="lo" kind="noqueue" root=true options={}"#;
        assert_eq!(fields("queue", queues, &["dev", "kind", "root", "parent", "options"]), [line]);
        let links = r#"[{"ifname":"eth0","addr_info":[{"local":"10.0.0.2","prefixlen":24,"valid_life_time":17}]}]"#;
        assert_eq!(addresses(links), ["address eth0 10.0.0.2/24"]);
    }
}
