//! `link-down`: the cables are pulled. All interfaces of the node but its loopback are down; with them the
//! kernel forgets their routes, so the way back has to know these.
//!
//! Proof of effect: the interfaces, read back from the kernel. A published port is cut off too, and so are
//! firedrill's own observers.

use super::support::in_namespace::{Change, undone_by};
use super::{Done, InjectorError, Site};
use crate::docker::Output;
use crate::stack::Node;
use crate::toolbox::{Command, Held, Spec, look};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) struct LinkDown;

#[derive(Serialize, Deserialize)]
pub(super) struct Links {
    spec: Spec,
    names: Vec<String>,
    /// Routes that come back only if they are set again.
    routes: Vec<String>,
}

#[derive(Deserialize)]
struct Link {
    ifname: String,
    flags: Vec<String>,
}

/// The interfaces but the loopback, as `ip -j link show` has them, and whether each is up.
fn links(json: &str) -> Result<Cables, String> {
    let links: Vec<Link> = serde_json::from_str(json).map_err(|error| format!("ip link show: {error}"))?;
    let cables = links.into_iter().filter(|link| !link.flags.iter().any(|flag| flag == "LOOPBACK"));
    Ok(cables.map(|link| (link.ifname, link.flags.iter().any(|flag| flag == "UP"))).collect())
}

/// The routes that the kernel does not make by itself when an interface comes up.
fn routes(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim().trim_end_matches(" linkdown").trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.contains("proto kernel")).collect()
}

fn plan(names: Vec<String>, routes: Vec<String>) -> Links {
    let each = |state: &str| names.iter().map(|name| Command::of(&["ip", "link", "set", name, state])).collect();
    let mut revert: Vec<Command> = each("up");
    revert.extend(routes.iter().map(|route| Command::new(&format!("ip route replace {route}"))));
    Links { spec: Spec { apply: each("down"), revert, ..Spec::empty() }, names, routes }
}

fn question() -> [Command; 2] {
    [Command::new("ip -j link show"), Command::new("ip route show")]
}

/// Interfaces, and whether each is up.
type Cables = Vec<(String, bool)>;

fn read(node: &Node, outputs: &[Output]) -> Done<(Cables, Vec<String>)> {
    let text = |index: usize| outputs.get(index).map_or("", |output| output.stdout.as_str());
    let links = links(text(0)).map_err(|error| InjectorError::failed(node, error))?;
    Ok((links, routes(text(1))))
}

#[async_trait]
impl Change for LinkDown {
    const NAME: &'static str = "link-down";

    type Plan = Links;

    async fn plan(&self, site: &Site<'_>, node: &Node) -> Done<Links> {
        let (links, routes) = read(node, &look(site, node, &question()).await?)?;
        if links.is_empty() || links.iter().any(|(_, up)| !up) {
            let why = format!("not all of its interfaces are up: {links:?}");
            return Err(InjectorError::impossible(node, Self::NAME, why));
        }
        Ok(plan(links.into_iter().map(|(name, _)| name).collect(), routes))
    }

    fn spec(plan: &Links) -> &Spec {
        &plan.spec
    }

    async fn effect(&self, held: &Held, _site: &Site<'_>, node: &Node, _plan: &Links) -> Done<Option<String>> {
        let (links, _) = read(node, &held.run(node, &question()).await?)?;
        let down = !links.is_empty() && links.iter().all(|(_, up)| !up);
        let names: Vec<&str> = links.iter().map(|(name, _)| name.as_str()).collect();
        Ok(down.then(|| format!("{}: {} read back as down", node.name, names.join(", "))))
    }

    async fn undone(&self, site: &Site<'_>, node: &Node, plan: &Links) -> Done<Option<String>> {
        undone_by(site, node, &question(), |outputs| {
            let (links, routes) = read(node, outputs)?;
            let up = links.iter().all(|(_, up)| *up) && plan.routes.iter().all(|route| routes.contains(route));
            let names = plan.names.join(", ");
            Ok(up.then(|| format!("{}: {names} up, {} routes as before", node.name, plan.routes.len())))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cables_and_the_routes_that_go_with_them() {
        let json = r#"[{"ifname":"lo","flags":["LOOPBACK","UP"]},{"ifname":"eth0","flags":["BROADCAST","UP"]},
                       {"ifname":"eth1","flags":["BROADCAST"]}]"#;
        assert_eq!(links(json).expect("read"), [("eth0".to_owned(), true), ("eth1".to_owned(), false)]);
        let text = "default via 10.0.0.1 dev eth0 \n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.2 \n";
        assert_eq!(routes(text), ["default via 10.0.0.1 dev eth0"]);
        let plan = plan(vec!["eth0".to_owned()], routes(text));
        let words = |commands: &[Command]| commands.iter().map(|c| c.argv.join(" ")).collect::<Vec<_>>();
        assert_eq!(words(&plan.spec.apply), ["ip link set eth0 down"]);
        let back = ["ip link set eth0 up", "ip route replace default via 10.0.0.1 dev eth0"];
        assert_eq!(words(&plan.spec.revert), back);
    }
}
