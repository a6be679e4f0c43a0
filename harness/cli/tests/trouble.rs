//! Bad input and trouble, as a user meets them: one message that says what, where and what to do, the
//! right exit code, nothing left behind.

mod support;
mod trend;
mod workflows;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{check, engine, firedrill, labelled, root};

/// A topology folder with this Compose file; image contexts stay where they are.
fn topology(folder: &Path, compose: &str) -> PathBuf {
    let images = root().join("fixtures/images").display().to_string();
    let path = folder.join("broken");
    std::fs::create_dir_all(&path).expect("a folder");
    std::fs::write(path.join("compose.yaml"), compose.replace("../../fixtures/images", &images)).expect("a file");
    path
}

fn pretix_ha() -> String {
    std::fs::read_to_string(root().join("topologies/pretix-ha/compose.yaml")).expect("it is there")
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    check(firedrill(&["certify", "--profile", "everything"]), 64, &["everything", "smoke"]);
    check(firedrill(&["frobnicate"]), 64, &["unrecognized subcommand"]);
    check(firedrill(&["--help"]), 0, &["certify", "Exit codes"]);
}

#[test]
fn names_that_mean_nothing_are_refused_before_anything_starts() {
    check(
        firedrill(&["certify", "--topology", "atlantis"]),
        64,
        &["topologies/atlantis/compose.yaml", "ls topologies"],
    );
    check(firedrill(&["certify", "--sla", "wishes"]), 64, &["fixtures/sla/wishes.yaml"]);
    check(firedrill(&["run", "nothing"]), 64, &["fixtures/drills/nothing.yaml"]);
}

#[test]
fn a_malformed_topology_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = topology(folder.path(), &pretix_ha().replacen("init: true", "privileged: true", 1));
    let words = ["compose.yaml:", "unknown key \"privileged\"", "supported here"];
    check(firedrill(&["certify", "--topology", &path.display().to_string()]), 64, &words);
}

/// The reference topology without its second HAProxy.
fn one_haproxy() -> String {
    let text = pretix_ha();
    let begin = text.find("\n  haproxy2:\n").expect("there are two");
    let length = text[begin + 1..].find("\n\n").expect("more comes after it");
    format!("{}{}", &text[..begin], &text[begin + 1 + length..]).replace(", haproxy2", "")
}

#[test]
fn a_single_point_of_failure_is_a_finding_before_anything_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = topology(folder.path(), &one_haproxy()).display().to_string();
    let words = ["single point of failure: tier haproxy has one node", "add a second node", "kill one(web)"];
    check(firedrill(&["plan", "--topology", &path]), 1, &words);
    check(firedrill(&["plan"]), 0, &["kill primary(postgres)", "not covered: tier periodic has one node"]);
}

#[test]
fn a_promise_that_cannot_be_kept_is_said_in_advance() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hasty.yaml");
    let strict = std::fs::read_to_string(root().join("fixtures/sla/strict.yaml")).expect("it is there");
    std::fs::write(&path, strict.replace("outage_max_ms: 15000", "outage_max_ms: 1000")).expect("a file");
    let words = ["impossible objective: recovery.outage_max_ms is 1000 ms", "FAILOVER_AFTER", "DOWN_AFTER_MS"];
    check(firedrill(&["plan", "--sla", &path.display().to_string()]), 1, &words);
}

#[test]
fn what_is_no_certificate_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("certificate.json");
    check(firedrill(&["verify", &path.display().to_string()]), 64, &["cannot be read"]);
    std::fs::write(&path, "{}").expect("a file");
    check(firedrill(&["verify", &path.display().to_string()]), 64, &["no certificate of this version"]);
    let nothing = folder.path().join("nothing.json").display().to_string();
    check(firedrill(&["certify", "--capacity", &nothing]), 64, &["nothing.json cannot be read", "firedrill capacity"]);
    check(firedrill(&["certify", "--forecast", "0"]), 64, &["a number above 0"]);
}

#[test]
fn a_malformed_drill_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let drill = |text: &str| {
        let path = folder.path().join("drill.yaml");
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let unknown_fault = drill("name: d\ntopology: pretix-ha\nsteps:\n- {fault: meteor, target: one(web)}\n");
    check(firedrill(&["run", &unknown_fault]), 64, &["drill.yaml:4:", "meteor", "kill"]);
    let unknown_tier = drill("name: d\ntopology: pretix-ha\nsteps:\n- {fault: kill, target: one(mainframe)}\n");
    check(firedrill(&["run", &unknown_tier]), 64, &["step 1", "one(mainframe)", "postgres", "nginx"]);
    let wrong_load = drill("name: d\ntopology: pretix-ha\nload: {rate_per_s: -1}\nsteps: []\n");
    check(firedrill(&["run", &wrong_load]), 64, &["rate_per_s is -1"]);
    let two = "{fault: pause, target: one(web)}\n- {fault: kill, target: one(web), overlap: true}";
    let two = drill(&format!("name: d\ntopology: pretix-ha\nsteps:\n- {two}\n"));
    check(firedrill(&["run", &two]), 64, &["drill.yaml:5:", "step 2", "cannot overlap pause"]);
    let no_disk = drill("name: d\ntopology: pretix-ha\nsteps:\n- {fault: disk-full, target: one(redis)}\n");
    check(firedrill(&["run", &no_disk]), 64, &["drill.yaml:4:", "disk_mb"]);
    let late = drill("name: d\ntopology: pretix-ha\nsteps:\n- {fault: kill, target: one(web), whole_deadline_ms: 9}\n");
    check(firedrill(&["run", &late]), 64, &["drill.yaml:4:", "shorter than any detection"]);
}

#[test]
fn no_engine_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = format!("unix://{}/no.sock", folder.path().display());
    for arguments in [["certify"].as_slice(), &["up"], &["doctor"], &["reap"]] {
        let mut command = firedrill(arguments);
        command.env("DOCKER_HOST", &nowhere).env("FIREDRILL_RUNS", folder.path());
        check(command, 3, &["no Docker engine answers", "DOCKER_HOST"]);
    }
}

#[test]
fn a_socket_without_permission_is_told_from_a_missing_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for (path, mode) in [(folder.path(), 0o755), (socket.as_path(), 0o000)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }
    // Root may do everything, so the command runs as nobody then, from a copy that nobody can read.
    let program = folder.path().join("firedrill");
    std::fs::copy(env!("CARGO_BIN_EXE_firedrill"), &program).expect("a copy");
    let mut command = Command::new(&program);
    command.arg("reap").current_dir(folder.path()).env("DOCKER_HOST", format!("unix://{}", socket.display()));
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        command.uid(65_534);
    }
    check(command, 3, &["refuses this user", "group docker"]);
}

#[test]
fn a_runs_folder_that_cannot_be_written_is_refused_before_anything_starts() {
    let mut command = firedrill(&["certify"]);
    command.env("FIREDRILL_RUNS", "/dev/null/runs");
    check(command, 3, &["/dev/null/runs cannot be written", "FIREDRILL_RUNS"]);
}

#[test]
fn runs_that_are_not_there_or_damaged_are_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    check(firedrill(&["check", &path]), 3, &["manifest.json"]);
    check(firedrill(&["report", &path]), 3, &["manifest.json"]);
    std::fs::write(folder.path().join("manifest.json"), "{}").expect("a file");
    check(firedrill(&["check", &path]), 3, &["manifest.json", "missing field"]);
}

#[test]
fn a_build_that_fails_says_which_step_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    std::fs::create_dir(&image).expect("a folder");
    let dockerfile = "FROM debian:bookworm-slim\nRUN echo about to fail && exit 7\n";
    std::fs::write(image.join("Dockerfile"), dockerfile).expect("a file");
    let compose = pretix_ha()
        .replace("image: firedrill/postgres", "image: firedrill-test/broken")
        .replace("../../fixtures/images/postgres", &image.display().to_string());
    let path = topology(folder.path(), &compose);
    let mut command = firedrill(&["certify", "--topology", &path.display().to_string()]);
    command.env("FIREDRILL_RUNS", folder.path().join("runs"));
    let _turn = engine();
    let before = labelled();
    check(command, 3, &["firedrill-test/broken: the build failed", "about to fail", "code: 7", "image/Dockerfile"]);
    assert_eq!(labelled(), before, "nothing is left behind");
}

#[test]
fn an_event_file_with_a_wrong_key_is_refused_by_its_path_before_the_migrations() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path();
    for part in ["topologies", "fixtures/sla", "fixtures/images"] {
        let from = root().join(part);
        std::fs::create_dir_all(home.join(part).parent().expect("a parent")).expect("folders");
        std::os::unix::fs::symlink(&from, home.join(part)).expect("a link");
    }
    std::fs::create_dir_all(home.join("fixtures/events")).expect("a folder");
    let events = std::fs::read_to_string(root().join("fixtures/events/pretix-ha.yaml")).expect("it is there");
    let wrong = events.replacen("currency: EUR", "curency: EUR", 1);
    std::fs::write(home.join("fixtures/events/pretix-ha.yaml"), wrong).expect("a file");
    let mut command = firedrill(&["certify"]);
    command.env("FIREDRILL_HOME", home).env("FIREDRILL_RUNS", home.join("runs"));
    let _turn = engine();
    let before = labelled();
    check(command, 64, &["events/pretix-ha.yaml", "events[0]", "curency"]);
    assert_eq!(labelled(), before, "nothing is left behind");
}

#[test]
fn a_node_that_ends_while_booting_is_named_with_its_last_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = topology(folder.path(), &pretix_ha().replace("NODE_ID: \"1\"", "NODE_ID: \"none\""));
    let mut command = firedrill(&["certify", "--topology", &path.display().to_string()]);
    command.env("FIREDRILL_RUNS", folder.path().join("runs"));
    let _turn = engine();
    let before = labelled();
    check(command, 3, &["pg1 ended with code", "its last lines", "NODE_ID"]);
    assert_eq!(labelled(), before, "nothing is left behind");
}

/// Starts `up`-like work that takes a while and waits until it has created something.
fn begun(folder: &Path, before: &[String]) -> std::process::Child {
    let mut command = firedrill(&["certify"]);
    command.env("FIREDRILL_RUNS", folder.join("runs")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(1_500);
    while labelled().len() < before.len() + 10 {
        assert!(Instant::now() < deadline, "nothing was created in 25 minutes: {:?}", labelled());
        std::thread::yield_now();
    }
    child
}

fn wait_until_gone(before: &[String], deadline: Duration) -> Duration {
    let begin = Instant::now();
    while labelled() != before {
        assert!(begin.elapsed() < deadline, "left after {deadline:?}: {:?}", labelled());
        std::thread::yield_now();
    }
    begin.elapsed()
}

#[test]
fn a_harness_that_is_killed_leaves_nothing_after_15_seconds() {
    let folder = tempfile::tempdir().expect("a folder");
    let _turn = engine();
    let before = labelled();
    let mut child = begun(folder.path(), &before);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ended");
    let took = wait_until_gone(&before, Duration::from_secs(15));
    println!("removed {:.1} s after SIGKILL", took.as_secs_f64());
}

#[test]
fn ctrl_c_while_booting_removes_everything_before_the_process_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let _turn = engine();
    let before = labelled();
    let mut child = begun(folder.path(), &before);
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let status = child.wait().expect("it ended");
    assert_eq!(status.code(), Some(3));
    assert_eq!(labelled(), before, "nothing is left behind");
}

fn volume(name: &str, owner: &str) {
    let labels = [format!("io.firedrill.run={name}"), format!("io.firedrill.owner={owner}")];
    let mut command = Command::new("docker");
    command.args(["volume", "create", "--label", &labels[0], "--label", &labels[1], name]).stdout(Stdio::null());
    assert!(command.status().expect("docker answers").success());
}

#[test]
fn reap_removes_what_dead_runs_left_and_nothing_else() {
    let _turn = engine();
    let before = labelled();
    let me = firedrill_engine::labels::this_process();
    // Process ids end at 4194304 on Linux, so nobody has this one.
    for (name, owner) in [("fd-test-dead", "4999999:1"), ("fd-test-living", &me), ("fd-test-kept", "up")] {
        volume(name, owner);
    }
    let text = check(firedrill(&["reap"]), 0, &["fd-test-dead"]);
    assert!(!text.contains("fd-test-living") && !text.contains("fd-test-kept"), "{text}");
    let left = labelled();
    assert!(!left.contains(&"fd-test-dead".to_owned()), "{left:?}");
    assert!(left.contains(&"fd-test-living".to_owned()) && left.contains(&"fd-test-kept".to_owned()), "{left:?}");
    check(firedrill(&["down", "fd-test-kept"]), 0, &["fd-test-kept"]);
    check(firedrill(&["down", "fd-test-living"]), 0, &["fd-test-living"]);
    check(firedrill(&["down", "fd-test-nobody"]), 64, &["there is no run fd-test-nobody"]);
    assert_eq!(labelled(), before, "nothing is left behind");
}
