//! Networks and volumes of a run.

use super::{BootError, Plan};
use crate::disks::{self, Disks};
use crate::docker::{DockerError, Engine, status};
use crate::labels;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use firedrill_core::ids::RunId;
use firedrill_core::source::SourceError;
use firedrill_core::topology::Topology;
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// A run gets one /24 of this /16 for all its networks. The range lies in 172.16.0.0/12, which is private,
/// outside of the first pools that Docker itself hands out (172.17 to 172.28 on most hosts).
const POOL: [u8; 2] = [172, 30];

/// Creates the networks on the first /24 that nobody uses. Another run may take the same one at the same
/// moment: the engine then refuses the overlap, and the next one is tried.
pub(super) async fn create(
    engine: &Engine,
    plan: &Plan,
    parse: impl Fn(&str) -> Result<Topology, SourceError>,
) -> Result<Topology, BootError> {
    let taken = taken(engine).await?;
    for third in 0..=u8::MAX {
        if taken.contains(&[POOL[0], POOL[1], third]) {
            continue;
        }
        let topology = parse(&format!("{}.{}.{third}", POOL[0], POOL[1]))?;
        if create_all(engine, plan, &topology).await? {
            return Ok(topology);
        }
    }
    Err(BootError::NoSubnet { pool: format!("{}.{}.0.0/16", POOL[0], POOL[1]), taken: taken.len() })
}

/// The first three octets of everything that Docker's networks and the host's routes use.
async fn taken(engine: &Engine) -> Result<HashSet<[u8; 3]>, BootError> {
    let networks = engine.docker.list_networks(None).await.map_err(DockerError::call("list networks"))?;
    let subnets = networks
        .into_iter()
        .filter_map(|network| network.ipam?.config)
        .flatten()
        .filter_map(|config| config.subnet)
        .filter_map(|subnet| subnet.split('/').next()?.parse::<Ipv4Addr>().ok());
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let routes = routes
        .lines()
        .skip(1)
        .filter_map(|line| u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok())
        .map(|address| Ipv4Addr::from(address.swap_bytes()));
    Ok(subnets.chain(routes.collect::<Vec<_>>()).map(|ip| [ip.octets()[0], ip.octets()[1], ip.octets()[2]]).collect())
}

/// False where the engine says that a subnet overlaps with another network.
async fn create_all(engine: &Engine, plan: &Plan, topology: &Topology) -> Result<bool, BootError> {
    let mut created: Vec<String> = Vec::new();
    for (network, subnet) in &topology.networks {
        let name = labels::name(&plan.run, network);
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(format!("{}/{}", subnet.address, subnet.prefix)),
                    ..Default::default()
                }]),
                ..Default::default()
            }),
            labels: Some(labels::of_run(&plan.run, &plan.owner)),
            ..Default::default()
        };
        match engine.docker.create_network(request).await {
            Ok(_) => created.push(name),
            Err(error) if overlaps(&error) => {
                for name in created {
                    let removed = engine.docker.remove_network(&name).await;
                    removed.map_err(DockerError::call(format!("remove network {name}")))?;
                }
                return Ok(false);
            }
            Err(source) => {
                return Err(DockerError::Call { what: format!("create network {name}"), source }.into());
            }
        }
    }
    Ok(true)
}

fn overlaps(error: &bollard::errors::Error) -> bool {
    status(error).is_some() && error.to_string().to_lowercase().contains("overlap")
}

/// Creates the volumes, empty.
pub(super) async fn create_volumes(
    engine: &Engine,
    plan: &Plan,
    topology: &Topology,
    disks: &Disks,
) -> Result<(), BootError> {
    for volume in &topology.volumes {
        let name = labels::name(&plan.run, volume);
        let request = volume_request(&plan.run, &plan.owner, volume, disks);
        let created = engine.docker.create_volume(request).await;
        created.map_err(DockerError::call(format!("create volume {name}")))?;
    }
    Ok(())
}

/// What makes a volume of a run: plain, or on the file system of its own that the holder of disks has made.
pub(crate) fn volume_request(run: &RunId, owner: &str, volume: &str, disks: &Disks) -> VolumeCreateRequest {
    let mut of_volume = labels::of_run(run, owner);
    let device = disks.devices.get(volume);
    of_volume.extend(device.map(|_| (labels::DISK.to_owned(), disks.image.clone())));
    VolumeCreateRequest {
        name: Some(labels::name(run, volume)),
        driver_opts: device.map(|device| disks::volume_options(device)),
        labels: Some(of_volume),
        ..Default::default()
    }
}
