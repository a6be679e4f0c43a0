//! Ports on 127.0.0.1 that are free now and stay free for the run.

use super::BootError;
use std::net::{Ipv4Addr, TcpListener};

/// Below Linux's default range for outgoing connections (32768 to 60999): a node's port must not be taken
/// by some connection while the node is down, or it could not be started again.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Hands out ports. It holds each one until it is dropped, so that two nodes, or two runs that boot at
/// the same time, are not given the same one.
pub(super) struct Ports {
    next: u16,
    held: Vec<TcpListener>,
}

impl Ports {
    pub(super) fn new() -> Self {
        use rand::RngExt;
        Self { next: rand::rng().random_range(RANGE), held: Vec::new() }
    }

    /// The next free port.
    pub(super) fn take(&mut self) -> Result<u16, BootError> {
        let mut last = std::io::Error::other("nothing was tried");
        for _ in RANGE {
            let port = self.next;
            self.next = if port + 1 == RANGE.end { RANGE.start } else { port + 1 };
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => {
                    self.held.push(listener);
                    return Ok(port);
                }
                Err(error) => last = error,
            }
        }
        Err(BootError::NoPort { from: RANGE.start, until: RANGE.end, source: last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice_nor_one_that_is_taken() {
        let mut ports = Ports::new();
        let first = ports.take().expect("a port");
        let taken: Vec<u16> = (0..20).map(|_| ports.take().expect("a port")).collect();
        assert!(!taken.contains(&first));
        let mut others = Ports { next: first, held: Vec::new() };
        assert_ne!(others.take().expect("a port"), first, "held by somebody else");
    }
}
