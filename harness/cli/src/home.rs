//! Where topologies and fixtures lie: the folder named by `FIREDRILL_HOME`, the nearest folder above the
//! current one that has them, or the checkout that the program was built in.

use anyhow::{Context, Result};
use firedrill_core::drill::Written;
use firedrill_core::load::{Mix, Point};
use firedrill_core::sla::Sla;
use firedrill_core::source::{Source, parse_yaml};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder that has `topologies/` and `fixtures/`.
pub(crate) fn home() -> PathBuf {
    if let Some(home) = std::env::var_os("FIREDRILL_HOME") {
        return PathBuf::from(home);
    }
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().find(|folder| folder.join("topologies").is_dir() && folder.join("fixtures").is_dir());
    found.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), Path::to_path_buf)
}

/// The folder of a topology, by name or by path.
pub(crate) fn topology(name: &str) -> PathBuf {
    by_name_or_path(name, || home().join("topologies").join(name))
}

/// The event file of a topology.
pub(crate) fn events(topology: &Path) -> PathBuf {
    let name = topology.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = home().join("fixtures/events").join(format!("{name}.yaml"));
    if own.exists() { own } else { home().join("fixtures/events/pretix-ha.yaml") }
}

/// Where run folders go.
pub(crate) fn runs() -> PathBuf {
    std::env::var_os("FIREDRILL_RUNS").map_or_else(|| PathBuf::from("runs"), PathBuf::from)
}

/// The folder of the journeys.
pub(crate) fn journeys() -> PathBuf {
    home().join("fixtures/journeys")
}

/// Reads an agreement, by name or by path.
pub(crate) fn sla(name: &str) -> Result<Sla> {
    let path = by_name_or_path(name, || home().join("fixtures/sla").join(format!("{name}.yaml")));
    Ok(Sla::parse(&read(&path, "agreement")?)?)
}

/// Reads a drill, by name or by path.
pub(crate) fn drill(name: &str) -> Result<Written> {
    let path = by_name_or_path(name, || home().join("fixtures/drills").join(format!("{name}.yaml")));
    Ok(Written::parse(&read(&path, "drill")?)?)
}

/// Reads how a rate changes with time, by name or by path.
pub(crate) fn profile(name: &str) -> Result<Vec<Point>> {
    let path = by_name_or_path(name, || home().join("fixtures/profiles").join(format!("{name}.yaml")));
    Ok(parse_yaml(&read(&path, "profile")?)?)
}

/// One name, or several with weights: `order-api=3,check-in=1`.
pub(crate) fn mix(text: &str) -> Result<Mix> {
    if !text.contains([',', '=']) {
        return Ok(Mix::One(text.to_owned()));
    }
    let mut parts = BTreeMap::new();
    for part in text.split(',') {
        let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
        let weight = weight.parse().with_context(|| format!("{part:?}: the weight is no whole number"))?;
        parts.insert(name.trim().to_owned(), weight);
    }
    Ok(Mix::Several(parts))
}

fn by_name_or_path(name: &str, by_name: impl FnOnce() -> PathBuf) -> PathBuf {
    let is_name = !name.contains(['/', '.']);
    if is_name { by_name() } else { PathBuf::from(name) }
}

fn read(path: &Path, what: &str) -> Result<Source> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("the {what} {} cannot be read; give a name or a path", path.display()))?;
    Ok(Source::new(path.display().to_string(), text))
}
