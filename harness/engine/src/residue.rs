//! Residue: everything that carries a run's label, found and removed, by the run itself, by the guard, or
//! by hand (`firedrill reap`).

use crate::disks;
use crate::docker::{DockerError, Engine, status};
use crate::labels;
use crate::wait::{self, Expired, Look};
use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use firedrill_core::ids::RunId;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use thiserror::Error;

/// Residue cannot be removed.
#[derive(Debug, Error)]
pub enum ResidueError {
    /// The engine refused a call.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// Something stays.
    #[error(
        "{0}; look at it with `docker ps -a`, `docker network ls` and `docker volume ls`, then run `firedrill reap`"
    )]
    Stays(#[from] Expired),
}

/// Removing 20 containers takes 2 to 5 s; an engine that is busy gets much more.
const REMOVE_DEADLINE: Duration = Duration::from_secs(60);

/// What belongs to a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Residue {
    /// Containers by id, with their names.
    pub containers: Vec<(String, String)>,
    /// Networks by id, with their names.
    pub networks: Vec<(String, String)>,
    /// Volumes.
    pub volumes: Vec<String>,
    /// Those of them that have a file system of their own, with the images that they were made by.
    pub disks: Vec<(String, String)>,
}

impl Residue {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty() && self.volumes.is_empty()
    }

    /// In words.
    pub fn describe(&self) -> String {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
        let parts = [
            ("containers", names(&self.containers)),
            ("networks", names(&self.networks)),
            ("volumes", self.volumes.clone()),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        parts.map(|(kind, names)| format!("{kind}: {}", names.join(", "))).collect::<Vec<_>>().join("; ")
    }
}

fn filter(run: Option<&RunId>) -> HashMap<String, Vec<String>> {
    let label = run.map_or_else(|| labels::RUN.to_owned(), |run| format!("{}={run}", labels::RUN));
    HashMap::from([("label".to_owned(), vec![label])])
}

/// Everything that carries a run's label, or any run's.
async fn find_labelled(
    engine: &Engine,
    run: Option<&RunId>,
) -> Result<Vec<(Item, HashMap<String, String>)>, DockerError> {
    let filters = filter(run);
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers =
        engine.docker.list_containers(Some(containers)).await.map_err(DockerError::call("list containers"))?;
    let networks = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let networks = engine.docker.list_networks(Some(networks)).await.map_err(DockerError::call("list networks"))?;
    let volumes = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let volumes = engine.docker.list_volumes(Some(volumes)).await.map_err(DockerError::call("list volumes"))?;
    let containers = containers.into_iter().filter_map(|container| {
        let name = name_of(&container);
        Some((Item::Container(container.id?, name), container.labels.unwrap_or_default()))
    });
    let networks = networks.into_iter().filter_map(|network| {
        Some((Item::Network(network.id?, network.name.unwrap_or_default()), network.labels.unwrap_or_default()))
    });
    let volumes = volumes.volumes.unwrap_or_default().into_iter();
    let volumes = volumes.map(|volume| (Item::Volume(volume.name), volume.labels));
    Ok(containers.chain(networks).chain(volumes).collect())
}

/// Name of a container as the engine lists it.
fn name_of(container: &ContainerSummary) -> String {
    container.names.clone().unwrap_or_default().join(",").trim_start_matches('/').to_owned()
}

enum Item {
    Container(String, String),
    Network(String, String),
    Volume(String),
}

/// What belongs to a run now.
pub async fn find(engine: &Engine, run: &RunId) -> Result<Residue, DockerError> {
    let mut residue = Residue::default();
    for (item, of_item) in find_labelled(engine, Some(run)).await? {
        match item {
            Item::Container(id, name) => residue.containers.push((id, name)),
            Item::Network(id, name) => residue.networks.push((id, name)),
            Item::Volume(name) => {
                residue.disks.extend(of_item.get(labels::DISK).map(|image| (name.clone(), image.clone())));
                residue.volumes.push(name);
            }
        }
    }
    Ok(residue)
}

/// All runs that the engine has something of, with their owners.
pub async fn runs(engine: &Engine) -> Result<BTreeMap<RunId, String>, DockerError> {
    let all = find_labelled(engine, None).await?;
    let pairs = all.into_iter().filter_map(|(_, labels)| {
        let owner = labels.get(labels::OWNER).cloned().unwrap_or_default();
        Some((RunId::new(labels.get(labels::RUN)?.clone()), owner))
    });
    Ok(pairs.collect())
}

/// Removes everything that belongs to a run and waits until the engine lists none of it.
pub async fn remove(engine: &Engine, run: &RunId) -> Result<(), ResidueError> {
    let what = format!("everything of run {run} is removed");
    let removed = wait::until(&what, REMOVE_DEADLINE, Duration::from_millis(200), || async {
        let residue = match find(engine, run).await {
            Ok(residue) => residue,
            Err(error) => return Look::NotYet(error.to_string()),
        };
        if residue.is_empty() {
            return Look::Ready(());
        }
        // A process that hangs on a frozen file system cannot be ended.
        let thawed = match residue.containers.is_empty() {
            true => Ok(()),
            false => disks::thaw_all(engine, run, &residue.disks).await,
        };
        let mut errors = remove_once(engine, &residue).await;
        errors.extend(thawed.err().map(|error| error.to_string()));
        Look::NotYet(format!("{} ({})", residue.describe(), errors.join("; ")))
    });
    Ok(removed.await?)
}

/// The helper containers of a run's faults, by id, with their names.
pub(crate) async fn helpers(engine: &Engine, run: &RunId) -> Result<Vec<(String, String)>, DockerError> {
    let mine = vec![format!("{}={run}", labels::RUN), labels::TOOLBOX.to_owned()];
    let filters = HashMap::from([("label".to_owned(), mine)]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let found = engine.docker.list_containers(Some(options)).await.map_err(DockerError::call("list helpers"))?;
    Ok(found.into_iter().filter_map(|helper| Some((helper.id.clone()?, name_of(&helper)))).collect())
}

/// Removes the helper containers of a run's faults, and waits until the engine lists none.
pub async fn remove_helpers(engine: &Engine, run: &RunId) -> Result<(), ResidueError> {
    let what = format!("every helper of run {run} is removed");
    let removed = wait::until(&what, REMOVE_DEADLINE, Duration::from_millis(200), || async {
        let helpers = match helpers(engine, run).await {
            Ok(containers) => Residue { containers, ..Residue::default() },
            Err(error) => return Look::NotYet(error.to_string()),
        };
        if helpers.is_empty() {
            return Look::Ready(());
        }
        let errors = remove_once(engine, &helpers).await;
        Look::NotYet(format!("{} ({})", helpers.describe(), errors.join("; ")))
    });
    Ok(removed.await?)
}

/// One pass: containers first, because networks and volumes cannot go while they are in use.
async fn remove_once(engine: &Engine, residue: &Residue) -> Vec<String> {
    let containers = residue.containers.iter().map(|(id, name)| async move {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        failure(name, engine.docker.remove_container(id, Some(options)).await)
    });
    let mut errors: Vec<String> =
        stream::iter(containers).buffer_unordered(8).filter_map(std::future::ready).collect().await;
    for (id, name) in &residue.networks {
        errors.extend(failure(name, engine.docker.remove_network(id).await));
    }
    for name in &residue.volumes {
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        errors.extend(failure(name, engine.docker.remove_volume(name, Some(options)).await));
    }
    errors
}

/// A thing that is gone, or that the engine is removing already, is no failure.
fn failure(name: &str, result: Result<(), bollard::errors::Error>) -> Option<String> {
    match result {
        Ok(()) => None,
        Err(error) if matches!(status(&error), Some(404 | 409)) => None,
        Err(error) => Some(format!("{name}: {error}")),
    }
}
