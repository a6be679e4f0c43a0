//! Commands to a Redis or a Sentinel: what the faults inside them have in common.

use crate::faults::{Done, InjectorError};
use crate::probe::connect_redis;
use crate::stack::Node;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Port of a Redis.
pub(in crate::faults) const REDIS: u16 = 6379;

/// Port of a Sentinel.
pub(in crate::faults) const SENTINEL: u16 = 26379;

/// Who does not answer for this long is silent. A Redis takes well under a millisecond; one in a thousand answers
/// takes as long on a busy 2-core machine, so silence alone proves little: every fault has something more.
const PATIENCE: Duration = Duration::from_millis(200);

/// A command that reads nothing and changes nothing.
pub(in crate::faults) const PING: &str = "PING";

/// A command that Redis holds to be a write and refuses like one, and that never writes anything: an empty text
/// into a key that does not exist.
pub(in crate::faults) const WRITE: &str = "SETRANGE firedrill:probe 0 \"\"";

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::faults) enum Answer {
    /// The connection stands, and nothing came over it in 200 ms.
    Silence,
    /// This.
    Said(String),
}

impl Answer {
    /// Whether it was refused for want of memory.
    pub(in crate::faults) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Said(text) if text.starts_with("-OOM"))
    }
}

/// Where a port of a node is reached from here.
pub(in crate::faults) fn address(node: &Node, port: u16) -> Done<SocketAddr> {
    node.published(port).ok_or_else(|| InjectorError::failed(node, format!("port {port} is not published")))
}

/// Opens a connection.
pub(in crate::faults) async fn connect(node: &Node, port: u16) -> Done<MultiplexedConnection> {
    let connected = connect_redis(address(node, port)?).await;
    connected.map_err(|error| InjectorError::failed(node, format!("no connection: {error}")))
}

/// Asks for something.
pub(in crate::faults) async fn ask<T: FromRedisValue>(
    node: &Node,
    to: &mut MultiplexedConnection,
    words: &[&str],
) -> Done<T> {
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    let answered = command.query_async(to).await;
    answered.map_err(|error| InjectorError::failed(node, format!("{}: {error}", words.join(" "))))
}

/// The value of a setting; empty where there is none of that name.
pub(in crate::faults) async fn setting(node: &Node, to: &mut MultiplexedConnection, name: &str) -> Done<String> {
    let pairs: Vec<(String, String)> = ask(node, to, &["CONFIG", "GET", name]).await?;
    Ok(pairs.into_iter().next().map(|(_, value)| value).unwrap_or_default())
}

/// Whether it says that it is a master.
pub(in crate::faults) async fn is_master(node: &Node, to: &mut MultiplexedConnection) -> Done<bool> {
    let info: String = ask(node, to, &["INFO", "replication"]).await?;
    Ok(info.lines().any(|line| line.trim() == "role:master"))
}

/// One command by a new client of its own, as any other client would send it. No answer is an answer here; no
/// connection is an error.
pub(in crate::faults) async fn outsider(node: &Node, command: &str) -> Done<Answer> {
    let failed = |error: std::io::Error| InjectorError::failed(node, format!("{command}: {error}"));
    let gone = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let connecting = timeout(PATIENCE, TcpStream::connect(address(node, REDIS)?)).await;
    let mut stream = connecting.map_err(|_| InjectorError::failed(node, "no connection in 200 ms"))?.map_err(failed)?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await.map_err(failed)?;
    let mut answer = [0; 256];
    match timeout(PATIENCE, stream.read(&mut answer)).await {
        Err(_) => Ok(Answer::Silence),
        Ok(Ok(0)) => Err(failed(gone())),
        Ok(Ok(count)) => Ok(Answer::Said(String::from_utf8_lossy(&answer[..count]).trim_end().to_owned())),
        Ok(Err(error)) => Err(failed(error)),
    }
}
