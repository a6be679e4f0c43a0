//! What all suites on `pretix-ha` have in common, whether they share its stack or boot their own.

use firedrill_core::sla::Sla;
use firedrill_core::source::Source;
use firedrill_engine::progress::Progress;
use firedrill_runner::SessionOptions;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How its stack is booted.
pub(crate) fn options() -> SessionOptions {
    SessionOptions {
        topology_folder: root().join("topologies/pretix-ha"),
        events: root().join("fixtures/events/pretix-ha.yaml"),
        journeys: root().join("fixtures/journeys"),
        runs: root().join("runs"),
        guard_program: Some(env!("CARGO_BIN_EXE_firedrill").into()),
    }
}

/// An agreement of `fixtures/sla`.
pub(crate) fn agreement(name: &str) -> Sla {
    let path: PathBuf = root().join("fixtures/sla").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&path).expect("the agreement is there");
    Sla::parse(&Source::new(path.display().to_string(), text)).expect("the agreement is valid")
}

/// Progress goes to the test's captured output.
pub(crate) struct ToTestOutput;

impl Progress for ToTestOutput {
    fn begin(&self, task: &str) {
        println!("{task} ...");
    }

    fn update(&self, task: &str, text: &str) {
        if task == "boot" {
            println!("{task}: {text}");
        }
    }

    fn end(&self, task: &str, note: &str) {
        println!("{task}: {note}");
    }

    fn note(&self, text: &str) {
        println!("note: {text}");
    }
}
