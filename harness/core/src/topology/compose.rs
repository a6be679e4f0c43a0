//! The supported part of the Compose format, as it is written.
//!
//! Every struct refuses keys that it does not know. Texts keep their place in the file, so that what is
//! found wrong later can still be pointed at.

use super::NodeKind;
use crate::source::{self, Source, SourceError};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

/// A text with its place.
pub(super) type Text = Spanned<Scalar>;

/// A scalar as text: Compose lets people write `8080`, `true` and `"8080"` for the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or true/false")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// A Compose file.
#[derive(Debug)]
pub struct File {
    /// Services in the order of the file.
    pub services: Vec<(Spanned<String>, Spanned<Service>)>,
    /// Networks.
    pub networks: BTreeMap<String, Spanned<Network>>,
    /// Named volumes.
    pub volumes: BTreeMap<String, Option<Volume>>,
    /// `x-firedrill` of the file.
    pub firedrill: FileMeta,
}

/// `x-firedrill` at the top level.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileMeta {
    /// What the topology is.
    pub description: String,
    /// Variable that receives the first three octets of a free /24.
    pub subnet_variable: Option<String>,
    /// Variables that receive a secret.
    pub secrets: Vec<String>,
    /// Machines with their nodes.
    pub hosts: BTreeMap<String, Vec<Spanned<String>>>,
}

/// A volume. Compose's own options are not supported.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// What firedrill is to know about it.
    #[serde(rename = "x-firedrill")]
    pub firedrill: Option<VolumeMeta>,
}

/// `x-firedrill` of a volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeMeta {
    /// Size in MiB of a file system of its own, so that it can be full or slow without the host's being so.
    pub disk_mb: Spanned<u32>,
}

/// The clock that a service's processes see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The host's.
    Host,
    /// One that `clock-skew` can set forwards and backwards.
    Faketime,
}

/// A network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Only `bridge`.
    pub driver: Option<Text>,
    /// Its subnet.
    pub ipam: Ipam,
}

/// `ipam` of a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipam {
    /// Exactly one.
    pub config: Vec<IpamConfig>,
}

/// One entry of `ipam.config`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpamConfig {
    /// `a.b.c.d/n`.
    pub subnet: Text,
}

/// A service. What must be there is optional here: the parser would report a missing key at the last line
/// of the service and without its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Image.
    pub image: Option<Text>,
    /// Build context.
    pub build: Option<Build>,
    /// Arguments.
    #[serde(default)]
    pub command: Vec<Text>,
    /// Host name.
    pub hostname: Option<Text>,
    /// Environment as a mapping.
    #[serde(default)]
    pub environment: BTreeMap<String, Text>,
    /// Networks as a mapping.
    #[serde(default)]
    pub networks: BTreeMap<String, Spanned<Option<Attachment>>>,
    /// Volumes in the short form.
    #[serde(default)]
    pub volumes: Vec<Text>,
    /// Ports in the short form.
    #[serde(default)]
    pub ports: Vec<Text>,
    /// `name:address`.
    #[serde(default)]
    pub extra_hosts: Vec<Text>,
    /// Init process.
    #[serde(default)]
    pub init: bool,
    /// For example `128m`.
    pub shm_size: Option<Text>,
    /// Weight when cores are short; 1024 is usual.
    pub cpu_shares: Option<Spanned<u32>>,
    /// Kernel parameters.
    #[serde(default)]
    pub sysctls: BTreeMap<String, Text>,
    /// Capabilities.
    #[serde(default)]
    pub cap_add: Vec<Text>,
    /// Signal.
    pub stop_signal: Option<Text>,
    /// For example `10s`.
    pub stop_grace_period: Option<Text>,
    /// For other Compose tools; `start_after` is what firedrill goes by.
    #[serde(default, rename = "depends_on")]
    pub _depends_on: Vec<Text>,
    /// Only `no`: a harness that kills nodes must be the one that starts them again.
    pub restart: Option<Text>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, Text>,
    /// Replicas.
    #[serde(default)]
    pub deploy: Deploy,
    /// What firedrill needs to know.
    #[serde(rename = "x-firedrill")]
    pub firedrill: Option<ServiceMeta>,
}

/// `build`, as a path or as a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Context folder, relative to the Compose file.
    pub context: String,
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BuildVisitor;
        impl<'de> Visitor<'de> for BuildVisitor {
            type Value = Build;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or a mapping with the key context")
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Build, E> {
                Ok(Build { context: value.to_owned() })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Build, A::Error> {
                let mut context = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "context" => context = Some(map.next_value::<String>()?),
                        _ => return Err(de::Error::unknown_field(&key, &["context"])),
                    }
                }
                context.map(|context| Build { context }).ok_or_else(|| de::Error::missing_field("context"))
            }
        }
        deserializer.deserialize_any(BuildVisitor)
    }
}

/// How a service is attached to a network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attachment {
    /// Further names.
    pub aliases: Vec<Text>,
    /// Fixed address.
    pub ipv4_address: Option<Text>,
}

/// `deploy` of a service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    /// Number of nodes.
    pub replicas: Option<Spanned<u32>>,
}

/// `x-firedrill` of a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceMeta {
    /// Tier.
    pub tier: String,
    /// Kind.
    pub kind: NodeKind,
    /// Services that must be ready first.
    #[serde(default)]
    pub start_after: Vec<Spanned<String>>,
    /// Buyers enter here.
    pub entry_point: Option<EntryPoint>,
    /// Why one node is enough.
    pub single: Option<String>,
    /// The clock that its processes see.
    pub clock: Option<Clock>,
}

/// Where buyers enter.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPoint {
    /// Container port.
    pub port: u16,
}

/// Reads a Compose file as it is written.
pub fn parse(source: &Source) -> Result<File, SourceError> {
    source::parse_yaml(source)
}

/// Top-level keys: the known ones, and `x-*` for anchors, which is where YAML's repetition is folded.
const TOP_LEVEL: &[&str] = &["version", "services", "networks", "volumes", "x-firedrill", "x-*"];

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FileVisitor;
        impl<'de> Visitor<'de> for FileVisitor {
            type Value = File;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a Compose file")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let (mut services, mut networks, mut volumes, mut firedrill) = (None, None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "version" => _ = map.next_value::<Scalar>()?,
                        "services" => services = Some(map.next_value::<OrderedServices>()?.0),
                        "networks" => networks = Some(map.next_value()?),
                        "volumes" => volumes = Some(map.next_value()?),
                        "x-firedrill" => firedrill = Some(map.next_value()?),
                        extension if extension.starts_with("x-") => _ = map.next_value::<IgnoredAny>()?,
                        unknown => return Err(de::Error::unknown_field(unknown, TOP_LEVEL)),
                    }
                }
                Ok(File {
                    services: services.unwrap_or_default(),
                    networks: networks.unwrap_or_default(),
                    volumes: volumes.unwrap_or_default(),
                    firedrill: firedrill.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_map(FileVisitor)
    }
}

/// Services keep the order of the file: it is the order in which people think of the stack, and the
/// order of the matrix.
struct OrderedServices(Vec<(Spanned<String>, Spanned<Service>)>);

impl<'de> Deserialize<'de> for OrderedServices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ServicesVisitor;
        impl<'de> Visitor<'de> for ServicesVisitor {
            type Value = OrderedServices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping of services")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderedServices, A::Error> {
                let mut services = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    services.push(entry);
                }
                Ok(OrderedServices(services))
            }
        }
        deserializer.deserialize_map(ServicesVisitor)
    }
}
