//! One step close up: every purchase as a mark, when it was due and how long it took.

use super::bands::{self, STRIP};
use super::canvas::{Anchor, Ink, Pen};
use super::frame::{FOOT, Frame, Scale};
use super::{Span, both};
use crate::{ReportError, units};
use firedrill_core::history::{Operation, OperationOutcome};
use firedrill_core::verdict::{Outage, StepVerdict};
use std::collections::BTreeSet;

/// What became of a purchase, for its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PurchaseEnd {
    /// Never went through.
    Failed,
    /// Went through after errors.
    Retried,
    /// Went through at once.
    Served,
}

/// A purchase as a point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purchase {
    /// When it was due, in seconds.
    pub(crate) due_s: f64,
    /// How long it took, or until its buyer gave up.
    pub(crate) took_ms: f64,
    /// What became of it.
    pub(crate) end: PurchaseEnd,
}

impl Purchase {
    /// None of what was refused for good: that is an answer, not a sale and not a failure.
    pub(crate) fn of(operation: &Operation) -> Option<Self> {
        let end = match operation.outcome {
            OperationOutcome::Acknowledged { .. } | OperationOutcome::Visited if operation.errors == 0 => {
                PurchaseEnd::Served
            }
            OperationOutcome::Acknowledged { .. } | OperationOutcome::Visited => PurchaseEnd::Retried,
            OperationOutcome::InDoubt | OperationOutcome::NotApplied => PurchaseEnd::Failed,
            OperationOutcome::Rejected(_) => return None,
        };
        Some(Self { due_s: operation.intended.as_s(), took_ms: operation.latency_ms(), end })
    }
}

/// An instant of the recovery with its letter.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// When, in seconds.
    pub(crate) at_s: f64,
    /// As it is explained next to the plot.
    pub(crate) letter: char,
}

/// Height of the row of letters above the plot.
const LETTERS: i32 = 18;
/// Height of the row below the purchases that has the outage.
const OUTAGE: i32 = 34;

/// Draws purchases around a step, at most so many of them.
pub(crate) fn zoom(
    purchases: &[Purchase],
    step: &StepVerdict,
    marks: &[Mark],
    span: Span,
    limit_ms: f64,
    points_max: usize,
) -> Result<String, ReportError> {
    let shown: Vec<Purchase> = purchases.iter().filter(|p| span.has(p.due_s)).copied().collect();
    let failed = shown.iter().filter(|p| p.end == PurchaseEnd::Failed).count();
    let label = format!(
        "{} purchases around {}, {failed} of them failed; the longest time without a sale: {}.",
        units::count(shown.len() as u64),
        units::step_name(step),
        units::maybe_bracket(step.outage.as_ref())
    );
    let max = shown.iter().map(|p| p.took_ms).fold(limit_ms, f64::max);
    let min = shown.iter().map(|p| p.took_ms).fold(limit_ms, f64::min);
    let height = LETTERS + 190 + OUTAGE + FOOT;
    both(&label, height, |pen, format| {
        let bottom = height - FOOT;
        let whole = Frame::new(format, LETTERS, bottom, span, Scale::Lanes);
        let plot = Frame::new(format, LETTERS + 4, bottom - OUTAGE, span, Scale::log(min, max));
        bands::faults(pen, &whole, std::slice::from_ref(step))?;
        plot.draw_values(pen)?;
        let y = plot.y(limit_ms);
        pen.line(Ink::Limit, (plot.left, y), (plot.right, y))?;
        letters(pen, &whole, marks)?;
        for (end, x, y) in thinned(&shown, &plot, format.share_of(points_max)) {
            match end {
                PurchaseEnd::Served => pen.dot(Ink::Served, (x, y), 2)?,
                PurchaseEnd::Retried => ring(pen, x, y)?,
                PurchaseEnd::Failed => pen.cross(Ink::Failed, (x, y), 4)?,
            }
        }
        outage(pen, &whole, step.outage.as_ref())?;
        whole.draw_time(pen)
    })
}

/// A small square on its corner: told from a dot by its shape.
fn ring(pen: &mut Pen<'_>, x: i32, y: i32) -> Result<(), ReportError> {
    pen.area(Ink::Retried, &[(x - 4, y), (x, y - 4), (x + 4, y), (x, y + 4)])
}

fn outage(pen: &mut Pen<'_>, frame: &Frame, outage: Option<&Outage>) -> Result<(), ReportError> {
    let Some(outage) = outage else { return Ok(()) };
    let y = frame.bottom - 9;
    let (a, b) = (frame.x(outage.from.as_s()), frame.x(outage.until.as_s()));
    pen.path(Ink::Outage, &[(a, y - 5), (a, y + 5)])?;
    pen.path(Ink::Outage, &[(b, y - 5), (b, y + 5)])?;
    pen.path(Ink::Outage, &[(a, y), (b, y)])?;
    let label = format!("no sale for {}", units::bracket(outage));
    let half = bands::width(&label) / 2;
    let middle = ((a + b) / 2).clamp(frame.left + half, (frame.right - half).max(frame.left + half));
    pen.text(Ink::Text, Anchor::Middle, (middle, y - 13), &label)
}

/// Lines with letters; letters of instants that are close move to the right of each other.
fn letters(pen: &mut Pen<'_>, frame: &Frame, marks: &[Mark]) -> Result<(), ReportError> {
    let mut sorted: Vec<&Mark> = marks.iter().filter(|mark| frame.span.has(mark.at_s)).collect();
    sorted.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let mut free = i32::MIN;
    for mark in sorted {
        let x = frame.x(mark.at_s);
        pen.line(Ink::Mark, (x, frame.top), (x, frame.bottom))?;
        let place = x.max(free);
        free = place + 12;
        pen.text(Ink::Text, Anchor::Middle, (place, frame.top - STRIP / 2), &mark.letter.to_string())?;
    }
    Ok(())
}

/// The points on the sheet, one for every cell of a raster that gets coarser until few enough are left.
/// What failed is drawn last and on top, and is never dropped in favour of what went well.
fn thinned(purchases: &[Purchase], frame: &Frame, max: usize) -> Vec<(PurchaseEnd, i32, i32)> {
    let mut grain = 2;
    loop {
        let mut cells = BTreeSet::new();
        let mut points = Vec::new();
        for p in purchases {
            let (x, y) = (frame.x(p.due_s), frame.y(p.took_ms));
            if cells.insert((p.end, x / grain, y / grain)) {
                points.push((p.end, x, y));
            }
        }
        if points.len() <= max || grain >= 128 {
            points.sort_by_key(|(end, x, _)| (std::cmp::Reverse(*end), *x));
            return points;
        }
        grain += 1 + grain / 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Format;

    #[test]
    fn many_purchases_become_few_points_and_failures_stay() {
        let span = Span { from: 0.0, to: 60.0 };
        let frame = Frame::new(Format::Wide, 0, 200, span, Scale::log(5.0, 10_000.0));
        let purchases: Vec<_> = (0..200_000)
            .map(|i| Purchase {
                due_s: f64::from(i) * 60.0 / 200_000.0,
                took_ms: 5.0 + f64::from(i * 7919 % 9973),
                end: if i == 77_777 { PurchaseEnd::Failed } else { PurchaseEnd::Served },
            })
            .collect();
        let points = thinned(&purchases, &frame, 700);
        assert!(points.len() <= 700 && points.len() > 100, "{}", points.len());
        assert_eq!(points.last().map(|p| p.0), Some(PurchaseEnd::Failed));
    }
}
