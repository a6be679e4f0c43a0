//! The example workflows of the documentation are YAML, and say only what the program understands.

use serde_json::Value;
use std::path::Path;

fn example(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    let text = std::fs::read_to_string(&path).expect("the example is there");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn list<'a>(value: &'a Value, what: &str) -> &'a Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{what} is no list"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn the_workflow_of_github_keeps_the_run_whatever_came_of_it() {
    let workflow = example("nightly.github.yml");
    assert!(workflow["on"]["schedule"][0]["cron"].is_string(), "it is begun by the clock");
    let steps = list(&workflow["jobs"]["nightly"]["steps"], "steps");
    let named = |wanted: &str| steps.iter().find(|step| text(&step["name"]).contains(wanted)).expect(wanted);
    assert!(steps.iter().all(|step| step["run"].is_string() != step["uses"].is_string()), "a step runs or uses");
    assert!(text(&named("Certify")["run"]).contains("certify --profile nightly"));
    // After a violated run all others must still be done.
    for step in ["Keep the run", "Summary", "Annotations", "Compare"] {
        assert!(text(&named(step)["if"]).contains("always()"), "{step}");
    }
    assert!(text(&named("Summary")["run"]).contains("GITHUB_STEP_SUMMARY"));
    assert!(text(&named("Annotations")["run"]).contains("--annotations github"));
}

#[test]
fn the_pipeline_of_gitlab_has_its_reports_as_artifacts() {
    let pipeline = example("nightly.gitlab-ci.yml");
    let job = &pipeline["nightly"];
    let script: Vec<&str> = list(&job["script"], "script").iter().map(text).collect();
    assert!(script.iter().any(|line| line.contains("certify --profile nightly")), "{script:?}");
    let after: Vec<&str> = list(&job["after_script"], "after_script").iter().map(text).collect();
    assert!(after.iter().any(|line| line.contains("--annotations gitlab")), "{after:?}");
    let artifacts = &job["artifacts"];
    assert_eq!(artifacts["when"], "always");
    assert!(artifacts["reports"]["junit"].is_string() && artifacts["reports"]["codequality"].is_string());
}
