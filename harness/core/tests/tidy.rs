//! House rules, held as a test: length of files and functions, purity of the core, arrows between crates.
//!
//! Functions are found by their lines, not by a parser: a line that begins with `fn` or modifiers before
//! it opens one, and it ends where its braces are closed. Comments, strings and character literals do not
//! count as braces, also when they go over lines; functions that macros generate are not seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// A table of cases is one function; it is read line by line, not followed.
const TABLE_LINES_MAX: usize = 120;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is above the core")
}

/// All Rust files below the crates of the workspace and of its suites, with their text.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut sources = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["harness", "reports", "suites", "fixtures/boxoffice"].map(|name| workspace().join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                sources.insert(path, text);
            }
        }
    }
    assert!(sources.len() > 20, "only {} files were found: is the walk broken?", sources.len());
    sources
}

/// The code of a file: comments and the insides of literals are blanked, lines stay where they are.
fn code_of(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match literal_end(&bytes, at) {
            Some(end) => end,
            None => {
                code.push(bytes[at]);
                at += 1;
                continue;
            }
        };
        code.extend(bytes[at..end.min(bytes.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// Where the comment or literal that begins at `at` ends, if one begins there.
fn literal_end(text: &[char], at: usize) -> Option<usize> {
    let starts = |from: usize, what: &str| what.chars().enumerate().all(|(n, c)| text.get(from + n) == Some(&c));
    let find = |from: usize, what: &str| {
        (from..text.len()).find(|n| starts(*n, what)).map_or(text.len(), |n| n + what.chars().count())
    };
    if starts(at, "//") {
        return Some((at..text.len()).find(|n| text[*n] == '\n').unwrap_or(text.len()));
    }
    if starts(at, "/*") {
        return Some(find(at + 2, "*/"));
    }
    let in_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    if text[at] == 'r' && !in_word {
        let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
        if text.get(at + 1 + hashes) == Some(&'"') {
            return Some(find(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes))));
        }
    }
    if text[at] == '"' {
        let mut end = at + 1;
        while end < text.len() && text[end] != '"' {
            end += if text[end] == '\\' { 2 } else { 1 };
        }
        return Some(end + 1);
    }
    // A lifetime has no closing quote after one character.
    match (text[at], text.get(at + 1), text.get(at + 2)) {
        ('\'', Some('\\'), _) => Some(find(at + 3, "'")),
        ('\'', Some(_), Some('\'')) => Some(at + 3),
        _ => None,
    }
}

/// Functions of a file: first line from 1, and number of lines.
fn functions(code: &str) -> Vec<(usize, usize)> {
    const MODIFIERS: [&str; 8] = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "default"];
    let lines: Vec<&str> = code.lines().collect();
    let opens = |line: &&str| line.split_whitespace().find(|word| !MODIFIERS.contains(word)) == Some("fn");
    let starts = lines.iter().enumerate().filter(|(_, line)| opens(line)).map(|(index, _)| index);
    starts.map(|start| (start + 1, length(&lines[start..]))).collect()
}

fn length(lines: &[&str]) -> usize {
    let (mut depth, mut entered) = (0usize, false);
    for (index, line) in lines.iter().enumerate() {
        for c in line.chars() {
            match c {
                '{' => (depth, entered) = (depth + 1, true),
                '}' => depth = depth.saturating_sub(1),
                ';' if !entered => return index + 1,
                _ => {}
            }
        }
        if entered && depth == 0 {
            return index + 1;
        }
    }
    lines.len()
}

#[test]
fn the_reader_of_functions_reads() {
    let text = "fn a() {\n  let b = \"}\"; // }\n  let c = '}';\n  let r = r#\"}\"#;\n}\n\npub async fn d(\n  x: &'static str,\n) -> u8 {\n  if x == \"{\" { 1 } else { 2 }\n}\ntrait T {\n  fn e();\n}\n";
    assert_eq!(functions(&code_of(text)), [(1, 5), (7, 5), (13, 1)]);
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines, {FILE_LINES_MAX} are allowed", path.display()));
        }
        let in_tests = path.components().any(|part| part.as_os_str() == "tests");
        let most = if in_tests { TABLE_LINES_MAX } else { FUNCTION_LINES_MAX };
        let functions = functions(&code_of(&text)).into_iter().filter(|(_, lines)| *lines > most);
        long.extend(functions.map(|(line, lines)| {
            format!("{}:{line}: a function of {lines} lines, {most} are allowed", path.display())
        }));
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_silenced() {
    let forbidden = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "#[allow(", "#![allow("];
    let mut found = Vec::new();
    for (path, text) in sources() {
        for (index, line) in code_of(&text).lines().enumerate() {
            let here = forbidden.iter().filter(|word| line.contains(**word));
            found.extend(here.map(|word| format!("{}:{}: {word}", path.display(), index + 1)));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let forbidden = [
        "Instant",
        "SystemTime",
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "std::process",
        "std::thread",
        "tokio",
        "bollard",
    ];
    let core = workspace().join("harness/core/src");
    let mut found = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with(&core)) {
        let code = code_of(&text);
        found.extend(
            forbidden.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    let allowed =
        ["schemars", "serde", "serde-saphyr", "serde_json", "sha2", "strum", "thiserror", "xxhash-rust", "zstd"];
    let more: Vec<String> =
        dependencies("harness/core").into_iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(more.is_empty(), "the core may not depend on {more:?}");
}

/// Names in the `[dependencies]` of a crate.
fn dependencies(folder: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(folder).join("Cargo.toml")).expect("a manifest");
    let lines = text.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let names = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.split(['.', '=', ' ']).next()).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[test]
fn arrows_between_crates_point_to_the_core() {
    let allowed: [(&str, &[&str]); 7] = [
        ("harness/core", &[]),
        // A shop that shared code with its judges could share their mistakes.
        ("fixtures/boxoffice", &[]),
        ("harness/synthetic", &["firedrill-core"]),
        ("reports", &["firedrill-core"]),
        ("harness/load", &["firedrill-core"]),
        ("harness/engine", &["firedrill-core"]),
        ("harness/runner", &["firedrill-core", "firedrill-engine", "firedrill-load", "firedrill-reports"]),
    ];
    for (folder, arrows) in allowed {
        let ours = dependencies(folder).into_iter().filter(|name| name.starts_with("firedrill"));
        let wrong: Vec<String> = ours.filter(|name| !arrows.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{folder} may not depend on {wrong:?}");
    }
    assert!(dependencies("harness/runner").contains(&"firedrill-core".to_owned()), "the manifests are not understood");
}
