//! Boot: from a Compose file to a stack that is whole.
//!
//! Everything happens as early as its dependencies allow: networks, then all containers side by side,
//! each started as soon as the services that it names in `start_after` serve. Ready means real
//! conditions, asked of the nodes ([`crate::probe`]) and concluded by the core
//! ([`firedrill_core::cluster::missing`]); there is no sleep.

pub(crate) mod containers;
pub(crate) mod network;
mod ports;

pub(crate) use containers::CLOCK_FILE;

use crate::disks;
use crate::docker::{DockerError, Engine};
use crate::images::{self, ImageError, Images, Recipe};
use crate::labels;
use crate::observe::Observer;
use crate::prepare::{self, PrepareError, Prepared};
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::seed::Seed;
use crate::stack::{Node, Secrets, Stack};
use crate::toolbox;
use crate::wait::{self, Expired, Look};
use bollard::models::ContainerStateStatusEnum;
use firedrill_core::hex::hex;
use firedrill_core::ids::{NodeName, RunId};
use firedrill_core::manifest::{BootStep, Image};
use firedrill_core::source::{Source, SourceError};
use firedrill_core::topology::Topology;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// A stack cannot be booted.
#[derive(Debug, Error)]
pub enum BootError {
    /// The Compose file cannot be read.
    #[error("the topology {path} cannot be read: {source}; `ls topologies` lists what there is")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The Compose file is wrong.
    #[error(transparent)]
    Topology(#[from] SourceError),
    /// An image cannot be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The database cannot be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The engine refused a call.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// No subnet is free.
    #[error(
        "no free subnet in {pool}: {taken} networks are there already; run `firedrill reap`, or remove Docker networks that nobody uses"
    )]
    NoSubnet {
        /// Where was looked.
        pool: String,
        /// How many networks there are.
        taken: usize,
    },
    /// No port is free.
    #[error("no free port on 127.0.0.1 between {from} and {until}: {source}")]
    NoPort {
        /// Lower end.
        from: u16,
        /// Upper end.
        until: u16,
        /// The last refusal.
        source: std::io::Error,
    },
    /// A node ended by itself.
    #[error(
        "{node} ended with code {code} while the stack was booting; its last lines:\n{logs}\nlook at its environment in the Compose file and at its image"
    )]
    Ended {
        /// Which.
        node: NodeName,
        /// Its exit code.
        code: i64,
        /// Its last lines.
        logs: String,
    },
    /// The stack did not become whole.
    #[error("{expired}\n{logs}")]
    NotReady {
        /// What was missing.
        expired: Expired,
        /// The last lines of the nodes that were not ready.
        logs: String,
    },
}

/// How long a boot may take. Measured: 12 s by a shell prototype on 2 idle cores, 22 s on busy ones.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(180);

/// What shall be booted.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The run that everything is labelled with.
    pub run: RunId,
    /// Value of the owner label.
    pub owner: String,
    /// Folder of the topology, with its `compose.yaml`.
    pub topology_folder: PathBuf,
    /// Event file that the database is seeded from.
    pub events: PathBuf,
}

/// A booted stack with its observer and what the boot took.
pub struct Booted {
    /// The stack.
    pub stack: Stack,
    /// Watches it from the first moment on.
    pub observer: Observer,
    /// What was seeded.
    pub seed: Seed,
    /// When what became true.
    pub steps: Vec<BootStep>,
}

/// Notes when what became true.
pub struct Stopwatch<'a> {
    begin: Instant,
    steps: Vec<BootStep>,
    progress: &'a dyn Progress,
}

impl<'a> Stopwatch<'a> {
    /// Starts now.
    pub fn start(progress: &'a dyn Progress) -> Self {
        Self { begin: Instant::now(), steps: Vec::new(), progress }
    }

    /// Something became true.
    pub fn mark(&mut self, what: &str) {
        let at_ms = self.begin.elapsed().as_secs_f64() * 1e3;
        self.progress.update("boot", &format!("{:>5.1} s  {what}", at_ms / 1e3));
        self.steps.push(BootStep { what: what.to_owned(), at_ms });
    }

    /// All steps.
    pub fn into_steps(self) -> Vec<BootStep> {
        self.steps
    }
}

/// Reads a topology's Compose file with variables filled in by stand-ins: for `plan` and for checks that
/// need no engine.
pub fn read_topology(folder: &Path) -> Result<(Source, Topology), BootError> {
    let source = read(folder)?;
    let topology = Topology::parse(&name_of(folder), &source, stand_in(&Topology::requirements(&source)?))?;
    Ok((source, topology))
}

fn stand_in(requirements: &firedrill_core::topology::Requirements) -> impl Fn(&str) -> Option<String> + use<> {
    let (subnet, secrets) = (requirements.subnet_variable.clone(), requirements.secrets.clone());
    move |name| {
        if subnet.as_deref() == Some(name) {
            return Some("172.30.0".to_owned());
        }
        secrets.iter().any(|secret| secret == name).then(|| "stand-in".to_owned())
    }
}

fn read(folder: &Path) -> Result<Source, BootError> {
    let path = folder.join("compose.yaml");
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|source| BootError::Read { path: path.clone(), source })?;
    Ok(Source::new(path.display().to_string(), text))
}

fn name_of(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "topology".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The images that a topology needs, each once, in the order of the file.
pub fn recipes(topology: &Topology, folder: &Path) -> Vec<Recipe> {
    let mut recipes: Vec<Recipe> = Vec::new();
    for service in &topology.services {
        let recipe = Recipe { name: service.image.clone(), context: images::context_path(folder, &service.context) };
        if !recipes.contains(&recipe) {
            recipes.push(recipe);
        }
    }
    recipes
}

/// The images of a topology and that of the helper, so that nothing is built in the middle of a drill.
fn with_toolbox(topology: &Topology, folder: &Path) -> Vec<Recipe> {
    recipes(topology, folder).into_iter().chain(toolbox::recipe(folder)).collect()
}

/// What a certificate of a topology rests on.
#[derive(Debug, Clone, Default)]
pub struct Rests {
    /// SHA-256 of its Compose file.
    pub topology_sha256: String,
    /// Its images; empty texts where something is not known on this machine.
    pub images: Vec<Image>,
}

/// What a certificate of this topology would rest on now. Nothing is built; without an engine, images are only named.
///
/// # Errors
/// Where the topology cannot be read, or the engine not be asked.
pub async fn rests_on(engine: Option<&Engine>, folder: &Path) -> Result<Rests, BootError> {
    let (source, topology) = read_topology(folder)?;
    let images = images::look(engine, &with_toolbox(&topology, folder)).await?;
    Ok(Rests { topology_sha256: sha256(&source), images })
}

fn sha256(source: &Source) -> String {
    hex(&Sha256::digest(source.text.as_bytes()))
}

/// Boots a stack. On an error everything that was created so far is still there and carries the run's
/// label: the caller removes it ([`crate::residue::remove`]).
pub async fn boot(
    engine: &Engine,
    plan: &Plan,
    recorder: &Recorder,
    progress: &dyn Progress,
) -> Result<Booted, BootError> {
    let (source, draft) = read_topology(&plan.topology_folder)?;
    let images = images::ensure(engine, &with_toolbox(&draft, &plan.topology_folder), progress).await?;
    let prepared = prepare::ensure(engine, plan, &draft, &images, progress).await?;
    progress.begin("boot");
    let mut watch = Stopwatch::start(progress);
    let stack = create(engine, plan, &source, images, progress).await?;
    if let Some(prepared) = &prepared {
        prepare::load(&stack, &plan.owner, prepared).await?;
    }
    watch.mark("networks, volumes and the prepared database");
    let observer = Observer::start(&stack, recorder.clone());
    containers::start_all(&stack, &plan.owner, &observer).await?;
    watch.mark(&format!("{} containers started", stack.nodes.len()));
    wait_tiers(&stack, &observer, &mut watch).await?;
    let mut seed = Seed::default();
    if let Some(prepared) = &prepared {
        seed = Prepared::seed(prepared, &stack).await?;
        watch.mark("API token rotated");
    }
    let steps = watch.into_steps();
    progress.end("boot", &format!("whole in {:.1} s", steps.last().map_or(0.0, |step| step.at_ms / 1e3)));
    Ok(Booted { stack, observer, seed, steps })
}

/// Networks, volumes and the plan of the nodes; no container yet.
async fn create(
    engine: &Engine,
    plan: &Plan,
    source: &Source,
    images: Images,
    progress: &dyn Progress,
) -> Result<Stack, BootError> {
    let requirements = Topology::requirements(source)?;
    let secrets = Secrets::draw(&requirements.secrets);
    let name = name_of(&plan.topology_folder);
    let parse = |subnet: &str| {
        let subnet_variable = requirements.subnet_variable.as_deref();
        Topology::parse(&name, source, |variable| {
            if subnet_variable == Some(variable) { Some(subnet.to_owned()) } else { secrets.lookup(variable) }
        })
    };
    let topology = network::create(engine, plan, parse).await?;
    let disks = disks::make(engine, plan, &images, &topology.disks, progress).await?;
    network::create_volumes(engine, plan, &topology, &disks).await?;
    let mut ports = ports::Ports::new();
    let mut nodes = Vec::new();
    for node in topology.nodes() {
        let service = node.service;
        let wanted = service.ports.iter().copied().chain(service.kind.probe_port());
        let mut published = std::collections::BTreeMap::new();
        for port in wanted.chain(service.entry_port) {
            if let std::collections::btree_map::Entry::Vacant(entry) = published.entry(port) {
                entry.insert(ports.take()?);
            }
        }
        nodes.push(Node {
            container: labels::name(&plan.run, node.name.as_str()),
            name: node.name,
            tier: service.tier.clone(),
            kind: service.kind,
            image: service.image.clone(),
            ports: published,
            addresses: node.addresses.values().copied().collect(),
            entry_port: service.entry_port,
            single: service.single.clone(),
            start_after: service.start_after.clone(),
            service: service.name.clone(),
        });
    }
    Ok(Stack {
        engine: engine.clone(),
        run: plan.run.clone(),
        topology,
        topology_sha256: sha256(source),
        nodes,
        secrets,
        images,
        disks,
    })
}

/// Waits tier by tier, so that the breakdown says who took how long, and then for the whole.
async fn wait_tiers(stack: &Stack, observer: &Observer, watch: &mut Stopwatch<'_>) -> Result<(), BootError> {
    let end = Instant::now() + BOOT_DEADLINE;
    let mut open: Vec<_> = stack.topology.tiers().into_iter().map(|tier| tier.name).collect();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let before = open.len();
        let waited = wait::until("the stack is whole", left, Duration::from_millis(50), || async {
            let missing = observer.missing();
            let reports = observer.reports();
            let done = |tier: &firedrill_core::ids::TierName| {
                let nodes = reports.iter().filter(|report| report.tier == *tier);
                let names: Vec<String> = nodes.map(|report| format!("{}:", report.node)).collect();
                let kinds: Vec<String> = reports
                    .iter()
                    .filter(|report| report.tier == *tier)
                    .map(|report| format!("{}:", report.kind))
                    .collect();
                let concerns = |text: &String| names.iter().chain(&kinds).any(|name| text.starts_with(name));
                !names.is_empty() && !missing.iter().any(concerns)
            };
            let closed: Vec<_> = open.iter().filter(|tier| done(tier)).cloned().collect();
            if closed.is_empty() { Look::NotYet(missing.join("; ")) } else { Look::Ready(closed) }
        });
        let closed = tokio::select! {
            waited = waited => match waited {
                Ok(closed) => closed,
                Err(expired) => return Err(not_ready(stack, observer, expired).await),
            },
            ended = first_to_end(stack) => return Err(ended),
        };
        for tier in &closed {
            watch.mark(&format!("{tier}: whole"));
        }
        open.retain(|tier| !closed.contains(tier));
        if open.is_empty() && observer.missing().is_empty() {
            return Ok(());
        }
        // A tier that was whole may need another look when a later one changed it.
        if open.is_empty() {
            return match observer.wait_whole(left).await {
                Ok(()) => Ok(()),
                Err(expired) => Err(not_ready(stack, observer, expired).await),
            };
        }
        debug_assert!(open.len() < before);
    }
}

/// Waits for a node that ends: nothing restarts it, so the stack would never be whole.
async fn first_to_end(stack: &Stack) -> BootError {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        for node in &stack.nodes {
            let Ok(inspected) = stack.engine.docker.inspect_container(&node.container, None).await else {
                continue;
            };
            let state = inspected.state.unwrap_or_default();
            if state.status == Some(ContainerStateStatusEnum::EXITED) {
                let logs = crate::logs::tail(&stack.engine, &node.container, 20).await;
                return BootError::Ended { node: node.name.clone(), code: state.exit_code.unwrap_or(-1), logs };
            }
        }
    }
}

/// The error of a stack that is not ready, with the last 20 lines of every node that is to blame.
async fn not_ready(stack: &Stack, observer: &Observer, expired: Expired) -> BootError {
    let missing = observer.missing();
    let mut logs = String::new();
    for node in &stack.nodes {
        if missing.iter().any(|text| text.starts_with(&format!("{}:", node.name))) {
            let lines = crate::logs::tail(&stack.engine, &node.container, 20).await;
            logs.push_str(&format!("--- last lines of {}:\n{lines}\n", node.name));
        }
    }
    BootError::NotReady { expired, logs }
}
