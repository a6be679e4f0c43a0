//! Volumes with a file system of their own, for faults of disks: full, slow and stalled without any harm to
//! the disk of the machine.
//!
//! One container a run, the holder, makes the file systems in sparse files of a volume of the run and mounts
//! them by loop devices; the engine mounts the same devices as volumes of the nodes. The holder keeps them
//! mounted while nodes come and go, and it is where the faults act: it sees the volume of a node that is
//! dead too. It drops all its capabilities as soon as the file systems are there; the faults' commands run
//! in it with those of its container.
//!
//! A loop device lets itself go with its last mount, so nothing is left when the run's containers are
//! removed ([`crate::residue`]), whatever ended them.

use crate::boot::Plan;
use crate::docker::{DockerError, Engine, Output};
use crate::images::Images;
use crate::labels;
use crate::progress::Progress;
use crate::stack::{Node, Stack};
use crate::toolbox;
use bollard::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
    WaitContainerOptions,
};
use firedrill_core::ids::RunId;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::timeout;

/// The volumes of a stack that have a file system of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disks {
    /// The block device of each, by the volume's name in the topology.
    pub devices: BTreeMap<String, String>,
    /// The image that made them.
    pub image: String,
    /// Why there are none although the topology asks for them.
    pub refused: Option<String>,
}

const HOLD: &str = include_str!("hold.sh");

/// Whatever is not frozen says so, which is fine.
const THAW_ALL: &str = "rm -f /run/stall.*; for disk in /mnt/*/; do fsfreeze -u \"$disk\"; done; exit 0";

/// Shorter than the others, because the removal of a run waits for it.
const THAW_DEADLINE: Duration = Duration::from_secs(8);

/// A file system takes 100 ms.
const MAKE_DEADLINE: Duration = Duration::from_secs(60);

/// A command in the holder takes 100 ms; this is for an engine under load.
const EXEC_DEADLINE: Duration = Duration::from_secs(20);

/// Name of the container that keeps the file systems of a run mounted. Names of nodes have no dot.
pub(crate) fn holder(run: &RunId) -> String {
    labels::name(run, "disks.holder")
}

fn images_volume(run: &RunId) -> String {
    labels::name(run, "disks.images")
}

/// Makes the file systems. Where the machine does not let us, the stack is booted without them, and the
/// faults that need them say why they cannot be done.
pub(crate) async fn make(
    engine: &Engine,
    plan: &Plan,
    images: &Images,
    wanted: &BTreeMap<String, u32>,
    progress: &dyn Progress,
) -> Result<Disks, DockerError> {
    if wanted.is_empty() {
        return Ok(Disks::default());
    }
    let why = match images.id(toolbox::IMAGE) {
        None => toolbox::ToolboxError::NoImage.to_string(),
        Some(image) => match timeout(MAKE_DEADLINE, try_make(engine, plan, image, wanted)).await {
            Ok(Ok(devices)) => return Ok(Disks { devices, image: image.to_owned(), refused: None }),
            Ok(Err(why)) => why,
            Err(_) => format!("not done within {} s", MAKE_DEADLINE.as_secs()),
        },
    };
    progress.note(&format!("no volume gets a file system of its own, so no fault of disks can be done: {why}"));
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    gone(engine.docker.remove_container(&holder(&plan.run), Some(options)).await, "remove the holder of disks")?;
    let options = RemoveVolumeOptionsBuilder::default().force(true).build();
    gone(engine.docker.remove_volume(&images_volume(&plan.run), Some(options)).await, "remove the images of disks")?;
    Ok(Disks { refused: Some(why), ..Disks::default() })
}

fn gone(result: Result<(), bollard::errors::Error>, what: &str) -> Result<(), DockerError> {
    match result.map_err(DockerError::call(what)) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

async fn try_make(
    engine: &Engine,
    plan: &Plan,
    image: &str,
    wanted: &BTreeMap<String, u32>,
) -> Result<BTreeMap<String, String>, String> {
    let docker = &engine.docker;
    let name = holder(&plan.run);
    let labels = labels::of_run(&plan.run, &plan.owner);
    let volume = VolumeCreateRequest {
        name: Some(images_volume(&plan.run)),
        labels: Some(labels.clone()),
        ..Default::default()
    };
    docker.create_volume(volume).await.map_err(|error| error.to_string())?;
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let body = body(&plan.run, image, labels, wanted);
    docker.create_container(Some(options), body).await.map_err(|error| error.to_string())?;
    docker.start_container(&name, None).await.map_err(|error| error.to_string())?;
    let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).build();
    let mut chunks = docker.logs(&name, Some(options));
    let mut text = String::new();
    // The stream ends when the container does.
    while let Some(chunk) = chunks.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.map_err(|error| error.to_string())?.into_bytes()));
        if let Some(devices) = devices(&text) {
            return Ok(devices);
        }
    }
    Err(format!("loop devices cannot be used: {}", text.trim()))
}

/// What the holder said: the devices by volume, once it is ready.
fn devices(text: &str) -> Option<BTreeMap<String, String>> {
    let (before, _) = text.split_once("ready\n")?;
    let pairs = before.lines().filter_map(|line| line.split_once(' '));
    let pairs = pairs.filter(|(_, device)| device.starts_with("/dev/"));
    Some(pairs.map(|(volume, device)| (volume.to_owned(), device.to_owned())).collect())
}

fn body(
    run: &RunId,
    image: &str,
    labels: HashMap<String, String>,
    wanted: &BTreeMap<String, u32>,
) -> ContainerCreateBody {
    let mut command: Vec<String> = ["bash", "-c", HOLD, "hold"].map(str::to_owned).to_vec();
    command.extend(wanted.iter().map(|(volume, mib)| format!("{volume}:{mib}")));
    let control = "/dev/loop-control".to_owned();
    // SYS_ADMIN mounts and freezes, MKNOD makes the nodes of loop devices that are newer than the container,
    // DAC_OVERRIDE reaches into volumes that belong to the users of services, SETPCAP drops all of them.
    let capabilities = ["SYS_ADMIN", "MKNOD", "DAC_OVERRIDE", "SETPCAP"];
    ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some("0".to_owned()),
        working_dir: Some("/".to_owned()),
        entrypoint: Some(command),
        cmd: Some(Vec::new()),
        labels: Some(labels),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{}:/images", images_volume(run))]),
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(capabilities.map(str::to_owned).to_vec()),
            devices: Some(vec![DeviceMapping {
                path_on_host: Some(control.clone()),
                path_in_container: Some(control),
                cgroup_permissions: Some("rw".to_owned()),
            }]),
            // Major number 7: loop devices, whichever will be free.
            device_cgroup_rules: Some(vec!["b 7:* rwm".to_owned()]),
            // The usual profile forbids every mount, also to those who have the capability.
            security_opt: Some(vec!["apparmor=unconfined".to_owned()]),
            // The nodes' cgroups are seen from the host's root only.
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::HOST),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The options of the engine's `local` driver for a volume on a device.
pub(crate) fn volume_options(device: &str) -> HashMap<String, String> {
    [("type", "ext4"), ("device", device)].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// A node's volume that has a file system of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Its name in the topology.
    pub(crate) volume: String,
    /// Where the node has it.
    pub(crate) path: String,
}

/// The first of a node's volumes that has a file system of its own, or why there is none.
pub(crate) fn of_node(stack: &Stack, node: &Node) -> Result<Disk, String> {
    let service = stack.topology.services.iter().find(|service| service.name == node.service);
    let mounts = || service.into_iter().flat_map(|service| &service.mounts).filter(|mount| !mount.read_only);
    if let Some(mount) = mounts().find(|mount| stack.disks.devices.contains_key(&mount.volume)) {
        return Ok(Disk { volume: mount.volume.clone(), path: mount.path.clone() });
    }
    if let Some(refused) = &stack.disks.refused
        && mounts().any(|mount| stack.topology.disks.contains_key(&mount.volume))
    {
        return Err(format!("its volume has no file system of its own here: {refused}"));
    }
    let first = mounts().next().map_or("NAME", |mount| mount.volume.as_str());
    Err(format!(
        "no volume of it has a file system of its own; ask for one in the topology: \
         `volumes: {{{first}: {{x-firedrill: {{disk_mb: 512}}}}}}`"
    ))
}

/// Runs a bash script in the holder, which has every volume below `/mnt`.
pub(crate) async fn run(stack: &Stack, script: &str, arguments: &[&str]) -> Result<Output, DockerError> {
    let command: Vec<&str> = ["bash", "-c", script, "disks"].iter().chain(arguments).copied().collect();
    stack.engine.exec(&holder(&stack.run), &command, EXEC_DEADLINE).await
}

/// The same, where anything but exit code 0 is an error.
pub(crate) async fn run_ok(stack: &Stack, script: &str, arguments: &[&str]) -> Result<String, DockerError> {
    let command: Vec<&str> = ["bash", "-c", script, "disks"].iter().chain(arguments).copied().collect();
    stack.engine.exec_ok(&holder(&stack.run), &command, &[], EXEC_DEADLINE).await
}

/// Thaws what is frozen of a run: a process that hangs there cannot be ended, and so its container cannot be
/// removed. `disks` are the run's volumes with the images that they were made by ([`labels::DISK`]).
pub(crate) async fn thaw_all(engine: &Engine, run: &RunId, disks: &[(String, String)]) -> Result<(), DockerError> {
    let Some((_, image)) = disks.first() else { return Ok(()) };
    let ran = engine.exec(&holder(run), &["bash", "-c", THAW_ALL], THAW_DEADLINE).await;
    if ran.is_ok_and(|output| output.code == 0) {
        return Ok(());
    }
    // The holder has ended, or cannot, for a process of its own hangs: another container does it.
    let name = labels::name(run, "disks.thaw");
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let body = ContainerCreateBody {
        image: Some(image.clone()),
        user: Some("0".to_owned()),
        entrypoint: Some(["bash", "-c", THAW_ALL].map(str::to_owned).to_vec()),
        cmd: Some(Vec::new()),
        labels: Some(HashMap::from([(labels::RUN.to_owned(), run.to_string())])),
        host_config: Some(HostConfig {
            // Nothing is copied into the volume: that would hang, and the engine with it.
            binds: Some(disks.iter().map(|(volume, _)| format!("{volume}:/mnt/{volume}:nocopy")).collect()),
            network_mode: Some("none".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(["SYS_ADMIN", "DAC_READ_SEARCH"].map(str::to_owned).to_vec()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let created = engine.docker.create_container(Some(options), body).await;
    created.map_err(DockerError::call(format!("create {name}")))?;
    let started = engine.docker.start_container(&name, None).await;
    started.map_err(DockerError::call(format!("start {name}")))?;
    // It ends by itself; its exit code says nothing, for most of what it thaws is not frozen.
    let ended = engine.docker.wait_container(&name, None::<WaitContainerOptions>).collect::<Vec<_>>();
    let _ = timeout(THAW_DEADLINE, ended).await;
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    gone(engine.docker.remove_container(&name, Some(options)).await, "remove the container that thaws")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_known_when_the_holder_is_ready() {
        assert_eq!(devices("pg1 /dev/loop0\npg2 /dev/loop12\n"), None);
        let devices = devices("mke2fs: a warning\npg1 /dev/loop0\npg2 /dev/loop12\nready\n").expect("ready");
        let expected = [("pg1", "/dev/loop0"), ("pg2", "/dev/loop12")];
        assert_eq!(devices, expected.map(|(volume, device)| (volume.to_owned(), device.to_owned())).into());
    }
}
