//! A certification whose stack does not become whole in time: it is marked, removed, and booted anew, the rest of the
//! drill is done on the new one, and the certificate is refused for it.

#[path = "../common.rs"]
mod common;

use common::{ToTestOutput, agreement, options};
use firedrill_core::certificate::{Certificate, Commission, Sizing};
use firedrill_core::drill::matrix::Profile;
use firedrill_core::drill::{Drill, Load, Step};
use firedrill_core::fault::{Fault, Target};
use firedrill_core::verdict::{Conclusion, Judgement};
use firedrill_runner::rundir::new_run_id;
use firedrill_runner::{CertificateDir, Certified, Certifier};
use std::process::Command;
use std::time::Duration;
use tokio::sync::watch;

/// A database that lost its primary needs several seconds until its old primary streams again: it is given one.
fn commission() -> Commission {
    let impatient = Step::new(Fault::Kill, Target::primary("postgres")).whole_within(Duration::from_secs(1));
    let web = Step::new(Fault::Kill, Target::one("web"));
    let load = Load::default();
    let drill = |name: &str| Drill::new(name, "pretix-ha").load(load.clone());
    Commission {
        id: new_run_id(),
        profile: Profile::Nightly,
        topology: "pretix-ha".to_owned(),
        started: "2026-11-21T00:00:00Z".to_owned(),
        valid_days: 1,
        seed: 2020,
        replay: "cargo test --test certification".to_owned(),
        sla: agreement("gic-2020"),
        sizing: Sizing {
            rate_per_s: load.rate_per_s,
            why: "the usual".to_owned(),
            capacity_per_s: None,
            capacity_from: None,
            forecast_per_min: None,
        },
        drills: vec![drill("impatient").step(impatient).step(web)],
        gaps: Vec::new(),
        objections: Vec::new(),
    }
}

#[test]
fn a_stack_that_is_not_whole_in_time_is_booted_anew_and_that_is_a_finding() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_keep, interrupt) = watch::channel(false);
    let certifier =
        Certifier { options: options(), commission: commission(), measure: None, interrupt, progress: &ToTestOutput };
    let certified = runtime.block_on(certifier.run());
    let Certified { dir, certificate, left } = certified.unwrap_or_else(|error| panic!("it cannot be run: {error}"));
    let text = firedrill_reports::certificate::text(&certificate, 100);
    assert_eq!(left, Vec::<String>::new(), "{text}");
    refused_for_the_right_reason(&certificate, &text);
    stored_and_judged_again(&dir, &certificate);
    programs_say_the_same(&dir);
}

fn refused_for_the_right_reason(certificate: &Certificate, text: &str) {
    assert_eq!(certificate.conclusion, Conclusion::Violated, "{text}");
    let names: Vec<&str> = certificate.drills.iter().map(|drill| drill.drill.as_str()).collect();
    assert_eq!(names, ["impatient", "impatient-continued"], "{text}");
    let cells: Vec<(&str, u32, u32, Judgement)> = certificate
        .matrix
        .iter()
        .map(|cell| (cell.tier.as_str(), cell.planned, cell.executed, cell.judgement))
        .collect();
    assert_eq!(cells, [("postgres", 1, 1, Judgement::Fail), ("web", 1, 1, Judgement::Pass)], "{text}");
    assert!(certificate.reasons[0].contains("not whole and was booted anew"), "{text}");
    assert_eq!(certificate.totals.lost, 0, "{text}");
}

fn stored_and_judged_again(dir: &CertificateDir, certificate: &Certificate) {
    let again = CertificateDir::open(dir.path()).expect("it is stored").conclude(None).expect("it can be judged again");
    assert_eq!(&again.certificate, certificate);
    for file in ["certificate.json", "report.html", "summary.md", "junit.xml", "metrics.txt"] {
        let size = std::fs::metadata(dir.path().join(file)).map(|file| file.len());
        assert!(size.as_ref().is_ok_and(|size| *size > 0), "{file}: {size:?}");
    }
}

fn programs_say_the_same(dir: &CertificateDir) {
    let path = dir.path().display().to_string();
    let ends = |arguments: &[&str], code: i32, word: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_firedrill")).args(arguments).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(word), "{word:?} is missing in:\n{text}");
        text
    };
    ends(&["check", &path], 1, "booted anew");
    ends(&["report", &path], 0, "report.html");
    let text = ends(&["verify", &path, "--topology", "pretix-ha"], 1, "never granted");
    assert_eq!(text.matches("void: ").count(), 1, "nothing has drifted since it was booted:\n{text}");
    let history = dir.path().join("drills/01-impatient/history.fdh");
    let mut bytes = std::fs::read(&history).expect("a history");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&history, bytes).expect("it can be written");
    ends(&["verify", &path, "--topology", "pretix-ha"], 1, "drills/01-impatient: its history was changed");
    ends(&["check", &path], 1, "drills/01-impatient: its history was changed since");
}
