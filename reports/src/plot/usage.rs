//! Resource use per tier.

use super::bands;
use super::canvas::Ink;
use super::data::bucket_width;
use super::frame::{FOOT, Frame, Scale};
use super::{Span, both};
use crate::{ReportError, units};
use firedrill_core::history::{Event, History, Usage};
use firedrill_core::ids::{NodeName, TierName};
use firedrill_core::manifest::Manifest;
use firedrill_core::verdict::StepVerdict;
use std::collections::BTreeMap;

/// A sample is taken to be true for this long, in seconds; a node that is silent for longer leaves a gap.
const SAMPLE_LASTS_S: f64 = 10.0;

/// What one tier used.
#[derive(Debug, Clone)]
pub(crate) struct TierUsage {
    /// Its name.
    pub(crate) tier: TierName,
    /// CPU of all its nodes together in percent of one core, by bucket.
    pub(crate) cpu: Vec<Option<f64>>,
    /// Mean of the same.
    pub(crate) cpu_mean: f64,
    /// Highest of the same.
    pub(crate) cpu_max: f64,
    /// Highest memory of one of its nodes, in bytes.
    pub(crate) memory_max: u64,
}

impl TierUsage {
    /// How its line is drawn, where it gets one.
    pub(crate) fn ink_name(place: usize) -> Option<&'static str> {
        Ink::TIERS.get(place).map(|ink| ink.name())
    }
}

/// Sums usage up by tier, the busiest tier first.
pub(crate) fn tier_usage(history: &History, manifest: &Manifest, span: Span) -> Vec<TierUsage> {
    let mut tier_of: BTreeMap<&NodeName, &TierName> = history.observations().map(|o| (&o.node, &o.tier)).collect();
    tier_of.extend(manifest.nodes.iter().map(|node| (&node.name, &node.tier)));
    let mut samples: BTreeMap<&TierName, BTreeMap<&NodeName, Vec<&Usage>>> = BTreeMap::new();
    for event in &history.events {
        let Event::Usage(usage) = event else { continue };
        if let Some(tier) = tier_of.get(&usage.node).filter(|_| span.has(usage.at.as_s())) {
            samples.entry(tier).or_default().entry(&usage.node).or_default().push(usage);
        }
    }
    let mut tiers: Vec<TierUsage> = samples.into_iter().map(|(tier, nodes)| of_tier(tier, &nodes, span)).collect();
    tiers.sort_by(|a, b| b.cpu_mean.total_cmp(&a.cpu_mean).then_with(|| a.tier.cmp(&b.tier)));
    tiers
}

fn of_tier(tier: &TierName, nodes: &BTreeMap<&NodeName, Vec<&Usage>>, span: Span) -> TierUsage {
    let width = bucket_width(span.length());
    let n = (span.length() / width).ceil().max(1.0) as usize;
    let mut cpu: Vec<Option<f64>> = vec![None; n];
    for samples in nodes.values() {
        let mut next = 0;
        let mut last: Option<&Usage> = None;
        for (i, sum) in cpu.iter_mut().enumerate() {
            let end = span.from + (i + 1) as f64 * width;
            while let Some(sample) = samples.get(next).filter(|sample| sample.at.as_s() < end) {
                last = Some(sample);
                next += 1;
            }
            if let Some(sample) = last.filter(|s| end - s.at.as_s() <= SAMPLE_LASTS_S + width) {
                *sum = Some(sum.unwrap_or(0.0) + sample.cpu_percent.max(0.0));
            }
        }
    }
    let seen: Vec<f64> = cpu.iter().flatten().copied().collect();
    let memory = nodes.values().flatten().map(|sample| sample.memory_bytes);
    TierUsage {
        tier: tier.clone(),
        cpu_mean: seen.iter().sum::<f64>() / seen.len().max(1) as f64,
        cpu_max: seen.iter().copied().fold(0.0, f64::max),
        memory_max: memory.max().unwrap_or(0),
        cpu,
    }
}

/// CPU over time, one line per tier, as many as there are lines that can be told apart.
pub(crate) fn cpu(tiers: &[TierUsage], steps: &[StepVerdict], span: Span) -> Result<String, ReportError> {
    let max = tiers.iter().map(|tier| tier.cpu_max).fold(0.0, f64::max);
    let label = format!(
        "CPU use of {} tiers over the run, at most {} percent of one core.",
        tiers.len(),
        units::number(max.round())
    );
    both(&label, 190, |pen, format| {
        let frame = Frame::new(format, 8, 190 - FOOT, span, Scale::linear(max, " %"));
        bands::faults(pen, &frame, steps)?;
        frame.draw_values(pen)?;
        let width = bucket_width(span.length());
        for (tier, ink) in tiers.iter().zip(Ink::TIERS) {
            let place = |i: usize| frame.x(span.from + (i as f64 + 0.5) * width);
            let points: Vec<_> = tier.cpu.iter().enumerate().map(|(i, v)| v.map(|v| (place(i), frame.y(v)))).collect();
            for run in points.split(Option::is_none) {
                pen.path(ink, &run.iter().flatten().copied().collect::<Vec<_>>())?;
            }
        }
        frame.draw_time(pen)
    })
}
