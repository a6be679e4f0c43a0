//! From a Compose file as it is written to a [`Topology`]: variables filled in, references checked.

use super::compose::{self, Text};
use super::interpolate::interpolate;
use super::{Attachment, Mount, Service, Subnet, Topology};
use crate::ids::{HostName, NodeName, TierName};
use crate::source::{Source, SourceError};
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What lowering needs everywhere: the text for messages, and the variables.
struct Context<'a> {
    source: &'a Source,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Context<'_> {
    fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> SourceError {
        self.source.error_at(at.defined.line(), at.defined.column(), message)
    }

    fn text(&self, text: &Text) -> Result<String, SourceError> {
        interpolate(&text.value.0, self.variable).map_err(|error| self.error(text, error.to_string()))
    }

    fn texts(&self, texts: &[Text]) -> Result<Vec<String>, SourceError> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    fn optional(&self, text: Option<&Text>) -> Result<Option<String>, SourceError> {
        text.map(|text| self.text(text)).transpose()
    }

    fn map(&self, map: &BTreeMap<String, Text>) -> Result<BTreeMap<String, String>, SourceError> {
        map.iter().map(|(key, text)| Ok((key.clone(), self.text(text)?))).collect()
    }

    fn address(&self, text: &Text) -> Result<Ipv4Addr, SourceError> {
        let value = self.text(text)?;
        value.parse().map_err(|_| self.error(text, format!("{value:?} is not an IPv4 address")))
    }
}

/// Lowers a file.
pub(super) fn lower(
    name: &str,
    source: &Source,
    file: &compose::File,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Topology, SourceError> {
    let context = Context { source, variable };
    let networks = networks(&context, file)?;
    let services = file
        .services
        .iter()
        .map(|(key, service)| lower_service(&context, file, &networks, key, &service.value))
        .collect::<Result<Vec<_>, _>>()?;
    if services.is_empty() {
        return Err(source.error_at(1, 1, "no services: a topology needs at least one below the key \"services\""));
    }
    check_addresses(&context, file, &services)?;
    check_order(&context, file)?;
    let topology = Topology {
        name: name.to_owned(),
        description: file.firedrill.description.clone(),
        services,
        networks,
        volumes: file.volumes.keys().cloned().collect(),
        disks: disks(&context, file)?,
        hosts: BTreeMap::new(),
    };
    check_nodes(&context, file, &topology)?;
    let hosts = hosts(&context, file, &topology)?;
    Ok(Topology { hosts, ..topology })
}

/// The smallest file system that is of use to a database, and the largest that a machine for drills has
/// room for, in MiB.
const DISK_MB: std::ops::RangeInclusive<u32> = 16..=65_536;

fn disks(context: &Context<'_>, file: &compose::File) -> Result<BTreeMap<String, u32>, SourceError> {
    let mut disks = BTreeMap::new();
    for (name, volume) in &file.volumes {
        let Some(meta) = volume.as_ref().and_then(|volume| volume.firedrill.as_ref()) else { continue };
        if !DISK_MB.contains(&meta.disk_mb.value) {
            let message = format!("disk_mb is {}: give {} to {}", meta.disk_mb.value, DISK_MB.start(), DISK_MB.end());
            return Err(context.error(&meta.disk_mb, message));
        }
        disks.insert(name.clone(), meta.disk_mb.value);
    }
    Ok(disks)
}

/// Every node is on one machine at most.
fn hosts(
    context: &Context<'_>,
    file: &compose::File,
    topology: &Topology,
) -> Result<BTreeMap<HostName, Vec<NodeName>>, SourceError> {
    let known: BTreeSet<NodeName> = topology.nodes().into_iter().map(|node| node.name).collect();
    let mut placed: BTreeMap<NodeName, &str> = BTreeMap::new();
    let mut hosts = BTreeMap::new();
    for (host, nodes) in &file.firedrill.hosts {
        let mut members = Vec::new();
        for text in nodes {
            let node = NodeName::new(text.value.clone());
            if !known.contains(&node) {
                return Err(context.error(text, format!("host {host} names {node:?}, which is no node of this file")));
            }
            if let Some(other) = placed.insert(node.clone(), host) {
                return Err(context.error(text, format!("node {node} is on the hosts {other} and {host} at once")));
            }
            members.push(node);
        }
        hosts.insert(HostName::new(host.clone()), members);
    }
    Ok(hosts)
}

fn networks(context: &Context<'_>, file: &compose::File) -> Result<BTreeMap<String, Subnet>, SourceError> {
    let mut networks = BTreeMap::new();
    for (name, network) in &file.networks {
        if let Some(driver) = &network.value.driver
            && context.text(driver)? != "bridge"
        {
            return Err(context.error(driver, "the network driver must be bridge"));
        }
        let [config] = network.value.ipam.config.as_slice() else {
            return Err(context.error(network, format!("network {name}: give exactly one subnet in ipam.config")));
        };
        let text = context.text(&config.subnet)?;
        let subnet = parse_subnet(&text).ok_or_else(|| {
            context.error(&config.subnet, format!("{text:?} is not a subnet: write a.b.c.d/n with n from 8 to 29"))
        })?;
        let shared = |other: &Subnet| other.contains(subnet.address) || subnet.contains(other.address);
        if let Some((other, _)) = networks.iter().find(|(_, other)| shared(other)) {
            let message = format!("networks {other} and {name} overlap: give each a subnet of its own");
            return Err(context.error(&config.subnet, message));
        }
        networks.insert(name.clone(), subnet);
    }
    Ok(networks)
}

fn parse_subnet(text: &str) -> Option<Subnet> {
    let (address, prefix) = text.split_once('/')?;
    let subnet = Subnet { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
    let aligned = || u32::from(subnet.address) % subnet.size() == 0;
    ((8..=29).contains(&subnet.prefix) && aligned()).then_some(subnet)
}

fn lower_service(
    context: &Context<'_>,
    file: &compose::File,
    networks: &BTreeMap<String, Subnet>,
    key: &Spanned<String>,
    raw: &compose::Service,
) -> Result<Service, SourceError> {
    let name = &key.value;
    let missing = |what: &str| context.error(key, format!("service {name}: the key {what:?} is missing"));
    let image = raw.image.as_ref().ok_or_else(|| missing("image"))?;
    let build = raw.build.as_ref().ok_or_else(|| missing("build"))?;
    let meta = raw.firedrill.as_ref().ok_or_else(|| missing("x-firedrill"))?;
    if raw.networks.is_empty() {
        return Err(missing("networks"));
    }
    if let Some(restart) = &raw.restart
        && context.text(restart)? != "no"
    {
        let why = "restart must be \"no\": who kills nodes must be the one who starts them again";
        return Err(context.error(restart, why));
    }
    let replicas = replicas(context, raw, meta)?;
    for after in &meta.start_after {
        if !file.services.iter().any(|(other, _)| other.value == after.value) {
            return Err(context.error(after, format!("start_after names {:?}, which is no service", after.value)));
        }
    }
    let hosts = context.texts(&raw.extra_hosts)?;
    for (text, host) in raw.extra_hosts.iter().zip(&hosts) {
        let address = host.split_once(':').map(|(_, address)| address.parse::<Ipv4Addr>());
        if !matches!(address, Some(Ok(_))) {
            return Err(context.error(text, format!("{host:?} is not understood: write name:address")));
        }
    }
    Ok(Service {
        name: name.clone(),
        line: key.defined.line(),
        image: context.text(image)?,
        context: build.context.clone(),
        command: context.texts(&raw.command)?,
        hostname: context.optional(raw.hostname.as_ref())?,
        environment: context.map(&raw.environment)?,
        networks: attachments(context, networks, name, raw, replicas)?,
        mounts: raw.volumes.iter().map(|text| mount(context, file, text)).collect::<Result<_, _>>()?,
        ports: raw.ports.iter().map(|text| port(context, text)).collect::<Result<_, _>>()?,
        extra_hosts: hosts,
        init: raw.init,
        shm_bytes: raw.shm_size.as_ref().map(|text| bytes(context, text)).transpose()?,
        cpu_shares: raw.cpu_shares.as_ref().map(|shares| cpu_shares(context, shares)).transpose()?,
        sysctls: context.map(&raw.sysctls)?,
        cap_add: context.texts(&raw.cap_add)?,
        stop_signal: context.optional(raw.stop_signal.as_ref())?,
        stop_grace_s: raw.stop_grace_period.as_ref().map(|text| seconds(context, text)).transpose()?,
        labels: context.map(&raw.labels)?,
        replicas,
        tier: TierName::new(meta.tier.clone()),
        kind: meta.kind,
        start_after: meta.start_after.iter().map(|after| after.value.clone()).collect(),
        entry_port: meta.entry_point.map(|entry| entry.port),
        single: meta.single.clone(),
        faketime: meta.clock == Some(compose::Clock::Faketime),
    })
}

fn replicas(context: &Context<'_>, raw: &compose::Service, meta: &compose::ServiceMeta) -> Result<u32, SourceError> {
    let Some(replicas) = &raw.deploy.replicas else { return Ok(1) };
    // 20 fit into the upper half of a /26, the smallest subnet that a topology of ours uses.
    if !(1..=20).contains(&replicas.value) {
        return Err(context.error(replicas, format!("replicas is {}: give 1 to 20", replicas.value)));
    }
    if replicas.value > 1 && meta.kind.has_roles() {
        let why = "nodes with roles need a name and a volume of their own: write one service each";
        return Err(context.error(replicas, why));
    }
    Ok(replicas.value)
}

fn attachments(
    context: &Context<'_>,
    networks: &BTreeMap<String, Subnet>,
    name: &str,
    raw: &compose::Service,
    replicas: u32,
) -> Result<BTreeMap<String, Attachment>, SourceError> {
    let mut attachments = BTreeMap::new();
    for (network, spanned) in &raw.networks {
        let Some(subnet) = networks.get(network) else {
            return Err(
                context.error(spanned, format!("service {name} joins {network:?}, which is no network of this file"))
            );
        };
        let given = spanned.value.clone().unwrap_or_default();
        let mut attachment = Attachment { aliases: context.texts(&given.aliases)?, address: None };
        if let Some(text) = &given.ipv4_address {
            let address = context.address(text)?;
            if replicas > 1 {
                return Err(context.error(text, "a service with replicas cannot have a fixed address"));
            }
            if !subnet.contains(address) {
                return Err(context.error(text, format!("{address} is outside of the network {network}")));
            }
            // Docker gives the first host address to the bridge.
            if subnet
                .host(u32::from(address) - u32::from(subnet.address))
                .is_none_or(|host| Some(host) == subnet.host(1))
            {
                let message =
                    format!("{address} belongs to the network {network} itself: its first two and its last address do");
                return Err(context.error(text, message));
            }
            attachment.address = Some(address);
        }
        attachments.insert(network.clone(), attachment);
    }
    Ok(attachments)
}

fn mount(context: &Context<'_>, file: &compose::File, text: &Text) -> Result<Mount, SourceError> {
    let value = context.text(text)?;
    let malformed =
        || context.error(text, format!("{value:?} is not understood: write volume:/path or volume:/path:ro"));
    let mut parts = value.split(':');
    let (volume, path) = parts.next().zip(parts.next()).ok_or_else(malformed)?;
    let read_only = match parts.next() {
        None => false,
        Some("ro") => true,
        Some(_) => return Err(malformed()),
    };
    if !path.starts_with('/') || parts.next().is_some() {
        return Err(malformed());
    }
    if !file.volumes.contains_key(volume) {
        let message = format!("{volume:?} is no volume of this file; folders of the host are not supported");
        return Err(context.error(text, message));
    }
    Ok(Mount { volume: volume.to_owned(), path: path.to_owned(), read_only })
}

/// `127.0.0.1::PORT` only: firedrill never publishes on another address, and chooses the host's port so
/// that it is free and stays the same when the node is restarted.
fn port(context: &Context<'_>, text: &Text) -> Result<u16, SourceError> {
    let value = context.text(text)?;
    let port = value.strip_prefix("127.0.0.1::").and_then(|port| port.parse().ok());
    port.ok_or_else(|| context.error(text, format!("{value:?} is not supported: write 127.0.0.1::PORT")))
}

fn bytes(context: &Context<'_>, text: &Text) -> Result<u64, SourceError> {
    let value = context.text(text)?;
    let (digits, factor) =
        match value.trim_end_matches('b').split_at_checked(value.trim_end_matches('b').len().saturating_sub(1)) {
            Some((digits, "k")) => (digits, 1 << 10),
            Some((digits, "m")) => (digits, 1 << 20),
            Some((digits, "g")) => (digits, 1 << 30),
            _ => (value.as_str(), 1),
        };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    size.ok_or_else(|| context.error(text, format!("{value:?} is not a size: write for example 128m")))
}

/// The kernel's own limits.
fn cpu_shares(context: &Context<'_>, shares: &Spanned<u32>) -> Result<u32, SourceError> {
    if (2..=262_144).contains(&shares.value) {
        return Ok(shares.value);
    }
    Err(context.error(shares, format!("cpu_shares is {}: give 2 to 262144; 1024 is usual", shares.value)))
}

fn seconds(context: &Context<'_>, text: &Text) -> Result<u32, SourceError> {
    let value = context.text(text)?;
    let seconds = value.strip_suffix('s').and_then(|digits| digits.parse().ok());
    seconds.ok_or_else(|| {
        context.error(text, format!("{value:?} is not understood: write whole seconds, for example 10s"))
    })
}

fn check_addresses(context: &Context<'_>, file: &compose::File, services: &[Service]) -> Result<(), SourceError> {
    let mut seen = BTreeMap::new();
    for (service, (key, _)) in services.iter().zip(&file.services) {
        for (network, attachment) in &service.networks {
            let Some(address) = attachment.address else { continue };
            if let Some(other) = seen.insert((network, address), &service.name) {
                let message = format!("services {other} and {} both have {address} in {network}", service.name);
                return Err(context.error(key, message));
            }
        }
    }
    Ok(())
}

/// `start_after` must not go round in a circle.
fn check_order(context: &Context<'_>, file: &compose::File) -> Result<(), SourceError> {
    let mut started: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = started.len();
        for (key, service) in &file.services {
            let mut after = service.value.firedrill.iter().flat_map(|meta| &meta.start_after);
            if after.all(|after| started.contains(after.value.as_str())) {
                started.insert(&key.value);
            }
        }
        if started.len() == file.services.len() {
            return Ok(());
        }
        if started.len() == before {
            let stuck = file.services.iter().find(|(key, _)| !started.contains(key.value.as_str()));
            let Some((key, _)) = stuck else { return Ok(()) };
            let name = &key.value;
            return Err(context.error(key, format!("service {name} waits in a circle of start_after, or for one")));
        }
    }
}

/// Every node needs a name of its own and an address in each of its networks.
fn check_nodes(context: &Context<'_>, file: &compose::File, topology: &Topology) -> Result<(), SourceError> {
    let mut seen = BTreeSet::new();
    for node in topology.nodes() {
        let service = &node.service.name;
        let Some((key, _)) = file.services.iter().find(|(key, _)| key.value == *service) else { continue };
        if let Some(network) = node.service.networks.keys().find(|network| !node.addresses.contains_key(*network)) {
            let message = format!("network {network} has no address left for {}: give it a larger subnet", node.name);
            return Err(context.error(key, message));
        }
        if !seen.insert(node.name.clone()) {
            let message = format!("two nodes would be called {}: rename the service {service}", node.name);
            return Err(context.error(key, message));
        }
    }
    Ok(())
}
