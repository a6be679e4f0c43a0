//! Folders of many runs: what is read of them, and what is named and left out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use firedrill_core::verdict::{Conclusion, Totals, VERDICT_VERSION, Verdict};
use firedrill_runner::{Archive, ArchiveError};
use std::fs;
use std::path::Path;

fn verdict(drill: &str) -> String {
    let verdict = Verdict {
        version: VERDICT_VERSION,
        run: drill.into(),
        topology: "ha".to_owned(),
        drill: drill.to_owned(),
        seed: 1,
        started: "2026-03-01T00:00:00Z".to_owned(),
        sla: "s".to_owned(),
        conclusion: Conclusion::Certified,
        reasons: Vec::new(),
        totals: Totals::default(),
        steps: Vec::new(),
        checks: Vec::new(),
    };
    serde_json::to_string(&verdict).unwrap()
}

fn put(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Names of runs with their drills, and of what is left out.
fn seen(archive: &Archive) -> (Vec<String>, Vec<String>) {
    let drills = |run: &firedrill_core::trend::Run| {
        run.verdicts.iter().map(|verdict| verdict.drill.clone()).collect::<Vec<_>>().join("+")
    };
    let runs = archive.runs.iter().map(|run| format!("{}: {}", run.name, drills(run))).collect();
    let name = |folder: &str| Path::new(folder).file_name().unwrap().to_string_lossy().into_owned();
    (runs, archive.left_out.iter().map(|left| format!("{}: {}", name(&left.folder), left.why)).collect())
}

#[test]
fn runs_and_certifications_are_read_and_the_rest_is_named() {
    let runs = tempfile::tempdir().unwrap();
    let at = |path: &str| runs.path().join(path);
    put(&at("r1"), "verdict.json", &verdict("smoke"));
    put(&at("r2"), "certificate.json", "{}");
    put(&at("r2"), "drills/a/verdict.json", &verdict("a"));
    put(&at("r2"), "drills/b/verdict.json", &verdict("b"));
    put(&at("r2"), "drills/c/history.fdh", "");
    // Over all drills: its faults would count twice.
    put(&at("r2"), "verdict.json", &verdict("all"));
    put(&at("r3"), "drills/a/verdict.json", &verdict("a"));
    put(&at("r3"), "drills/b/verdict.json", "{\"version\":");
    put(&at("r4"), "manifest.json", "{}");
    put(&at("r5"), "verdict.json", &verdict("smoke").replacen(":1,", ":7,", 1));
    put(&at("r6"), "verdict.json", "{\"version\": 1, \"run\": 3}");
    put(&at("r7"), "verdict.json", "\u{0}\u{1}");
    put(&at(".stacks"), "verdict.json", &verdict("hidden"));
    put(&at("notes"), "README", "");
    put(runs.path(), "history.html", "");
    let archive = Archive::read(&[runs.path().to_path_buf()]).unwrap();
    let (found, left_out) = seen(&archive);
    assert_eq!(found, ["r1: smoke", "r2: a+b", "r3: a"]);
    let wanted = ["b: verdict.json is not", "r4: it has no", "r5: verdict.json has version 7", "r6: ", "r7: "];
    assert_eq!(left_out.len(), wanted.len(), "{left_out:?}");
    for (left, wanted) in left_out.iter().zip(wanted) {
        assert!(left.starts_with(wanted), "{left:?} instead of {wanted:?}");
    }
}

#[test]
fn folders_are_named_one_by_one_or_together_and_no_run_counts_twice() {
    let runs = tempfile::tempdir().unwrap();
    for name in ["r1", "r2", "r3"] {
        put(&runs.path().join(name), "verdict.json", &verdict(name));
    }
    #[track_caller]
    fn check(runs: &Path, folders: &[&str], wanted: &[&str]) {
        let folders: Vec<_> = folders.iter().map(|folder| runs.join(folder)).collect();
        let names: Vec<String> = Archive::read(&folders).unwrap().runs.into_iter().map(|run| run.name).collect();
        assert_eq!(names, wanted);
    }
    check(runs.path(), &["r2"], &["r2"]);
    check(runs.path(), &["r3", "r1"], &["r1", "r3"]);
    check(runs.path(), &["", "r1", "r2/../r2"], &["r1", "r2", "r3"]);
    let mut all = Archive::read(&[runs.path().to_path_buf()]).unwrap();
    let newest = Archive::read(&[runs.path().join("r3")]).unwrap();
    assert_eq!(all.without(&newest), ["r3"]);
    assert_eq!(all.runs.len(), 2);
}

#[test]
fn a_path_that_is_no_folder_is_an_error() {
    let runs = tempfile::tempdir().unwrap();
    put(runs.path(), "file", "");
    for path in ["file", "nowhere"] {
        let ArchiveError::Folder { path: named, .. } = Archive::read(&[runs.path().join(path)]).unwrap_err();
        assert!(named.ends_with(path));
    }
    assert!(Archive::read(&[runs.path().to_path_buf()]).unwrap().runs.is_empty());
}
