//! `reorder`: a share of the packets is held back for a while, so that later ones overtake them.
//!
//! Proof of effect: the queue counted packets that were overtaken by a later one of the same connection; that
//! some were held back is not enough. See [`super::support::shaping`].

use super::support::shaping::{Counted, Shape};
use firedrill_core::fault::catalogue::network::{Reorder, Traffic};

impl Shape for Reorder {
    const NAME: &'static str = "reorder";

    fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn arguments(&self) -> Vec<String> {
        let (ppm, us) = (super::support::shaping::ppm(self.percent), (u64::from(self.delay_ms) * 1_000).to_string());
        ["--mode", "reorder", "--ppm", &ppm, "--delay-us", &us].map(str::to_owned).to_vec()
    }

    fn percent(&self) -> f64 {
        self.percent
    }

    fn proven(&self, counted: &Counted) -> Option<String> {
        let (count, packets) = (counted.overtaken, counted.packets);
        (count > 0).then(|| format!("{count} of {packets} packets were overtaken by later ones of their connection"))
    }
}
