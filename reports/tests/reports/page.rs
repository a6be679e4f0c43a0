//! A small reader of HTML, strict enough to find what a browser would silently repair.

use std::collections::BTreeSet;

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "br", "hr"];

/// What a page is made of, as far as the tests ask.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Every element with its attributes.
    pub(crate) elements: Vec<(String, Vec<(String, String)>)>,
    /// All ids.
    pub(crate) ids: BTreeSet<String>,
}

impl Page {
    /// Reads a page; panics on a tag that is not balanced, an attribute without quotes, an id that is
    /// there twice.
    pub(crate) fn read(html: &str) -> Self {
        let mut page = Self::default();
        let mut open: Vec<String> = Vec::new();
        let mut rest = html.strip_prefix("<!doctype html>").expect("a doctype comes first");
        while let Some(start) = rest.find('<') {
            let end = tag_end(&rest[start..]);
            let tag = &rest[start + 1..start + end];
            rest = &rest[start + end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "</{name}> ends something else");
                continue;
            }
            let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            assert!(!name.is_empty(), "a bare < before {:?}", tag.get(..40));
            let closed = tag.ends_with('/');
            page.add(&name, attributes(tag[name.len()..].trim_end_matches('/')));
            if name == "style" {
                rest = &rest[rest.find("</style>").expect("style ends")..];
            }
            if !closed && !VOID.contains(&name.as_str()) {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "left open: {open:?}");
        page
    }

    fn add(&mut self, name: &str, attributes: Vec<(String, String)>) {
        for (key, value) in &attributes {
            if key == "id" {
                assert!(self.ids.insert(value.clone()), "the id {value} is there twice");
            }
        }
        self.elements.push((name.to_owned(), attributes));
    }

    /// All values of an attribute.
    pub(crate) fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        let all = self.elements.iter().flat_map(|(_, attributes)| attributes);
        all.filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}

/// Where a tag ends, quotes respected.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (i, c) in tag.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return i,
            _ => {}
        }
    }
    panic!("a tag that does not end: {:?}", tag.get(..80));
}

fn attributes(mut rest: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return out;
        }
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no quoted value: {rest:?}"));
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "a strange attribute {key:?}");
        assert!(!key.starts_with("on"), "a script in {key}");
        let (value, after) = after.split_once('"').expect("quotes end");
        out.push((key.to_owned(), value.to_owned()));
        rest = after;
    }
}
