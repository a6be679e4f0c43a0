//! Journeys: the published schema, and that it takes what the parser takes.

use crate::drills::published;
use firedrill_core::load::Journey;
use firedrill_core::source::Source;
use std::path::Path;

#[test]
fn the_published_schema_is_current() {
    published("fixtures/journeys/journey.schema.json", &Journey::json_schema());
}

#[test]
fn the_schema_takes_every_journey_of_the_repository() {
    let schema: serde_json::Value = serde_json::from_str(&Journey::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let takes = |text: &str| validator.is_valid(&serde_saphyr::from_str::<serde_json::Value>(text).unwrap());
    let mut count = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/journeys")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let journey = Journey::parse(&Source::new(path.display().to_string(), &text)).unwrap_or_else(|e| panic!("{e}"));
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        assert_eq!(journey.name, stem, "a file is named after its journey");
        assert!(takes(&text), "{stem} is not taken by the schema");
        for (from, to) in [("group:", "grupp:"), ("name:", "nam:"), ("steps:", "step:")] {
            let broken = text.replacen(&format!("\n{from}"), &format!("\n{to}"), 1);
            if broken != text {
                assert!(!takes(&broken), "{stem} with {to:?} is taken by the schema");
                assert!(
                    Journey::parse(&Source::new("j", broken)).is_err(),
                    "{stem} with {to:?} is taken by the parser"
                );
            }
        }
        count += 1;
    }
    assert!(count >= 5, "{count} journeys");
}
