//! What tests of the program share: how it is started, and what the engine has of its runs.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tests that count what the engine has take turns: each would see what another one creates.
static ENGINE: Mutex<()> = Mutex::new(());

pub(crate) fn engine() -> MutexGuard<'static, ()> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn firedrill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
    command.args(arguments).env("CI", "true").env("FIREDRILL_HOME", root()).stdin(Stdio::null());
    command
}

/// Runs a command that must end with this code and say all of these words.
pub(crate) fn check(mut command: Command, code: i32, words: &[&str]) -> String {
    let output = command.output().expect("the program starts");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
    }
    text
}

pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

/// Containers, networks and volumes of all runs but those of a stack that somebody else has up now.
pub(crate) fn labelled() -> Vec<String> {
    let kinds: [&[&str]; 3] = [
        &["ps", "-a", "--format", "{{.Names}}"],
        &["network", "ls", "--format", "{{.Name}}"],
        &["volume", "ls", "--format", "{{.Name}}"],
    ];
    let mut found = Vec::new();
    for kind in kinds {
        let output = Command::new("docker").args(kind).args(["--filter", "label=io.firedrill.run"]).output();
        let output = output.expect("docker answers");
        found.extend(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned));
    }
    found.sort();
    found
}
