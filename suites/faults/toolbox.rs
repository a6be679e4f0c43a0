//! The helper in a node's network namespace, and what becomes of its rules when things go wrong.

use crate::lab::{Lab, cache, fault};
use bollard::query_parameters::{KillContainerOptionsBuilder, ListContainersOptionsBuilder};
use firedrill_core::fault::{Phase, Target};
use firedrill_core::ids::StepId;
use firedrill_engine::faults::{Injection, Site, undo_all};
use firedrill_engine::labels;
use firedrill_engine::recorder::Recorder;
use firedrill_engine::toolbox::{Hook, Ruleset, Spec, Table, Toolbox, fingerprint};
use firedrill_engine::wait::{self, Look};
use std::collections::HashMap;
use std::time::Duration;

const NODE: &str = "redis2";
const DEADLINE: Duration = Duration::from_secs(30);

async fn look(lab: &Lab) -> Vec<String> {
    fingerprint(&lab.stack, lab.node(NODE)).await.expect("a fingerprint")
}

fn has_rules(fingerprint: &[String]) -> bool {
    fingerprint.iter().any(|line| line.contains("firedrill"))
}

/// Waits until the namespace is as it was.
async fn as_before(lab: &Lab, before: &[String]) {
    let same = wait::until("the namespace is as it was", DEADLINE, Duration::from_millis(200), || async {
        let now = look(lab).await;
        if now == before { Look::Ready(()) } else { Look::NotYet(format!("{now:#?}")) }
    });
    same.await.unwrap_or_else(|expired| panic!("{expired}"));
}

/// The helpers that the engine lists for the lab's run.
async fn helpers(lab: &Lab) -> Vec<String> {
    let wanted = vec![format!("{}={}", labels::RUN, lab.stack.run), labels::TOOLBOX.to_owned()];
    let filters = HashMap::from([("label".to_owned(), wanted)]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let listed = lab.stack.engine.docker.list_containers(Some(options)).await.expect("listed");
    listed.into_iter().filter_map(|container| container.names?.pop()).collect()
}

/// SIGKILL to the helper that holds a step: nothing is reverted by it.
async fn kill_helper(lab: &Lab, step: StepId) {
    let name = format!("fd-{}-toolbox-{}-{NODE}", lab.stack.run, step.0);
    let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
    lab.stack.engine.docker.kill_container(&name, Some(options)).await.expect("killed");
    let gone = wait::until("the helper is gone", DEADLINE, Duration::from_millis(50), || async {
        let left = helpers(lab).await;
        if left.is_empty() { Look::Ready(()) } else { Look::NotYet(left.join(", ")) }
    });
    gone.await.expect("gone");
}

fn spec(lab: &Lab, step: StepId) -> Spec {
    let mut rules = Ruleset::new(&lab.stack.run, step);
    let peer = lab.node("redis1").addresses[0];
    rules.add(Table::Filter, Hook::Output, [format!("-d {peer} {} -j DROP", Ruleset::expiring())]);
    Spec::of_rules(&rules)
}

#[test]
fn a_helper_that_nobody_holds_reverts() {
    let lab = cache();
    lab.runtime.block_on(async {
        let before = look(&lab).await;
        assert!(!has_rules(&before), "{before:#?}");
        let step = StepId(70);
        let mut toolbox = Toolbox::of_step(&lab.stack, step, lab.node(NODE)).await.expect("a helper");
        toolbox.arm(&spec(&lab, step)).await.expect("armed");
        assert_eq!(look(&lab).await, before, "nothing is applied before the instant");
        toolbox.go().await.expect("applied");
        let during = look(&lab).await;
        assert!(has_rules(&during) && during.len() == before.len() + 3, "{during:#?}");
        drop(toolbox);
        as_before(&lab, &before).await;
        let none = wait::until("no helper is left", DEADLINE, Duration::from_millis(50), || async {
            let left = helpers(&lab).await;
            if left.is_empty() { Look::Ready(()) } else { Look::NotYet(left.join(", ")) }
        });
        none.await.expect("none");
        lab.whole("after the revert").await;
    });
}

#[test]
fn the_kernel_ends_rules_whose_helper_was_killed() {
    let lab = cache();
    lab.runtime.block_on(async {
        let before = look(&lab).await;
        let step = StepId(71);
        let spec = Spec { expiry_s: 4, ..spec(&lab, step) };
        let mut toolbox = Toolbox::of_step(&lab.stack, step, lab.node(NODE)).await.expect("a helper");
        toolbox.arm(&spec).await.expect("armed");
        toolbox.go().await.expect("applied");
        kill_helper(&lab, step).await;
        assert!(has_rules(&look(&lab).await), "nobody reverted them");
        // They stand and do nothing any more.
        let address = lab.node("redis1").addresses[0];
        let program = format!("import socket; socket.create_connection(('{address}', 6379), 1)");
        let open = wait::until("redis1 is reached again", DEADLINE, Duration::from_millis(200), || async {
            let command = ["python3", "-c", &program];
            match lab.stack.engine.exec(&lab.node(NODE).container, &command, DEADLINE).await {
                Ok(output) if output.code == 0 => Look::Ready(()),
                other => Look::NotYet(format!("{other:?}")),
            }
        });
        open.await.unwrap_or_else(|expired| panic!("{expired}"));
        assert!(has_rules(&look(&lab).await), "the rules are still there");
        let mut one_shot = Toolbox::one_shot(&lab.stack, lab.node(NODE)).await.expect("a helper");
        one_shot.run(&spec.revert).await.expect("reverted");
        one_shot.close().await.expect("gone");
        as_before(&lab, &before).await;
        lab.whole("after the revert").await;
    });
}

#[test]
fn the_record_alone_undoes_what_a_killed_helper_left() {
    let lab = cache();
    lab.runtime.block_on(async {
        let before = look(&lab).await;
        let (recorder, folder) = (Recorder::discard(), tempfile::tempdir().expect("a folder"));
        let (fault, target) = (fault("partition"), Target::node(NODE));
        let candidates = lab.observer.candidates();
        let site = Site { stack: &lab.stack, step: StepId(72), candidates: &candidates, observer: None, seed: 7 };
        let mut injection = Injection::new(site, &recorder, folder.path(), &fault, &target);
        injection.arm(|_| 0, &[]).await.expect("armed");
        injection.fire(None).await.expect("in force");
        kill_helper(&lab, site.step).await;
        drop(injection);
        assert!(has_rules(&look(&lab).await), "nobody reverted them");
        let undone = undo_all(&lab.stack, folder.path(), DEADLINE).await.expect("undone");
        assert_eq!(undone.len(), 1);
        assert_eq!(look(&lab).await, before);
        lab.whole("after the undo").await;
    });
}

#[test]
fn a_node_that_was_started_again_has_nothing_to_undo() {
    let lab = cache();
    lab.runtime.block_on(async {
        let (recorder, folder) = (Recorder::discard(), tempfile::tempdir().expect("a folder"));
        let (fault, target) = (fault("partition"), Target::node(NODE));
        let candidates = lab.observer.candidates();
        let site = Site { stack: &lab.stack, step: StepId(73), candidates: &candidates, observer: None, seed: 7 };
        let mut injection = Injection::new(site, &recorder, folder.path(), &fault, &target);
        injection.arm(|_| 0, &[]).await.expect("armed");
        injection.fire(None).await.expect("in force");
        let docker = &lab.stack.engine.docker;
        docker.restart_container(&lab.node(NODE).container, None).await.expect("restarted");
        assert!(!has_rules(&look(&lab).await), "a new namespace");
        injection.heal(DEADLINE).await.expect("undone");
        assert_eq!(injection.phase(), Phase::Recovered);
        assert!(helpers(&lab).await.is_empty());
        lab.whole("after the restart").await;
    });
}
