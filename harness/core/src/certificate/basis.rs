//! What a certificate rests on, and what makes it void: it speaks of the stack that was drilled, and of no other.

use super::Part;
use crate::hex::hex;
use crate::manifest::{Host, Image};
use crate::sla::Sla;
use crate::verdict::Judgement;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// What was drilled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    /// SHA-256 of the topology's Compose file.
    pub topology_sha256: String,
    /// The images that ran, with the hashes of what they are built from and the versions in them.
    pub images: Vec<Image>,
    /// The agreement.
    pub sla: Sla,
    /// Version of firedrill.
    pub firedrill: String,
    /// Engine and kernel with what they can do.
    pub host: Host,
}

/// Something that is not as it was certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What: the topology, an image, the agreement, the machine.
    pub what: String,
    /// As it was certified.
    pub certified: String,
    /// As it is.
    pub now: String,
    /// `fail` where the certificate is void for it, `unknown` where it cannot be compared, `pass` where it is only worth
    /// knowing.
    pub judgement: Judgement,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, certified, now, .. } = self;
        write!(f, "{what}: certified {certified}, now {now}")
    }
}

impl Basis {
    /// The basis of what was run. Where nothing was, only the agreement is known.
    pub(super) fn of(parts: &[Part], sla: &Sla) -> Self {
        let manifest = parts.first().map(|part| &part.manifest);
        Self {
            topology_sha256: manifest.map(|manifest| manifest.topology_sha256.clone()).unwrap_or_default(),
            images: manifest.map(|manifest| manifest.images.clone()).unwrap_or_default(),
            sla: sla.clone(),
            firedrill: manifest.map(|manifest| manifest.firedrill.clone()).unwrap_or_default(),
            host: manifest.map(|manifest| manifest.host.clone()).unwrap_or_default(),
        }
    }

    /// The hash of the configuration: of everything that voids a certificate when it changes. Two certificates with the same
    /// one speak of the same stack and agreement.
    pub fn configuration_sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            // With its length: two texts must not be taken for others that are split elsewhere.
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        add(&self.topology_sha256);
        for image in &self.images {
            for text in [&image.name, &image.context_sha256, &image.id] {
                add(text);
            }
        }
        add(&described(&self.sla));
        hex(&hasher.finalize())
    }

    /// What differs now, the gravest first. What is empty in `now` cannot be compared: an image that is not built on this
    /// machine has no id, and without its base image no hash of what it is built from.
    pub fn against(&self, now: &Self) -> Vec<Drift> {
        let mut drifts = Vec::new();
        let mut compare = |what: &str, certified: &str, now: &str, judgement: Judgement| {
            if certified != now {
                let judgement = if now.is_empty() { judgement.min(Judgement::Unknown) } else { judgement };
                drifts.push(Drift { what: what.to_owned(), certified: shown(certified), now: shown(now), judgement });
            }
        };
        compare("the topology's Compose file", &self.topology_sha256, &now.topology_sha256, Judgement::Fail);
        for image in &self.images {
            let name = &image.name;
            let Some(other) = now.images.iter().find(|other| other.name == *name) else {
                compare(&format!("image {name}"), &image.id, "not used", Judgement::Fail);
                continue;
            };
            compare(
                &format!("what {name} is built from"),
                &image.context_sha256,
                &other.context_sha256,
                Judgement::Fail,
            );
            compare(&format!("image {name}"), &image.id, &other.id, Judgement::Fail);
        }
        for image in now.images.iter().filter(|image| !self.images.iter().any(|known| known.name == image.name)) {
            compare(&format!("image {}", image.name), "not used", "used", Judgement::Fail);
        }
        compare("the agreement", &described(&self.sla), &described(&now.sla), Judgement::Fail);
        compare("firedrill", &self.firedrill, &now.firedrill, Judgement::Pass);
        compare("Docker Engine", &self.host.engine, &now.host.engine, Judgement::Pass);
        compare("kernel", &self.host.kernel, &now.host.kernel, Judgement::Pass);
        compare("storage and cgroups", &self.host.details, &now.host.details, Judgement::Pass);
        compare("cores", &self.host.cores.to_string(), &now.host.cores.to_string(), Judgement::Pass);
        drifts.sort_by_key(|drift| std::cmp::Reverse(drift.judgement));
        drifts
    }
}

/// A hash is known by its first letters.
fn shown(value: &str) -> String {
    let is_hash =
        value.len() >= 64 && value.rsplit(':').next().is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
    match (value.is_empty(), is_hash) {
        (true, _) => "not known here".to_owned(),
        (_, true) => value.rsplit(':').next().unwrap_or(value).chars().take(12).collect(),
        _ => value.to_owned(),
    }
}

/// The numbers of an agreement: its name stays the same when somebody changes one.
fn described(sla: &Sla) -> String {
    serde_json::to_string(sla).unwrap_or_else(|_| sla.name.clone())
}
