//! What the run was made of.

use super::view::Fact;
use crate::{ReportInput, units};
use firedrill_core::manifest::{Host, Manifest};
use firedrill_core::sla::Sla;

/// The configuration.
#[derive(Debug)]
pub(super) struct ConfigurationView {
    pub(super) replay: String,
    pub(super) run: Vec<Fact>,
    pub(super) sla: Vec<Fact>,
    pub(super) sla_source: String,
    pub(super) images: Vec<ImageView>,
    pub(super) nodes: Vec<NodeView>,
    pub(super) boot: Vec<BootView>,
    pub(super) damage: Vec<String>,
}

/// An image.
#[derive(Debug)]
pub(super) struct ImageView {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) context: String,
    pub(super) versions: Vec<Fact>,
}

/// A node.
#[derive(Debug)]
pub(super) struct NodeView {
    pub(super) name: String,
    pub(super) tier: String,
    pub(super) kind: String,
    pub(super) image: String,
    pub(super) single: String,
}

/// A step of the boot.
#[derive(Debug)]
pub(super) struct BootView {
    pub(super) what: String,
    pub(super) at: String,
    pub(super) took: String,
    /// Begin and length in percent of the whole boot, for its bar.
    pub(super) begin: String,
    pub(super) length: String,
}

/// Builds the configuration.
pub(super) fn view(input: &ReportInput<'_>) -> ConfigurationView {
    let manifest = input.manifest;
    let image = |image: &firedrill_core::manifest::Image| ImageView {
        name: units::clean(&image.name),
        id: units::clean(&image.id),
        context: units::clean(&image.context_sha256),
        versions: image.versions.iter().map(|(name, version)| Fact::new(name, version)).collect(),
    };
    let node = |node: &firedrill_core::manifest::Node| NodeView {
        name: units::clean(node.name.as_str()),
        tier: units::clean(node.tier.as_str()),
        kind: units::clean(&node.kind),
        image: units::clean(&node.image),
        single: units::clean(node.single.as_deref().unwrap_or_default()),
    };
    ConfigurationView {
        replay: units::clean(&manifest.replay),
        run: run(input),
        sla: sla(&manifest.sla),
        sla_source: units::clean(&manifest.sla.source),
        images: manifest.images.iter().map(image).collect(),
        nodes: manifest.nodes.iter().map(node).collect(),
        boot: boot(manifest),
        damage: input.history.damage.iter().map(|text| units::clean(text)).collect(),
    }
}

fn run(input: &ReportInput<'_>) -> Vec<Fact> {
    let manifest = input.manifest;
    let Host { engine, api, kernel, cores, memory_bytes, details } = &manifest.host;
    let mut facts = vec![
        Fact::new("Run", manifest.run.as_str()),
        Fact::new("Firedrill", &manifest.firedrill),
        Fact::new("Seed", input.verdict.seed.to_string()),
        Fact::new("Topology file", format!("sha256:{}", manifest.topology_sha256)),
        Fact::new("Engine", format!("{engine} (API {api})")),
        Fact::new("Kernel", kernel),
        Fact::new("Host", format!("{cores} cores, {}", units::bytes(*memory_bytes))),
    ];
    if !details.is_empty() {
        facts.push(Fact::new("Storage, cgroups", details));
    }
    if let Some(header) = input.history.header() {
        facts.push(Fact::new("Planned load", format!("{} /s", units::number(header.rate_per_s))));
    }
    facts.push(Fact::new("Records", units::count(input.history.events.len() as u64)));
    facts
}

fn sla(sla: &Sla) -> Vec<Fact> {
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

fn boot(manifest: &Manifest) -> Vec<BootView> {
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
