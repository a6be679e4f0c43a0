//! `redis-maxmemory`: a Redis has no memory for further keys. With the policy `noeviction`, which is the only one
//! for a broker, it refuses writes instead of throwing keys away.
//!
//! Proof of effect: the settings are read back, and a master refuses a write with OOM. A replica takes what its
//! master sends whatever its own limit is: there it is the settings alone, which bite when it is promoted. Undo:
//! each setting that still is as the fault has set it becomes what it was before. A node that was restarted has
//! its configuration file's values by then.

use super::support::cache::{self, Answer};
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::stack::Node;
use async_trait::async_trait;
use firedrill_core::fault::catalogue::redis::RedisMaxmemory as Parameters;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) struct RedisMaxmemory {
    ours: Settings,
}

const FAULT: &str = "redis-maxmemory";

/// The two settings, as Redis writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    maxmemory: String,
    policy: String,
}

impl Settings {
    async fn read(node: &Node, from: &mut MultiplexedConnection) -> Done<Self> {
        let maxmemory = cache::setting(node, from, "maxmemory").await?;
        let policy = cache::setting(node, from, "maxmemory-policy").await?;
        Ok(Self { maxmemory, policy })
    }

    /// What has to be set for `self` to be as before, where it is as `ours`.
    fn undo<'a>(&self, ours: &Self, before: &'a Self) -> Vec<(&'static str, &'a str)> {
        let limit = (self.maxmemory == ours.maxmemory && ours.maxmemory != before.maxmemory)
            .then_some(("maxmemory", before.maxmemory.as_str()));
        let policy = (self.policy == ours.policy && ours.policy != before.policy)
            .then_some(("maxmemory-policy", before.policy.as_str()));
        // The limit first: with another policy and the fault's limit, Redis would throw keys away.
        limit.into_iter().chain(policy).collect()
    }
}

impl RedisMaxmemory {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { ours: Settings { maxmemory: parameters.bytes.to_string(), policy: "noeviction".to_owned() } }
    }
}

#[async_trait]
impl Injector for RedisMaxmemory {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, FAULT).await?;
        let before = Settings::read(node, &mut cache::connect(node, cache::REDIS).await?).await?;
        if before == self.ours {
            let why = format!("its limit is {} bytes already", before.maxmemory);
            return Err(InjectorError::impossible(node, FAULT, why));
        }
        Memo::of(node, &before)
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let mut connection = cache::connect(node, cache::REDIS).await?;
        // The policy first: with another one and the limit, Redis would throw keys away.
        let settings = [("maxmemory-policy", &self.ours.policy), ("maxmemory", &self.ours.maxmemory)];
        for (name, value) in settings {
            cache::ask::<()>(node, &mut connection, &["CONFIG", "SET", name, value]).await?;
        }
        Ok(())
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let mut connection = cache::connect(node, cache::REDIS).await?;
        if Settings::read(node, &mut connection).await? != self.ours {
            return Ok(None);
        }
        let set = format!("{}: maxmemory is {} with {}", node.name, self.ours.maxmemory, self.ours.policy);
        if !cache::is_master(node, &mut connection).await? {
            return Ok(Some(format!("{set}; it is a replica")));
        }
        match cache::outsider(node, cache::WRITE).await? {
            answer if answer.is_out_of_memory() => Ok(Some(format!("{set}; a write is refused with OOM"))),
            Answer::Said(other) if other.starts_with('-') => {
                Err(InjectorError::failed(node, format!("{set}, but a write is refused for another reason: {other}")))
            }
            Answer::Said(_) => {
                Err(InjectorError::failed(node, format!("{set}, and a write is accepted: less is used")))
            }
            Answer::Silence => Err(InjectorError::failed(node, format!("{set}, and a write is not answered"))),
        }
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<()> {
        if !state::is_up(site.stack, node).await? {
            return Ok(());
        }
        let before: Settings = memo.read(node)?;
        let mut connection = cache::connect(node, cache::REDIS).await?;
        let now = Settings::read(node, &mut connection).await?;
        for (name, value) in now.undo(&self.ours, &before) {
            cache::ask::<()>(node, &mut connection, &["CONFIG", "SET", name, value]).await?;
        }
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, and starts with its configuration file", node.name)));
        }
        let before: Settings = memo.read(node)?;
        let now = Settings::read(node, &mut cache::connect(node, cache::REDIS).await?).await?;
        let undone = now.undo(&self.ours, &before).is_empty();
        Ok(undone.then(|| format!("{}: maxmemory is {} with {}", node.name, now.maxmemory, now.policy)))
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    fn settings(maxmemory: &str, policy: &str) -> Settings {
        Settings { maxmemory: maxmemory.to_owned(), policy: policy.to_owned() }
    }

    #[test]
    fn only_what_the_fault_has_set_is_set_back() {
        let (ours, before) = (settings("1", "noeviction"), settings("0", "allkeys-lru"));
        assert_eq!(ours.undo(&ours, &before), [("maxmemory", "0"), ("maxmemory-policy", "allkeys-lru")]);
        // Injected by half, restarted, changed by somebody else.
        assert_eq!(settings("0", "noeviction").undo(&ours, &before), [("maxmemory-policy", "allkeys-lru")]);
        assert_eq!(before.undo(&ours, &before), []);
        assert_eq!(settings("500", "volatile-lru").undo(&ours, &before), []);
        // What was the same before is nobody's change.
        assert_eq!(ours.undo(&ours, &settings("0", "noeviction")), [("maxmemory", "0")]);
    }
}
