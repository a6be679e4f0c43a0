//! Broken versions of a shipped file: never a panic, and every error names the file.

use crate::{parse, shipped, topologies};
use firedrill_core::source::Source;
use proptest::prelude::*;

/// One thing that can happen to a file in an editor.
#[derive(Debug, Clone)]
enum Edit {
    DeleteLine(usize),
    DuplicateLine(usize),
    SwapLines(usize, usize),
    DeleteChar(usize),
    DuplicateChar(usize),
    ReplaceChar(usize, char),
    Truncate(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    // Characters that mean something to YAML or to interpolation break more than letters do.
    let char =
        prop_oneof![prop::sample::select("\t\n :-[]{}&*!|>'\"%@`$#,?0é\0".chars().collect::<Vec<_>>()), any::<char>()];
    prop_oneof![
        any::<usize>().prop_map(Edit::DeleteLine),
        any::<usize>().prop_map(Edit::DuplicateLine),
        any::<(usize, usize)>().prop_map(|(a, b)| Edit::SwapLines(a, b)),
        any::<usize>().prop_map(Edit::DeleteChar),
        any::<usize>().prop_map(Edit::DuplicateChar),
        (any::<usize>(), char).prop_map(|(at, c)| Edit::ReplaceChar(at, c)),
        any::<usize>().prop_map(Edit::Truncate),
    ]
}

fn apply(text: &str, edit: &Edit) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let mut chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return String::new();
    }
    let (l, c) = (lines.len(), chars.len());
    match *edit {
        Edit::DeleteLine(at) => _ = lines.remove(at % l),
        Edit::DuplicateLine(at) => lines.insert(at % l, lines[at % l]),
        Edit::SwapLines(a, b) => lines.swap(a % l, b % l),
        Edit::DeleteChar(at) => _ = chars.remove(at % c),
        Edit::DuplicateChar(at) => chars.insert(at % c, chars[at % c]),
        Edit::ReplaceChar(at, with) => chars[at % c] = with,
        Edit::Truncate(at) => chars.truncate(at % c),
    }
    match edit {
        Edit::DeleteLine(_) | Edit::DuplicateLine(_) | Edit::SwapLines(..) => lines.join("\n"),
        _ => chars.into_iter().collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_file_is_read_or_refused_by_name(edits in prop::collection::vec(edit(), 1..4)) {
        let text = edits.iter().fold(shipped(&topologies().join("pretix-ha")).text, |text, edit| apply(&text, edit));
        match parse(&Source::new("some/compose.yaml", text)) {
            Ok(topology) => prop_assert!(!topology.nodes().is_empty()),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("some/compose.yaml:"), "{message}");
                prop_assert!(!message.contains(" at line "), "{message}");
                prop_assert_eq!(message.lines().count(), 1, "{}", message);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let error = parse(&Source::new("f", text)).expect_err("it is no topology");
        prop_assert!(error.to_string().starts_with('f'));
    }
}
