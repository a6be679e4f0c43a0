//! JUnit XML keeps to the schema that is published beside it.

use crate::certification::Certification;
use crate::{certification, fixture};
use firedrill_reports::{certificate, junit};
use roxmltree::{Document, Node};

const SCHEMA: &str = include_str!("../../junit.xsd");

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// What is wrong with a document, by as much of XML Schema as `junit.xsd` uses: sequences of references with bounds,
/// attributes with types, mixed content.
fn problems(xml: &str) -> Vec<String> {
    let schema = Document::parse(SCHEMA).expect("the schema is XML");
    let mut problems = Vec::new();
    match Document::parse(xml) {
        Ok(document) => check_element(&schema, document.root_element(), &mut problems),
        Err(error) => problems.push(error.to_string()),
    }
    problems
}

fn check_element(schema: &Document<'_>, node: Node<'_, '_>, problems: &mut Vec<String>) {
    let name = node.tag_name().name();
    let mut declared = schema.root_element().children().filter(|child| is(child, "element"));
    let Some(element) = declared.find(|element| element.attribute("name") == Some(name)) else {
        return problems.push(format!("<{name}> is not known"));
    };
    let complex = element.children().find(|child| is(child, "complexType"));
    let all = |kind: &'static str| complex.into_iter().flat_map(|c| c.descendants()).filter(move |d| is(d, kind));
    for attribute in all("attribute") {
        let key = attribute.attribute("name").expect("attributes have names");
        match node.attribute(key) {
            Some(value) if !takes(attribute.attribute("type"), value) => {
                problems.push(format!("<{name} {key}=\"{value}\"> has the wrong type"));
            }
            None if attribute.attribute("use") == Some("required") => problems.push(format!("<{name}> lacks {key}")),
            _ => {}
        }
    }
    for given in node.attributes() {
        if !all("attribute").any(|attribute| attribute.attribute("name") == Some(given.name())) {
            problems.push(format!("<{name}> must not have {}", given.name()));
        }
    }
    let mut children = node.children().filter(Node::is_element).peekable();
    for particle in all("element") {
        let wanted = particle.attribute("ref").expect("elements are references");
        let mut seen = 0;
        while children.next_if(|child| is(child, wanted)).is_some() {
            seen += 1;
        }
        let bound = |key: &str| particle.attribute(key).and_then(|bound| bound.parse::<usize>().ok());
        if seen < bound("minOccurs").unwrap_or(1) || bound("maxOccurs").is_some_and(|most| seen > most) {
            problems.push(format!("<{name}> has {seen} times <{wanted}>"));
        }
    }
    if let Some(child) = children.next() {
        problems.push(format!("<{name}> must not have <{}> there", child.tag_name().name()));
    }
    let takes_text = complex.is_none_or(|complex| complex.attribute("mixed") == Some("true"));
    let has_text =
        node.children().any(|child| child.text().is_some_and(|text| child.is_text() && !text.trim().is_empty()));
    if has_text && !takes_text {
        problems.push(format!("<{name}> must not have text"));
    }
    node.children().filter(Node::is_element).for_each(|child| check_element(schema, child, problems));
}

fn takes(kind: Option<&str>, value: &str) -> bool {
    match kind {
        Some("xs:string") => true,
        Some("xs:nonNegativeInteger") => value.parse::<u64>().is_ok(),
        Some("seconds") => value.parse::<f64>().is_ok_and(|s| s >= 0.0),
        other => panic!("the test does not know {other:?}"),
    }
}

/// It is valid, and its counts are those of its test cases.
fn check(xml: &str) {
    assert_eq!(problems(xml), Vec::<String>::new(), "{xml}");
    let document = Document::parse(xml).expect("parses");
    let root = document.root_element();
    let suites = root.children().filter(|child| is(child, "testsuite"));
    for node in suites.chain([root]) {
        for (attribute, element) in [("tests", "testcase"), ("failures", "failure"), ("errors", "error")] {
            let count = node.descendants().filter(|child| is(child, element)).count();
            assert_eq!(node.attribute(attribute), Some(count.to_string().as_str()), "{attribute} in {xml}");
        }
    }
}

fn of(certification: &Certification) -> String {
    let verdicts: Vec<_> = certification.verdicts.iter().collect();
    certificate::junit(&certification.certificate, &verdicts).expect("renders")
}

#[test]
fn everything_is_valid() {
    check(&junit::render(&fixture::verdict()).expect("renders"));
    for certification in [certification::certified(), certification::refused(), certification::nothing()] {
        check(&of(&certification));
    }
    check(&of(&certification::hostile()));
}

/// A build is green only where the certificate is good, whatever it was refused for.
#[test]
fn only_a_good_certificate_is_green() {
    let green = |certification: &Certification| {
        let xml = of(certification);
        let document = Document::parse(&xml).expect("parses");
        let root = document.root_element();
        root.attribute("failures") == Some("0") && root.attribute("errors") == Some("0")
    };
    assert!(green(&certification::certified()));
    assert!(!green(&certification::refused()));
    assert!(!green(&certification::nothing()));
    let mut objected = certification::certified();
    objected.conclude(|commission| commission.sizing.forecast_per_min = Some(1e6));
    assert!(!green(&objected));
}

#[test]
fn a_document_that_is_not_valid_is_refused() {
    let good = of(&certification::refused());
    let cases = [
        (good.replacen("<testsuites ", "<testsuites skipped=\"0\" ", 1), "must not have skipped"),
        (good.replacen(" classname=", " class=", 1), "lacks classname"),
        (good.replacen("<system-out>", "<system-out/><system-out>", 1), "2 times <system-out>"),
        (good.replacen("<testcase ", "<case/><testcase ", 1), "must not have <case>"),
        (good.replacen(" tests=\"", " tests=\"-", 1), "wrong type"),
        (good.replacen("</testsuites>", "", 1), "root node"),
    ];
    for (xml, problem) in cases {
        assert!(problems(&xml).iter().any(|p| p.contains(problem)), "{problem}: {:?}", problems(&xml));
    }
}

#[test]
fn the_certificate_is_stable() {
    insta::assert_snapshot!(of(&certification::refused()));
}
