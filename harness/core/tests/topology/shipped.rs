//! The topologies of the repository, and the nodes that come out of a file.

use crate::{parse, shipped, topologies};
use firedrill_core::source::Source;
use firedrill_core::topology::{NodePlan, Topology};

fn pretix_ha() -> Topology {
    parse(&shipped(&topologies().join("pretix-ha"))).expect("the shipped topology")
}

/// `name kind network=address ...`.
fn line(node: &NodePlan<'_>) -> String {
    let addresses = node.addresses.iter().map(|(network, address)| format!(" {network}={address}"));
    format!("{} {}{}", node.name, node.service.kind, addresses.collect::<String>())
}

#[test]
fn every_topology_of_the_repository_is_read() {
    let mut read = Vec::new();
    for entry in std::fs::read_dir(topologies()).expect("topologies") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        let topology = parse(&shipped(&folder)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(!topology.description.is_empty(), "{} does not say what it is", folder.display());
        assert!(topology.services.iter().any(|service| service.entry_port.is_some()), "{}", folder.display());
        for node in topology.nodes() {
            assert_eq!(node.addresses.len(), node.service.networks.len(), "{}: an address for each network", node.name);
        }
        read.push(folder);
    }
    assert!(read.iter().any(|folder| folder.ends_with("pretix-ha")), "{read:?}");
}

#[test]
fn pretix_ha_has_these_nodes() {
    let topology = pretix_ha();
    let lines: Vec<String> = topology.nodes().iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    pg1 postgres db=10.1.2.81
    pg2 postgres db=10.1.2.82
    pg3 postgres db=10.1.2.83
    pgpool1 pgpool db=10.1.2.90
    pgpool2 pgpool db=10.1.2.91
    redis1 redis cache=10.1.2.141
    redis2 redis cache=10.1.2.142
    redis3 redis cache=10.1.2.143
    sentinel1 sentinel cache=10.1.2.151
    sentinel2 sentinel cache=10.1.2.152
    sentinel3 sentinel cache=10.1.2.153
    haproxy1 haproxy cache=10.1.2.148
    haproxy2 haproxy cache=10.1.2.149
    web-1 pretix-web cache=10.1.2.160 db=10.1.2.96 front=10.1.2.32
    web-2 pretix-web cache=10.1.2.161 db=10.1.2.97 front=10.1.2.33
    worker-1 pretix-worker cache=10.1.2.162 db=10.1.2.98
    worker-2 pretix-worker cache=10.1.2.163 db=10.1.2.99
    periodic pretix-periodic cache=10.1.2.164 db=10.1.2.100
    nginx-1 nginx front=10.1.2.34
    nginx-2 nginx front=10.1.2.35
    "#);
}

#[test]
fn pretix_ha_has_these_tiers() {
    let tiers = pretix_ha().tiers();
    let tiers: Vec<String> = tiers
        .iter()
        .map(|tier| format!("{} {} roles={} single={}", tier.name, tier.nodes, tier.has_roles, tier.single.is_some()))
        .collect();
    insta::assert_snapshot!(tiers.join("\n"), @r#"
    postgres 3 roles=true single=false
    pgpool 2 roles=false single=false
    redis 3 roles=true single=false
    sentinel 3 roles=false single=false
    haproxy 2 roles=false single=false
    web 2 roles=false single=false
    worker 2 roles=false single=false
    periodic 1 roles=false single=true
    nginx 2 roles=false single=false
    "#);
}

#[test]
fn merged_and_anchored_blocks_are_filled_in() {
    let topology = pretix_ha();
    let pg2 = topology.services.iter().find(|service| service.name == "pg2").expect("pg2");
    assert_eq!(pg2.environment["PEERS"], "pg1 pg2 pg3", "from a merged block");
    assert_eq!(pg2.environment["NODE_NAME"], "pg2", "its own, beside the merged ones");
    assert_eq!(pg2.extra_hosts[0], "pg1:10.1.2.81", "from an alias, with its variable");
    assert_eq!((pg2.shm_bytes, pg2.stop_grace_s, pg2.init), (Some(128 << 20), Some(20), true));
    assert!(pg2.mounts.iter().any(|mount| mount.volume == "seed" && mount.read_only));
    let sentinel = topology.services.iter().find(|service| service.name == "sentinel1").expect("sentinel1");
    assert_eq!(sentinel.tier.as_str(), "sentinel", "its own x-firedrill wins over the merged one");
}

#[test]
fn every_node_has_an_address_of_its_own() {
    let topology = pretix_ha();
    let mut seen = std::collections::BTreeSet::new();
    for node in topology.nodes() {
        for (network, address) in &node.addresses {
            assert!(topology.networks[network].contains(*address), "{} lies in {network}", node.name);
            assert!(seen.insert(*address), "{address} is given twice");
        }
    }
    assert_eq!(line(&topology.nodes()[0]), line(&pretix_ha().nodes()[0]), "the same each time");
}

/// Replicas go to the upper half of the network, past addresses that the file has given away.
#[test]
fn replicas_get_free_addresses_from_the_upper_half() {
    let text = "\
services:
  web: {image: i, build: ., networks: {n: {}}, deploy: {replicas: 3}, x-firedrill: {tier: web, kind: pretix-web}}
  lb: {image: i, build: ., networks: {n: {ipv4_address: 10.9.0.9}}, x-firedrill: {tier: lb, kind: nginx}}
networks: {n: {ipam: {config: [{subnet: 10.9.0.0/28}]}}}
";
    let topology = parse(&Source::new("t", text)).expect("it is right");
    let lines: Vec<String> = topology.nodes().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "web-1 pretix-web n=10.9.0.8",
            "web-2 pretix-web n=10.9.0.10",
            "web-3 pretix-web n=10.9.0.11",
            "lb nginx n=10.9.0.9"
        ]
    );
}
