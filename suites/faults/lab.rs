//! The laboratories: small stacks, and the trial that every fault has to pass.

use crate::guards;
use firedrill_core::fault::{Fault, Phase, Target};
use firedrill_core::history::{Event, Role};
use firedrill_core::ids::{NodeName, StepId};
use firedrill_engine::audit::audit;
use firedrill_engine::boot::{Plan, boot};
use firedrill_engine::docker::Engine;
use firedrill_engine::faults::{Injection, Site, UndoRecord, undo_all};
use firedrill_engine::guard::{Guard, Watch};
use firedrill_engine::labels;
use firedrill_engine::observe::Observer;
use firedrill_engine::progress::Silent;
use firedrill_engine::recorder::Recorder;
use firedrill_engine::stack::{Node, Stack};
use firedrill_engine::wait::{self, Look};
use firedrill_runner::rundir::new_run_id;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long a stack may take to be whole again after an undo: a database node may be cloned anew.
const WHOLE_DEADLINE: Duration = Duration::from_secs(90);

/// How long the effect may take to be seen from outside, and to be gone there.
const SEEN_DEADLINE: Duration = Duration::from_secs(30);

static CACHE: LazyLock<Mutex<Lab>> = LazyLock::new(|| Mutex::new(Lab::boot("cache")));
static DATABASE: LazyLock<Mutex<Lab>> = LazyLock::new(|| Mutex::new(Lab::boot("database")));

/// A booted stack to try faults on.
pub(crate) struct Lab {
    pub(crate) runtime: Runtime,
    pub(crate) stack: Stack,
    pub(crate) observer: Observer,
    recorder: Recorder,
    undo: tempfile::TempDir,
}

/// A Redis, its replica and a Sentinel: `redis1`, `redis2`, `sentinel1`, whichever is the primary now. One trial
/// at a time.
pub(crate) fn cache() -> MutexGuard<'static, Lab> {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A PostgreSQL, two standbys and a Pgpool: `pg1`, `pg2`, `pg3`, `pgpool1`. One trial at a time.
pub(crate) fn database() -> MutexGuard<'static, Lab> {
    DATABASE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fault on a target, and how its effect is seen from outside.
pub(crate) struct Trial<'a, L> {
    /// The fault as in a drill file.
    pub(crate) fault: &'a str,
    /// The target as in a drill file.
    pub(crate) target: &'a str,
    /// Looks from outside whether the effect is there: `Ok` with what was seen where it is, `Err` with what
    /// was seen where it is not. Must be `Err` before and after, `Ok` while the fault is in force.
    pub(crate) visible: L,
}

impl Lab {
    fn boot(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let runtime = Runtime::new().expect("a runtime");
        let run = new_run_id();
        let watch = Watch { run: run.clone(), stacks: std::env::temp_dir().join("firedrill-labs"), keep: false };
        let guard = Guard::start(env!("CARGO_BIN_EXE_firedrill").as_ref(), &watch).expect("a guard");
        guards::keep(guard);
        let plan = Plan {
            run: run.clone(),
            owner: labels::this_process(),
            topology_folder: root.join("fixtures/topologies").join(name),
            events: root.join("fixtures/events/pretix-ha.yaml"),
        };
        let recorder = Recorder::discard();
        let booted = runtime.block_on(async {
            let engine = Engine::connect().await.expect("an engine");
            boot(&engine, &plan, &recorder, &Silent).await
        });
        let booted = booted.unwrap_or_else(|error| panic!("{name} cannot be booted: {error}"));
        let undo = tempfile::tempdir().expect("a folder");
        Self { runtime, stack: booted.stack, observer: booted.observer, recorder, undo }
    }

    /// A node by name.
    pub(crate) fn node(&self, name: &str) -> &Node {
        self.stack.node(&NodeName::new(name)).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// The PostgreSQL or Redis that is primary, once the lab is whole. An earlier trial may have made it another
    /// than at boot.
    pub(crate) fn primary(&self) -> String {
        self.has_role(Role::Primary)
    }

    /// A PostgreSQL or Redis that is a standby, once the lab is whole.
    pub(crate) fn standby(&self) -> String {
        self.has_role(Role::Standby)
    }

    fn has_role(&self, role: Role) -> String {
        self.runtime.block_on(self.whole("before a node is chosen"));
        let candidates = self.observer.candidates();
        let found = candidates.iter().rfind(|candidate| candidate.role == role);
        found.unwrap_or_else(|| panic!("no node is {role}")).node.to_string()
    }

    /// Tries a fault twice: once undone by the one who injected it, once by somebody else who has nothing
    /// but the undo record, as after the death of the harness. Gives the proofs.
    pub(crate) fn trial<L, F>(&self, trial: &Trial<'_, L>) -> Vec<String>
    where
        L: Fn() -> F,
        F: Future<Output = Result<String, String>>,
    {
        let fault = fault(trial.fault);
        let target: Target = trial.target.parse().expect("a target");
        self.runtime.block_on(async {
            let own = self.once(&fault, &target, &trial.visible, false).await;
            let other = self.once(&fault, &target, &trial.visible, true).await;
            vec![own, other]
        })
    }

    async fn once<L, F>(&self, fault: &Fault, target: &Target, visible: &L, abandoned: bool) -> String
    where
        L: Fn() -> F,
        F: Future<Output = Result<String, String>>,
    {
        self.whole("before").await;
        self.gone(visible, "before").await;
        let candidates = self.observer.candidates();
        let site = Site {
            stack: &self.stack,
            step: StepId(u32::from(abandoned)),
            candidates: &candidates,
            observer: Some(&self.observer),
            seed: 7,
        };
        let proofs = Arc::new(Mutex::new(Vec::new()));
        let hit = Arc::new(Mutex::new(BTreeSet::new()));
        let (kept, targets) = (Arc::clone(&proofs), Arc::clone(&hit));
        let clock = self.recorder.clone();
        let recorder = Recorder::new(
            move || clock.now(),
            move |event| {
                if let Event::Fault(event) = event {
                    println!("{:>9} {} {}: {}", event.at.to_string(), event.fault, event.phase, event.detail);
                    targets.lock().unwrap_or_else(PoisonError::into_inner).extend(event.nodes);
                    if event.phase == Phase::Effective {
                        kept.lock().unwrap_or_else(PoisonError::into_inner).push(event.detail);
                    }
                }
            },
        );
        let mut injection = Injection::new(site, &recorder, self.undo.path(), fault, target);
        injection.arm(|_| 0, &[]).await.unwrap_or_else(|error| panic!("{fault} cannot be armed: {error}"));
        let fired = injection.fire(None).await;
        let seen = match &fired {
            Ok(()) => self.seen(visible).await,
            Err(error) => Err(error.to_string()),
        };
        if abandoned {
            drop(injection);
            let undone = undo_all(&self.stack, self.undo.path(), Duration::from_secs(60)).await;
            let undone = undone.unwrap_or_else(|error| panic!("{fault} is not undone by its record: {error}"));
            assert_eq!(undone.len(), 1, "one fault was in force");
        } else {
            injection.heal(Duration::from_secs(60)).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
            assert_eq!(injection.phase(), Phase::Recovered);
        }
        let seen = seen.unwrap_or_else(|error| panic!("{fault} on {target} did not bite: {error}"));
        println!("seen from outside: {seen}");
        let left = UndoRecord::read_all(self.undo.path()).expect("the folder is readable");
        assert!(left.is_empty(), "records are left: {left:?}");
        self.gone(visible, "after the undo").await;
        self.whole("after the undo").await;
        let hit = hit.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let residue = audit(&self.stack, &hit).await;
        assert!(residue.is_empty(), "{fault} left behind: {}", residue.join("; "));
        let proofs = proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.first().cloned().unwrap_or_default()
    }

    /// Waits until the stack is whole.
    pub(crate) async fn whole(&self, when: &str) {
        let whole = self.observer.wait_whole(WHOLE_DEADLINE).await;
        whole.unwrap_or_else(|expired| panic!("{when}: {expired}"));
    }

    async fn seen<L, F>(&self, visible: &L) -> Result<String, String>
    where
        L: Fn() -> F,
        F: Future<Output = Result<String, String>>,
    {
        let seen = wait::until("seen from outside", SEEN_DEADLINE, Duration::from_millis(100), || async {
            match visible().await {
                Ok(seen) => Look::Ready(seen),
                Err(seen) => Look::NotYet(seen),
            }
        });
        seen.await.map_err(|expired| expired.to_string())
    }

    async fn gone<L, F>(&self, visible: &L, when: &str)
    where
        L: Fn() -> F,
        F: Future<Output = Result<String, String>>,
    {
        let gone = wait::until("nothing is seen from outside", SEEN_DEADLINE, Duration::from_millis(100), || async {
            match visible().await {
                Ok(seen) => Look::NotYet(seen),
                Err(_) => Look::Ready(()),
            }
        });
        gone.await.unwrap_or_else(|expired| panic!("{when}: {expired}"));
    }
}

/// A fault as in a drill file.
pub(crate) fn fault(yaml: &str) -> Fault {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}
