//! `plan`, `certify` and `verify`: what is derived from a topology, the drills of it, and whether the certificate still
//! applies.

use super::drill::{on_interrupt, options, rand_seed, shown};
use crate::args::{CertifyArgs, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::{home, progress};
use anyhow::{Context, Result};
use firedrill_core::certificate::{self, Basis, Certificate, Commission, Drift, Sizing};
use firedrill_core::drill::Load;
use firedrill_core::drill::matrix::{Matrix, Profile, failovers_for};
use firedrill_core::sla::Sla;
use firedrill_core::topology::Topology;
use firedrill_core::verdict::{Conclusion, Judgement};
use firedrill_engine::boot::{BootError, read_topology};
use firedrill_engine::docker::Engine;
use firedrill_runner::rundir::new_run_id;
use firedrill_runner::{CapacityPlan, CertificateDir, CertificationError, Certified, Certifier};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Trials of the search that sizes the load: shorter than those of `firedrill capacity`, because a share of what they
/// find is all that is used.
const TRIAL: Duration = Duration::from_secs(20);

/// The one that confirms.
const CONFIRM: Duration = Duration::from_secs(45);

/// Buyers while the capacity is looked for: more than can be under way at any rate that is sustained.
const TRIAL_BUYERS: u32 = 400;

/// No stack of one machine sells more, in purchases per second.
const HIGHEST_PER_S: f64 = 200.0;

/// About how long the search takes.
const SEARCH: Duration = Duration::from_secs(300);

/// Shows what would be certified, and how. Exit code 1 where something speaks against it already.
pub(crate) fn plan(args: &CertifyArgs) -> Result<Exit, Failure> {
    let Planned { topology, matrix, commission, measure, .. } = planned(args)?;
    println!("topology {}: {}", topology.name, topology.description);
    for tier in topology.tiers() {
        println!("  {:<10} {} node{}", tier.name, tier.nodes, if tier.nodes == 1 { "" } else { "s" });
    }
    println!("profile {}, agreement {}", args.profile, commission.sla.name);
    match &measure {
        Some(_) => println!("load: {}", commission.sizing.why),
        None => println!("load: {:.2} purchases per second, {}", commission.sizing.rate_per_s, commission.sizing.why),
    }
    for (index, drill) in commission.drills.iter().enumerate() {
        println!("drill {}, {}:", index + 1, drill.name);
        for step in &drill.steps {
            let times = if step.repeat == 1 { String::new() } else { format!(", {} times", step.repeat) };
            println!("  {} {}{times}", step.fault, step.target);
        }
    }
    for gap in &commission.gaps {
        println!("not covered: {gap}");
    }
    object(&commission);
    let search = if measure.is_some() { SEARCH } else { Duration::ZERO };
    let minutes = (matrix.estimate() + search).as_secs().div_ceil(60);
    println!("{} faults, about {minutes} min with images cached", commission.faults());
    let refused = commission.objections.iter().any(|objection| objection.judgement == Judgement::Fail);
    Ok(if refused { Exit::Violated } else { Exit::Certified })
}

/// What speaks against it before anything is booted.
fn object(commission: &Commission) {
    for objection in &commission.objections {
        eprintln!("finding: {}; {}", objection.finding.summary, objection.finding.remedy);
    }
}

/// Everything that is known before anything is booted.
struct Planned {
    folder: PathBuf,
    topology: Topology,
    matrix: Matrix,
    commission: Commission,
    measure: Option<CapacityPlan>,
}

fn planned(args: &CertifyArgs) -> Result<Planned, Failure> {
    let folder = home::topology(&args.topology);
    let (_, topology) = read_topology(&folder).map_err(Failure::usage)?;
    let sla = home::sla(&args.sla).map_err(Failure::usage)?;
    let mut matrix = Matrix::derive(args.profile, &topology, failovers_for(args.bound));
    matrix.drill.sla.clone_from(&args.sla);
    let (sizing, capacity_per_s) = sizing(args, &matrix.drill.load).map_err(Failure::usage)?;
    matrix.drill.load.rate_per_s = sizing.rate_per_s;
    matrix.drill.check().map_err(Failure::usage)?;
    let seed = args.seed.unwrap_or_else(rand_seed);
    let measured = args.rate.is_none() && capacity_per_s.is_none() && args.profile != Profile::Smoke;
    let measure = measured.then(|| CapacityPlan {
        load: Load { buyers: TRIAL_BUYERS, ..matrix.drill.load.clone() },
        first_per_s: 4.0,
        highest_per_s: HIGHEST_PER_S,
        trial: TRIAL,
        confirm: CONFIRM,
        folder: None,
    });
    let mut commission = Commission {
        id: new_run_id(),
        profile: args.profile,
        topology: topology.name.clone(),
        started: super::now(),
        valid_days: args.valid_days,
        seed,
        replay: replay(args, seed),
        objections: certificate::objections(&topology, &sla),
        sla,
        sizing,
        drills: matrix.drills(),
        gaps: matrix.gaps.clone(),
    };
    if let Some((per_s, from)) = capacity_per_s
        && args.rate.is_none()
    {
        commission.size_by(per_s, &from);
    }
    Ok(Planned { folder, topology, matrix, commission, measure })
}

/// How the load is sized as far as that is known before anything is measured; and the capacity, where a file has it.
fn sizing(args: &CertifyArgs, usual: &Load) -> Result<(Sizing, Option<(f64, String)>)> {
    let known = args.capacity.as_deref().map(|path| Ok::<_, anyhow::Error>((read_capacity(path)?, shown(path))));
    let known = known.transpose()?;
    let share = args.profile.load_share() * 100.0;
    let (rate_per_s, why) = match (args.rate, args.profile) {
        (Some(rate), _) => (rate, "as asked".to_owned()),
        (None, Profile::Smoke) => (usual.rate_per_s, "the usual".to_owned()),
        (None, _) => (usual.rate_per_s, format!("{share:.0} % of the capacity, which is measured first")),
    };
    let sizing = Sizing {
        rate_per_s,
        why,
        capacity_per_s: known.as_ref().map(|(per_s, _)| *per_s),
        capacity_from: known.as_ref().map(|(_, from)| from.clone()),
        forecast_per_min: args.forecast,
    };
    Ok((sizing, known))
}

/// The rate in a `capacity.json`, or in that of a run's folder.
fn read_capacity(path: &Path) -> Result<f64> {
    let path = if path.is_dir() { path.join("capacity.json") } else { path.to_path_buf() };
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read; `firedrill capacity` writes one", path.display()))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let found = &json["found"];
    let rate = found["Confirmed"].as_f64().or_else(|| found["AtLeast"].as_f64());
    rate.with_context(|| format!("{} has no rate that was sustained", path.display()))
}

/// The command that repeats it.
fn replay(args: &CertifyArgs, seed: u64) -> String {
    let CertifyArgs { topology, profile, sla, bound, valid_days, .. } = args;
    let mut text = format!(
        "firedrill certify --topology {topology} --profile {profile} --sla {sla} --bound {bound} --valid-days {valid_days}"
    );
    for (name, value) in [("rate", args.rate), ("forecast", args.forecast)] {
        text += &value.map(|value| format!(" --{name} {value}")).unwrap_or_default();
    }
    text += &args.capacity.as_deref().map(|path| format!(" --capacity {}", path.display())).unwrap_or_default();
    format!("{text} --seed {seed}")
}

/// Derives drills from a topology, runs them, and says what they come to together.
pub(crate) async fn certify(args: &CertifyArgs) -> Result<Exit, Failure> {
    let Planned { folder, commission, measure, .. } = planned(args)?;
    object(&commission);
    let progress = progress::display();
    let interrupt = on_interrupt(Arc::clone(&progress));
    let options = options(folder)?;
    let certifier = Certifier { options, commission, measure, interrupt, progress: progress.as_ref() };
    let Certified { dir, certificate, left } = certifier.run().await.map_err(|error| match error {
        CertificationError::Session(error) => super::drill::refused(error),
        other => Failure::from(other),
    })?;
    show(&certificate);
    println!("report: {}", shown(&dir.report()));
    println!("again:  firedrill check {}", shown(dir.path()));
    println!("valid:  firedrill verify {} --topology {}", shown(dir.path()), args.topology);
    if !left.is_empty() {
        return Err(Failure::residue(anyhow::anyhow!("something is left: {}", left.join("; "))));
    }
    Ok(certificate.conclusion.into())
}

/// The certificate as text, as wide as people's terminals are.
pub(super) fn show(certificate: &Certificate) {
    println!("{}", firedrill_reports::certificate::text(certificate, 100));
}

/// Says whether a certificate still applies to a topology. Exit code 0 where it does, 1 where it does not, 2 where that
/// cannot be said here.
pub(crate) async fn verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let path = place(&args.certificate);
    let certificate = read(&path).map_err(Failure::usage)?;
    let mut against = Vec::new();
    let Certificate { conclusion, valid_until, id, .. } = &certificate;
    println!("certificate {id} of {}: {conclusion}, good until {valid_until}", certificate.topology);
    if *conclusion != Conclusion::Certified {
        against.push((Judgement::Fail, format!("it was never granted: {}", certificate.reasons.join("; "))));
    }
    match valid_until.parse::<jiff::Timestamp>() {
        Ok(until) if until < jiff::Timestamp::now() => {
            against.push((Judgement::Fail, format!("it is out of date since {valid_until}")));
        }
        Ok(_) => {}
        Err(error) => against.push((Judgement::Unknown, format!("its end {valid_until:?} cannot be read: {error}"))),
    }
    if path.is_dir() {
        let tampered = CertificateDir::open(&path)?.tampered()?;
        against
            .extend(tampered.into_iter().map(|folder| (Judgement::Fail, format!("{folder}: its history was changed"))));
    }
    let now = basis(args, &certificate).await?;
    against.extend(certificate.basis.against(&now).into_iter().map(in_words));
    against.sort_by_key(|(judgement, _)| std::cmp::Reverse(*judgement));
    for (judgement, text) in &against {
        let word = match judgement {
            Judgement::Fail => "void",
            Judgement::Unknown => "not known",
            Judgement::Pass => "worth knowing",
        };
        println!("{word}: {text}");
    }
    let worst = against.iter().map(|(judgement, _)| *judgement).fold(Judgement::Pass, Judgement::and);
    let (exit, text) = match worst {
        Judgement::Pass => (Exit::Certified, "it applies"),
        Judgement::Fail => (Exit::Violated, "it does not apply: certify again"),
        Judgement::Unknown => (Exit::Inconclusive, "whether it applies cannot be said here"),
    };
    println!("{text}");
    Ok(exit)
}

fn in_words(drift: Drift) -> (Judgement, String) {
    (drift.judgement, drift.to_string())
}

/// A certificate's file or folder; what is neither may be the certification's id.
fn place(given: &Path) -> PathBuf {
    let by_id = home::runs().join(given);
    if !given.exists() && by_id.is_dir() { by_id } else { given.to_path_buf() }
}

/// A certificate, by its file or by the folder of the certification.
fn read(path: &Path) -> Result<Certificate> {
    let path = if path.is_dir() { path.join("certificate.json") } else { path.to_path_buf() };
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read; give certificate.json or its folder", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no certificate of this version", path.display()))
}

/// What a certificate would rest on now. Without an engine only files can be compared.
async fn basis(args: &VerifyArgs, certificate: &Certificate) -> Result<Basis, Failure> {
    let folder = home::topology(args.topology.as_deref().unwrap_or(&certificate.topology));
    let name = args.sla.as_deref().unwrap_or(&certificate.sla.name);
    let sla: Sla = home::sla(name).map_err(Failure::usage)?;
    let engine = match Engine::connect().await {
        Ok(engine) => Some(engine),
        Err(error) => {
            eprintln!("images cannot be compared: {error}");
            None
        }
    };
    let rests = firedrill_engine::boot::rests_on(engine.as_ref(), &folder).await.map_err(|error| match error {
        BootError::Topology(_) | BootError::Read { .. } => Failure::usage(error),
        _ => error.into(),
    })?;
    Ok(Basis {
        topology_sha256: rests.topology_sha256,
        images: rests.images,
        sla,
        firedrill: env!("CARGO_PKG_VERSION").to_owned(),
        host: engine.map(|engine| engine.host).unwrap_or_default(),
    })
}
