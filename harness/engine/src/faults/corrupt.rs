//! `corrupt`: a share of the packets arrives with a wrong bit. The bit is flipped behind the headers (in the
//! checksum, where there is no payload), and the checksum is left as it was: the receiver throws the packet
//! away, and TCP sends it again. What has no checksum (UDP without one, a fragment) is left alone.
//!
//! Proof of effect: the queue counted changed packets. See [`super::support::shaping`].

use super::support::shaping::{Counted, Shape};
use firedrill_core::fault::catalogue::network::{Chance, Traffic};

/// See the module.
pub(super) struct Corrupt(pub(super) Chance);

impl Shape for Corrupt {
    const NAME: &'static str = "corrupt";

    fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    fn arguments(&self) -> Vec<String> {
        ["--mode", "corrupt", "--ppm", &super::support::shaping::ppm(self.0.percent)].map(str::to_owned).to_vec()
    }

    fn percent(&self) -> f64 {
        self.0.percent
    }

    fn proven(&self, counted: &Counted) -> Option<String> {
        let (count, packets) = (counted.corrupted, counted.packets);
        (count > 0).then(|| format!("{count} of {packets} packets got a wrong bit"))
    }
}
