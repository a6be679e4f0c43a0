//! Which packets a network fault concerns: peers resolved to addresses, the matches of iptables for them, and what
//! the rules counted.

use crate::faults::{Done, InjectorError, Site};
use crate::stack::Node;
use crate::toolbox::{Command, Counters, Hook, Probe, Ruleset, Spec, Table};
use firedrill_core::fault::catalogue::network::{Direction, Traffic};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// The other ends of a fault's traffic on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) struct Peers {
    /// Their names, for messages.
    pub(in crate::faults) names: Vec<String>,
    /// All their addresses.
    pub(in crate::faults) addresses: Vec<Ipv4Addr>,
    /// The node's own addresses.
    own: Vec<Ipv4Addr>,
    /// Those of them that the node reaches, and the gateway where the outside is meant.
    reached: Vec<Ipv4Addr>,
    /// The other nodes' addresses: what the outside is not.
    spared: Vec<Ipv4Addr>,
    outside: bool,
}

/// What iptables matches by, and of which protocol that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) struct Match {
    /// For example `-s 10.0.0.1 -p tcp -m multiport --ports 5432`; empty is every packet.
    pub(in crate::faults) text: String,
    /// Whether it matches TCP only, something that is not TCP only, or both.
    pub(in crate::faults) protocol: Option<&'static str>,
}

/// The memo of a fault of rules: of `loss` as well.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::faults) struct Cut {
    pub(in crate::faults) spec: Spec,
    pub(in crate::faults) probe: Probe,
    /// Names of the peers, for messages.
    pub(in crate::faults) peers: Vec<String>,
}

/// By these the node's own programs are refused: the kernel makes them in the peer's name.
pub(in crate::faults) const OWN_REFUSALS: &str = "-i lo -j RETURN";

/// How many UDP packets a look of [`probe`] sends to each end.
const PROBE_PACKETS: u32 = 5;

/// How long a look waits for TCP, in milliseconds. Two looks and more fit into every deadline.
const PROBE_TIMEOUT_MS: u32 = 300;

/// A port at which nobody listens: the kernel at the other end answers by itself.
const NOBODYS_PORT: u16 = 9;

/// Resolves the other ends of a fault on a node. Nobody there is a refusal: the fault would do nothing.
pub(in crate::faults) fn peers(site: &Site<'_>, node: &Node, traffic: &Traffic, fault: &'static str) -> Done<Peers> {
    let stack = site.stack;
    let mut chosen: Vec<&Node> = Vec::new();
    if traffic.peers.is_empty() {
        chosen.extend(&stack.nodes);
    }
    for target in &traffic.peers {
        let fitting = target.fitting(site.candidates)?;
        chosen.extend(stack.nodes.iter().filter(|other| fitting.iter().any(|c| c.node == other.name)));
    }
    let shared = |address: &Ipv4Addr| {
        let mut subnets = stack.topology.networks.values();
        subnets.any(|subnet| subnet.contains(*address) && node.addresses.iter().any(|own| subnet.contains(*own)))
    };
    let is_peer = |other: &Node| chosen.iter().any(|c| c.name == other.name) && other.addresses.iter().any(shared);
    let others: Vec<&Node> = stack.nodes.iter().filter(|other| other.name != node.name).collect();
    let (met, spared): (Vec<&Node>, Vec<&Node>) = others.into_iter().partition(|other| is_peer(other));
    if met.is_empty() && !traffic.outside {
        let named: Vec<String> = traffic.peers.iter().map(ToString::to_string).collect();
        let named = if named.is_empty() { "other node".to_owned() } else { named.join(" or ") };
        let why = format!("no {named} shares a network with it; name peers that it talks to");
        return Err(InjectorError::impossible(node, fault, why));
    }
    let addresses: Vec<Ipv4Addr> = met.iter().flat_map(|other| other.addresses.iter().copied()).collect();
    let mut reached: Vec<Ipv4Addr> = addresses.iter().copied().filter(shared).collect();
    let mut names: Vec<String> = met.iter().map(|other| other.name.to_string()).collect();
    if traffic.outside {
        // The engine gives the first address of a network to the host.
        let mine = stack.topology.networks.values().filter(|s| node.addresses.iter().any(|own| s.contains(*own)));
        reached.extend(mine.filter_map(|subnet| subnet.host(1)));
        names.push("the outside".to_owned());
    }
    let spared = spared.iter().flat_map(|other| other.addresses.iter().copied()).collect();
    let own = node.addresses.clone();
    Ok(Peers { names, addresses, own, reached, spared, outside: traffic.outside })
}

/// Adds a fault's rules to a set: `tails` gives what follows a match (`-j DROP`), one rule each.
pub(in crate::faults) fn add_rules(
    rules: &mut Ruleset,
    table: Table,
    traffic: &Traffic,
    peers: &Peers,
    tails: impl Fn(&Match) -> Vec<String>,
) {
    for hook in hooks(traffic.direction) {
        rules.add(table, *hook, chain(*hook, traffic.port, peers, &tails));
    }
}

/// Where packets of a direction are met.
pub(in crate::faults) fn hooks(direction: Direction) -> &'static [Hook] {
    match direction {
        Direction::Both => &[Hook::Input, Hook::Output],
        Direction::In => &[Hook::Input],
        Direction::Out => &[Hook::Output],
    }
}

fn chain(hook: Hook, port: Option<u16>, peers: &Peers, tails: impl Fn(&Match) -> Vec<String>) -> Vec<String> {
    let (end, local) = match hook {
        Hook::Input => ("-s", "-i lo"),
        Hook::Output => ("-d", "-o lo"),
    };
    let mut rules = Vec::new();
    let mut hit = |end: &str| {
        for found in matches(end, port) {
            rules.extend(tails(&found).into_iter().map(|tail| format!("{} {tail}", found.text).trim().to_owned()));
        }
    };
    for address in &peers.addresses {
        hit(&format!("{end} {address}"));
    }
    if !peers.outside {
        return rules;
    }
    // The outside is whatever is neither the node itself nor another node.
    let mut all = vec![format!("{local} -j RETURN")];
    all.append(&mut rules);
    all.extend(peers.spared.iter().map(|address| format!("{end} {address} -j RETURN")));
    for found in matches("", port) {
        all.extend(tails(&found).into_iter().map(|tail| format!("{} {tail}", found.text).trim().to_owned()));
    }
    all
}

fn matches(end: &str, port: Option<u16>) -> Vec<Match> {
    let Some(port) = port else { return vec![Match { text: end.to_owned(), protocol: None }] };
    let of = |protocol: &'static str| {
        let text = format!("{end} -p {protocol} -m multiport --ports {port}").trim().to_owned();
        Match { text, protocol: Some(protocol) }
    };
    vec![of("tcp"), of("udp")]
}

/// The filter of `ss` for the TCP connections that are meant.
pub(in crate::faults) fn connections(port: Option<u16>, peers: &Peers) -> String {
    let any = |addresses: &[Ipv4Addr]| {
        let ends: Vec<String> = addresses.iter().map(|address| format!("dst {address}")).collect();
        ends.join(" or ")
    };
    let ends = if peers.outside {
        let others = [peers.own.as_slice(), peers.spared.as_slice()].concat();
        format!("not ( dst 127.0.0.0/8 or {} )", any(&others))
    } else {
        format!("( {} )", any(&peers.addresses))
    };
    port.map_or(ends.clone(), |port| format!("{ends} and ( sport = :{port} or dport = :{port} )"))
}

/// The command that destroys what the filter means, and names each.
pub(in crate::faults) fn kill_connections(filter: &str) -> Command {
    Command::of(&["ss", "--kill", "--tcp", "--numeric", "--no-header", "state", "established", filter])
}

/// Packets that rules took away.
pub(in crate::faults) fn taken(counters: &Counters) -> u64 {
    counters.packets(&["DROP", "REJECT"])
}

/// Packets of our own that a fault's rules must see, in either direction: TCP is answered by the other end's
/// kernel, whether somebody listens there or not.
pub(in crate::faults) fn probe(traffic: &Traffic, peers: &Peers) -> Probe {
    let port = traffic.port.unwrap_or(NOBODYS_PORT);
    let ends: Vec<(Ipv4Addr, u16)> = peers.reached.iter().map(|address| (*address, port)).collect();
    Probe { tcp: ends.clone(), udp: ends, packets: PROBE_PACKETS, timeout_ms: PROBE_TIMEOUT_MS }
}

#[cfg(test)]
pub(in crate::faults) mod tests {
    use super::*;
    use firedrill_core::topology::NodeKind;

    pub(in crate::faults) fn node(name: &str) -> Node {
        Node {
            name: name.into(),
            tier: "tier".into(),
            kind: NodeKind::Redis,
            container: name.to_owned(),
            image: String::new(),
            ports: Default::default(),
            addresses: Vec::new(),
            entry_port: None,
            single: None,
            start_after: Vec::new(),
            service: name.to_owned(),
        }
    }

    pub(in crate::faults) fn peers_of(outside: bool) -> Peers {
        let address = Ipv4Addr::new(10, 0, 0, 2);
        Peers {
            names: vec!["b".to_owned()],
            addresses: vec![address],
            own: vec![Ipv4Addr::new(10, 0, 0, 1)],
            reached: vec![address],
            spared: vec![Ipv4Addr::new(10, 0, 0, 3)],
            outside,
        }
    }

    fn drop(_: &Match) -> Vec<String> {
        vec!["-j DROP".to_owned()]
    }

    #[test]
    fn peers_are_met_at_their_end_and_port() {
        assert_eq!(chain(Hook::Input, None, &peers_of(false), drop), ["-s 10.0.0.2 -j DROP"]);
        assert_eq!(
            chain(Hook::Output, Some(5432), &peers_of(false), drop),
            [
                "-d 10.0.0.2 -p tcp -m multiport --ports 5432 -j DROP",
                "-d 10.0.0.2 -p udp -m multiport --ports 5432 -j DROP",
            ]
        );
    }

    #[test]
    fn connections_are_chosen_by_their_other_end() {
        assert_eq!(connections(None, &peers_of(false)), "( dst 10.0.0.2 )");
        assert_eq!(
            connections(Some(5432), &peers_of(true)),
            "not ( dst 127.0.0.0/8 or dst 10.0.0.1 or dst 10.0.0.3 ) and ( sport = :5432 or dport = :5432 )"
        );
    }

    #[test]
    fn the_outside_is_neither_the_node_nor_another_one() {
        assert_eq!(
            chain(Hook::Output, None, &peers_of(true), drop),
            ["-o lo -j RETURN", "-d 10.0.0.2 -j DROP", "-d 10.0.0.3 -j RETURN", "-j DROP"]
        );
        let one_port = chain(Hook::Input, Some(53), &peers_of(true), drop);
        assert_eq!(one_port.last().map(String::as_str), Some("-p udp -m multiport --ports 53 -j DROP"));
    }
}
