//! `duplicate`: a share of the packets arrives twice. The queue lets the packet go on and sends a copy by a raw
//! socket, with a mark that spares it from being copied again. What arrives is sent again to the node's own
//! address.
//!
//! Proof of effect: the queue counted copies. See [`super::support::shaping`].

use super::support::shaping::{Counted, Shape};
use firedrill_core::fault::catalogue::network::{Chance, Traffic};

/// See the module.
pub(super) struct Duplicate(pub(super) Chance);

impl Shape for Duplicate {
    const NAME: &'static str = "duplicate";

    fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    fn arguments(&self) -> Vec<String> {
        ["--mode", "duplicate", "--ppm", &super::support::shaping::ppm(self.0.percent)].map(str::to_owned).to_vec()
    }

    fn percent(&self) -> f64 {
        self.0.percent
    }

    fn proven(&self, counted: &Counted) -> Option<String> {
        let (count, packets) = (counted.duplicated, counted.packets);
        (count > 0).then(|| format!("{count} of {packets} packets were sent twice"))
    }
}
