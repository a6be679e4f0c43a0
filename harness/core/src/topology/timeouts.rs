//! The time-outs of a topology that bound how fast it can fail over.

use super::{NodeKind, Service, Topology};
use crate::ids::TierName;

/// After how long without an answer the others of a tier give up its primary.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// The tier whose primary is given up.
    pub tier: TierName,
    /// The time, in milliseconds.
    pub after_ms: f64,
    /// The variable of the node's environment that sets it.
    pub variable: &'static str,
}

/// A variable with its value where a topology does not set it, and its unit.
struct Knob {
    /// Who reads it.
    reader: NodeKind,
    /// Whose primary it is about.
    about: NodeKind,
    variable: &'static str,
    default: f64,
    ms: f64,
}

/// The defaults are those of the images (`fixtures/images/postgres/ha/settings.py`, `fixtures/images/redis/node.py`), which
/// a test holds.
const KNOBS: [Knob; 2] = [
    Knob { reader: NodeKind::Postgres, about: NodeKind::Postgres, variable: "FAILOVER_AFTER", default: 3.4, ms: 1e3 },
    Knob { reader: NodeKind::Sentinel, about: NodeKind::Redis, variable: "DOWN_AFTER_MS", default: 3000.0, ms: 1.0 },
];

impl Topology {
    /// For every tier with a primary and somebody who watches it: after how long it is given up. Where the watchers
    /// differ it is the shortest, so that whatever is faster than that is impossible.
    pub fn detections(&self) -> Vec<Detection> {
        let mut detections: Vec<Detection> = Vec::new();
        for knob in &KNOBS {
            let readers = self.services.iter().filter(|service| service.kind == knob.reader);
            let Some(after_ms) = readers.map(|service| knob.set_in(service)).reduce(f64::min) else { continue };
            for service in self.services.iter().filter(|service| service.kind == knob.about) {
                if detections.iter().all(|known| known.tier != service.tier) {
                    let (tier, variable) = (service.tier.clone(), knob.variable);
                    detections.push(Detection { tier, after_ms, variable });
                }
            }
        }
        detections
    }
}

impl Knob {
    fn set_in(&self, service: &Service) -> f64 {
        let set = service.environment.get(self.variable).and_then(|text| text.trim().parse::<f64>().ok());
        set.filter(|value| value.is_finite()).unwrap_or(self.default) * self.ms
    }
}
