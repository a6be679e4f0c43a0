//! The verdict as OpenMetrics text, for a monitoring that keeps the numbers of every run: one gauge a number, in base
//! units, with topology, drill and agreement as labels. The order is always the same, which a registry of living
//! metrics does not promise.

use firedrill_core::verdict::{CheckResult, Conclusion, Gate, Judgement, StepVerdict, Verdict};

pub(crate) type Labels = Vec<(&'static str, String)>;

/// The verdict as text, which ends with `# EOF` as the format asks for.
pub fn render(verdict: &Verdict) -> String {
    let mut metrics = Metrics::new(of_run(verdict));
    metrics.one("certified", "1 where the run was certified", f64::from(verdict.conclusion == Conclusion::Certified));
    let totals = &verdict.totals;
    let outcomes = [
        ("acknowledged", totals.acknowledged),
        ("rejected", totals.rejected),
        ("in_doubt", totals.in_doubt),
        ("not_applied", totals.not_applied),
        ("refused", totals.refused),
    ];
    let by_outcome = outcomes.map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count as f64));
    metrics.many("purchases", "Purchases by what became of them", by_outcome);
    metrics.one("lost_orders", "Acknowledged orders that are gone", totals.lost as f64);
    metrics.one("lost_money", "Their money, in the currency of the event", totals.lost_cents as f64 / 100.0);
    metrics.one("load_seconds", "Length of the load", totals.load_ms / 1e3);
    metrics.many(
        "check",
        "1 where a check passed, 0 where it failed, -1 where it is unknown",
        verdict.checks.iter().map(check),
    );
    let numbers = verdict.checks.iter().flat_map(|check| {
        check
            .numbers
            .iter()
            .map(|(name, value)| (vec![("check", check.checker.clone()), ("number", name.clone())], *value))
    });
    metrics.many("check_number", "Numbers of the checks, units at the end of their names", numbers);
    steps(&mut metrics, &verdict.steps);
    metrics.end()
}

fn steps(metrics: &mut Metrics, steps: &[StepVerdict]) {
    let mut of_steps = |name: &str, help: &str, value: fn(&StepVerdict) -> Option<f64>| {
        let values = steps.iter().filter_map(|step| Some((of_step(step), value(step)?)));
        metrics.many(name, help, values.collect::<Vec<_>>());
    };
    of_steps("step", "1 where a step passed, 0 where it failed, -1 where it is unknown", |s| Some(value(s.judgement)));
    of_steps("step_outage_seconds", "Time without a sale around a fault", |s| {
        s.outage.map(|outage| outage.until.ms_since(outage.from) / 1e3)
    });
    of_steps("step_promoted_seconds", "From the effect until another node had the role", |s| {
        s.recovery.promoted_ms.map(|ms| ms / 1e3)
    });
    of_steps("step_first_sale_seconds", "From the effect until somebody bought", |s| {
        s.recovery.first_sale_ms.map(|ms| ms / 1e3)
    });
    of_steps("step_restored_seconds", "From the effect until sales went well", |s| {
        s.recovery.restored_ms.map(|ms| ms / 1e3)
    });
    of_steps("step_whole_seconds", "From the undo until redundancy was whole", |s| {
        s.recovery.whole_ms.map(|ms| ms / 1e3)
    });
    of_steps("step_p99_seconds", "99th percentile of the purchases in the window", |s| Some(s.p99_ms / 1e3));
    of_steps("step_errors", "Exchanges in the window that met an error", |s| Some(s.errors as f64));
    of_steps("step_lost_orders", "Acknowledged orders that the fault lost", |s| Some(s.lost as f64));
}

fn check(check: &CheckResult) -> (Labels, f64) {
    let gate = match check.gate {
        Gate::Invariant => "invariant",
        Gate::Objective => "objective",
        Gate::Precondition => "precondition",
    };
    (vec![("check", check.checker.clone()), ("gate", gate.to_owned())], value(check.judgement))
}

/// A judgement as a number.
pub(crate) fn value(judgement: Judgement) -> f64 {
    match judgement {
        Judgement::Pass => 1.0,
        Judgement::Fail => 0.0,
        Judgement::Unknown => -1.0,
    }
}

fn of_step(step: &StepVerdict) -> Labels {
    vec![
        ("step", step.step.to_string()),
        ("fault", step.fault.clone()),
        ("target", step.target.clone()),
        ("tier", step.tier.to_string()),
    ]
}

fn of_run(verdict: &Verdict) -> Labels {
    vec![
        ("run", verdict.run.to_string()),
        ("topology", verdict.topology.clone()),
        ("drill", verdict.drill.clone()),
        ("sla", verdict.sla.clone()),
    ]
}

/// Metrics in the order in which they are written.
pub(crate) struct Metrics {
    text: String,
    /// Labels that every metric has.
    run: Labels,
}

impl Metrics {
    /// None yet.
    pub(crate) fn new(all: Labels) -> Self {
        Self { text: String::new(), run: all }
    }

    /// All of them, with the end that the format asks for.
    pub(crate) fn end(self) -> String {
        self.text + "# EOF\n"
    }

    /// What is known of something, in labels: its value is always 1.
    pub(crate) fn info(&mut self, name: &str, help: &str, labels: Labels) {
        self.text += &format!("# TYPE firedrill_{name} info\n# HELP firedrill_{name} {}\n", escaped(help));
        self.sample(&format!("{name}_info"), &labels, 1.0);
    }

    /// A gauge with one sample.
    pub(crate) fn one(&mut self, name: &str, help: &str, value: f64) {
        self.many(name, help, [(Labels::new(), value)]);
    }

    /// A gauge; a name that ends with `seconds` says its unit.
    pub(crate) fn many(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        self.text += &format!("# TYPE firedrill_{name} gauge\n");
        if let Some((_, unit)) = name.rsplit_once('_').filter(|(_, unit)| *unit == "seconds") {
            self.text += &format!("# UNIT firedrill_{name} {unit}\n");
        }
        self.text += &format!("# HELP firedrill_{name} {}\n", escaped(help));
        for (labels, value) in values {
            self.sample(name, &labels, value);
        }
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        let all = self.run.iter().chain(labels);
        let labels: Vec<String> = all.map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        self.text += &format!("firedrill_{name}{{{}}} {}\n", labels.join(","), number(value));
    }
}

/// A text in quotes: backslash, quote and end of line have to be written otherwise.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A number as the format writes it.
fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}
