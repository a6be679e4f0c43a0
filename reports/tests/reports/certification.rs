//! Certifications that were made up: a good one, a refused one, one of which nothing was run.

use crate::html::EVIL;
use crate::{fixture, load};
use firedrill_core::certificate::{After, Certificate, Commission, Ending, Objection, Part, Sizing};
use firedrill_core::drill::matrix::Profile;
use firedrill_core::drill::profile::Gap;
use firedrill_core::drill::{Drill, Step};
use firedrill_core::fault::Fault;
use firedrill_core::history::{At, History};
use firedrill_core::ids::StepId;
use firedrill_core::manifest::Manifest;
use firedrill_core::verdict::{Finding, Judgement, StepVerdict, Verdict, conclude};
use firedrill_reports::{CertificateInput, LogLine, ReportInput, certificate};

/// A certification with everything that its page is made of.
pub(crate) struct Certification {
    pub(crate) commission: Commission,
    pub(crate) parts: Vec<Part>,
    pub(crate) ending: Ending,
    pub(crate) certificate: Certificate,
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) manifest: Manifest,
    pub(crate) history: History,
    pub(crate) logs: Vec<LogLine>,
}

impl Certification {
    fn of(commission: Commission, verdicts: Vec<Verdict>) -> Self {
        let ending = Ending {
            finished: "2026-03-01T10:05:00Z".to_owned(),
            valid_until: "2026-03-31T10:05:00Z".to_owned(),
            early: None,
        };
        let part = |verdict: &Verdict| Part {
            folder: format!("drills/{}", verdict.drill),
            verdict: verdict.clone(),
            manifest: fixture::manifest(),
            history_sha256: "ab12cd34".repeat(8),
            after: After::default(),
        };
        let parts: Vec<Part> = verdicts.iter().map(part).collect();
        Self {
            certificate: Certificate::conclude(&commission, &parts, &ending),
            commission,
            parts,
            ending,
            verdicts,
            manifest: fixture::manifest(),
            history: load::history(2_200, 50_000),
            logs: fixture::logs(),
        }
    }

    /// Changes the commission and concludes again.
    pub(crate) fn conclude(&mut self, change: impl FnOnce(&mut Commission)) {
        change(&mut self.commission);
        self.certificate = Certificate::conclude(&self.commission, &self.parts, &self.ending);
    }

    /// Its page.
    pub(crate) fn html(&self) -> String {
        let input = |verdict| ReportInput {
            verdict,
            manifest: &self.manifest,
            history: &self.history,
            one_in: 1,
            log_excerpts: &self.logs,
        };
        let drills: Vec<ReportInput<'_>> = self.verdicts.iter().map(input).collect();
        certificate::html(&CertificateInput { certificate: &self.certificate, drills: &drills }).expect("renders")
    }
}

fn step(fault: &str, target: &str, repeat: u32) -> Step {
    let fault = Fault::all().find(|known| known.name() == fault).expect("a fault of the catalogue");
    Step::new(fault, target.parse().expect("a target")).repeat(repeat)
}

fn drill(name: &str, steps: Vec<Step>) -> Drill {
    Drill { steps, ..Drill::new(name, "ha") }
}

fn commission(drills: Vec<Drill>) -> Commission {
    Commission {
        id: "2026-03-01-nightly-7".into(),
        profile: Profile::Nightly,
        topology: "ha".to_owned(),
        started: "2026-03-01T09:30:00Z".to_owned(),
        valid_days: 30,
        seed: 7,
        replay: "firedrill certify --topology ha --profile nightly --sla tender-2026 --seed 7".to_owned(),
        sla: fixture::manifest().sla,
        sizing: Sizing {
            rate_per_s: 20.0,
            why: "half of what the stack sustains, so that a loss of half its nodes is no overload".to_owned(),
            capacity_per_s: Some(40.0),
            capacity_from: Some("run 2026-02-27-capacity-1".to_owned()),
            forecast_per_min: Some(1_500.0),
        },
        drills,
        gaps: vec![
            Gap {
                what: "tier lb has one node and is not killed".to_owned(),
                why: "the provider's balancer stands for it".to_owned(),
            },
            Gap { what: "clock-skew one(web)".to_owned(), why: "Python's sleep cannot be skewed".to_owned() },
        ],
        objections: Vec::new(),
    }
}

fn kill() -> Drill {
    drill("nightly-kill", vec![step("kill", "primary(postgres)", 1), step("kill", "one(web)", 1)])
}

fn pause() -> Drill {
    drill("nightly-pause", vec![step("pause", "primary(postgres)", 2)])
}

fn named(mut verdict: Verdict, drill: &str) -> Verdict {
    verdict.run = format!("2026-03-01-{drill}-7").as_str().into();
    drill.clone_into(&mut verdict.drill);
    verdict
}

/// The same run had everything held.
fn passed(mut verdict: Verdict) -> Verdict {
    for check in &mut verdict.checks {
        check.judgement = Judgement::Pass;
        check.findings.clear();
    }
    for step in &mut verdict.steps {
        step.judgement = Judgement::Pass;
        step.reasons.clear();
    }
    (verdict.conclusion, verdict.reasons) = conclude(&verdict.checks, &verdict.steps);
    verdict
}

/// The primary is paused twice: once in the time of the first step, once in that of the second.
fn paused() -> Verdict {
    let mut verdict = passed(named(fixture::verdict(), "nightly-pause"));
    for step in &mut verdict.steps {
        "pause".clone_into(&mut step.fault);
        "primary(postgres)".clone_into(&mut step.target);
        step.tier = "postgres".into();
        step.recovery.promoted_ms = Some(4_800.0);
    }
    verdict
}

/// Two drills that were survived.
pub(crate) fn certified() -> Certification {
    Certification::of(
        commission(vec![kill(), pause()]),
        vec![passed(named(fixture::verdict(), "nightly-kill")), paused()],
    )
}

/// Orders were lost, promises broken and impossible, the peak is too high, and one drill was not run any more.
pub(crate) fn refused() -> Certification {
    let partition = drill("nightly-partition", vec![step("partition", "standby(redis)", 2)]);
    let mut commission = commission(vec![kill(), pause(), partition]);
    commission.sizing.forecast_per_min = Some(3_000.0);
    let single =
        Finding::new("single point of failure: machine rack-1, because 2 of 3 voters of tier postgres are on it")
            .with_nodes(["pg1".into(), "pg2".into()])
            .with_remedy("spread the tier over more machines (`x-firedrill.hosts`)");
    commission.objections.push(Objection::fail(single));
    let mut lossy = named(fixture::verdict(), "nightly-kill");
    (lossy.steps[0].lost, lossy.steps[0].lost_cents) = (3, 6_900);
    (lossy.totals.lost, lossy.totals.lost_cents) = (3, 6_900);
    let mut certification = Certification::of(commission, vec![lossy, paused()]);
    certification.parts[1].after.residue = vec!["a rule in the network namespace of pg1".to_owned()];
    certification.ending.early = Some("it was interrupted".to_owned());
    certification.conclude(|_| ());
    certification
}

/// Nothing was run.
pub(crate) fn nothing() -> Certification {
    Certification::of(commission(Vec::new()), Vec::new())
}

/// Whatever can be a text is one that means harm.
pub(crate) fn hostile() -> Certification {
    let mut certification = refused();
    let certificate = &mut certification.certificate;
    for cell in &mut certificate.matrix {
        (cell.tier, cell.fault, cell.target) = (EVIL.into(), EVIL.to_owned(), EVIL.to_owned());
        (cell.nodes, cell.reasons) = (vec![EVIL.into()], vec![EVIL.to_owned()]);
    }
    for objection in &mut certificate.objections {
        objection.finding = Finding::new(EVIL).with_remedy(EVIL).with_nodes([EVIL.into()]);
    }
    for drill in &mut certificate.drills {
        (drill.run, drill.drill, drill.folder) = (EVIL.into(), EVIL.to_owned(), EVIL.to_owned());
        (drill.started, drill.history_sha256) = (EVIL.to_owned(), EVIL.to_owned());
    }
    for gap in &mut certificate.not_covered {
        (gap.what, gap.why) = (EVIL.to_owned(), EVIL.to_owned());
    }
    for confidence in &mut certificate.confidence {
        confidence.tier = EVIL.into();
    }
    certificate.id = EVIL.into();
    certificate.reasons = vec![EVIL.to_owned(), format!("{EVIL}\u{1b}[31m\0")];
    let basis = &mut certificate.basis;
    let sizing = &mut certificate.sizing;
    sizing.capacity_from = Some(EVIL.to_owned());
    for text in [
        &mut certificate.topology,
        &mut certificate.started,
        &mut certificate.finished,
        &mut certificate.valid_until,
        &mut certificate.replay,
        &mut certificate.sla.name,
        &mut sizing.why,
        &mut basis.firedrill,
        &mut basis.topology_sha256,
        &mut basis.sla.source,
        &mut basis.host.engine,
        &mut basis.host.kernel,
        &mut basis.host.details,
        &mut basis.images[0].name,
    ] {
        EVIL.clone_into(text);
    }
    for verdict in &mut certification.verdicts {
        *verdict = crate::html::hostile_verdict();
    }
    certification.manifest = crate::html::hostile_manifest();
    certification.history = crate::html::hostile_history();
    certification
}

/// Ten drills with ten steps each: every fault on the database and on the web nodes in turn.
pub(crate) fn long() -> Certification {
    let faults = &Fault::names()[..10];
    let targets = ["primary(postgres)", "standby(postgres)", "primary(redis)", "standby(redis)", "one(web)"];
    let drills = |fault: &&str| {
        let steps = targets.map(|target| step(fault, target, 2));
        drill(&format!("event-{fault}"), steps.into())
    };
    let commission = commission(faults.iter().map(drills).collect());
    let verdict = |fault: &&str| {
        let mut verdict = passed(named(fixture::verdict(), &format!("event-{fault}")));
        let first = verdict.steps[0].clone();
        verdict.steps = (0..10_u32).map(|i| later(&first, i, fault, targets[i as usize / 2])).collect();
        verdict
    };
    let mut certification = Certification::of(commission, faults.iter().map(verdict).collect());
    certification.history = load::history(66_000, 18_000);
    certification
}

/// A step again, two minutes later each time, so that a run of twenty minutes has ten.
fn later(step: &StepVerdict, place: u32, fault: &str, target: &str) -> StepVerdict {
    let by_ms = u64::from(place) * 110_000;
    let mut step = step.clone();
    step.step = StepId(place);
    fault.clone_into(&mut step.fault);
    target.clone_into(&mut step.target);
    step.tier = target.trim_end_matches(')').rsplit('(').next().expect("a tier").into();
    let moved = |at: At| at.plus_ms(by_ms);
    (step.from, step.until) = (moved(step.from), moved(step.until));
    (step.effective, step.healed) = (step.effective.map(moved), step.healed.map(moved));
    if let Some(outage) = &mut step.outage {
        (outage.from, outage.until) = (moved(outage.from), moved(outage.until));
    }
    step
}
