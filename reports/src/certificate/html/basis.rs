//! What the certificate rests on: with anything else it says nothing.

use crate::html::configuration::{ConfigurationView, boot, host, images, nodes, sla};
use crate::html::view::Fact;
use crate::{CertificateInput, units};

/// Builds it. Nodes and boot are those of the first drill: all drills ran on the same topology.
pub(super) fn view(input: &CertificateInput<'_>) -> ConfigurationView {
    let certificate = input.certificate;
    let basis = &certificate.basis;
    let first = input.drills.first().map(|drill| drill.manifest);
    let mut facts =
        vec![Fact::new("Certification", certificate.id.as_str()), Fact::new("Seed", certificate.seed.to_string())];
    // Where nothing was run, nobody looked at the rest.
    if !certificate.drills.is_empty() {
        facts.push(Fact::new("Firedrill", &basis.firedrill));
        facts.push(Fact::new("Configuration", format!("sha256:{}", certificate.configuration_sha256)));
        facts.push(Fact::new("Topology file", format!("sha256:{}", basis.topology_sha256)));
        facts.extend(host(&basis.host));
    }
    ConfigurationView {
        replay: units::clean(&certificate.replay),
        run: facts,
        sla: sla(&basis.sla),
        sla_source: units::clean(&basis.sla.source),
        images: images(&basis.images),
        nodes: first.map(nodes).unwrap_or_default(),
        boot: first.map(boot).unwrap_or_default(),
        damage: Vec::new(),
    }
}
