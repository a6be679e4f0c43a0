//! Every checker against histories that it must accept, reject, and leave open.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod availability;
mod claims;
mod conservation;
mod door;
mod exactly_once;
mod in_common;
mod leftovers;
mod logs;
mod money;
mod objectives;
mod oversell;
mod planted;
mod preconditions;
mod primaries;
mod quota_reads;
mod reads;
mod replicas;
mod sales;
mod sold_out;
mod steps;
mod stored;
mod story;
mod unique;

#[test]
fn every_checker_is_documented() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checkers.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (name, _) in firedrill_core::checker::REGISTRY {
        assert!(page.contains(&format!("\n| `{name}` |")), "docs/checkers.md does not list {name}");
    }
}
