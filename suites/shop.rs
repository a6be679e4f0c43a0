//! The shop under test: booted by whoever needs it first, shared by all, removed when the process ends.

pub(crate) use crate::common::agreement;
use crate::common::{ToTestOutput, options};
use crate::guards;
use firedrill_core::drill::{Drill, Step};
use firedrill_core::fault::Fault;
use firedrill_core::sla::Sla;
use firedrill_core::verdict::{CheckResult, Conclusion, Judgement, Verdict};
use firedrill_runner::rundir::new_run_id;
use firedrill_runner::{Executed, RunDir, Session};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Every drill of the suites draws its targets from here, so that a failure can be repeated.
const SEED: u64 = 2020;

static SHOP: LazyLock<Mutex<Shop>> = LazyLock::new(|| Mutex::new(Shop::boot()));

/// The booted stack and the runtime that its observers live on.
pub(crate) struct Shop {
    runtime: Runtime,
    session: Session,
}

/// The shop, for one drill at a time.
pub(crate) fn shop() -> MutexGuard<'static, Shop> {
    // A failed test leaves the shop usable: each drill checks that it is whole.
    SHOP.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shop {
    fn boot() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let booted = runtime.block_on(Session::boot(options(), new_run_id(), &ToTestOutput));
        let mut session = booted.unwrap_or_else(|error| panic!("the stack cannot be booted: {error}"));
        if let Some(guard) = session.detach_guard() {
            guards::keep(guard);
        }
        Self { runtime, session }
    }

    /// Adds events to the running shop, by the same script that seeded it.
    pub(crate) fn add_events(&mut self, yaml: &str) {
        let added = self.runtime.block_on(self.session.add_events(yaml));
        added.unwrap_or_else(|error| panic!("the events cannot be added: {error}"));
    }

    /// Runs a drill and gives what came of it.
    pub(crate) fn run(&self, drill: &Drill, sla: &Sla) -> Outcome {
        let (_keep, never) = watch::channel(false);
        let replay = format!("cargo test --test suites # {}", drill.name);
        let run = self.session.drill(drill, sla, SEED, &replay, never, &ToTestOutput);
        let Executed { dir, verdict, residue, .. } =
            self.runtime.block_on(run).unwrap_or_else(|error| panic!("the drill cannot be run: {error}"));
        assert!(residue.is_empty(), "{} left on the nodes: {}", drill.name, residue.join("; "));
        Outcome { dir, verdict }
    }
}

/// What came of a drill.
pub(crate) struct Outcome {
    pub(crate) dir: RunDir,
    pub(crate) verdict: Verdict,
}

impl Outcome {
    /// The result of a checker.
    pub(crate) fn check(&self, name: &str) -> &CheckResult {
        let found = self.verdict.checks.iter().find(|check| check.checker == name);
        found.unwrap_or_else(|| panic!("there is no checker {name}"))
    }

    /// Fails with the whole verdict as text unless everything held and was seen.
    pub(crate) fn must_be_certified(&self) -> &Self {
        assert_eq!(self.verdict.conclusion, Conclusion::Certified, "{}", self.text());
        self
    }

    /// Fails with the whole verdict as text unless this checker passed.
    pub(crate) fn must_pass(&self, checker: &str) -> &Self {
        assert_eq!(self.check(checker).judgement, Judgement::Pass, "{checker}\n{}", self.text());
        self
    }

    /// The verdict as text, with where everything lies.
    pub(crate) fn text(&self) -> String {
        let summary = firedrill_reports::text::summary(&self.verdict, 100);
        format!("{summary}\nrecords: {}", self.dir.path().display())
    }
}

/// A drill that kills one target under the usual load.
pub(crate) fn lose(target: &str) -> Drill {
    let step = Step::new(Fault::Kill, target.parse().expect("a target"));
    Drill::new(&format!("lose {target}"), "pretix-ha").step(step)
}
