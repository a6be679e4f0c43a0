//! HAProxy: which Redis nodes it holds as up, from its statistics as CSV.

use firedrill_core::cluster::Facts;
use firedrill_core::ids::NodeName;
use std::net::SocketAddr;

/// Asks one HAProxy.
pub(super) struct Probe {
    url: String,
    client: reqwest::Client,
    servers: Vec<NodeName>,
}

impl Probe {
    pub(super) fn new(address: SocketAddr, servers: Vec<NodeName>) -> Self {
        Self { url: format!("http://{address}/;csv"), client: super::http::client(), servers }
    }

    pub(super) async fn ask(&self) -> Result<Facts, String> {
        let response = self.client.get(&self.url).send().await.map_err(|error| super::http::describe(&error))?;
        let text = response.text().await.map_err(|error| super::http::describe(&error))?;
        Ok(Facts::Haproxy { up: servers_up(&text, &self.servers)? })
    }
}

/// The servers whose status begins with `UP`, in the order of the file.
fn servers_up(csv: &str, servers: &[NodeName]) -> Result<Vec<NodeName>, String> {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or_default().trim_start_matches("# ");
    let column = |name: &str| {
        let found = header.split(',').position(|column| column == name);
        found.ok_or_else(|| format!("the statistics have no column {name}"))
    };
    let (name_column, status_column) = (column("svname")?, column("status")?);
    let mut up = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let (Some(name), Some(status)) = (fields.get(name_column), fields.get(status_column)) else {
            continue;
        };
        if status.starts_with("UP")
            && let Some(server) = servers.iter().find(|server| server.as_str() == *name)
            && !up.contains(server)
        {
            up.push(server.clone());
        }
    }
    Ok(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_are_up_count() {
        let csv = "# pxname,svname,qcur,status,weight\n\
            redis,FRONTEND,0,OPEN,1\nredis,redis1,0,UP,1\nredis,redis2,0,DOWN (L7TOUT),1\nredis,redis3,0,UP 1/2,1\n\
            redis,BACKEND,0,UP,1\n";
        let nodes: Vec<NodeName> = ["redis1", "redis2", "redis3"].map(NodeName::from).to_vec();
        let up = servers_up(csv, &nodes).expect("it has the columns");
        assert_eq!(up, ["redis1", "redis3"].map(NodeName::from));
        assert!(servers_up("nonsense", &nodes).is_err());
    }
}
