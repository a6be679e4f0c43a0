//! Containers of a run: created side by side, started as soon as what they wait for serves.

use super::{BOOT_DEADLINE, BootError};
use crate::docker::DockerError;
use crate::labels;
use crate::observe::Observer;
use crate::stack::{Node, Stack};
use crate::wait::{self, Look};
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkConnectRequest, NetworkingConfig,
    PortBinding,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use firedrill_core::history::Role;
use firedrill_core::topology::{NodePlan, Service};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::HashMap;
use std::time::Duration;

/// Containers that are created or started at the same time. The engine serializes much of it: more than
/// this only makes the first ones, the databases, later.
const AT_ONCE: usize = 4;

/// Creates and starts all nodes. Those that wait for nobody come first, in the order of the file.
pub(super) async fn start_all(stack: &Stack, owner: &str, observer: &Observer) -> Result<(), BootError> {
    let plans = stack.topology.nodes();
    let pairs: Vec<(&Node, &NodePlan<'_>)> = stack.nodes.iter().zip(&plans).collect();
    let free = pairs.iter().filter(|(node, _)| node.start_after.is_empty());
    stream::iter(free.map(Ok::<_, BootError>))
        .try_for_each_concurrent(AT_ONCE, |(node, plan)| async move {
            create(stack, owner, node, plan).await?;
            start(stack, node).await
        })
        .await?;
    let waiting = pairs.iter().filter(|(node, _)| !node.start_after.is_empty());
    let all: Vec<_> = waiting
        .map(|(node, plan)| async move {
            create(stack, owner, node, plan).await?;
            wait_for_others(stack, node, observer).await?;
            start(stack, node).await
        })
        .collect();
    stream::iter(all).buffer_unordered(usize::MAX).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Waits until every node of the services that this one comes after serves.
async fn wait_for_others(stack: &Stack, node: &Node, observer: &Observer) -> Result<(), BootError> {
    let what = format!("{} may start", node.name);
    let waited = wait::until(&what, BOOT_DEADLINE, Duration::from_millis(50), || async {
        let reports = observer.reports();
        let serves = |name: &firedrill_core::ids::NodeName| {
            let report = reports.iter().find(|report| report.node == *name);
            report.is_some_and(|report| !matches!(report.role(), Role::NotServing | Role::Unreachable))
        };
        let others = stack.nodes.iter().filter(|other| node.start_after.contains(&other.service));
        let late: Vec<&str> = others.filter(|other| !serves(&other.name)).map(|other| other.name.as_str()).collect();
        if late.is_empty() { Look::Ready(()) } else { Look::NotYet(format!("waiting for {}", late.join(", "))) }
    });
    match waited.await {
        Ok(()) => Ok(()),
        Err(expired) => Err(super::not_ready(stack, observer, expired).await),
    }
}

async fn start(stack: &Stack, node: &Node) -> Result<(), BootError> {
    let started = stack.engine.docker.start_container(&node.container, None).await;
    started.map_err(DockerError::call(format!("{}: start", node.name)))?;
    Ok(())
}

/// Creates a node's container with all its networks, and does not start it.
pub(crate) async fn create(stack: &Stack, owner: &str, node: &Node, plan: &NodePlan<'_>) -> Result<(), DockerError> {
    let service = plan.service;
    let mut networks = endpoints(stack, plan);
    // Engines before API 1.44 take one network at creation; the others are connected before the start.
    let first = networks.pop();
    let mut container_labels = service.labels.clone().into_iter().collect::<HashMap<_, _>>();
    container_labels.extend(labels::of_run(&stack.run, owner));
    container_labels.insert(labels::NODE.to_owned(), node.name.to_string());
    let image = stack.images.id(&service.image).unwrap_or(&service.image).to_owned();
    let body = ContainerCreateBody {
        hostname: Some(hostname(service, node)),
        image: Some(image),
        cmd: (!service.command.is_empty()).then(|| service.command.clone()),
        env: Some(environment(service)),
        labels: Some(container_labels),
        exposed_ports: Some(node.ports.keys().map(|port| format!("{port}/tcp")).collect()),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service.stop_grace_s.map(i64::from),
        host_config: Some(host_config(stack, node, service)),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(first.into_iter().collect()) }),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&node.container).build();
    let created = stack.engine.docker.create_container(Some(options), body).await;
    created.map_err(DockerError::call(format!("{}: create", node.name)))?;
    for (network, endpoint) in networks {
        let request = NetworkConnectRequest { container: node.container.clone(), endpoint_config: Some(endpoint) };
        let connected = stack.engine.docker.connect_network(&network, request).await;
        connected.map_err(DockerError::call(format!("{}: join {network}", node.name)))?;
    }
    Ok(())
}

/// The file from which the processes of a node whose clock can be skewed read the offset. Where there is
/// none, their time is the true one.
pub(crate) const CLOCK_FILE: &str = "/run/firedrill/clock";

/// What makes a node's server read its time by libfaketime, where its image preloads it.
const FAKETIME: [&str; 5] = [
    // Not `LD_PRELOAD`, which would be for every process: libfaketime breaks Python's sleep and hangs Redis'
    // memory allocator. The image's entry point gives it to its server. `$LIB` is the loader's word for the folder of the machine's architecture.
    "FIREDRILL_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1",
    "FAKETIME_TIMESTAMP_FILE=/run/firedrill/clock",
    // Seconds for which the offset is not read again.
    "FAKETIME_CACHE_DURATION=1",
    // Time-outs are not to jump: a wrong clock does not stretch them.
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    // Times of files are written by the kernel, which has the true time.
    "NO_FAKE_STAT=1",
];

fn environment(service: &Service) -> Vec<String> {
    let own = service.environment.iter().map(|(key, value)| format!("{key}={value}"));
    let clock: &[&str] = if service.faketime { &FAKETIME } else { &[] };
    own.chain(clock.iter().map(ToString::to_string)).collect()
}

fn hostname(service: &Service, node: &Node) -> String {
    match &service.hostname {
        Some(hostname) if service.replicas == 1 => hostname.clone(),
        _ => node.name.to_string(),
    }
}

/// The node's networks with its fixed addresses. It answers to its own name and to its service's.
fn endpoints(stack: &Stack, plan: &NodePlan<'_>) -> Vec<(String, EndpointSettings)> {
    let endpoint = |(network, attachment): (&String, &firedrill_core::topology::Attachment)| {
        let mut aliases = attachment.aliases.clone();
        aliases.push(plan.service.name.clone());
        aliases.push(plan.name.to_string());
        aliases.dedup();
        let address = plan.addresses.get(network).map(ToString::to_string);
        let settings = EndpointSettings {
            aliases: Some(aliases),
            ipam_config: Some(EndpointIpamConfig { ipv4_address: address, ..Default::default() }),
            ..Default::default()
        };
        (labels::name(&stack.run, network), settings)
    };
    plan.service.networks.iter().map(endpoint).collect()
}

fn host_config(stack: &Stack, node: &Node, service: &Service) -> HostConfig {
    let binds = service.mounts.iter().map(|mount| {
        let mode = if mount.read_only { ":ro" } else { "" };
        format!("{}:{}{mode}", labels::name(&stack.run, &mount.volume), mount.path)
    });
    let bindings = node.ports.iter().map(|(port, host)| {
        let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(host.to_string()) };
        (format!("{port}/tcp"), Some(vec![binding]))
    });
    HostConfig {
        binds: Some(binds.collect()),
        port_bindings: Some(bindings.collect()),
        extra_hosts: Some(service.extra_hosts.clone()),
        init: Some(service.init),
        shm_size: service.shm_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        cpu_shares: service.cpu_shares.map(i64::from),
        sysctls: Some(service.sysctls.clone().into_iter().collect()),
        cap_add: Some(service.cap_add.clone()),
        ..Default::default()
    }
}
