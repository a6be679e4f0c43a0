//! Faults of a node's network.
//!
//! All of them live in the node's own network namespace, made there by a helper container that joins it;
//! they are gone when the node's container is.

use super::{Parameters, within};
use crate::fault::{About, Owns, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const NET_ADMIN: &str = "a helper container in the node's network namespace with CAP_NET_ADMIN";
const QUEUE: &str = "a helper container in the node's network namespace with CAP_NET_ADMIN, CAP_NET_RAW and \
                     CAP_SYS_NICE; NFQUEUE and a user-space queue that fails open";
const DELAY_QUEUE: &str = "a helper container in the node's network namespace with CAP_NET_ADMIN, CAP_NET_RAW and \
                           CAP_SYS_NICE; tc netem for what leaves where the kernel has it, else NFQUEUE and a \
                           user-space queue that fails open";

/// The longest delay that can be asked for, and some time to see it.
const HELD_DEADLINE: Duration = Duration::from_secs(75);

/// Whose packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Those that arrive and those that leave.
    #[default]
    Both,
    /// Those that arrive at the node.
    In,
    /// Those that leave the node.
    Out,
}

/// Which traffic of the node a network fault concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traffic {
    /// The other end: targets as everywhere; each means all nodes that fit it. Empty is every other node.
    pub peers: Vec<Target>,
    /// Whether the world outside (buyers, and firedrill's own probes) is meant as well.
    pub outside: bool,
    /// Direction.
    pub direction: Direction,
    /// A TCP or UDP port at either end, for example 5432; none is all of them.
    pub port: Option<u16>,
}

/// How packets are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Silently: whoever sends hangs until a time-out of his.
    #[default]
    Drop,
    /// With an answer: TCP is reset, everything else is told that it is prohibited.
    Reject,
}

/// Parameters of `partition`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Partition {
    /// Which traffic.
    pub traffic: Traffic,
    /// How.
    pub by: Refusal,
}

impl Parameters for Partition {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// `partition`.
pub const PARTITION: About = About {
    summary: "the node and its peers cannot reach each other, in one direction or both",
    how: "iptables rules in the node's network namespace: DROP (hangs) or REJECT (resets)",
    needs: NET_ADMIN,
    proof: "the rules' own counters have counted packets, of a test of ours where there is no traffic",
    undo: "exactly these rules are removed; xt_time ends them in the kernel even if nobody does",
    owns: Owns::Filter,
    ..About::DEFAULT
};

/// `link-down`.
pub const LINK_DOWN: About = About {
    summary: "the cables are pulled: all interfaces of the node are down",
    how: "ip link set down in the node's network namespace",
    needs: NET_ADMIN,
    proof: "the interfaces are read back as down",
    undo: "ip link set up, and the routes that the undo record has",
    owns: Owns::Link,
    ..About::DEFAULT
};

/// Parameters of `delay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delay {
    /// Mean delay of a packet in milliseconds, each way that is meant.
    pub delay_ms: u32,
    /// Most deviation from it, uniform, in milliseconds. Packets of one direction keep their order.
    pub jitter_ms: u32,
    /// Which traffic. The default is what leaves the node, so that a round trip is delayed once.
    pub traffic: Traffic,
}

impl Default for Delay {
    fn default() -> Self {
        Self { delay_ms: 100, jitter_ms: 20, traffic: Traffic { direction: Direction::Out, ..Traffic::default() } }
    }
}

impl Parameters for Delay {
    fn check(&self) -> Result<(), String> {
        within("delay_ms", self.delay_ms, 1, 60_000)?;
        within("jitter_ms", self.jitter_ms, 0, self.delay_ms)
    }
}

/// `delay`.
pub const DELAY: About = About {
    summary: "packets arrive late, with jitter",
    how: "every packet waits its delay before it goes on",
    needs: DELAY_QUEUE,
    proof: "packets were delayed, and the mean of what the queue measured is what was asked for",
    undo: "exactly this queue and its rules are removed; waiting packets are let go",
    owns: Owns::Shaper,
    effect_deadline: HELD_DEADLINE,
    ..About::DEFAULT
};

/// Parameters of faults that hit packets by chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chance {
    /// Share of the packets, in percent.
    pub percent: f64,
    /// Which traffic.
    pub traffic: Traffic,
}

impl Default for Chance {
    /// A bad line, on which TCP still gets through.
    fn default() -> Self {
        Self { percent: 10.0, traffic: Traffic::default() }
    }
}

impl Parameters for Chance {
    fn check(&self) -> Result<(), String> {
        within("percent", self.percent, 0.01, 100.0)
    }
}

/// `loss`.
pub const LOSS: About = About {
    summary: "packets are lost by chance",
    how: "iptables rules with chance (xt_statistic) drop this share",
    needs: NET_ADMIN,
    proof: "the rules' own counters: packets that were lost out of all, a test of ours included where there is no traffic",
    undo: "exactly these rules are removed; xt_time ends them in the kernel even if nobody does",
    owns: Owns::Filter,
    ..About::DEFAULT
};

/// `duplicate`.
pub const DUPLICATE: About = About {
    summary: "packets arrive twice by chance",
    how: "the queue sends this share a second time",
    needs: QUEUE,
    proof: "the queue counted packets that it sent twice",
    undo: "exactly this queue and its rules are removed",
    owns: Owns::Shaper,
    ..About::DEFAULT
};

/// `corrupt`.
pub const CORRUPT: About = About {
    summary: "packets arrive with a wrong bit by chance; checksums notice, and TCP sends again",
    how: "the queue flips one bit of the payload of this share",
    needs: QUEUE,
    proof: "the queue counted packets that it changed",
    undo: "exactly this queue and its rules are removed",
    owns: Owns::Shaper,
    ..About::DEFAULT
};

/// Parameters of `reorder`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reorder {
    /// Share of the packets that others overtake, in percent.
    pub percent: f64,
    /// How long such a packet is held back, in milliseconds.
    pub delay_ms: u32,
    /// Which traffic.
    pub traffic: Traffic,
}

impl Default for Reorder {
    fn default() -> Self {
        Self { percent: 25.0, delay_ms: 20, traffic: Traffic::default() }
    }
}

impl Parameters for Reorder {
    fn check(&self) -> Result<(), String> {
        within("percent", self.percent, 0.01, 100.0)?;
        within("delay_ms", self.delay_ms, 1, 60_000)
    }
}

/// `reorder`.
pub const REORDER: About = About {
    summary: "packets overtake each other",
    how: "the queue holds this share back while others pass",
    needs: QUEUE,
    proof: "the queue counted packets that later ones of their connection overtook",
    undo: "exactly this queue and its rules are removed",
    owns: Owns::Shaper,
    effect_deadline: HELD_DEADLINE,
    ..About::DEFAULT
};

/// Parameters of `rate-limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Kilobits per second that each interface carries out of the node.
    pub kbit_per_s: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { kbit_per_s: 1_000 }
    }
}

impl Parameters for RateLimit {
    fn check(&self) -> Result<(), String> {
        within("kbit_per_s", self.kbit_per_s, 8, 10_000_000)
    }
}

/// `rate-limit`.
pub const RATE_LIMIT: About = About {
    summary: "the node's lines are narrow",
    how: "tc tbf on every interface, for what leaves the node",
    needs: NET_ADMIN,
    proof: "the rate is read back on every interface, with what the bucket held up and dropped so far",
    undo: "exactly this queueing discipline is removed",
    owns: Owns::Rate,
    ..About::DEFAULT
};

/// Parameters of `reset`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reset {
    /// Which connections.
    pub traffic: Traffic,
}

impl Parameters for Reset {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// `reset`.
pub const RESET: About = About {
    summary: "established connections break at once; new ones may be made",
    how: "the kernel destroys the node's TCP sockets (ss --kill): the other end sees a reset, the node's own an abort",
    needs: NET_ADMIN,
    proof: "the number of connections that were destroyed",
    undo: "nothing to undo",
    owns: Owns::Nothing,
    ..About::DEFAULT
};

/// Parameters of `dns-failure`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DnsFailure {
    /// Silence, or a refusal.
    pub by: Refusal,
}

impl Parameters for DnsFailure {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// `dns-failure`.
pub const DNS_FAILURE: About = About {
    summary: "the node's resolver does not answer (look-ups hang), or refuses",
    how: "iptables rules in the node's network namespace before the engine's resolver; names in its /etc/hosts are \
          not asked for",
    needs: NET_ADMIN,
    proof: "a look-up made in the namespace fails, and the rules counted it",
    undo: "exactly these rules are removed",
    owns: Owns::Resolver,
    ..About::DEFAULT
};

/// Parameters of `dns-wrong`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DnsWrong {
    /// Names that get a wrong answer; empty is all of them.
    pub names: Vec<String>,
    /// The wrong address.
    pub address: std::net::Ipv4Addr,
}

impl Default for DnsWrong {
    /// An address for documentation (RFC 5737), where nobody is.
    fn default() -> Self {
        Self { names: Vec::new(), address: std::net::Ipv4Addr::new(192, 0, 2, 1) }
    }
}

impl Parameters for DnsWrong {
    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match self.names.iter().find(|name| name.is_empty() || !name.chars().all(plain)) {
            Some(name) => Err(format!("{name:?} is not a host name")),
            None => Ok(()),
        }
    }
}

/// `dns-wrong`.
pub const DNS_WRONG: About = About {
    summary: "the node's resolver answers with a wrong address",
    how: "look-ups are redirected to a resolver in the helper that knows better, or worse; names in its /etc/hosts \
          are not asked for",
    needs: NET_ADMIN,
    proof: "a look-up made in the namespace gives the wrong address",
    undo: "exactly this redirection is removed",
    owns: Owns::Resolver,
    ..About::DEFAULT
};
