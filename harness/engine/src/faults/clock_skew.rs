//! `clock-skew`: the node's server was started with libfaketime preloaded (`x-firedrill: {clock: faketime}`),
//! which reads its offset from a file in the container once a second. No file is the true time.
//!
//! Proof of effect: the clock is read back by a process that is started in the same way, and from the server
//! itself, and lies off by the offset. Undo: an offset of nothing.

use super::support::inside::{self, ROOT};
use super::support::state;
use super::{Done, Injector, InjectorError, Memo, Site};
use crate::boot::CLOCK_FILE;
use crate::docker::DockerError;
use crate::probe;
use crate::stack::Node;
use async_trait::async_trait;
use bollard::body_full;
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use firedrill_core::fault::catalogue::resource;
use firedrill_core::topology::NodeKind;
use std::time::{SystemTime, UNIX_EPOCH};

/// Renamed when it is whole: a half-written offset would be another one.
const WRITE: &str = r#"mkdir -p "${1%/*}" && printf '%s' "$2" > "$1.new" && chmod 644 "$1.new" && mv "$1.new" "$1""#;

/// How far a reading may lie outside of the span in which it was made, for rounding, in seconds.
const SLACK_S: f64 = 0.1;

/// See the module.
pub(super) struct ClockSkew {
    offset_s: i64,
}

impl ClockSkew {
    pub(super) fn new(parameters: &resource::ClockSkew) -> Self {
        Self { offset_s: parameters.offset_s }
    }
}

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A reading of the node's clock and the span of ours in which it was made.
#[derive(Debug, Clone, Copy)]
struct Reading {
    begin_s: f64,
    node_s: f64,
    end_s: f64,
}

impl Reading {
    /// Whether the node's clock is off by as much as this.
    fn is_off_by(self, offset_s: f64) -> bool {
        let true_s = self.node_s - offset_s;
        true_s >= self.begin_s - SLACK_S && true_s <= self.end_s + SLACK_S
    }

    fn offset_s(self) -> f64 {
        self.node_s - f64::midpoint(self.begin_s, self.end_s)
    }
}

/// The clock of a process with the node's environment, and the server's own.
async fn clocks(site: &Site<'_>, node: &Node) -> Done<Vec<(&'static str, Reading)>> {
    let unreadable = |text: &str| InjectorError::failed(node, format!("its clock reads {text:?}"));
    let begin_s = now_s();
    let said = inside::shell(site.stack, node, "", "LD_PRELOAD=$FIREDRILL_PRELOAD date +%s.%N", &[]).await?;
    let node_s = said.trim().parse().map_err(|_| unreadable(&said))?;
    let mut readings = vec![("a process", Reading { begin_s, node_s, end_s: now_s() })];
    if let (NodeKind::Postgres, Some(address)) = (node.kind, node.published(5432)) {
        let failed = |error: String| InjectorError::failed(node, error);
        let password = site.stack.secrets.get("POSTGRES_PASSWORD");
        let client = probe::connect_postgres(address, password, "postgres").await.map_err(failed)?;
        let begin_s = now_s();
        let row = client.query_one("select extract(epoch from clock_timestamp())::float8", &[]).await;
        let node_s: f64 = row.map_err(|error| failed(error.to_string()))?.get(0);
        readings.push(("the server", Reading { begin_s, node_s, end_s: now_s() }));
    }
    Ok(readings)
}

/// The readings in words, if all are off by as much as this.
fn all_off_by(node: &Node, readings: &[(&'static str, Reading)], offset_s: f64) -> Option<String> {
    let text = |(who, reading): &(&str, Reading)| format!("{who} reads {:+.1} s", reading.offset_s());
    let all = readings.iter().all(|(_, reading)| reading.is_off_by(offset_s));
    all.then(|| format!("{}: {}", node.name, readings.iter().map(text).collect::<Vec<_>>().join(", ")))
}

/// An archive with an offset of nothing, for a container in which nothing can be run.
fn no_offset() -> std::io::Result<Vec<u8>> {
    let path = CLOCK_FILE.trim_start_matches('/');
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, &b"+0"[..])?;
    archive.into_inner()
}

#[async_trait]
impl Injector for ClockSkew {
    async fn prepare(&self, site: &Site<'_>, node: &Node) -> Done<Memo> {
        state::must_run(site.stack, node, "clock-skew").await?;
        if !site.stack.topology.service_of(&node.name).is_some_and(|service| service.faketime) {
            let why = "it was not started with a clock that can be skewed; give its service `x-firedrill: {clock: \
                       faketime}`";
            return Err(InjectorError::impossible(node, "clock-skew", why));
        }
        let has = inside::shell(site.stack, node, "", "grep -lsw libfaketimeMT /proc/[0-9]*/maps || true", &[]);
        if has.await?.is_empty() {
            let why = "libfaketime is not preloaded: its image has to install it, and to preload FIREDRILL_PRELOAD";
            return Err(InjectorError::impossible(node, "clock-skew", why));
        }
        Ok(Memo::none())
    }

    async fn inject(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        let offset = format!("{:+}", self.offset_s);
        inside::shell(site.stack, node, ROOT, WRITE, &[CLOCK_FILE, &offset]).await.map(|_| ())
    }

    async fn effect(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        Ok(all_off_by(node, &clocks(site, node).await?, self.offset_s as f64))
    }

    async fn undo(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<()> {
        if state::is_up(site.stack, node).await? {
            return inside::shell(site.stack, node, ROOT, WRITE, &[CLOCK_FILE, "+0"]).await.map(|_| ());
        }
        let archive = no_offset().map_err(|error| InjectorError::failed(node, error))?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let docker = &site.stack.engine.docker;
        let done = docker.upload_to_container(&node.container, Some(options), body_full(archive.into())).await;
        match done.map_err(DockerError::call(format!("{}: set its clock right", node.name))) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, _memo: &Memo) -> Done<Option<String>> {
        if !state::is_up(site.stack, node).await? {
            return Ok(Some(format!("{}: does not run, and will start with the true time", node.name)));
        }
        Ok(all_off_by(node, &clocks(site, node).await?, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_counts_within_the_span_in_which_it_was_made() {
        let reading = Reading { begin_s: 1_000.0, node_s: 4_600.2, end_s: 1_000.4 };
        assert!(reading.is_off_by(3_600.0));
        assert!(!reading.is_off_by(0.0));
        assert!(!reading.is_off_by(3_599.0), "a second is told apart");
        assert!((reading.offset_s() - 3_600.0).abs() < 1e-6);
    }

    #[test]
    fn the_archive_has_the_file_where_the_node_reads_it() {
        let bytes = no_offset().expect("an archive");
        let mut archive = tar::Archive::new(&bytes[..]);
        let paths: Vec<_> =
            archive.entries().expect("entries").map(|e| e.expect("one").path().expect("a path").into_owned()).collect();
        assert_eq!(paths, [std::path::PathBuf::from(CLOCK_FILE.trim_start_matches('/'))]);
    }
}
