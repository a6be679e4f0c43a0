//! Faults and outages across a plot.

use super::canvas::{Anchor, Ink, Pen};
use super::frame::Frame;
use crate::{ReportError, units};
use firedrill_core::verdict::StepVerdict;

/// Height of the strip above a plot that has the names of the faults.
pub(super) const STRIP: i32 = 18;

/// Shades the windows of faults: dark while the fault is in force, light while the stack becomes whole.
/// The first line of a band is its injection.
pub(super) fn faults(pen: &mut Pen<'_>, frame: &Frame, steps: &[StepVerdict]) -> Result<(), ReportError> {
    for step in visible(frame, steps) {
        let healed = step.healed.unwrap_or(step.until);
        let (a, b, c) = (frame.x(step.from.as_s()), frame.x(healed.as_s()), frame.x(step.until.as_s()));
        pen.rect(Ink::Band, (a, frame.top), (b, frame.bottom))?;
        if c > b {
            pen.rect(Ink::Healing, (b, frame.top), (c, frame.bottom))?;
        }
        pen.line(Ink::Mark, (a, frame.top), (a, frame.bottom))?;
    }
    Ok(())
}

/// Names the bands in the strip above the frame. A name that would run into the next one is cut down to
/// the number of the step, and left out where even that has no room.
pub(super) fn labels(pen: &mut Pen<'_>, frame: &Frame, steps: &[StepVerdict]) -> Result<(), ReportError> {
    let shown: Vec<_> = visible(frame, steps).collect();
    let mut free = frame.left;
    for (i, step) in shown.iter().enumerate() {
        let x = frame.x(step.from.as_s());
        let next = shown.get(i + 1).map_or(frame.right, |next| frame.x(next.from.as_s()));
        let number = (step.step.0 + 1).to_string();
        let long = format!("{number}  {}", units::step_name(step));
        let short = format!("{number}  {}", units::clean(&step.fault));
        let room = next - x - 6;
        let Some(label) = [long, short, number].into_iter().find(|label| width(label) <= room) else {
            continue;
        };
        if x < free {
            continue;
        }
        free = x + width(&label);
        pen.text(Ink::Text, Anchor::Start, (x, frame.top - STRIP / 2), &label)?;
    }
    Ok(())
}

/// Outages as brackets with their length, on the line at `y`.
pub(super) fn outages(pen: &mut Pen<'_>, frame: &Frame, steps: &[StepVerdict], y: i32) -> Result<(), ReportError> {
    let mut free = frame.left;
    for step in visible(frame, steps) {
        let Some(outage) = step.outage else { continue };
        let (a, b) = (frame.x(outage.from.as_s()), frame.x(outage.until.as_s()));
        pen.path(Ink::Outage, &[(a, y - 5), (a, y + 5)])?;
        pen.path(Ink::Outage, &[(b, y - 5), (b, y + 5)])?;
        pen.path(Ink::Outage, &[(a, y), (b, y)])?;
        let label = units::bracket(&outage);
        let half = width(&label) / 2;
        let middle = ((a + b) / 2).clamp(frame.left + half, frame.right - half);
        if middle - half >= free {
            pen.text(Ink::Text, Anchor::Middle, (middle, y - 13), &label)?;
            free = middle + half + 8;
        }
    }
    Ok(())
}

fn visible<'a>(frame: &Frame, steps: &'a [StepVerdict]) -> impl Iterator<Item = &'a StepVerdict> {
    let span = frame.span;
    steps.iter().filter(move |s| s.until.as_s() >= span.from && s.from.as_s() <= span.to)
}

/// About how wide a label is; a little too much, so that nothing touches.
pub(super) fn width(label: &str) -> i32 {
    label.chars().count() as i32 * 7
}
