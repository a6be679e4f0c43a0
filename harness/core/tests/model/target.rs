//! Targets: written, read, resolved.

use firedrill_core::fault::target::Candidate;
use firedrill_core::fault::{Selector, Target, TargetError};
use firedrill_core::history::Role;
use firedrill_core::ids::{NodeName, TierName};
use proptest::prelude::*;

fn target() -> impl Strategy<Value = Target> {
    use Selector::{All, Minority, One, Primary, Standby};
    let selector = prop_oneof![
        prop::sample::select(vec![Primary, Standby, One, All, Minority]),
        (1u8..=100).prop_map(Selector::Share)
    ];
    let tier =
        (selector, "[a-z][a-z0-9_-]{0,12}").prop_map(|(selector, tier)| Target::InTier(selector, TierName::new(tier)));
    let name = || "[a-z][a-z0-9_-]{0,12}";
    prop_oneof![
        tier,
        name().prop_map(|node| Target::Node(NodeName::new(node))),
        name().prop_map(|host| Target::host(&host))
    ]
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
        "share(web)",
        "share(web, 0 %)",
        "share(web, 101 %)",
        "share(web, 50)",
        "one(web, 50 %)",
        "host()",
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
    let member = |(n, role): (usize, &Role)| candidate(&format!("n{n}"), "t", *role);
    let other = candidate("other", "u", Role::Primary);
    roles.iter().enumerate().map(member).chain([other]).collect()
}

/// Nodes with an odd number are on the host `odd`, and nobody names anybody.
fn candidate(node: &str, tier: &str, role: Role) -> Candidate {
    let host = node.ends_with(['1', '3', '5']).then(|| "odd".into());
    Candidate { node: node.into(), tier: tier.into(), host, role, named_by: Vec::new() }
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
        ("host(odd)", &[Serving, Unreachable, Serving, Serving], 0, "n1 n3"),
        ("host(even)", &[Serving, Serving], 0, "the target host(even) names nothing in this topology: it has odd"),
        ("minority(t)", &[Serving, Serving, Serving, Serving, Serving], 0, "n0 n1"),
        ("minority(t)", &[Serving, Serving, Serving, Serving, Serving], 9, "n3 n4"),
        ("minority(t)", &[Primary, Standby, Standby], 1, "n1"),
        (
            "minority(t)",
            &[Serving, Unreachable],
            0,
            "the target minority(t) found nobody: n0 is serving, n1 is unreachable",
        ),
        ("share(t, 50 %)", &[Serving, Serving, Serving, Serving], 0, "n0 n1"),
        ("share(t, 50 %)", &[Serving, Serving, Serving], 2, "n2"),
        ("share(t, 1 %)", &[Serving, Serving], 0, "n0"),
        ("share(t, 100 %)", &[Serving, Serving], 0, "n0 n1"),
        (
            "share(t, 100 %)",
            &[Serving, NotServing],
            0,
            "the target share(t, 100 %) found nobody: n0 is serving, n1 is not serving",
        ),
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
fn authorities_settle_who_leads_by_a_majority_of_their_own() {
    let mut nodes = tier(&[Role::Primary, Role::Primary, Role::Standby]);
    let resolve = |nodes: &[Candidate]| Target::primary("t").resolve(nodes, |_| 0).map_err(|error| error.to_string());
    nodes[0].named_by = vec!["pgpool1".into()];
    nodes[1].named_by = vec!["pgpool2".into()];
    let ambiguous = "the target primary(t) is ambiguous: n0 is primary (named by pgpool1), n1 is primary (named by \
                     pgpool2), n2 is standby; a stack in this state must not be drilled";
    assert_eq!(resolve(&nodes), Err(ambiguous.to_owned()));
    nodes[1].named_by.push("pgpool3".into());
    assert_eq!(resolve(&nodes), Ok(vec!["n1".into()]));
    // Votes for somebody who does not even claim to lead count as votes.
    nodes[2].named_by = vec!["pgpool4".into()];
    assert!(resolve(&nodes).is_err());
}

#[test]
fn a_target_is_checked_before_anything_starts() {
    let nodes = tier(&[Role::Unreachable]);
    let check = |text: &str| {
        let target: Target = text.parse().unwrap();
        target.check(&nodes, |tier| tier.as_str() == "t").map_err(|error| error.to_string())
    };
    assert_eq!(check("primary(t)"), Ok(()), "what a node is now does not matter yet");
    assert_eq!(check("node(n0)"), Ok(()));
    let refused = [
        ("one(web)", "the target one(web) names nothing in this topology: it has t, u"),
        ("primary(u)", "the target primary(u) is impossible: the nodes of u have no roles; write one(u)"),
        ("standby(t)", "the target standby(t) is impossible: t has 1 nodes"),
        ("minority(u)", "the target minority(u) is impossible: u has 1 nodes"),
        ("host(a)", "the target host(a) names nothing in this topology: it has none"),
    ];
    for (text, why) in refused {
        assert_eq!(check(text), Err(why.to_owned()));
    }
}

#[test]
fn two_targets_meet_unless_it_is_certain_that_they_do_not() {
    let nodes = tier(&[Role::Primary, Role::Standby, Role::Standby]);
    let cases = [
        ("primary(t)", "standby(t)", false),
        ("standby(t)", "primary(t)", false),
        ("standby(t)", "standby(t)", true),
        ("one(t)", "one(t)", true),
        ("one(t)", "one(u)", false),
        ("node(n0)", "node(n1)", false),
        ("node(n0)", "all(t)", true),
        ("host(odd)", "node(n1)", true),
        ("host(odd)", "node(n2)", false),
        ("primary(t)", "node(n2)", true),
    ];
    for (one, two, meet) in cases {
        let (first, second): (Target, Target) = (one.parse().unwrap(), two.parse().unwrap());
        assert_eq!(first.may_meet(&second, &nodes), meet, "{one} {two}");
    }
}
