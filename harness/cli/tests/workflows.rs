//! The example workflows of the documentation, walked night after night as their servers walk them: every command of
//! them is run by a shell in a workspace, with the caches and artifacts that they ask for.
//!
//! Only what builds and what certifies is stood in for: `cargo` does nothing, and `certify` puts the run of that night
//! where it would have put it and ends as it would have ended.

use crate::support::root;
use crate::trend::night;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A night, and what the job must come to.
struct Night {
    name: &'static str,
    conclusion: &'static str,
    /// How `certify` ends.
    exit: i32,
    /// Whether the job is green.
    passes: bool,
    /// What people must be told.
    words: &'static [&'static str],
}

/// The last night, before which a quarter of a year has gone by.
const LAST: &str = "13";

/// Two good nights, one on which the stack broke its agreement, one that could not be run, and a good one.
const NIGHTS: [Night; 5] = [
    Night { name: "10", conclusion: "certified", exit: 0, passes: true, words: &["run 10 in short"] },
    Night { name: "11", conclusion: "certified", exit: 0, passes: true, words: &["run 11 in short", "too few"] },
    Night {
        name: "12",
        conclusion: "violated",
        exit: 1,
        passes: false,
        words: &["run 12 in short", "conclusion graver", "no sale for too long"],
    },
    Night { name: "", conclusion: "", exit: 3, passes: false, words: &[] },
    Night { name: LAST, conclusion: "certified", exit: 0, passes: true, words: &["run 13 in short"] },
];

/// How many nights the examples keep: a quarter of a year.
const KEPT: usize = 90;

/// A machine on which jobs run: what outlives a job, and the workspace of one.
struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let server = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir_all(server.path("cache/before")).expect("a folder");
        server.program("bin/cargo", "exit 0");
        server
    }

    /// As many nights of before as are kept.
    fn grow_old(&self) {
        for number in 0..KEPT {
            night(&self.path("cache/before"), &format!("{:02}-{number:02}", 1 + number / 24), 8_000, "certified");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    }

    /// A workspace as it is checked out, with the verdicts of the nights before and a `certify` that does what it did
    /// that night.
    fn check_out(&self, tonight: &Night) {
        let workspace = self.path("workspace");
        if workspace.exists() {
            std::fs::remove_dir_all(&workspace).expect("it can be removed");
        }
        let run = self.path("tonight").join(tonight.name);
        if !tonight.name.is_empty() {
            night(&self.path("tonight"), tonight.name, 8_000, tonight.conclusion);
            let summary = format!("run {} in short\n", tonight.name);
            std::fs::write(run.join("summary.md"), summary).expect("a file");
        }
        let keep = format!("mkdir -p \"$FIREDRILL_RUNS\" && cp -r {} \"$FIREDRILL_RUNS\"", run.display());
        let keep = if tonight.name.is_empty() { ":" } else { &keep };
        let real = env!("CARGO_BIN_EXE_firedrill");
        let script = format!(
            "case $1 in\n  certify) {keep}; exit {} ;;\n  doctor) exit 0 ;;\n  *) exec {real} \"$@\" ;;\nesac",
            tonight.exit
        );
        self.program("workspace/target/release/firedrill", &script);
        self.copy("cache/before", "workspace/runs/before");
    }

    /// Copies a folder, if it is there, over another one.
    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.path(from), self.path(to));
        if from.exists() {
            std::fs::create_dir_all(&to).expect("a folder");
            let copied = Command::new("cp").arg("-rT").args([from, to]).status().expect("cp is there");
            assert!(copied.success());
        }
    }

    /// The newest state of the cache takes the place of the one before.
    fn keep_before(&self) {
        std::fs::remove_dir_all(self.path("cache/before")).ok();
        self.copy("workspace/runs/before", "cache/before");
    }

    /// One script in the workspace, by a shell with these options.
    fn shell(&self, options: &[&str], script: &str) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").expect("there is one"));
        let mut command = Command::new("bash");
        command.args(options).args(["-c", script]).current_dir(self.path("workspace")).env("PATH", path);
        command.env("FIREDRILL_HOME", root()).env("CI", "true").env("FIREDRILL_RUNS", "runs/new");
        command.env("GITHUB_STEP_SUMMARY", self.path("workspace/step_summary.md"));
        command.output().expect("there is a bash")
    }

    /// The verdicts that the next night will find.
    fn nights_kept(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("cache/before")).expect("the cache");
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn example(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("docs/examples").join(name)).expect("the example is there");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn lines(value: &Value) -> String {
    let lines: Vec<&str> = value.as_array().expect("a list of commands").iter().map(text).collect();
    assert!(!lines.is_empty());
    lines.join("\n")
}

/// What a job said, and whether it is green.
#[derive(Default)]
struct Job {
    failed: bool,
    said: String,
}

impl Job {
    fn take(&mut self, output: &Output) {
        self.said += &crate::support::text(output);
    }
}

/// As GitHub does: every step by `bash -e`, and after a failure only those that are to be done always.
fn github(server: &Server, workflow: &Value) -> Job {
    assert_eq!(text(&workflow["env"]["FIREDRILL_RUNS"]), "runs/new");
    let mut job = Job::default();
    for step in workflow["jobs"]["nightly"]["steps"].as_array().expect("steps") {
        if job.failed && text(&step["if"]) != "always()" {
            continue;
        }
        let with = &step["with"];
        match text(&step["uses"]).split('@').next().unwrap_or_default() {
            "" => {
                let output = server.shell(&["-e"], text(&step["run"]));
                job.failed |= !output.status.success();
                job.take(&output);
            }
            "actions/cache/save" => {
                assert_eq!(text(&with["path"]), "runs/before");
                server.keep_before();
            }
            "actions/cache/restore" => assert_eq!(text(&with["path"]), "runs/before"),
            "actions/upload-artifact" => {
                let path = server.path("workspace").join(text(&with["path"]));
                assert!(path.exists() || text(&with["if-no-files-found"]) == "ignore", "{}", path.display());
            }
            "actions/checkout" | "actions/cache" => {}
            other => panic!("what is {other}?"),
        }
    }
    let summary = std::fs::read_to_string(server.path("workspace/step_summary.md")).unwrap_or_default();
    job.said += &summary;
    job
}

/// The options of GitLab's shell: the first failure ends a script.
const STRICT: [&str; 2] = ["-eo", "pipefail"];

/// As GitLab does: the script in one shell, and what comes after it in another one, whose failure does not count.
fn gitlab(server: &Server, pipeline: &Value) -> Job {
    let definition = &pipeline["nightly"];
    assert_eq!(text(&definition["variables"]["FIREDRILL_RUNS"]), "runs/new");
    let mut job = Job::default();
    let script = server.shell(&STRICT, &lines(&definition["script"]));
    job.failed = !script.status.success();
    job.take(&script);
    let after = server.shell(&STRICT, &lines(&definition["after_script"]));
    job.take(&after);
    let caches = definition["cache"].as_array().expect("caches");
    let verdicts = caches.iter().find(|cache| cache["paths"][0] == "runs/before").expect("one of verdicts");
    assert!(!job.failed || verdicts["when"] == "always", "a night that failed is one of the nights before");
    server.keep_before();
    if let Ok(quality) = std::fs::read_to_string(server.path("workspace/codequality.json")) {
        assert!(serde_json::from_str::<Value>(&quality).is_ok_and(|quality| quality.is_array()), "{quality:?}");
        job.said += &quality;
    }
    let summaries = std::fs::read_dir(server.path("workspace/runs/new")).into_iter().flatten().flatten();
    for run in summaries {
        job.said += &std::fs::read_to_string(run.path().join("summary.md")).unwrap_or_default();
    }
    job
}

/// Walks all nights, and says what each came to.
fn walk(name: &str, run: fn(&Server, &Value) -> Job) {
    let workflow = example(name);
    let server = Server::new();
    let mut known = 0;
    for tonight in &NIGHTS {
        if tonight.name == LAST {
            server.grow_old();
            known += KEPT;
        }
        known += usize::from(!tonight.name.is_empty());
        server.check_out(tonight);
        let job = run(&server, &workflow);
        let night = tonight.name;
        assert_eq!(!job.failed, tonight.passes, "{name}, night {night:?}:\n{}", job.said);
        for word in tonight.words {
            assert!(
                job.said.to_lowercase().contains(word),
                "{name}, night {night:?}: {word:?} is missing in:\n{}",
                job.said
            );
        }
        let history = server.path("workspace/history.html");
        assert!(is_page(&history), "{name}, night {night:?}: no history:\n{}", job.said);
        let kept = server.nights_kept();
        assert_eq!(kept.len(), known.min(KEPT), "{name}, night {night:?}: {kept:?}");
        assert!(night.is_empty() || kept.iter().any(|name| name == night), "{name}, night {night:?}: {kept:?}");
    }
}

fn is_page(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|page| page.contains("</html>"))
}

#[test]
fn the_workflow_of_github_does_what_it_says_night_after_night() {
    walk("nightly.github.yml", github);
}

#[test]
fn the_pipeline_of_gitlab_does_what_it_says_night_after_night() {
    walk("nightly.gitlab-ci.yml", gitlab);
}
