//! The life cycle of a fault under random inputs and forced errors.

use firedrill_core::fault::{Input, Lifecycle, Phase};
use proptest::prelude::*;

/// Forced errors are a quarter of all inputs; refused inputs are most of the rest.
fn input() -> impl Strategy<Value = Input> {
    prop_oneof![3 => prop::sample::select(Input::ALL.to_vec()), 1 => Just(Input::Failed)]
}

proptest! {
    // 1,000 lives of 100 transitions.
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_may_be_in_force_is_always_undone(inputs in prop::collection::vec(input(), 100)) {
        let mut life = Lifecycle::default();
        let mut visited = vec![life.phase()];
        for input in inputs {
            let before = life.clone();
            match life.apply(input) {
                Ok(phase) => visited.push(phase),
                Err(error) => {
                    prop_assert_eq!(&life, &before, "a refused input must leave the state");
                    prop_assert_eq!((error.phase, error.input), (before.phase(), input));
                }
            }
            prop_assert!(!before.phase().is_final() || life == before, "a final phase is left by nothing");
            let injected = visited.contains(&Phase::Injecting);
            prop_assert_eq!(life.proven(), visited.contains(&Phase::Effective));
            prop_assert!(!injected || life.phase().may_be_in_force() || life.phase() == Phase::Recovered);
            prop_assert!(injected || !life.phase().may_be_in_force());
        }
        // From wherever it stands, asking for the end and succeeding with the undo ends it.
        let injected = visited.contains(&Phase::Injecting);
        if !life.phase().is_final() {
            life.apply(Input::HealRequested).unwrap();
        }
        if life.phase() == Phase::Recovering {
            life.apply(Input::RecoverSucceeded).unwrap();
        }
        prop_assert_eq!(life.phase(), if injected { Phase::Recovered } else { Phase::Void });
    }
}

#[test]
fn a_good_life() {
    let good = [
        (Input::PrepareSucceeded, Phase::Prepared),
        (Input::RecordSucceeded, Phase::Armed),
        (Input::InjectBegins, Phase::Injecting),
        (Input::InjectSucceeded, Phase::Injected),
        (Input::EffectProven, Phase::Effective),
        (Input::HealRequested, Phase::Recovering),
        (Input::Failed, Phase::Recovering),
        (Input::RecoverSucceeded, Phase::Recovered),
    ];
    let mut life = Lifecycle::default();
    for (input, phase) in good {
        assert_eq!(life.apply(input), Ok(phase));
    }
    assert!(life.proven());
}

#[test]
fn every_phase_takes_exactly_its_inputs() {
    let mut reached = vec![Lifecycle::default()];
    let mut table = Vec::new();
    let mut next = 0;
    while let Some(life) = reached.get(next).cloned() {
        for input in Input::ALL {
            let mut after = life.clone();
            if let Ok(phase) = after.apply(input) {
                let text = format!("{} --{input:?}--> {phase}", life.phase());
                if !table.contains(&text) {
                    table.push(text);
                }
                if !reached.contains(&after) {
                    reached.push(after);
                }
            }
        }
        next += 1;
    }
    for phase in Phase::ALL {
        assert!(reached.iter().any(|life| life.phase() == phase), "{phase} cannot be reached");
    }
    table.sort();
    insta::assert_snapshot!(table.join("\n"));
}
