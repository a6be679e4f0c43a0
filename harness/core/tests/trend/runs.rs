//! Made-up runs: a primary is killed, then a web node.

use firedrill_core::history::At;
use firedrill_core::ids::{RunId, StepId};
use firedrill_core::trend::Run;
use firedrill_core::verdict::{
    CheckResult, Conclusion, Gate, Judgement, Outage, Recovery, StepVerdict, Totals, VERDICT_VERSION, Verdict,
};
use std::collections::BTreeMap;

/// A run that has the name of its first verdict.
pub(crate) fn run(verdicts: Vec<Verdict>) -> Run {
    Run { name: verdicts[0].run.to_string(), verdicts }
}

/// A night on which the primary's death cost this much, and the web node's death so much at the 99th percentile.
pub(crate) fn night(name: &str, outage_ms: f64, p99_ms: f64) -> Verdict {
    let check = |checker: &str, gate| CheckResult {
        checker: checker.to_owned(),
        question: String::new(),
        gate,
        judgement: Judgement::Pass,
        reason: String::new(),
        findings: Vec::new(),
        numbers: BTreeMap::new(),
    };
    Verdict {
        version: VERDICT_VERSION,
        run: RunId::new(name),
        topology: "ha".to_owned(),
        drill: "nightly".to_owned(),
        seed: 1,
        started: format!("2026-03-01T00:00:00Z/{name}"),
        sla: "gic-2020".to_owned(),
        conclusion: Conclusion::Certified,
        reasons: Vec::new(),
        totals: Totals::default(),
        steps: vec![step(0, "primary(postgres)", "postgres", outage_ms, 60.0), step(1, "one(web)", "web", 0.0, p99_ms)],
        checks: vec![
            check("conservation", Gate::Invariant),
            check("availability", Gate::Objective),
            check("preconditions", Gate::Precondition),
        ],
    }
}

/// A killed node and what it cost.
pub(crate) fn step(number: u32, target: &str, tier: &str, outage_ms: f64, p99_ms: f64) -> StepVerdict {
    let outage = Outage { from: At(0), until: At(0), min_ms: outage_ms, max_ms: outage_ms };
    StepVerdict {
        step: StepId(number),
        fault: "kill".to_owned(),
        parameters: String::new(),
        target: target.to_owned(),
        tier: tier.into(),
        nodes: Vec::new(),
        from: At(0),
        effective: Some(At(1)),
        healed: Some(At(2)),
        until: At(3),
        proof: String::new(),
        operations: 500,
        acknowledged: 500,
        failed: 0,
        errors: 0,
        lost: 0,
        lost_cents: 0,
        p50_ms: 50.0,
        p99_ms,
        max_ms: p99_ms,
        worst_second_ms: None,
        outage: (outage_ms > 0.0).then_some(outage),
        recovery: Recovery { restored_ms: Some(outage_ms + 500.0), whole_ms: Some(7_000.0), ..Recovery::default() },
        judgement: Judgement::Pass,
        reasons: Vec::new(),
    }
}

/// Nights with these outages, one run each; what a web node costs varies a little.
pub(crate) fn nights(prefix: &str, outages_ms: &[f64]) -> Vec<Run> {
    let one = |(i, ms): (usize, &f64)| run(vec![night(&format!("{prefix}{i:02}"), *ms, 100.0 + (i * 7 % 5) as f64)]);
    outages_ms.iter().enumerate().map(one).collect()
}
