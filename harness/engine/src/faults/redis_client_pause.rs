//! `redis-client-pause`: a Redis lets its clients wait: their commands are accepted and not carried out.
//!
//! While writes wait (`mode: write`), everybody can end it with `CLIENT UNPAUSE`. While all wait, that command
//! waits as well, whoever sends it; the one exception is a client that was a monitor before. So `mode: all` is a
//! lease: a monitoring connection pauses for two seconds, again and again, and ends the pause when the fault is
//! undone. When the harness dies, Redis itself ends it, two seconds later at most.
//!
//! Proof of effect: the Redis has accepted the order, and a PING (`all`) or a write (`write`) of another client is
//! not answered.

use super::support::background::Background;
use super::support::cache::{self, Answer};
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::per_node::PerNode;
use crate::stack::Node;
use crate::wait::{self, Look};
use async_trait::async_trait;
use firedrill_core::fault::catalogue::redis::{PauseMode, RedisClientPause as Parameters};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// See the module.
pub(super) struct RedisClientPause {
    parameters: Parameters,
    leases: PerNode<Background>,
}

const FAULT: &str = "redis-client-pause";

/// A healthy Redis on a busy machine answers in this time for sure.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// How long one lease is, and how often it is renewed: a harness that is held up for a second loses nothing.
const LEASE: Duration = Duration::from_millis(2_000);
const RENEWAL: Duration = Duration::from_millis(500);

/// A connection whose commands do not wait, because it has become a monitor.
struct Exempt(BufReader<TcpStream>);

impl Exempt {
    async fn open(node: &Node) -> Done<Self> {
        let failed = |error: io::Error| InjectorError::failed(node, format!("monitor: {error}"));
        let stream = TcpStream::connect(cache::address(node, cache::REDIS)?).await.map_err(failed)?;
        let mut exempt = Self(BufReader::new(stream));
        exempt.order("MONITOR").await.map_err(failed)?;
        Ok(exempt)
    }

    /// Gives an order and waits until it is carried out. What the monitor is told meanwhile is passed over.
    async fn order(&mut self, order: &str) -> io::Result<()> {
        self.0.write_all(format!("{order}\r\n").as_bytes()).await?;
        let mut line = String::new();
        loop {
            line.clear();
            match self.0.read_line(&mut line).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if line.trim_end() == "+OK" => return Ok(()),
                _ if line.starts_with('-') => return Err(io::Error::other(line.trim_end().to_owned())),
                _ => {}
            }
        }
    }

    /// Pauses, for a lease or for what is left until `end`.
    async fn pause(&mut self, end: Instant) -> io::Result<()> {
        let left = end.saturating_duration_since(Instant::now()).min(LEASE);
        if left.is_zero() {
            return Ok(());
        }
        self.order(&format!("CLIENT PAUSE {} ALL", left.as_millis().max(1))).await
    }
}

/// Renews the lease until it is stopped, `end` has come, or the Redis is gone.
async fn renew(mut exempt: Exempt, end: Instant, mut stop: oneshot::Receiver<()>) {
    let mut ticks = interval_at(Instant::now() + RENEWAL, RENEWAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stop => break,
            _ = ticks.tick() => {}
        }
        if exempt.pause(end).await.is_err() {
            // Gone, and the pause with it; where it is not, the lease runs out.
            return;
        }
    }
    let _ = exempt.order("CLIENT UNPAUSE").await;
}

impl RedisClientPause {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { parameters: parameters.clone(), leases: PerNode::default() }
    }

    /// A command that waits while the fault is in force.
    const fn probe(&self) -> &'static str {
        match self.parameters.mode {
            PauseMode::All => cache::PING,
            PauseMode::Write => cache::WRITE,
        }
    }
}

#[async_trait]
impl Injector for RedisClientPause {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, FAULT).await?;
        let answers = wait::until("it answers", ANSWER_DEADLINE, Duration::from_millis(20), || async {
            match cache::outsider(node, self.probe()).await {
                Ok(Answer::Said(answer)) => Look::Ready(answer),
                Ok(Answer::Silence) => Look::NotYet("its clients wait already".to_owned()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        });
        match answers.await {
            Ok(answer) if !answer.starts_with('-') => Ok(Memo::none()),
            Ok(refusal) => {
                Err(InjectorError::impossible(node, FAULT, format!("no write waits where it is refused: {refusal}")))
            }
            Err(expired) => Err(InjectorError::impossible(node, FAULT, expired.last)),
        }
    }

    async fn inject(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let most = Duration::from_millis(self.parameters.most_ms);
        match self.parameters.mode {
            PauseMode::All => {
                let end = Instant::now() + most;
                let mut exempt = Exempt::open(node).await?;
                exempt.pause(end).await.map_err(|error| InjectorError::failed(node, format!("pause: {error}")))?;
                self.leases.put(node, Background::start(|stop| renew(exempt, end, stop)));
                Ok(())
            }
            PauseMode::Write => {
                let mut connection = cache::connect(node, cache::REDIS).await?;
                let most_ms = self.parameters.most_ms.to_string();
                cache::ask(node, &mut connection, &["CLIENT", "PAUSE", &most_ms, "WRITE"]).await
            }
        }
    }

    async fn effect(&self, _site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        let what = match self.parameters.mode {
            PauseMode::All => "PING",
            PauseMode::Write => "a write",
        };
        Ok(match cache::outsider(node, self.probe()).await? {
            Answer::Silence => Some(format!("{}: does not answer {what} in 200 ms", node.name)),
            Answer::Said(_) => None,
        })
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        if let Some(lease) = self.leases.take(node) {
            lease.end().await;
        }
        if self.parameters.mode == PauseMode::Write && state::is_up(site.stack, node).await? {
            let mut connection = cache::connect(node, cache::REDIS).await?;
            cache::ask::<()>(node, &mut connection, &["CLIENT", "UNPAUSE"]).await?;
        }
        Ok(())
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, and forgets the pause", node.name)));
        }
        Ok(match cache::outsider(node, self.probe()).await? {
            Answer::Silence => None,
            Answer::Said(_) => Some(format!("{}: answers its clients", node.name)),
        })
    }
}
