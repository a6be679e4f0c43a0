//! Topologies: what is read, what is refused and with which words.

mod fuzz;
mod interpolation;
mod refusals;
mod shipped;
mod smoke;

use firedrill_core::source::Source;
use firedrill_core::topology::Topology;
use std::path::{Path, PathBuf};

/// The folder of all topologies.
fn topologies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies")
}

/// The Compose file of a topology.
fn shipped(folder: &Path) -> Source {
    let path = folder.join("compose.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Source::new("compose.yaml", text)
}

/// Parses with a stand-in for every variable that the file asks for, as the engine does.
fn parse(source: &Source) -> Result<Topology, firedrill_core::source::SourceError> {
    let wanted = Topology::requirements(source)?;
    Topology::parse("t", source, |name| {
        if wanted.subnet_variable.as_deref() == Some(name) {
            return Some("10.1.2".to_owned());
        }
        wanted.secrets.iter().any(|secret| secret == name).then(|| "stand-in".to_owned())
    })
}
