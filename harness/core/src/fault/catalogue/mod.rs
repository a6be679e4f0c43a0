//! The catalogue of faults: the registry, and how a fault is written.
//!
//! In a drill file a fault is its name, or its name with parameters:
//!
//! ```yaml
//! - {fault: pause, target: primary(postgres)}
//! - {fault: {delay: {delay_ms: 50, jitter_ms: 10}}, target: one(pgpool)}
//! ```
//!
//! Every parameter has a default that makes sense, so that the name alone is always enough.

pub mod database;
pub mod network;
pub mod node;
pub mod redis;
pub mod resource;

use super::About;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use strum::{IntoStaticStr, VariantNames};

macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $name:ident $(($parameters:path))? => $about:path,)+) => {
        /// The faults that exist.
        #[derive(Debug, Clone, PartialEq, Serialize, IntoStaticStr, VariantNames)]
        #[serde(rename_all = "kebab-case")]
        #[strum(serialize_all = "kebab-case")]
        pub enum Fault { $($(#[doc = $doc])+ $name $(($parameters))?,)+ }

        /// The same with derived parsing; [`Fault`] adds the short form to it.
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        #[schemars(rename = "Fault")]
        enum Written { $($(#[doc = $doc])+ $name $(($parameters))?,)+ }

        impl From<Written> for Fault {
            fn from(written: Written) -> Self {
                match written { $(registry!(@pattern Written $name value $(($parameters))?) => registry!(@pattern Self $name value $(($parameters))?),)+ }
            }
        }

        impl Fault {
            /// What is to be known about it.
            pub fn about(&self) -> &'static About {
                match self { $(registry!(@any Self $name $(($parameters))?) => &$about,)+ }
            }

            fn parameters_check(&self) -> Result<(), String> {
                match self { $(registry!(@pattern Self $name value $(($parameters))?) => registry!(@check value $(($parameters))?),)+ }
            }
        }
    };
    (@pattern $enum:ident $name:ident $value:ident ($parameters:path)) => { $enum::$name($value) };
    (@pattern $enum:ident $name:ident $value:ident) => { $enum::$name };
    (@any $enum:ident $name:ident ($parameters:path)) => { $enum::$name(_) };
    (@any $enum:ident $name:ident) => { $enum::$name };
    (@check $value:ident ($parameters:path)) => { $value.check() };
    (@check $value:ident) => { Ok(()) };
}

registry! {
    /// SIGKILL to every process of the node.
    Kill => node::KILL,
    /// SIGTERM, as an operator or an orchestrator stops it.
    Stop(node::Stop) => node::STOP,
    /// Frozen: alive to the kernel, dead to everybody who waits for an answer.
    Pause => node::PAUSE,
    /// Stopped and started again at once.
    Restart(node::Stop) => node::RESTART,
    /// Killed again each time it comes up.
    CrashLoop(node::CrashLoop) => node::CRASH_LOOP,
    /// Removed with its own volumes and made anew: a replaced machine.
    Recreate => node::RECREATE,
    /// SIGKILL to processes inside, chosen by their command line.
    KillProcess(node::Process) => node::KILL_PROCESS,
    /// SIGSTOP to processes inside, chosen by their command line.
    FreezeProcess(node::Process) => node::FREEZE_PROCESS,
    /// All nodes of the target stopped and started again, one after the other, each when the one before serves.
    RollingRestart(node::Stop) => node::ROLLING_RESTART,
    /// Packets to and from peers are dropped, or refused.
    Partition(network::Partition) => network::PARTITION,
    /// The interfaces are down.
    LinkDown => network::LINK_DOWN,
    /// Packets arrive late.
    Delay(network::Delay) => network::DELAY,
    /// Packets are lost by chance.
    Loss(network::Chance) => network::LOSS,
    /// Packets arrive twice by chance.
    Duplicate(network::Chance) => network::DUPLICATE,
    /// Packets arrive with a wrong bit by chance.
    Corrupt(network::Chance) => network::CORRUPT,
    /// Packets overtake each other by chance.
    Reorder(network::Reorder) => network::REORDER,
    /// The interfaces carry less.
    RateLimit(network::RateLimit) => network::RATE_LIMIT,
    /// Established connections are reset, new ones are not.
    Reset(network::Reset) => network::RESET,
    /// The resolver does not answer, or refuses.
    DnsFailure(network::DnsFailure) => network::DNS_FAILURE,
    /// The resolver gives a wrong address.
    DnsWrong(network::DnsWrong) => network::DNS_WRONG,
    /// Less CPU time than it wants.
    CpuQuota(resource::CpuQuota) => resource::CPU_QUOTA,
    /// Other work on its cores.
    CpuStress(resource::CpuStress) => resource::CPU_STRESS,
    /// Less memory than it may want.
    MemoryLimit(resource::MemoryLimit) => resource::MEMORY_LIMIT,
    /// The kernel ends a process for want of memory.
    OutOfMemory(resource::OutOfMemory) => resource::OUT_OF_MEMORY,
    /// No space left on its volume.
    DiskFull(resource::DiskFull) => resource::DISK_FULL,
    /// Its volume is slow.
    DiskSlow(resource::DiskSlow) => resource::DISK_SLOW,
    /// Writes to its volume hang.
    DiskStall => resource::DISK_STALL,
    /// No further file or socket can be opened.
    Descriptors(resource::Descriptors) => resource::DESCRIPTORS,
    /// Every connection that the service allows is taken.
    Connections(resource::Connections) => resource::CONNECTIONS,
    /// Its processes see another time.
    ClockSkew(resource::ClockSkew) => resource::CLOCK_SKEW,
    /// A standby receives and does not replay.
    ReplayPause => database::REPLAY_PAUSE,
    /// A standby is cut off from replication, and from nothing else.
    ReplicationCut => database::REPLICATION_CUT,
    /// Somebody holds the lock of a quota.
    QuotaLock(database::QuotaLock) => database::QUOTA_LOCK,
    /// A transaction stays open.
    LongTransaction => database::LONG_TRANSACTION,
    /// A checkpoint, now.
    Checkpoint => database::CHECKPOINT,
    /// A Pgpool takes a backend out.
    PoolDetach(database::PoolDetach) => database::POOL_DETACH,
    /// The Sentinels fail over without need.
    SentinelFailover => redis::SENTINEL_FAILOVER,
    /// A Redis answers nobody for a while.
    RedisSleep(redis::RedisSleep) => redis::REDIS_SLEEP,
    /// A Redis has no memory for further keys.
    RedisMaxmemory(redis::RedisMaxmemory) => redis::REDIS_MAXMEMORY,
    /// A Redis lets its clients wait.
    RedisClientPause(redis::RedisClientPause) => redis::REDIS_CLIENT_PAUSE,
}

/// The catalogue as Markdown, for the documentation: the same texts that decide what is refused.
pub fn markdown() -> String {
    let mut text = String::new();
    for fault in Fault::all() {
        let about = fault.about();
        let kinds: Vec<String> = about.kinds.iter().map(ToString::to_string).collect();
        let kinds = if kinds.is_empty() { "every node".to_owned() } else { kinds.join(", ") };
        let parameters = match fault.parameters() {
            parameters if parameters.is_empty() => String::new(),
            parameters => format!("| default parameters | `{parameters}` |\n"),
        };
        text.push_str(&format!("\n### `{}`\n\n{}.\n\n| | |\n| --- | --- |\n", fault.name(), about.summary));
        text.push_str(&parameters);
        for (name, value) in [
            ("how", about.how),
            ("done to", kinds.as_str()),
            ("needs", about.needs),
            ("proof of effect", about.proof),
            ("undo", about.undo),
        ] {
            text.push_str(&format!("| {name} | {} |\n", value.replace('|', "\\|")));
        }
    }
    text
}

/// Parameters of a fault.
pub(crate) trait Parameters {
    /// Refuses numbers that cannot be meant.
    fn check(&self) -> Result<(), String>;
}

impl Fault {
    /// The names of all faults, in the order of the catalogue.
    pub fn names() -> &'static [&'static str] {
        <Self as VariantNames>::VARIANTS
    }

    /// Its name in drill files.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The fault of this name with default parameters.
    pub fn by_name(name: &str) -> Option<Self> {
        let unit = serde_json::from_value::<Written>(serde_json::Value::String(name.to_owned()));
        let parameters = || serde_json::from_value::<Written>(serde_json::json!({ name: {} }));
        unit.or_else(|_| parameters()).ok().map(Self::from)
    }

    /// All faults with default parameters.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::names().iter().filter_map(|name| Self::by_name(name))
    }

    /// Refuses parameters that cannot be meant.
    pub fn check(&self) -> Result<(), String> {
        self.parameters_check().map_err(|why| format!("{}: {why}", self.name()))
    }

    /// Its parameters as in a drill file, on one line; empty where it has none.
    pub fn parameters(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let Some(parameters) = value.get(self.name()).and_then(serde_json::Value::as_object) else {
            return String::new();
        };
        let pairs = parameters.iter().filter(|(_, value)| !value.is_null());
        let pairs = pairs.map(|(key, value)| match value {
            serde_json::Value::String(text) => format!("{key}: {text}"),
            other => format!("{key}: {other}"),
        });
        pairs.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FaultVisitor;
        impl<'de> Visitor<'de> for FaultVisitor {
            type Value = Fault;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a fault, or a mapping of a name to parameters")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Fault, E> {
                Fault::by_name(name).ok_or_else(|| E::unknown_variant(name, Fault::names()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fault, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map)).map(Fault::from)
            }
        }
        deserializer.deserialize_any(FaultVisitor)
    }
}

impl JsonSchema for Fault {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let written = Written::json_schema(generator);
        schemars::json_schema!({
            "description": "A fault: its name, or its name with parameters.",
            "anyOf": [{ "type": "string", "enum": Self::names() }, written]
        })
    }
}

/// Refuses a number outside of a range.
pub(crate) fn within<T: PartialOrd + fmt::Display>(name: &str, value: T, least: T, most: T) -> Result<(), String> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(format!("{name} is {value}: give {least} to {most}"))
}
