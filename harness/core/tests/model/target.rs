//! Targets: written, read, resolved.

use firedrill_core::fault::target::Candidate;
use firedrill_core::fault::{Selector, Target, TargetError};
use firedrill_core::history::Role;
use firedrill_core::ids::{NodeName, TierName};
use proptest::prelude::*;

fn target() -> impl Strategy<Value = Target> {
    let selector = prop::sample::select(vec![Selector::Primary, Selector::Standby, Selector::One, Selector::All]);
    let tier =
        (selector, "[a-z][a-z0-9_-]{0,12}").prop_map(|(selector, tier)| Target::InTier(selector, TierName::new(tier)));
    prop_oneof![tier, "[a-z][a-z0-9_-]{0,12}".prop_map(|node| Target::Node(NodeName::new(node)))]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(target in target()) {
        prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target.clone()));
        let json = serde_json::to_string(&target).unwrap();
        prop_assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), target);
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,30}") {
        if let Ok(target) = text.parse::<Target>() {
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }

    #[test]
    fn a_draw_out_of_range_is_still_a_member(draw in any::<usize>()) {
        let nodes = tier(&[Role::Serving, Role::Serving, Role::NotServing]);
        let found = "one(t)".parse::<Target>().unwrap().resolve(&nodes, |_| draw).unwrap();
        prop_assert!(found == ["n0".into()] || found == ["n1".into()]);
    }
}

#[test]
fn malformed_targets_are_refused_with_what_to_write() {
    let malformed = [
        "",
        "primary",
        "primary(",
        "primary()",
        "primary( )",
        "(postgres)",
        "leader(postgres)",
        "primary(postgres",
        "primary(postgres))",
        "primary(post gres)",
        "Primary(postgres)",
        "one(web) ,",
        "node(pg1;rm)",
        "all(wéb)",
    ];
    for text in malformed {
        let error = text.parse::<Target>().expect_err(text);
        assert_eq!(error, TargetError::Malformed { text: text.to_owned() });
        assert!(error.to_string().contains("write primary(TIER)"), "{error}");
    }
    assert_eq!(
        " one ( web ) ".parse::<Target>(),
        Ok(Target::InTier(Selector::One, "web".into())),
        "spaces are forgiven"
    );
}

/// A tier `t` with these roles, nodes `n0`, `n1` ..., beside another tier.
fn tier(roles: &[Role]) -> Vec<Candidate> {
    let member =
        |(n, role): (usize, &Role)| Candidate { node: NodeName::new(format!("n{n}")), tier: "t".into(), role: *role };
    let other = Candidate { node: "other".into(), tier: "u".into(), role: Role::Primary };
    roles.iter().enumerate().map(member).chain([other]).collect()
}

/// The names found with a draw of `draw`, or the error in words.
fn resolve(text: &str, roles: &[Role], draw: usize) -> String {
    let target: Target = text.parse().unwrap();
    match target.resolve(&tier(roles), |_| draw) {
        Ok(nodes) => nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}

#[test]
fn targets_are_resolved_by_what_nodes_say() {
    use Role::{NotServing, Primary, Serving, Standby, Unreachable};
    let cases: &[(&str, &[Role], usize, &str)] = &[
        ("primary(t)", &[Standby, Primary, Standby], 0, "n1"),
        (
            "primary(t)",
            &[Standby, Unreachable],
            0,
            "the target primary(t) found nobody: n0 is standby, n1 is unreachable",
        ),
        (
            "primary(t)",
            &[Primary, Primary],
            0,
            "the target primary(t) is ambiguous: n0 is primary, n1 is primary; a stack in this state must not be drilled",
        ),
        ("standby(t)", &[Standby, Primary, Standby], 0, "n0"),
        ("standby(t)", &[Standby, Primary, Standby], 1, "n2"),
        (
            "standby(t)",
            &[Primary, Unreachable],
            0,
            "the target standby(t) found nobody: n0 is primary, n1 is unreachable",
        ),
        ("one(t)", &[Unreachable, NotServing, Serving], 0, "n2"),
        ("one(t)", &[NotServing], 0, "the target one(t) found nobody: n0 is not serving"),
        ("all(t)", &[Serving, Unreachable], 0, "n0 n1"),
        ("node(n1)", &[Serving, Unreachable], 0, "n1"),
        ("node(n9)", &[Serving], 0, "the target node(n9) names nothing in this topology: it has n0, other"),
        ("one(x)", &[Serving, Serving], 0, "the target one(x) names nothing in this topology: it has t, u"),
    ];
    for (text, roles, draw, expected) in cases {
        assert_eq!(resolve(text, roles, *draw), *expected, "{text} {roles:?} {draw}");
    }
}

#[test]
fn a_draw_is_made_among_those_who_fit_only() {
    let mut asked = Vec::new();
    let nodes = tier(&[Role::Standby, Role::Primary, Role::Standby, Role::Unreachable]);
    let found = "standby(t)".parse::<Target>().unwrap().resolve(&nodes, |below| {
        asked.push(below);
        below - 1
    });
    assert_eq!((found, asked), (Ok(vec!["n2".into()]), vec![2]));
}

#[test]
fn a_target_is_checked_before_anything_starts() {
    let nodes = tier(&[Role::Unreachable]);
    let check = |text: &str| text.parse::<Target>().unwrap().check(&nodes).map_err(|error| error.to_string());
    assert_eq!(check("primary(t)"), Ok(()), "what a node is now does not matter yet");
    assert_eq!(check("node(n0)"), Ok(()));
    assert_eq!(check("one(web)"), Err("the target one(web) names nothing in this topology: it has t, u".to_owned()));
}
