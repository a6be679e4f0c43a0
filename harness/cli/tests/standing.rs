//! Drills on a stack that stays: it is left as it was, whatever becomes of the harness.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{check, engine, firedrill, labelled, root};

/// How long the guard may take.
const GUARD_DEADLINE: Duration = Duration::from_secs(15);

/// A booted topology `cache`, with a folder for its runs; removed when dropped.
struct Cache {
    folder: tempfile::TempDir,
    run: String,
}

impl Cache {
    fn up() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let topology = root().join("fixtures/topologies/cache").display().to_string();
        let text = check(in_folder(folder.path(), &["up", "--topology", &topology]), 0, &[" is up:"]);
        let line = text.lines().find(|line| line.ends_with(" is up:")).expect("a line with the run");
        let run = line.trim_end_matches(" is up:").to_owned();
        Self { folder, run }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        in_folder(self.folder.path(), arguments)
    }

    /// A drill file with these steps, without buyers.
    fn drill(&self, steps: &str) -> String {
        let path = self.folder.path().join("drill.yaml");
        let text = format!("name: d\ntopology: cache\nload: {{rate_per_s: 0}}\nsteps:\n{steps}");
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    fn drill_on(&self, steps: &str) -> Command {
        self.command(&["run", &self.drill(steps), "--on", &self.run])
    }

    fn undo_folder(&self) -> PathBuf {
        self.folder.path().join(".stacks").join(format!("{}.undo", self.run))
    }

    fn records(&self) -> usize {
        let entries = std::fs::read_dir(self.undo_folder()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json")).count()
    }

    fn inspect(&self, node: &str, format: &str) -> String {
        let container = format!("fd-{}-{node}", self.run);
        let output = Command::new("docker").args(["inspect", "-f", format, &container]).output();
        String::from_utf8_lossy(&output.expect("docker answers").stdout).trim().to_owned()
    }

    fn helpers(&self) -> usize {
        labelled().iter().filter(|name| name.contains(&self.run) && name.contains("toolbox")).count()
    }

    /// What the faults of these tests change, as the engine shows it.
    fn disturbed(&self) -> Vec<String> {
        let mut found = Vec::new();
        let paused = self.inspect("sentinel1", "{{.State.Paused}}");
        let limit = self.inspect("redis1", "{{.HostConfig.NanoCpus}} {{.HostConfig.CpuQuota}}");
        let (records, helpers) = (self.records(), self.helpers());
        let looks = [
            (paused != "false", format!("sentinel1 paused: {paused}")),
            (!matches!(limit.as_str(), "0 0" | "0 -1"), format!("redis1 CPU: {limit}")),
            (records > 0, format!("{records} undo records")),
            (helpers > 0, format!("{helpers} helper containers")),
        ];
        found.extend(looks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text));
        found
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.command(&["down", &self.run]).output();
    }
}

fn in_folder(runs: &Path, arguments: &[&str]) -> Command {
    let mut command = firedrill(arguments);
    command.env("FIREDRILL_RUNS", runs);
    command
}

fn started(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Looks until it is true; panics with the last state otherwise.
fn wait_for(what: &str, deadline: Duration, look: impl Fn() -> Result<(), String>) -> Duration {
    let begin = Instant::now();
    loop {
        match look() {
            Ok(()) => return begin.elapsed(),
            Err(state) => assert!(begin.elapsed() < deadline, "{what} within {deadline:?}: {state}"),
        }
        std::thread::yield_now();
    }
}

fn wait_undisturbed(cache: &Cache) -> Duration {
    wait_for("nothing is left", GUARD_DEADLINE, || {
        let disturbed = cache.disturbed();
        if disturbed.is_empty() { Ok(()) } else { Err(disturbed.join("; ")) }
    })
}

/// A pause, a CPU limit and a partition in force together for a long time.
const IN_FORCE: &str = "  - {fault: pause, target: node(sentinel1), hold_ms: 60000}
  - {fault: {cpu-quota: {cores: 0.5}}, target: node(redis1), overlap: true}
  - {fault: {partition: {traffic: {peers: [node(redis1)]}}}, target: node(redis2), overlap: true}
";

/// A drill with all of them in force.
fn in_force(cache: &Cache) -> Child {
    let child = started(cache.drill_on(IN_FORCE));
    wait_for("all faults are in force", Duration::from_secs(60), || {
        let state = (cache.records(), cache.inspect("sentinel1", "{{.State.Paused}}"), cache.helpers());
        if state == (3, "true".to_owned(), 1) { Ok(()) } else { Err(format!("{state:?}")) }
    });
    child
}

#[test]
fn a_drill_leaves_the_stack_standing_and_as_it_was() {
    let _engine = engine();
    let cache = Cache::up();
    let started = cache.inspect("redis1", "{{.State.StartedAt}}");
    // Nobody buys: nothing can be said about sales, and that is no pass.
    let steps = "  - {fault: pause, target: node(redis2), hold_ms: 500}\n";
    check(cache.drill_on(steps), 2, &["INCONCLUSIVE", "nobody bought"]);
    assert_eq!(cache.inspect("redis1", "{{.State.StartedAt}}"), started, "it is the same stack");
    assert_eq!(cache.disturbed(), Vec::<String>::new());
}

#[test]
fn a_killed_harness_leaves_no_fault_on_a_stack_that_stays() {
    let _engine = engine();
    let cache = Cache::up();
    let mut harness = in_force(&cache);
    harness.kill().expect("killed");
    harness.wait().expect("it ends");
    let took = wait_undisturbed(&cache);
    println!("undone after {took:?}");
    // The next drill finds a stack that is whole.
    check(cache.drill_on("  - {fault: kill, target: node(redis2), hold_ms: 100}\n"), 2, &["INCONCLUSIVE"]);
}

#[test]
fn ctrl_c_undoes_everything_before_the_process_ends() {
    let _engine = engine();
    let cache = Cache::up();
    let mut harness = in_force(&cache);
    let pid = rustix::process::Pid::from_child(&harness);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
    assert_eq!(harness.wait().expect("it ends").code(), Some(2), "interrupted is inconclusive");
    assert_eq!(cache.disturbed(), Vec::<String>::new());
}

#[test]
fn reap_undoes_when_harness_and_guard_are_both_killed() {
    let _engine = engine();
    let cache = Cache::up();
    let mut harness = in_force(&cache);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", harness.id())).expect("readable");
    let guard: i32 = children.split_whitespace().next().expect("the guard").parse().expect("a number");
    let guard = rustix::process::Pid::from_raw(guard).expect("a process");
    rustix::process::kill_process(guard, rustix::process::Signal::KILL).expect("killed");
    harness.kill().expect("killed");
    harness.wait().expect("it ends");
    assert!(cache.records() > 0, "nobody is there to undo");
    check(cache.command(&["reap"]), 0, &["undone pause", "undone cpu-quota", "undone partition"]);
    wait_undisturbed(&cache);
}

#[test]
fn what_stays_on_a_node_ends_with_its_own_code() {
    let _engine = engine();
    let cache = Cache::up();
    let container = format!("fd-{}-sentinel1", cache.run);
    let limited =
        Command::new("docker").args(["update", "--memory", "512m", "--memory-swap", "-1", &container]).output();
    let limited = limited.expect("docker answers");
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
    let steps = "  - {fault: pause, target: node(redis2), hold_ms: 100}\n";
    check(cache.drill_on(steps), 4, &["left something on the nodes", "sentinel1: memory limit 536870912"]);
}

#[test]
fn only_one_drills_a_stack_and_only_one_that_stands() {
    let _engine = engine();
    let cache = Cache::up();
    let mut harness = in_force(&cache);
    let steps = "  - {fault: pause, target: node(redis2)}\n";
    check(cache.drill_on(steps), 64, &["another process drills the stack"]);
    let drill = cache.drill(steps);
    check(cache.command(&["run", &drill, "--on", "nobody"]), 64, &["there is no standing stack nobody", &cache.run]);
    harness.kill().expect("killed");
    harness.wait().expect("it ends");
    wait_undisturbed(&cache);
}
