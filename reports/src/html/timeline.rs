//! The plots over the whole run.

use crate::plot::{self, Span, TierUsage, TimeSeries};
use crate::{ReportError, ReportInput, units};
use firedrill_core::history::Operations;

/// The timeline.
#[derive(Debug)]
pub(super) struct TimelineView {
    /// How long a bucket is.
    pub(super) bucket: String,
    pub(super) limit: String,
    pub(super) sales: String,
    pub(super) success: String,
    pub(super) errors: String,
    pub(super) latency: String,
    /// None where no roles were observed.
    pub(super) roles: Option<String>,
    /// None where no usage was read.
    pub(super) cpu: Option<String>,
    pub(super) tiers: Vec<TierView>,
}

/// What a tier used.
#[derive(Debug)]
pub(super) struct TierView {
    pub(super) name: String,
    /// Class of its line in the plot, where it has one.
    pub(super) ink: Option<&'static str>,
    pub(super) cpu_mean: String,
    pub(super) cpu_max: String,
    pub(super) memory_max: String,
}

/// Draws the timeline; none where the run had neither load nor faults.
pub(super) fn view(input: &ReportInput<'_>, operations: &Operations) -> Result<Option<TimelineView>, ReportError> {
    let Some(span) = Span::of(input.history, input.verdict) else {
        return Ok(None);
    };
    let steps = &input.verdict.steps;
    let series = TimeSeries::of(input, operations, span);
    let limit_ms = input.manifest.sla.response_time.max_ms;
    let lanes = plot::lanes(input.history, input.manifest);
    let usage = plot::tier_usage(input.history, input.manifest, span);
    let roles = if lanes.is_empty() { None } else { Some(plot::roles(&lanes, steps, span)?) };
    let cpu = if usage.is_empty() { None } else { Some(plot::cpu(&usage, steps, span)?) };
    Ok(Some(TimelineView {
        bucket: format!("{} s", units::number(series.width)),
        limit: units::duration(limit_ms),
        sales: plot::sales(&series, steps)?,
        success: plot::success(&series, steps)?,
        errors: plot::errors(&series, steps)?,
        latency: plot::latency(&series, steps, limit_ms)?,
        roles,
        cpu,
        tiers: usage.iter().enumerate().map(|(place, tier)| tier_view(place, tier)).collect(),
    }))
}

fn tier_view(place: usize, usage: &TierUsage) -> TierView {
    let percent = |value: f64| format!("{} %", units::count(value.round() as u64));
    TierView {
        name: units::clean(usage.tier.as_str()),
        ink: TierUsage::ink_name(place),
        cpu_mean: percent(usage.cpu_mean),
        cpu_max: percent(usage.cpu_max),
        memory_max: units::bytes(usage.memory_max),
    }
}
