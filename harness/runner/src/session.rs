//! A session: one booted stack, from the first container to the last one removed.

use crate::rundir::{RunDir, RunDirError};
use firedrill_core::drill::profile::{Gap, not_covered};
use firedrill_core::history::{At, Event, Subject};
use firedrill_core::ids::RunId;
use firedrill_core::load::{Load, Mix};
use firedrill_core::manifest::{BootStep, Image, Manifest, Node};
use firedrill_core::sla::Sla;
use firedrill_engine::boot::{self, BootError, Booted, Plan};
use firedrill_engine::docker::{DockerError, Engine};
use firedrill_engine::guard::{self, CleanUpError, Guard, GuardError, Watch};
use firedrill_engine::ledger::Known;
use firedrill_engine::logs::{LogError, LogFollower};
use firedrill_engine::observe::Observer;
use firedrill_engine::onlooker::{self, Onlooker};
use firedrill_engine::prepare;
use firedrill_engine::progress::Progress;
use firedrill_engine::recorder::Recorder;
use firedrill_engine::seed::{Seed, SeedError};
use firedrill_engine::stack::Stack;
use firedrill_engine::standing::{self, Lock, Standing, StandingError};
use firedrill_engine::usage::UsageSampler;
use firedrill_engine::wait::{self, Expired, Look};
use firedrill_engine::{images, labels};
use firedrill_load::{
    ApiToken, Entry, Item, OrderCodes, PROBE_OPS_FROM, RunClock, Scheme, Target, Trust, purchase_once,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::mpsc;

/// A session cannot be had.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The stack cannot be booted.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The engine cannot be used.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The guard cannot be started: nothing is booted without it.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The run's folder cannot be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Logs cannot be written.
    #[error(transparent)]
    Logs(#[from] LogError),
    /// The seed has no such event or item.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The whole stack does not sell.
    #[error("the stack is whole but does not sell: {0}")]
    NoSale(Expired),
    /// A stack that stands is not whole.
    #[error("{0}; `firedrill down` removes it")]
    NotWhole(Expired),
    /// The stack's record cannot be used.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// There is no such stack.
    #[error("there is no standing stack {run}; there are: {known}; `firedrill up` boots one")]
    NoStack {
        /// The one that was asked for.
        run: RunId,
        /// Those that there are.
        known: String,
    },
    /// Somebody else drills it.
    #[error("another process drills the stack {run} now; wait for it, or end it")]
    Busy {
        /// Which.
        run: RunId,
    },
    /// Something stays.
    #[error(transparent)]
    Residue(#[from] CleanUpError),
}

/// What a session is made from.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Folder of the topology.
    pub topology_folder: PathBuf,
    /// Event file.
    pub events: PathBuf,
    /// Folder of the journeys.
    pub journeys: PathBuf,
    /// Folder that run folders are created in.
    pub runs: PathBuf,
    /// The `firedrill` program, which is also the guard; none for a stack that is to stay.
    pub guard_program: Option<OsString>,
}

impl SessionOptions {
    /// Folder of the records of standing stacks.
    pub fn stacks(&self) -> PathBuf {
        stacks_folder(&self.runs)
    }
}

/// Folder of the records of standing stacks, below the folder of the runs. Absolute, because the guard is
/// told of it.
pub fn stacks_folder(runs: &Path) -> PathBuf {
    let folder = runs.join(".stacks");
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Where records go now, and by which clock: both change with every drill of a session.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) clock: RunClock,
    pub(crate) sender: Option<mpsc::Sender<Event>>,
    pub(crate) lost: Arc<AtomicU64>,
}

/// A booted stack that drills can be run on.
pub struct Session {
    /// The run that everything of the stack is labelled with.
    pub run: RunId,
    /// The stack.
    pub stack: Stack,
    /// Watches the stack.
    pub observer: Observer,
    /// What was seeded.
    pub seed: Seed,
    /// How long the boot took, step by step.
    pub boot: Vec<BootStep>,
    /// The way into the history of the drill that runs now.
    pub recorder: Recorder,
    /// Options that it was booted with.
    pub options: SessionOptions,
    pub(crate) wire: Arc<Mutex<Wire>>,
    pub(crate) images: Vec<Image>,
    /// Until when what the nodes wrote lies in the folders of earlier drills.
    logged: Mutex<Option<Timestamp>>,
    guard: Option<Guard>,
    usage: UsageSampler,
    /// Whether the stack stays when the session is closed.
    stays: bool,
    _lock: Option<Lock>,
}

/// How long faults of a dead process may take to be undone before a stack is taken over.
const TAKE_OVER_DEADLINE: Duration = Duration::from_secs(60);

/// How long a stack that stands may take to be whole: after a take-over a node may have to come back.
const WHOLE_DEADLINE: Duration = Duration::from_secs(90);

/// A purchase through a fresh stack takes under a second; a cold one compiles and connects first.
const FIRST_SALE_DEADLINE: Duration = Duration::from_secs(60);

impl Session {
    /// Boots a stack and proves that every entry point sells. Whatever goes wrong, nothing is left behind.
    pub async fn boot(options: SessionOptions, run: RunId, progress: &dyn Progress) -> Result<Self, SessionError> {
        let engine = Engine::connect().await?;
        let stacks = options.stacks();
        let watch = Watch { run: run.clone(), stacks: stacks.clone(), keep: false };
        let guard = options.guard_program.as_ref().map(|program| Guard::start(program, &watch)).transpose()?;
        match Self::boot_on(&engine, options, &run, guard, progress).await {
            Ok(session) => Ok(session),
            Err(error) => {
                guard::clean_up(&engine, &stacks, &run).await?;
                Err(error)
            }
        }
    }

    /// Takes a stack that stands already (`firedrill up`). It stays when the session is closed; faults that
    /// a dead process left in force on it are undone first.
    pub async fn attach(options: SessionOptions, run: &RunId) -> Result<Self, SessionError> {
        let engine = Engine::connect().await?;
        let stacks = options.stacks();
        let Some(Standing { stack, seed, boot }) = standing::read(&engine, &stacks, run)? else {
            let known: Vec<String> = standing::runs(&stacks).iter().map(ToString::to_string).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(SessionError::NoStack { run: run.clone(), known });
        };
        let lock = standing::lock(&stacks, run)?.ok_or_else(|| SessionError::Busy { run: run.clone() })?;
        let watch = Watch { run: run.clone(), stacks: stacks.clone(), keep: true };
        let guard = options.guard_program.as_ref().map(|program| Guard::start(program, &watch)).transpose()?;
        guard::undo_standing(&engine, &stacks, run, TAKE_OVER_DEADLINE).await?;
        let (wire, recorder) = new_wire();
        let observer = Observer::start(&stack, recorder.clone());
        let standing = Booted { stack, observer, seed, steps: boot };
        let mut session = Self::new(standing, options, wire, recorder, guard, Some(lock));
        session.images = session.versions().await;
        session.observer.wait_whole(WHOLE_DEADLINE).await.map_err(SessionError::NotWhole)?;
        Ok(session)
    }

    async fn boot_on(
        engine: &Engine,
        options: SessionOptions,
        run: &RunId,
        guard: Option<Guard>,
        progress: &dyn Progress,
    ) -> Result<Self, SessionError> {
        let owner = if guard.is_some() { labels::this_process() } else { labels::OWNER_NOBODY.to_owned() };
        let plan = Plan {
            run: run.clone(),
            owner,
            topology_folder: options.topology_folder.clone(),
            events: options.events.clone(),
        };
        let (wire, recorder) = new_wire();
        let booted = boot::boot(engine, &plan, &recorder, progress).await?;
        let mut session = Self::new(booted, options, wire, recorder, guard, None);
        session.prove_sales(progress).await?;
        session.images = session.versions().await;
        let standing =
            Standing { stack: session.stack.clone(), seed: session.seed.clone(), boot: session.boot.clone() };
        standing::write(&session.options.stacks(), &standing)?;
        Ok(session)
    }

    /// A session on a booted stack; `lock` is the right to drill one that stood before.
    fn new(
        booted: Booted,
        options: SessionOptions,
        wire: Arc<Mutex<Wire>>,
        recorder: Recorder,
        guard: Option<Guard>,
        lock: Option<Lock>,
    ) -> Self {
        let Booted { stack, observer, seed, steps } = booted;
        Self {
            run: stack.run.clone(),
            usage: UsageSampler::start(&stack, &recorder),
            // One that stood before, and one that nobody guards.
            stays: lock.is_some() || guard.is_none(),
            images: Vec::new(),
            // A stack that stood before wrote its boot down long ago.
            logged: Mutex::new(lock.is_some().then(Timestamp::now)),
            boot: steps,
            stack,
            observer,
            seed,
            recorder,
            options,
            wire,
            guard,
            _lock: lock,
        }
    }

    /// One real purchase through every entry point.
    async fn prove_sales(&mut self, progress: &dyn Progress) -> Result<(), SessionError> {
        if self.seed.events.is_empty() {
            return Ok(());
        }
        let begin = Instant::now();
        let booted_ms = self.boot.last().map_or(0.0, |step| step.at_ms);
        let event = self.seed.events.keys().next().cloned().unwrap_or_default();
        let item = self.seed.events.get(&event).and_then(|event| event.items.keys().next().cloned());
        let target = self.target(&event, &Mix::One(item.unwrap_or_default()))?;
        let clock = self.clock();
        let codes = OrderCodes::new(rand::random(), &self.run);
        for (number, entry) in target.entries.iter().enumerate() {
            let what = format!("a purchase through {} is acknowledged", entry.name);
            let tries = AtomicU64::new(0);
            let sold = wait::until(&what, FIRST_SALE_DEADLINE, Duration::from_millis(200), || async {
                let attempt_number = tries.fetch_add(1, Ordering::Relaxed);
                let op = PROBE_OPS_FROM + (number as u64) * 10_000 + attempt_number;
                let op = firedrill_core::ids::OpId(op);
                match purchase_once(&target, entry, &codes, op, &clock, Duration::from_secs(15)).await {
                    Ok(attempt) if attempt.order.is_some() => Look::Ready(()),
                    Ok(attempt) => Look::NotYet(attempt.error.unwrap_or_else(|| format!("{:?}", attempt.outcome))),
                    Err(error) => Look::NotYet(error.to_string()),
                }
            });
            sold.await.map_err(SessionError::NoSale)?;
            let at_ms = booted_ms + begin.elapsed().as_secs_f64() * 1e3;
            let what = format!("sale through {}", entry.name);
            progress.update("boot", &format!("{:>5.1} s  {what}", at_ms / 1e3));
            self.boot.push(BootStep { what, at_ms });
        }
        Ok(())
    }

    /// The package versions inside the images that run.
    async fn versions(&self) -> Vec<Image> {
        let mut by_image: BTreeMap<&str, &str> = BTreeMap::new();
        for node in &self.stack.nodes {
            by_image.entry(node.image.as_str()).or_insert(node.container.as_str());
        }
        let mut found = Vec::new();
        for image in self.stack.images.iter() {
            let mut image = image.clone();
            if let Some(container) = by_image.get(image.name.as_str()) {
                image.versions = images::versions(&self.stack.engine, container).await;
            }
            found.push(image);
        }
        found
    }

    /// The shop as the load sees it, for an event and items of the seed.
    pub fn target(&self, event: &str, items: &Mix) -> Result<Target, SeedError> {
        let items = items.parts().into_iter().map(|(name, weight)| {
            let found = self.seed.item(event, name)?;
            let price_cents = firedrill_load::money::parse_cents(&found.price).unwrap_or(0);
            Ok((Item { id: found.id, price_cents }, weight))
        });
        let items = items.collect::<Result<_, SeedError>>()?;
        let entries = self.stack.entries().into_iter().map(|(name, addr)| Entry { name, addr, scheme: Scheme::Http });
        Ok(Target {
            entries: entries.collect(),
            host_header: "localhost".to_owned(),
            organizer: self.seed.organizer.clone(),
            event: event.to_owned(),
            items,
            api_token: ApiToken::new(self.seed.token.clone()),
            trust: Trust::Public,
        })
    }

    /// The clock of the drill that runs now.
    pub(crate) fn clock(&self) -> RunClock {
        lock(&self.wire).clock
    }

    /// Follows the logs of all nodes into a run's folder, and the trouble in them into its history. The first drill of
    /// a stack has its boot in them, others what was written since the one before.
    pub(crate) async fn follow_logs(&self, dir: &RunDir) -> Result<LogFollower, SessionError> {
        let since = *lock(&self.logged);
        Ok(LogFollower::start(&self.stack, &dir.logs(), &self.recorder, since).await?)
    }

    /// The logs are not followed any more.
    pub(crate) fn end_logs(&self, logs: LogFollower) {
        *lock(&self.logged) = Some(Timestamp::now());
        logs.finish();
    }

    /// Reads what can be taken back while the purchases of a load run; nobody reads where nobody buys.
    pub(crate) fn look_on(&self, load: &Load, known: &Known) -> Option<Onlooker> {
        let event = onlooker::Event {
            organizer: self.seed.organizer.clone(),
            event: load.event.clone(),
            token: self.seed.token.clone(),
            quotas: self.quotas(load),
        };
        load.is_any().then(|| Onlooker::start(&self.stack, event, &self.recorder, known))
    }

    /// What a drill with this load looks at besides orders, quotas and roles.
    pub(crate) fn observes(&self, load: &Load) -> Vec<Subject> {
        let mut subjects = vec![Subject::Logs];
        if load.is_any() {
            subjects.extend([Subject::Books, Subject::Entries, Subject::Invoices, Subject::Leftovers]);
            subjects.extend((!self.quotas(load).is_empty()).then_some(Subject::QuotasSeen));
        }
        subjects
    }

    /// Keys of the quotas of the event that a load buys from.
    fn quotas(&self, load: &Load) -> Vec<u64> {
        let event = self.seed.events.get(&load.event);
        event.map(|event| event.quotas.values().map(|quota| quota.id).collect()).unwrap_or_default()
    }

    /// What this session is made of.
    pub fn manifest(&self, run: &RunId, sla: &Sla, replay: &str) -> Manifest {
        let nodes = self.stack.nodes.iter().map(|node| Node {
            name: node.name.clone(),
            tier: node.tier.clone(),
            kind: node.kind.to_string(),
            image: node.image.clone(),
            single: node.single.clone(),
        });
        Manifest {
            run: run.clone(),
            firedrill: env!("CARGO_PKG_VERSION").to_owned(),
            replay: replay.to_owned(),
            topology: self.stack.topology.name.clone(),
            topology_sha256: self.stack.topology_sha256.clone(),
            sla: sla.clone(),
            host: self.stack.engine.host.clone(),
            images: self.images.clone(),
            nodes: nodes.collect(),
            boot: self.boot.clone(),
            not_covered: not_covered(&self.stack.topology.tiers()).iter().map(Gap::to_string).collect(),
        }
    }

    /// Adds the events of a YAML document to the running shop, by the same script that seeded it.
    pub async fn add_events(&mut self, yaml: &str) -> Result<(), SessionError> {
        let added = prepare::seed_live(&self.stack, yaml, &self.seed.token).await;
        let added = added.map_err(BootError::from)?;
        self.seed.events.extend(added.events);
        Ok(())
    }

    /// Takes the guard out, for a session that is not closed but ends with the process.
    pub fn detach_guard(&mut self) -> Option<Guard> {
        self.guard.take()
    }

    /// Where the undo records of faults on this stack lie.
    pub(crate) fn undo_folder(&self) -> PathBuf {
        standing::undo_folder(&self.options.stacks(), &self.run)
    }

    /// Removes the stack and waits until nothing is left of it; one that stays is only let go.
    pub async fn close(self) -> Result<(), SessionError> {
        let stacks = self.options.stacks();
        let Self { run, stack, observer, usage, guard, stays, .. } = self;
        // Whoever still asks the nodes would only see them vanish.
        drop((observer, usage));
        let removed = if stays { Ok(()) } else { guard::clean_up(&stack.engine, &stacks, &run).await };
        if let (Some(guard), Ok(())) = (guard, &removed) {
            guard.dismiss();
        }
        Ok(removed?)
    }
}

fn new_wire() -> (Arc<Mutex<Wire>>, Recorder) {
    let wire = Wire { clock: RunClock::start(), sender: None, lost: Arc::default() };
    let wire = Arc::new(Mutex::new(wire));
    let recorder = recorder(&wire);
    (wire, recorder)
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is in them is only ever replaced whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A recorder that reads the wire's clock and sends to where the wire leads now. A full channel costs the
/// record and is counted: observers must not wait for a disk.
fn recorder(wire: &Arc<Mutex<Wire>>) -> Recorder {
    let (clocks, wires) = (Arc::clone(wire), Arc::clone(wire));
    let now = move || -> At { lock(&clocks).clock.now() };
    let send = move |event| {
        let wire = lock(&wires).clone();
        if let Some(sender) = wire.sender
            && sender.try_send(event).is_err()
        {
            wire.lost.fetch_add(1, Ordering::Relaxed);
        }
    };
    Recorder::new(now, send)
}
