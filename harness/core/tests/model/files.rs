//! Files that people write: agreements and drills, and what is said when they are wrong.

use firedrill_core::drill::Drill;
use firedrill_core::sla::Sla;
use firedrill_core::source::Source;
use std::path::Path;

const SLA: &str = "\
name: n
source: s
availability:
  normal_percent: 100
  peak_percent: 70
  peak_above_per_min: 50
response_time:
  max_ms: 50000
";

const DRILL: &str = "\
name: n
topology: t
load:
  rate_per_s: 3
steps:
  - fault: kill
    target: primary(postgres)
    repeat: 2
";

/// The message for the text with `from` replaced by `to`.
fn message<T>(
    parse: fn(&Source) -> Result<T, firedrill_core::source::SourceError>,
    text: &str,
    from: &str,
    to: &str,
) -> String {
    assert!(text.contains(from), "{from:?} is not in the text");
    match parse(&Source::new("file.yaml", text.replacen(from, to, 1))) {
        Ok(_) => panic!("{to:?} instead of {from:?} was accepted"),
        Err(error) => format!("{from:?} -> {to:?}\n    {error}"),
    }
}

#[test]
fn errors_of_agreements_name_file_line_and_column() {
    let cases = [
        ("name: n", "nam: n"),
        ("name: n\n", ""),
        ("  max_ms: 50000", "  max_ms: soon"),
        ("  max_ms: 50000", "  max_ms: 0"),
        ("  max_ms: 50000", "  max_ms: .nan"),
        ("  max_ms: 50000", "  max_ms: 50000\n  p50_ms: 3"),
        ("peak_percent: 70", "peak_percent: 101"),
        ("peak_percent: 70", "peak_percent: -1"),
        ("  peak_above_per_min: 50", "  peak_above_per_min: 0"),
        ("  max_ms: 50000", "  max_ms: 50000\nrecovery:\n  outage_max_ms: -1"),
        ("availability:", "availability: ["),
    ];
    let messages: Vec<String> = cases.iter().map(|(from, to)| message(Sla::parse, SLA, from, to)).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn errors_of_drills_name_file_line_and_column() {
    let cases = [
        ("topology: t", "topolgy: t"),
        ("fault: kill", "fault: explode"),
        ("primary(postgres)", "primary[postgres]"),
        ("repeat: 2", "repeat: 0"),
        ("repeat: 2", "repeat: 1001"),
        ("repeat: 2", "hold: 3"),
        ("repeat: 2", "whole_deadline_ms: 999"),
        ("repeat: 2", "restore_deadline_ms: 0"),
        ("repeat: 2", "overlap: true"),
        ("repeat: 2", "when: noon"),
        ("repeat: 2", "when: {at-ms: -3}"),
        ("fault: kill", "fault: {kill: {}}"),
        ("fault: kill", "fault: {delay: {delay_ms: 0}}"),
        ("fault: kill", "fault: {delay: {delay_ms: 10, jitter_ms: 11}}"),
        ("fault: kill", "fault: {delay: {delai_ms: 10}}"),
        ("fault: kill", "fault: {delay: {}, loss: {}}"),
        ("fault: kill", "fault: {loss: {percent: 101}}"),
        ("fault: kill", "fault: {partition: {traffic: {peers: [all(web), 3]}}}"),
        ("fault: kill", "fault: {clock-skew: {offset_s: 0}}"),
        ("fault: kill", "fault: {redis-sleep: {sleep_ms: 1000}}\n    hold_ms: 2000"),
        ("fault: kill", "fault: [kill]"),
        ("fault: kill", "fault: {}"),
        ("rate_per_s: 3", "rate_per_s: -1"),
        ("rate_per_s: 3", "rate_per_s: .nan"),
        ("rate_per_s: 3", "buyers: 0"),
        ("rate_per_s: 3", "patience_ms: 0"),
        ("rate_per_s: 3", "users: 3"),
    ];
    let messages: Vec<String> = cases.iter().map(|(from, to)| message(Drill::parse, DRILL, from, to)).collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn repetitions_are_expanded_in_order() {
    let drill = Drill::parse(&Source::new("d", DRILL)).unwrap();
    assert_eq!(drill.schedule().count(), 2);
    assert_eq!(drill.sla, "gic-2020", "the agreement that applies where a drill names none");
}

#[test]
fn every_agreement_of_the_repository_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sla");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let sla = Sla::parse(&Source::new(path.display().to_string(), text)).unwrap();
        assert_eq!(
            Some(sla.name.as_str()),
            path.file_stem().and_then(|stem| stem.to_str()),
            "a file is named after its agreement"
        );
        names.push(sla.name);
    }
    assert!(names.contains(&"gic-2020".to_owned()) && names.contains(&"strict".to_owned()), "{names:?}");
}

#[test]
fn the_agreement_of_2020_is_what_was_promised() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sla/gic-2020.yaml");
    let sla = Sla::parse(&Source::new("gic-2020.yaml", std::fs::read_to_string(path).unwrap())).unwrap();
    let share = sla.availability;
    assert_eq!((share.normal_percent, share.peak_percent, share.peak_above_per_min), (100.0, 70.0, 50.0));
    assert_eq!((sla.response_time.max_ms, sla.response_time.steady_p99_ms), (50_000.0, None));
    assert_eq!((sla.recovery.outage_max_ms, sla.recovery.whole_max_ms), (None, None));
}
