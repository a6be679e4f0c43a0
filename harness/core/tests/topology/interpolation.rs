//! Variables in texts.

use firedrill_core::topology::interpolate::interpolate;
use proptest::prelude::*;
use rstest::rstest;

/// `A` has the value `a`, `EMPTY` has none to speak of, nothing else is known.
fn fill(text: &str) -> String {
    let variable = |name: &str| match name {
        "A" => Some("a".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    interpolate(text, &variable).unwrap_or_else(|error| format!("ERROR {error}"))
}

const FORMS: &str = "write $NAME, ${NAME}, ${NAME:-default}, ${NAME:?message} or $$";

#[rstest]
#[case("", "")]
#[case("plain", "plain")]
#[case("$A", "a")]
#[case("${A}", "a")]
#[case("x$A-y${A}z", "xa-yaz")]
#[case("${A:-d}", "a")]
#[case("${B:-d}", "d")]
#[case("${EMPTY:-d}", "d")]
#[case("${B:-}", "")]
#[case("${A:?m}", "a")]
#[case("$$", "$")]
#[case("$$A", "$A")]
#[case("$$$A", "$a")]
#[case("$${A}", "${A}")]
#[case("${B:-é}ü", "éü")]
#[case("$B", "ERROR the variable B has no value")]
#[case("$EMPTY", "ERROR the variable EMPTY has no value")]
#[case("${B:?see env.example}", "ERROR the variable B has no value: see env.example")]
#[case("$Aé", "aé")]
fn filled_in(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(fill(text), expected);
}

#[rstest]
#[case("$", "$")]
#[case("a$", "$")]
#[case("a$ b", "$ b")]
#[case("${", "${")]
#[case("${}", "${}")]
#[case("${A", "${A")]
#[case("${A-d}", "${A-d}")]
#[case("${A:+d}", "${A:+d}")]
#[case("${A?d}", "${A?d}")]
#[case("${ A }", "${ A }")]
#[case("$é", "$é")]
fn malformed(#[case] text: &str, #[case] quoted: &str) {
    assert_eq!(fill(text), format!("ERROR {quoted:?} is not understood: {FORMS}"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), dense in "[$ {}:?A-Cé-]{0,24}") {
        fill(&text);
        fill(&dense);
    }

    #[test]
    fn a_text_without_dollars_stays_as_it_is(text in "[^$]*") {
        prop_assert_eq!(fill(&text), text);
    }

    #[test]
    fn a_text_with_its_dollars_doubled_comes_back(text in "\\PC{0,30}") {
        prop_assert_eq!(fill(&text.replace('$', "$$")), text);
    }
}
