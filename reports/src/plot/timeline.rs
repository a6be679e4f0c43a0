//! The plots over the whole run: sales, errors, latency.

use super::bands::{self, STRIP};
use super::canvas::{Anchor, Ink, Pen};
use super::frame::{FOOT, Frame, Scale};
use super::{TimeSeries, both};
use crate::{ReportError, units};
use firedrill_core::verdict::StepVerdict;

/// Acknowledged purchases per second, with the outages.
pub(crate) fn sales(series: &TimeSeries, steps: &[StepVerdict]) -> Result<String, ReportError> {
    let per_s: Vec<f64> = series.acks.iter().map(|n| series.per_s(*n)).collect();
    let max = per_s.iter().copied().fold(0.0, f64::max);
    let label = format!(
        "Acknowledged purchases per second over the run, at most {} per second.",
        units::number((max * 10.0).round() / 10.0)
    );
    both(&label, 210, |pen, format| {
        let scale = Scale::linear(ceiling(&per_s, max), "");
        let frame = Frame::new(format, STRIP, 210 - FOOT, series.span, scale);
        bands::faults(pen, &frame, steps)?;
        bands::labels(pen, &frame, steps)?;
        frame.draw_values(pen)?;
        let line: Vec<_> = stairs(series, &frame, &per_s);
        let mut area = line.clone();
        area.extend([(frame.right, frame.bottom), (frame.left, frame.bottom)]);
        pen.area(Ink::AcksArea, &area)?;
        pen.path(Ink::Acks, &line)?;
        cut_peaks(pen, series, &frame, &per_s)?;
        bands::outages(pen, &frame, steps, frame.bottom - 12)?;
        frame.draw_time(pen)
    })
}

/// How far up sales are drawn. All buyers who waited for the end of an outage are served within a second
/// or two; drawn in full, that peak would flatten the whole rest of the run.
fn ceiling(per_s: &[f64], max: f64) -> f64 {
    let mut sorted = per_s.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() * 9 / 10).copied().unwrap_or(max).max(1.0);
    if max > usual * 2.5 { usual * 1.6 } else { max }
}

/// Writes their height on peaks that do not fit, the highest of each group.
fn cut_peaks(pen: &mut Pen<'_>, series: &TimeSeries, frame: &Frame, per_s: &[f64]) -> Result<(), ReportError> {
    let Scale::Linear { max, .. } = frame.scale else {
        return Ok(());
    };
    let mut free = frame.left;
    for group in per_s.iter().enumerate().collect::<Vec<_>>().chunk_by(|a, b| *a.1 > max && *b.1 > max) {
        let Some((i, peak)) = group.iter().copied().max_by(|a, b| a.1.total_cmp(b.1)) else {
            continue;
        };
        if *peak <= max {
            continue;
        }
        let x = frame.x(series.begin(i + 1)) + 4;
        let label = format!("↑ {}", units::number(peak.round()));
        let end = x + bands::width(&label);
        if x >= free && end <= frame.right {
            pen.text(Ink::Text, Anchor::Start, (x, frame.top + 9), &label)?;
            free = end;
        }
    }
    Ok(())
}

/// The share of the purchases that went through, in the end and at once.
pub(crate) fn success(series: &TimeSeries, steps: &[StepVerdict]) -> Result<String, ReportError> {
    let least = |values: &[Option<f64>]| values.iter().flatten().copied().fold(100.0, f64::min);
    let label = format!(
        "Percent of purchases that went through over the run: at least {} % in the end, at least {} % without an error.",
        units::number(least(&series.sold_percent).floor()),
        units::number(least(&series.at_once_percent).floor())
    );
    both(&label, 130, |pen, format| {
        let frame = Frame::new(format, 8, 130 - FOOT, series.span, Scale::linear(100.0, " %"));
        bands::faults(pen, &frame, steps)?;
        frame.draw_values(pen)?;
        broken_line(pen, Ink::Service, series, &frame, &series.at_once_percent)?;
        broken_line(pen, Ink::Acks, series, &frame, &series.sold_percent)?;
        frame.draw_time(pen)
    })
}

/// Failed exchanges per second.
pub(crate) fn errors(series: &TimeSeries, steps: &[StepVerdict]) -> Result<String, ReportError> {
    let max = series.errors.iter().map(|n| series.per_s(*n)).fold(0.0, f64::max);
    let total: u64 = series.errors.iter().map(|n| u64::from(*n)).sum();
    let label = format!("Failed exchanges per second over the run, {} in all.", units::count(total));
    both(&label, 120, |pen, format| {
        let frame = Frame::new(format, 8, 120 - FOOT, series.span, Scale::linear(max, ""));
        bands::faults(pen, &frame, steps)?;
        frame.draw_values(pen)?;
        for (i, count) in series.errors.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (a, b) = (frame.x(series.begin(i)), frame.x(series.begin(i + 1)));
            let top = frame.y(series.per_s(*count)).min(frame.bottom - 1);
            pen.rect(Ink::Errors, (a, top), (b, frame.bottom))?;
        }
        frame.draw_time(pen)
    })
}

/// Purchase time and service time.
pub(crate) fn latency(series: &TimeSeries, steps: &[StepVerdict], limit_ms: f64) -> Result<String, ReportError> {
    let seen = || series.p50_ms.iter().chain(&series.p99_ms).chain(&series.service_ms).flatten();
    let max = seen().copied().fold(limit_ms, f64::max);
    let min = seen().copied().fold(f64::INFINITY, f64::min).min(limit_ms);
    let worst = series.p99_ms.iter().flatten().copied().fold(0.0, f64::max);
    let label = format!(
        "Purchase time over the run on a logarithmic axis; the worst 99th percentile is {}.",
        units::duration(worst)
    );
    both(&label, 230, |pen, format| {
        let frame = Frame::new(format, 8, 230 - FOOT, series.span, Scale::log(min, max));
        bands::faults(pen, &frame, steps)?;
        frame.draw_values(pen)?;
        let y = frame.y(limit_ms);
        pen.line(Ink::Limit, (frame.left, y), (frame.right, y))?;
        for (ink, values) in
            [(Ink::Service, &series.service_ms), (Ink::P99, &series.p99_ms), (Ink::P50, &series.p50_ms)]
        {
            broken_line(pen, ink, series, &frame, values)?;
        }
        frame.draw_time(pen)
    })
}

/// A count is true for its whole bucket, so it is drawn as a stair.
fn stairs(series: &TimeSeries, frame: &Frame, values: &[f64]) -> Vec<(i32, i32)> {
    let mut points: Vec<(i32, i32)> = Vec::with_capacity(values.len() * 2);
    for (i, value) in values.iter().enumerate() {
        let y = frame.y(*value);
        for point in [(frame.x(series.begin(i)), y), (frame.x(series.begin(i + 1)), y)] {
            if points.last() != Some(&point) {
                points.push(point);
            }
        }
    }
    points
}

/// A line with gaps where nothing was measured; a lonely value is a dot.
fn broken_line(
    pen: &mut Pen<'_>,
    ink: Ink,
    series: &TimeSeries,
    frame: &Frame,
    values: &[Option<f64>],
) -> Result<(), ReportError> {
    let mut run: Vec<(i32, i32)> = Vec::new();
    for (i, value) in values.iter().map(Some).chain([None]).enumerate() {
        if let Some(Some(ms)) = value {
            run.push((frame.x(series.begin(i) + series.width / 2.0), frame.y(*ms)));
            continue;
        }
        match run.as_slice() {
            [lonely] => pen.dot(ink, *lonely, 2)?,
            points => pen.path(ink, points)?,
        }
        run.clear();
    }
    Ok(())
}
