//! `faults` and `schema`: what drills are written with.

use crate::args::SchemaOf;
use crate::exit::{Exit, Failure};
use firedrill_core::certificate::Certificate;
use firedrill_core::drill::Drill;
use firedrill_core::fault::Fault;
use firedrill_core::trend::Comparison;
use firedrill_core::verdict::Verdict;
use firedrill_reports::history;

/// Shows the catalogue: one line a fault, or everything about one.
pub(crate) fn faults(name: Option<&str>) -> Result<Exit, Failure> {
    let Some(name) = name else {
        for fault in Fault::all() {
            println!("{:<20} {}", fault.name(), fault.about().summary);
        }
        println!("\n`firedrill faults NAME` shows how a fault works, what it needs, and what proves it.");
        return Ok(Exit::Certified);
    };
    let Some(fault) = Fault::by_name(name) else {
        let known = Fault::names().join(", ");
        return Err(Failure::usage(anyhow::anyhow!("there is no fault {name:?}; there are: {known}")));
    };
    let about = fault.about();
    let kinds: Vec<String> = about.kinds.iter().map(ToString::to_string).collect();
    println!("{}: {}", fault.name(), about.summary);
    let parameters = fault.parameters();
    let rows = [
        ("parameters", parameters.as_str()),
        ("how", about.how),
        ("done to", if kinds.is_empty() { "every node" } else { &kinds.join(", ") }),
        ("needs", about.needs),
        ("proof", about.proof),
        ("undo", about.undo),
    ];
    for (what, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        println!("  {what:<11} {text}");
    }
    Ok(Exit::Certified)
}

/// Prints a JSON Schema.
pub(crate) fn schema(of: SchemaOf) -> Result<Exit, Failure> {
    let schema = match of {
        SchemaOf::Drill => Drill::json_schema(),
        SchemaOf::Certificate => Certificate::json_schema(),
        SchemaOf::Verdict => Verdict::json_schema(),
        SchemaOf::Comparison => Comparison::json_schema(),
        SchemaOf::History => history::json_schema(),
    };
    print!("{schema}");
    Ok(Exit::Certified)
}
