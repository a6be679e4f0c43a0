//! `rate-limit`: a token bucket (tbf) on every interface, for what leaves the node.
//!
//! Proof of effect: the rate, read back from the kernel on every interface, with what the buckets held up so
//! far.

use super::support::in_namespace::{Change, undone_by};
use super::{Done, InjectorError, Site};
use crate::docker::Output;
use crate::stack::Node;
use crate::toolbox::{Command, Held, Spec, look};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::network::RateLimit as Parameters;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// See the module.
pub(super) struct RateLimit {
    kbit_per_s: u32,
}

/// The handle of our queueing discipline: only what has it is removed.
const HANDLE: &str = "fd01:";

/// How long a packet may wait before the queue is full, in milliseconds: a router's buffer.
const LATENCY_MS: u32 = 400;

/// Least size of the bucket, in bytes: ten full packets.
const BURST_MIN_BYTES: u32 = 15_000;

#[derive(Serialize, Deserialize)]
pub(super) struct Lines {
    spec: Spec,
    devices: Vec<String>,
}

/// What the bucket of one interface says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bucket {
    device: String,
    bytes_per_s: u64,
    held_up: u64,
    dropped: u64,
}

impl RateLimit {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { kbit_per_s: parameters.kbit_per_s }
    }

    fn lines(&self, devices: Vec<String>) -> Lines {
        // What flows in 10 ms: less would make the kernel's timer the limit.
        let burst = (self.kbit_per_s / 8 * 10).max(BURST_MIN_BYTES);
        let rate = self.kbit_per_s;
        let add = |device: &String| {
            Command::new(&format!(
                "tc qdisc add dev {device} root handle {HANDLE} tbf rate {rate}kbit burst {burst} latency {LATENCY_MS}ms"
            ))
        };
        let delete = |device: &String| Command::new(&format!("tc qdisc del dev {device} root handle {HANDLE}"));
        let (apply, revert) = (devices.iter().map(add).collect(), devices.iter().map(delete).collect());
        Lines { spec: Spec { apply, revert, ..Spec::empty() }, devices }
    }
}

fn question() -> [Command; 1] {
    [Command::new("tc -s -j qdisc show")]
}

/// A root queueing discipline: the device, its kind, and the bucket where it is ours.
type Root = (String, String, Option<Bucket>);

fn read(node: &Node, outputs: &[Output]) -> Done<Vec<Root>> {
    let text = outputs.first().map_or("", |output| output.stdout.as_str());
    let queues: Vec<Value> = serde_json::from_str(text).map_err(|error| InjectorError::failed(node, error))?;
    Ok(roots(&queues))
}

fn roots(queues: &[Value]) -> Vec<Root> {
    let roots = queues.iter().filter(|queue| queue.get("root").and_then(Value::as_bool) == Some(true));
    let text = |queue: &Value, name: &str| queue.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |queue: &Value, name: &str| queue.get(name).and_then(Value::as_u64).unwrap_or(0);
    let root = |queue: &Value| {
        let device = text(queue, "dev");
        let ours = text(queue, "handle") == HANDLE;
        let bucket = ours.then(|| Bucket {
            device: device.clone(),
            bytes_per_s: queue.get("options").map_or(0, |options| number(options, "rate")),
            held_up: number(queue, "overlimits"),
            dropped: number(queue, "drops"),
        });
        (device, text(queue, "kind"), bucket)
    };
    roots.map(root).collect()
}

#[async_trait]
impl Change for RateLimit {
    const NAME: &'static str = "rate-limit";

    type Plan = Lines;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Lines> {
        let roots = read(node, &look(site, node, &question()).await?)?;
        let roots: Vec<_> = roots.into_iter().filter(|(device, ..)| device != "lo").collect();
        if let Some((device, kind, _)) = roots.iter().find(|(_, kind, _)| kind != "noqueue") {
            let why = format!("{device} has a queueing discipline already ({kind})");
            return Err(InjectorError::impossible(node, Self::NAME, why));
        }
        Ok(self.lines(roots.into_iter().map(|(device, ..)| device).collect()))
    }

    fn spec(plan: &Lines) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, plan: &Lines) -> Done<Option<String>> {
        let counters = held.count(node).await?;
        let buckets: Vec<Bucket> = roots(&counters.queues).into_iter().filter_map(|(.., bucket)| bucket).collect();
        let wanted = u64::from(self.kbit_per_s) * 1_000 / 8;
        let there = plan
            .devices
            .iter()
            .all(|device| buckets.iter().any(|bucket| bucket.device == *device && bucket.bytes_per_s == wanted));
        let (held_up, dropped) =
            buckets.iter().fold((0, 0), |(held, dropped), b| (held + b.held_up, dropped + b.dropped));
        let (rate, devices) = (self.kbit_per_s, plan.devices.join(", "));
        Ok((there && !plan.devices.is_empty()).then(|| {
            format!("{}: {rate} kbit/s read back on {devices}, held up {held_up} times, {dropped} dropped", node.name)
        }))
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _plan: &Lines) -> Done<Option<String>> {
        undone_by(site, node, &question(), |outputs| {
            let left = read(node, outputs)?.iter().any(|(.., bucket)| bucket.is_some());
            Ok((!left).then(|| format!("{}: no bucket of ours is left", node.name)))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_bucket_is_read() {
        let queues: Vec<Value> = serde_json::from_str(
            r#"[{"kind":"noqueue","handle":"0:","dev":"lo","root":true},
                {"kind":"tbf","handle":"fd01:","dev":"eth0","root":true,"options":{"rate":125000},
                 "drops":2,"overlimits":7}]"#,
        )
        .expect("json");
        let bucket = Bucket { device: "eth0".to_owned(), bytes_per_s: 125_000, held_up: 7, dropped: 2 };
        let lo = ("lo".to_owned(), "noqueue".to_owned(), None);
        assert_eq!(roots(&queues), [lo, ("eth0".to_owned(), "tbf".to_owned(), Some(bucket))]);
    }

    #[test]
    fn the_bucket_grows_with_the_rate() {
        let of = |kbit_per_s| RateLimit::new(&Parameters { kbit_per_s }).lines(vec!["eth0".to_owned()]).spec;
        assert!(of(8).apply[0].argv.contains(&"15000".to_owned()));
        assert!(of(1_000_000).apply[0].argv.contains(&"1250000".to_owned()));
    }
}
