//! What is plotted over time, counted into a number of buckets that does not grow with the run.

use super::zoom::{Purchase, PurchaseEnd};
use crate::ReportInput;
use firedrill_core::history::{AttemptKind, Event, History, Operations, Outcome};
use firedrill_core::verdict::Verdict;

/// How many buckets a plot over the whole run has at most: more than there are pixels helps nobody.
const BUCKETS_MAX: f64 = 460.0;

/// A span of time in seconds of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Span {
    /// Never zero, so that it can be divided by.
    pub(crate) fn length(&self) -> f64 {
        (self.to - self.from).max(0.1)
    }

    /// The span of the load: from the first purchase or fault to the last. What comes before (boot) and
    /// after (final read) is not plotted. None where there is nothing.
    pub(crate) fn of(history: &History, verdict: &Verdict) -> Option<Self> {
        let mut ends: Option<(u64, u64)> = None;
        let mut see = |from: u64, to: u64| {
            ends = Some(ends.map_or((from, to), |(a, b)| (a.min(from), b.max(to))));
        };
        for event in &history.events {
            match event {
                Event::Attempt(a) => see(a.intended.0.min(a.started.0), a.ended.0),
                Event::Fault(f) => see(f.at.0, f.at.0),
                Event::Refused(r) => see(r.intended.0, r.intended.0),
                _ => {}
            }
        }
        for step in &verdict.steps {
            see(step.from.0, step.until.0);
        }
        ends.map(|(from, to)| Self { from: from as f64 / 1e9, to: (to as f64 / 1e9).ceil() })
    }

    /// This span with `pad` seconds more on both sides, inside of `limits`.
    pub(crate) fn padded(&self, pad: f64, limits: Span) -> Self {
        Self { from: (self.from - pad).max(limits.from), to: (self.to + pad).min(limits.to) }
    }

    /// Whether an instant is inside.
    pub(crate) fn has(&self, s: f64) -> bool {
        (self.from..=self.to).contains(&s)
    }
}

/// Throughput, errors and latency over the run.
#[derive(Debug, Clone)]
pub(crate) struct TimeSeries {
    /// What it covers.
    pub(crate) span: Span,
    /// Seconds per bucket, at least one.
    pub(crate) width: f64,
    /// Acknowledged purchases, by the end of the exchange that confirmed them.
    pub(crate) acks: Vec<u32>,
    /// Exchanges that did not go through, by their end.
    pub(crate) errors: Vec<u32>,
    /// Of a hundred purchases those that went through in the end, by the intended start; none where none was due. What
    /// was refused for good does not count, and an arrival that found no free buyer did not go through.
    pub(crate) sold_percent: Vec<Option<f64>>,
    /// The same, without an error on the way.
    pub(crate) at_once_percent: Vec<Option<f64>>,
    /// Purchase time from the intended start: median and 99th percentile, by the intended start.
    pub(crate) p50_ms: Vec<Option<f64>>,
    /// See `p50_ms`.
    pub(crate) p99_ms: Vec<Option<f64>>,
    /// 99th percentile of the confirming exchanges alone, by their intended start.
    pub(crate) service_ms: Vec<Option<f64>>,
}

impl TimeSeries {
    /// Counts a history; where that is an excerpt, every purchase counts for those that are left out.
    pub(crate) fn of(input: &ReportInput<'_>, operations: &Operations, span: Span) -> Self {
        let one_in = u32::try_from(input.one_in).unwrap_or(u32::MAX);
        let width = bucket_width(span.length());
        let n = (span.length() / width).ceil().max(1.0) as usize;
        let bucket_of = |s: f64| (((s - span.from) / width).max(0.0) as usize).min(n - 1);
        let bucket = |ns: u64| bucket_of(ns as f64 / 1e9);
        let (mut acks, mut errors) = (vec![0; n], vec![0; n]);
        let (mut latency, mut service) = (vec![Vec::new(); n], vec![Vec::new(); n]);
        for a in input.history.attempts() {
            match a.outcome {
                Outcome::InDoubt | Outcome::NotApplied | Outcome::NotSent => {
                    errors[bucket(a.ended.0)] += one_in;
                }
                Outcome::Acknowledged if a.kind == AttemptKind::Purchase => {
                    service[bucket(a.intended.0)].push(a.service_ms() as f32);
                }
                _ => {}
            }
        }
        let mut success = vec![Success::default(); n];
        for event in &input.history.events {
            if let Event::Refused(refusal) = event {
                success[bucket(refusal.intended.0)].add(PurchaseEnd::Failed);
            }
        }
        for operation in operations.iter() {
            if let Some(purchase) = Purchase::of(operation) {
                success[bucket_of(purchase.due_s)].add(purchase.end);
            }
            if let Some(at) = operation.acknowledged_at() {
                acks[bucket(at.0)] += one_in;
                latency[bucket(operation.intended.0)].push(operation.latency_ms() as f32);
            }
        }
        let sorted = |mut values: Vec<f32>| {
            values.sort_unstable_by(f32::total_cmp);
            values
        };
        let latency: Vec<_> = latency.into_iter().map(sorted).collect();
        let service: Vec<_> = service.into_iter().map(sorted).collect();
        Self {
            span,
            width,
            acks,
            errors,
            sold_percent: success.iter().map(|all| all.percent(all.sold)).collect(),
            at_once_percent: success.iter().map(|all| all.percent(all.at_once)).collect(),
            p50_ms: latency.iter().map(|values| percentile(values, 0.5)).collect(),
            p99_ms: latency.iter().map(|values| percentile(values, 0.99)).collect(),
            service_ms: service.iter().map(|values| percentile(values, 0.99)).collect(),
        }
    }

    /// Where a bucket begins, in seconds.
    pub(crate) fn begin(&self, bucket: usize) -> f64 {
        self.span.from + bucket as f64 * self.width
    }

    /// A count of a bucket per second.
    pub(crate) fn per_s(&self, count: u32) -> f64 {
        f64::from(count) / self.width
    }
}

/// What became of the purchases of a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Success {
    due: u32,
    sold: u32,
    at_once: u32,
}

impl Success {
    fn add(&mut self, end: PurchaseEnd) {
        self.due += 1;
        self.sold += u32::from(end != PurchaseEnd::Failed);
        self.at_once += u32::from(end == PurchaseEnd::Served);
    }

    fn percent(self, of: u32) -> Option<f64> {
        (self.due > 0).then(|| f64::from(of) * 100.0 / f64::from(self.due))
    }
}

/// The shortest round width that keeps the number of buckets below its limit.
pub(super) fn bucket_width(length_s: f64) -> f64 {
    const WIDTHS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];
    let fits = |width: &f64| length_s / width <= BUCKETS_MAX;
    WIDTHS.into_iter().find(fits).unwrap_or_else(|| (length_s / BUCKETS_MAX / 600.0).ceil() * 600.0)
}

/// Nearest-rank percentile of sorted values.
fn percentile(sorted: &[f32], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_stay_few_however_long_the_run_is() {
        for length in [0.1, 60.0, 460.0, 461.0, 86_400.0, 1e7] {
            let width = bucket_width(length);
            assert!(width >= 1.0 && length / width <= BUCKETS_MAX, "{length} s: {width} s");
        }
    }

    #[test]
    fn success_is_told_from_success_at_once() {
        let mut success = Success::default();
        assert_eq!(success.percent(success.sold), None, "nobody was due");
        for end in [PurchaseEnd::Served, PurchaseEnd::Retried, PurchaseEnd::Failed, PurchaseEnd::Served] {
            success.add(end);
        }
        assert_eq!((success.percent(success.sold), success.percent(success.at_once)), (Some(75.0), Some(50.0)));
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[1.0, 2.0, 3.0], 0.99), Some(3.0));
    }
}
