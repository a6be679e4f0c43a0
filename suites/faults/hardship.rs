//! What the usual trial leaves out: faults that are refused before anything is changed, faults whose node dies
//! under them, and faults that are undone by somebody else while whoever injected them lives on.

use crate::lab::{Lab, fault};
use firedrill_core::fault::{Phase, Target};
use firedrill_core::ids::StepId;
use firedrill_engine::faults::{Injection, Site, UndoRecord, undo_all};
use firedrill_engine::recorder::Recorder;
use std::path::Path;
use std::time::Duration;

const HEAL_DEADLINE: Duration = Duration::from_secs(60);

/// What the refusal says.
pub(crate) fn refused(lab: &Lab, yaml: &str, target: &str) -> String {
    let undo = tempfile::tempdir().expect("a folder");
    let (fault, target): (_, Target) = (fault(yaml), target.parse().expect("a target"));
    let candidates = lab.observer.candidates();
    let (stack, observer) = (&lab.stack, Some(&lab.observer));
    let site = Site { stack, step: StepId(9), candidates: &candidates, observer, seed: 7 };
    let recorder = Recorder::discard();
    let mut injection = Injection::new(site, &recorder, undo.path(), &fault, &target);
    let armed = lab.runtime.block_on(injection.arm(|_| 0, &[]));
    let refusal = armed.expect_err("it cannot be done to this node").to_string();
    println!("refused: {refusal}");
    assert_eq!(injection.phase(), Phase::Void);
    assert!(UndoRecord::read_all(undo.path()).expect("the folder is readable").is_empty());
    refusal
}

/// Tries a fault whose node is killed while it is in force: healed while the node is dead, and once more when it
/// has been started again.
pub(crate) fn survives(lab: &Lab, yaml: &str, target: &str) {
    let target: Target = target.parse().expect("a target");
    for restarted in [false, true] {
        lab.runtime.block_on(lab.whole("before"));
        lab.runtime.block_on(dies(lab, yaml, &target, restarted));
        lab.runtime.block_on(lab.whole("after"));
    }
}

async fn dies(lab: &Lab, yaml: &str, target: &Target, restarted: bool) {
    let undo = tempfile::tempdir().expect("a folder");
    let candidates = lab.observer.candidates();
    let recorder = Recorder::discard();
    let site = |step| {
        let (stack, observer) = (&lab.stack, Some(&lab.observer));
        Site { stack, step: StepId(step), candidates: &candidates, observer, seed: 7 }
    };
    let mut hit = Injection::new(site(1), &recorder, undo.path(), &fault(yaml), target);
    hit.arm(|_| 0, &[]).await.unwrap_or_else(|error| panic!("{yaml}: {error}"));
    hit.fire(None).await.unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let node = Target::Node(hit.nodes().pop().expect("a node"));
    let mut kill = Injection::new(site(2), &recorder, undo.path(), &fault("kill"), &node);
    kill.arm(|_| 0, &[]).await.expect("armed");
    kill.fire(None).await.expect("killed");
    if restarted {
        kill.heal(HEAL_DEADLINE).await.expect("started again");
    }
    hit.heal(HEAL_DEADLINE).await.unwrap_or_else(|error| panic!("{yaml}, restarted: {restarted}: {error}"));
    assert_eq!(hit.phase(), Phase::Recovered);
    kill.heal(HEAL_DEADLINE).await.expect("started again");
}

/// Tries the undo of a fault by its record alone while whoever injected it holds on to it, as a harness that
/// hangs does.
pub(crate) fn undone_by_another(lab: &Lab, yaml: &str, target: &str) {
    in_force(lab, yaml, target, async |undo: &Path| {
        let undone = undo_all(&lab.stack, undo, HEAL_DEADLINE).await;
        assert_eq!(undone.unwrap_or_else(|error| panic!("{yaml}: {error}")).len(), 1);
    });
}

/// Does something while a fault is in force, with the folder of its record.
pub(crate) fn in_force(lab: &Lab, yaml: &str, target: &str, work: impl AsyncFnOnce(&Path)) {
    let undo = tempfile::tempdir().expect("a folder");
    let target: Target = target.parse().expect("a target");
    let recorder = Recorder::discard();
    lab.runtime.block_on(async {
        lab.whole("before").await;
        let candidates = lab.observer.candidates();
        let (stack, observer) = (&lab.stack, Some(&lab.observer));
        let site = Site { stack, step: StepId(8), candidates: &candidates, observer, seed: 7 };
        let mut injection = Injection::new(site, &recorder, undo.path(), &fault(yaml), &target);
        injection.arm(|_| 0, &[]).await.unwrap_or_else(|error| panic!("{yaml}: {error}"));
        injection.fire(None).await.unwrap_or_else(|error| panic!("{yaml}: {error}"));
        work(undo.path()).await;
        injection.heal(HEAL_DEADLINE).await.unwrap_or_else(|error| panic!("{yaml}: {error}"));
        lab.whole("after").await;
    });
}
