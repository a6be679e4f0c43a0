//! What the run was made of.

use super::view::Fact;
use crate::{ReportInput, units};
use firedrill_core::manifest::{Host, Image, Manifest, Node};
use firedrill_core::sla::Sla;

/// The configuration.
#[derive(Debug)]
pub(crate) struct ConfigurationView {
    pub(crate) replay: String,
    pub(crate) run: Vec<Fact>,
    pub(crate) sla: Vec<Fact>,
    pub(crate) sla_source: String,
    pub(crate) images: Vec<ImageView>,
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) boot: Vec<BootView>,
    pub(crate) damage: Vec<String>,
}

/// An image.
#[derive(Debug)]
pub(crate) struct ImageView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) context: String,
    pub(crate) versions: Vec<Fact>,
}

/// A node.
#[derive(Debug)]
pub(crate) struct NodeView {
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) kind: String,
    pub(crate) image: String,
    pub(crate) single: String,
}

/// A step of the boot.
#[derive(Debug)]
pub(crate) struct BootView {
    pub(crate) what: String,
    pub(crate) at: String,
    pub(crate) took: String,
    /// Begin and length in percent of the whole boot, for its bar.
    pub(crate) begin: String,
    pub(crate) length: String,
}

/// Builds the configuration.
pub(crate) fn view(input: &ReportInput<'_>) -> ConfigurationView {
    let manifest = input.manifest;
    ConfigurationView {
        replay: units::clean(&manifest.replay),
        run: run(input),
        sla: sla(&manifest.sla),
        sla_source: units::clean(&manifest.sla.source),
        images: images(&manifest.images),
        nodes: nodes(manifest),
        boot: boot(manifest),
        damage: input.history.damage.iter().map(|text| units::clean(text)).collect(),
    }
}

/// The images that ran.
pub(crate) fn images(images: &[Image]) -> Vec<ImageView> {
    let image = |image: &Image| ImageView {
        name: units::clean(&image.name),
        id: units::clean(&image.id),
        context: units::clean(&image.context_sha256),
        versions: image.versions.iter().map(|(name, version)| Fact::new(name, version)).collect(),
    };
    images.iter().map(image).collect()
}

/// Every node.
pub(crate) fn nodes(manifest: &Manifest) -> Vec<NodeView> {
    let node = |node: &Node| NodeView {
        name: units::clean(node.name.as_str()),
        tier: units::clean(node.tier.as_str()),
        kind: units::clean(&node.kind),
        image: units::clean(&node.image),
        single: units::clean(node.single.as_deref().unwrap_or_default()),
    };
    manifest.nodes.iter().map(node).collect()
}

fn run(input: &ReportInput<'_>) -> Vec<Fact> {
    let manifest = input.manifest;
    let mut facts = vec![
        Fact::new("Run", manifest.run.as_str()),
        Fact::new("Firedrill", &manifest.firedrill),
        Fact::new("Seed", input.verdict.seed.to_string()),
        Fact::new("Topology file", format!("sha256:{}", manifest.topology_sha256)),
    ];
    facts.extend(host(&manifest.host));
    if let Some(header) = input.history.header() {
        facts.push(Fact::new("Planned load", format!("{} /s", units::number(header.rate_per_s))));
    }
    facts.push(Fact::new("Records", units::count(input.history.events.len() as u64)));
    facts
}

/// Engine, kernel and machine.
pub(crate) fn host(host: &Host) -> Vec<Fact> {
    let Host { engine, api, kernel, cores, memory_bytes, details } = host;
    let mut facts = vec![
        Fact::new("Engine", format!("{engine} (API {api})")),
        Fact::new("Kernel", kernel),
        Fact::new("Host", format!("{cores} cores, {}", units::bytes(*memory_bytes))),
    ];
    if !details.is_empty() {
        facts.push(Fact::new("Storage, cgroups", details));
    }
    facts
}

/// What was promised.
pub(crate) fn sla(sla: &Sla) -> Vec<Fact> {
    let percent = |value: f64| format!("{} %", units::number(value));
    let peak = format!("above {} purchases a minute", units::number(sla.availability.peak_above_per_min));
    let mut facts = vec![
        Fact::new("Success in normal use", percent(sla.availability.normal_percent)),
        Fact::new("Success in peaks", percent(sla.availability.peak_percent)).with_note(peak),
        Fact::new("Longest purchase", units::duration(sla.response_time.max_ms)),
    ];
    let optional = [
        ("Steady 99th percentile", sla.response_time.steady_p99_ms),
        ("Longest outage", sla.recovery.outage_max_ms),
        ("Longest time until whole", sla.recovery.whole_max_ms),
    ];
    for (name, limit) in optional {
        let value = limit.map_or_else(|| "no limit".to_owned(), units::duration);
        facts.push(Fact::new(name, value));
    }
    facts
}

/// How long the boot took, step by step.
pub(crate) fn boot(manifest: &Manifest) -> Vec<BootView> {
    let total = manifest.boot.iter().map(|step| step.at_ms).fold(0.0, f64::max).max(1.0);
    let mut before = 0.0;
    let mut views = Vec::with_capacity(manifest.boot.len());
    for step in &manifest.boot {
        // Steps are in the order in which they became true; one that is not would have a negative length.
        let took = (step.at_ms - before).max(0.0);
        views.push(BootView {
            what: units::clean(&step.what),
            at: units::duration(step.at_ms),
            took: units::duration(took),
            begin: format!("{:.1}", before / total * 100.0),
            length: format!("{:.1}", (took / total * 100.0).max(0.5)),
        });
        before = before.max(step.at_ms);
    }
    views
}
