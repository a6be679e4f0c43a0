//! Pretix web and nginx: the status of a health page.

use super::PROBE_DEADLINE;
use firedrill_core::cluster::Facts;
use std::net::SocketAddr;

/// Asks one HTTP server.
pub(super) struct Probe {
    url: String,
    client: reqwest::Client,
}

impl Probe {
    pub(super) fn new(address: SocketAddr, path: &str) -> Self {
        Self { url: format!("http://{address}{path}"), client: client() }
    }

    pub(super) async fn ask(&self) -> Result<Facts, String> {
        // Pretix answers only to its own name, or to "localhost".
        let request = self.client.get(&self.url).header("host", "localhost");
        let response = request.send().await.map_err(|error| describe(&error))?;
        Ok(Facts::Http { status: response.status().as_u16() })
    }
}

/// A client that never goes through the host's proxy: it talks to 127.0.0.1 only.
pub(super) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(PROBE_DEADLINE);
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap_or_default()
}

/// The innermost cause: "connection refused" says more than "error sending request".
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
