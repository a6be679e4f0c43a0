//! How long things took: from the instant at which they were due, and as the shop alone sees it.

use super::window::{Window, histogram, record};
use firedrill_core::history::At;
use hdrhistogram::{Counter, Histogram};

/// Percentiles, in milliseconds, with an error of 1 %.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Percentiles {
    /// Number of values. Without any, all else is 0.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

impl Percentiles {
    fn of<C: Counter>(values: &Histogram<C>) -> Self {
        let ms = |us: u64| us as f64 / 1e3;
        Self {
            count: values.len(),
            p50_ms: ms(values.value_at_quantile(0.5)),
            p95_ms: ms(values.value_at_quantile(0.95)),
            p99_ms: ms(values.value_at_quantile(0.99)),
            max_ms: ms(values.max()),
        }
    }
}

/// Latency and service time side by side. Where the first is larger, the load had to wait: for a buyer who
/// was behind a stalled exchange, or for an earlier step of the same operation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// From the instant at which the operation was due, without the waits that the buyer chose himself: for how
    /// long the shop kept him.
    pub latency: Percentiles,
    /// From the instant at which it was begun: what a load test that waits for its victim would report.
    pub service: Percentiles,
}

/// Figures of one kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Of the whole load.
    pub whole: Timing,
    /// Of what ended in the last 10 s.
    pub recent: Timing,
}

/// Collects [`Figures`], in memory that does not grow with the number of values: some 20 KB for latencies
/// below a second, at most 370 KB.
pub(super) struct Recorder {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    recent_latency: Window,
    recent_service: Window,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            service: histogram(),
            recent_latency: Window::new(),
            recent_service: Window::new(),
        }
    }

    /// Something ended that was due at `intended` and begun at `began`.
    pub(super) fn record(&mut self, intended: At, began: At, ended: At) {
        let latency_us = ended.0.saturating_sub(intended.0) / 1_000;
        let service_us = ended.0.saturating_sub(began.0) / 1_000;
        record(&mut self.latency, latency_us);
        record(&mut self.service, service_us);
        self.recent_latency.record(ended, latency_us);
        self.recent_service.record(ended, service_us);
    }

    /// Latencies of the last 10 s.
    pub(super) fn recent_latency(&self, at: At) -> Percentiles {
        Percentiles::of(&self.recent_latency.merged(at))
    }

    pub(super) fn figures(&self, at: At) -> Figures {
        let recent_service = Percentiles::of(&self.recent_service.merged(at));
        Figures {
            whole: Timing { latency: Percentiles::of(&self.latency), service: Percentiles::of(&self.service) },
            recent: Timing { latency: self.recent_latency(at), service: recent_service },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_and_service_time_are_apart_and_the_recent_ones_forget() {
        let mut recorder = Recorder::new();
        recorder.record(At::from_ms(0), At::from_ms(900), At::from_ms(1_000));
        recorder.record(At::from_ms(19_000), At::from_ms(19_000), At::from_ms(19_050));
        let Figures { whole, recent } = recorder.figures(At::from_ms(20_000));
        let near = |value: f64, ms: f64| assert!((value - ms).abs() <= ms / 100.0, "{value} is not {ms}");
        near(whole.latency.max_ms, 1_000.0);
        near(whole.service.max_ms, 100.0);
        assert_eq!((whole.latency.count, recent.latency.count, recent.service.count), (2, 1, 1));
        near(recent.latency.p99_ms, 50.0);
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_values() {
        let mut recorder = Recorder::new();
        let mut buckets = 0;
        for round in 0..20 {
            for ms in 0..1_000 {
                recorder.record(At::from_ms(0), At::from_ms(ms), At::from_ms(1_000 + ms));
            }
            let now = recorder.latency.distinct_values() + recorder.service.distinct_values();
            assert!(round == 0 || now == buckets, "{buckets} buckets became {now}");
            buckets = now;
        }
    }
}
