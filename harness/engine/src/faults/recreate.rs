//! `recreate`: the machine is lost for good. The container is removed with the volumes that only it uses;
//! when the fault ends, an empty one of the same plan, name, addresses and ports comes in its place.
//!
//! What is made anew is made by the same code and of the same plan as at the boot, so the undo record needs
//! no configuration, and no secret gets into it. Proof of effect: the engine knows neither the container
//! nor the volumes any more.

use super::support::orderly::{Calls, ENGINE_DELAY};
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::boot::{containers, network};
use crate::disks;
use crate::docker::{DockerError, status};
use crate::labels;
use crate::stack::Node;
use crate::wait::{self, Look};
use async_trait::async_trait;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, Volume};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// Empties the volume `$1` on its file system.
const WIPE: &str = r#"find "/mnt/$1" -mindepth 1 -delete"#;

/// See the module.
#[derive(Default)]
pub(super) struct Recreate {
    calls: Calls,
}

/// What the undo has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lost {
    /// The container's id, which nobody else ever has.
    id: String,
    /// Value of the owner label.
    owner: String,
    /// The volumes that only this container uses.
    volumes: Vec<String>,
}

#[async_trait]
impl Injector for Recreate {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "recreate").await?;
        let inspected = state::inspect(site.stack, node).await?;
        let labels = inspected.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default();
        let owner = labels.get(labels::OWNER).cloned();
        let owner = owner.ok_or_else(|| InjectorError::impossible(node, "recreate", "it has no owner label"))?;
        let volumes = own_volumes(site, node, &inspected).await?;
        Memo::of(node, &Lost { id: inspected.id.unwrap_or_default(), owner, volumes })
    }

    async fn arm(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        self.calls.armed(node);
        Ok(())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let lost: Lost = memo.read(node)?;
        self.calls.made(node);
        remove(site, node, &lost.id).await?;
        for volume in &lost.volumes {
            let options = RemoveVolumeOptionsBuilder::default().build();
            let removed = site.stack.engine.docker.remove_volume(volume, Some(options)).await;
            unless_gone(removed).map_err(DockerError::call(format!("{}: remove volume {volume}", node.name)))?;
        }
        // A file system of its own outlives the engine's volume of it, and would come back with all that was
        // on it.
        for disk in lost.volumes.iter().filter_map(|volume| disk_of(site, volume)) {
            disks::run_ok(site.stack, WIPE, &[disk]).await?;
        }
        self.calls.answered(node);
        Ok(())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let lost: Lost = memo.read(node)?;
        if !is_unknown(state::inspect(site.stack, node).await)? {
            return Ok(None);
        }
        for volume in &lost.volumes {
            let found = site.stack.engine.docker.inspect_volume(volume).await;
            if !is_unknown(found.map_err(DockerError::call(format!("{}: volume {volume}", node.name))))? {
                return Ok(None);
            }
        }
        let short = lost.id.get(..12).unwrap_or(&lost.id);
        let volumes = if lost.volumes.is_empty() { "no volume".to_owned() } else { lost.volumes.join(", ") };
        Ok(Some(format!("{}: container {short} is gone for good, and its volumes: {volumes}", node.name)))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        let lost: Lost = memo.read(node)?;
        if self.calls.may_be_under_way(node) {
            settle(site, node, &lost).await;
        }
        for volume in &lost.volumes {
            // The engine gives the one that is there already.
            let own = own_name(site, volume).unwrap_or(volume);
            let request = network::volume_request(&site.stack.run, &lost.owner, own, &site.stack.disks);
            let created = site.stack.engine.docker.create_volume(request).await;
            created.map_err(DockerError::call(format!("{}: create volume {volume}", node.name)))?;
        }
        if needs_creation(site, node).await? {
            let plans = site.stack.topology.nodes();
            let plan = plans.iter().find(|plan| plan.name == node.name);
            let plan = plan.ok_or_else(|| InjectorError::failed(node, "the topology does not have it"))?;
            containers::create(site.stack, &lost.owner, node, plan).await?;
        }
        state::start(site.stack, node).await
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        let lost: Lost = memo.read(node)?;
        for volume in &lost.volumes {
            let found = site.stack.engine.docker.inspect_volume(volume).await;
            let found = found.map_err(DockerError::call(format!("{}: volume {volume}", node.name)))?;
            if !is_of_run(site, &found) {
                return Err(InjectorError::failed(node, format!("volume {volume} has lost its labels")));
            }
        }
        let inspected = state::inspect(site.stack, node).await?;
        let id = inspected.id.unwrap_or_default();
        let word = if id == lost.id { "the same container" } else { "a new container" };
        let short = id.get(..12).unwrap_or(&id).to_owned();
        Ok(state::runs(site.stack, node).await?.map(|runs| format!("{runs}, {word} ({short})")))
    }
}

/// Waits until the engine is done with a removal that may be under way: it would take away what the undo
/// makes, or has found to be there.
async fn settle(site: &Site<'_>, node: &Node, lost: &Lost) {
    let what = format!("{}: a removal that may be under way is over", node.name);
    let over = wait::until(&what, ENGINE_DELAY, Duration::from_millis(100), || async {
        match site.stack.engine.docker.inspect_container(&lost.id, None).await {
            Ok(_) => Look::NotYet("it is there".to_owned()),
            Err(error) if status(&error) == Some(404) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    // A container that is still there was not removed at all, or the start will be refused.
    if let Err(expired) = over.await {
        tracing::debug!("{expired}");
    }
}

/// The name of a volume in the topology, by its name at the engine.
fn own_name<'a>(site: &'a Site<'_>, volume: &str) -> Option<&'a str> {
    let mut names = site.stack.topology.volumes.iter();
    names.find(|name| labels::name(&site.stack.run, name) == volume).map(String::as_str)
}

/// The volume in the topology, where it has a file system of its own.
fn disk_of<'a>(site: &'a Site<'_>, volume: &str) -> Option<&'a str> {
    own_name(site, volume).filter(|name| site.stack.disks.devices.contains_key(*name))
}

fn is_of_run(site: &Site<'_>, volume: &Volume) -> bool {
    volume.labels.get(labels::RUN).map(String::as_str) == Some(site.stack.run.as_str())
}

/// The volumes of the run that are mounted into this container and into no other.
async fn own_volumes(site: &Site<'_>, node: &Node, inspected: &ContainerInspectResponse) -> Done<Vec<String>> {
    let docker = &site.stack.engine.docker;
    let mounts = inspected.mounts.iter().flatten();
    let mut own = Vec::new();
    for name in mounts.filter_map(|mount| mount.name.clone()).filter(|name| !name.is_empty()) {
        let volume = docker.inspect_volume(&name).await;
        let volume = volume.map_err(DockerError::call(format!("{}: volume {name}", node.name)))?;
        // What the image declares and nobody named goes with the container.
        if !is_of_run(site, &volume) {
            continue;
        }
        let filters = HashMap::from([("volume".to_owned(), vec![name.clone()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let users = docker.list_containers(Some(options)).await;
        let users = users.map_err(DockerError::call(format!("{}: users of volume {name}", node.name)))?;
        if users.iter().all(|user| user.id == inspected.id) {
            own.push(name);
        }
    }
    Ok(own)
}

/// Whether the container has to be made: it is not there, or an undo that was cut off left one that never
/// ran and may lack a network; that one is removed.
async fn needs_creation(site: &Site<'_>, node: &Node) -> Done<bool> {
    let inspected = match state::inspect(site.stack, node).await {
        Err(error) if error.is_not_found() => return Ok(true),
        inspected => inspected?,
    };
    let status = inspected.state.and_then(|state| state.status);
    let half = matches!(status, Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::DEAD));
    if half {
        remove(site, node, &inspected.id.unwrap_or_default()).await?;
    }
    Ok(half)
}

async fn remove(site: &Site<'_>, node: &Node, id: &str) -> Done<()> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let removed = site.stack.engine.docker.remove_container(id, Some(options)).await;
    Ok(unless_gone(removed).map_err(DockerError::call(format!("{}: remove", node.name)))?)
}

fn unless_gone(result: Result<(), bollard::errors::Error>) -> Result<(), bollard::errors::Error> {
    match result {
        Err(error) if status(&error) == Some(404) => Ok(()),
        other => other,
    }
}

fn is_unknown<T>(result: Result<T, DockerError>) -> Done<bool> {
    match result {
        Ok(_) => Ok(false),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error.into()),
    }
}
