//! Axes: from values to places on the sheet, and their labels.

use super::canvas::{Anchor, Ink, Pen};
use super::{Format, Span};
use crate::{ReportError, units};

/// How the vertical axis counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale {
    /// From 0.
    Linear { max: f64, unit: &'static str },
    /// Milliseconds by powers of ten: a failover is a thousand times slower than a sale, and both count.
    Log { min_ms: f64, max_ms: f64 },
    /// Nothing is measured vertically.
    Lanes,
}

impl Scale {
    /// Linear from 0 to a round number above `max`.
    pub(super) fn linear(max: f64, unit: &'static str) -> Self {
        let step = nice_step(max.max(1.0), 4);
        Self::Linear { max: (max.max(1.0) / step).ceil() * step, unit }
    }

    /// Linear from 0 to a round number above `max`, also a small one: two tenths of a second fill the frame.
    pub(super) fn from_zero(max: f64, unit: &'static str) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let step = nice_step(max, 3);
        Self::Linear { max: (max / step - 1e-9).ceil() * step, unit }
    }

    /// By powers of ten around the values between `min` and `max`.
    pub(super) fn log(min_ms: f64, max_ms: f64) -> Self {
        let min_ms = 10f64.powf(min_ms.clamp(0.1, 1e6).log10().floor());
        let max_ms = 10f64.powf((max_ms.max(1.0).log10() - 1e-9).ceil());
        Self::Log { min_ms, max_ms: max_ms.max(min_ms * 10.0) }
    }
}

/// The part of the sheet that data is drawn in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) top: i32,
    pub(super) bottom: i32,
    pub(super) span: Span,
    pub(super) scale: Scale,
    format: Format,
}

/// Room for the labels of the time axis.
pub(super) const FOOT: i32 = 26;

impl Frame {
    /// A frame from `top` to `bottom`, with the format's margins at the sides.
    pub(super) fn new(format: Format, top: i32, bottom: i32, span: Span, scale: Scale) -> Self {
        let (left, right) = (format.left(), format.width() - 8);
        Self { left, right, top, bottom, span, scale, format }
    }

    /// Where an instant (in seconds) is, clamped to the frame.
    pub(super) fn x(&self, s: f64) -> i32 {
        let share = (s - self.span.from) / self.span.length();
        self.left + (share.clamp(0.0, 1.0) * f64::from(self.right - self.left)).round() as i32
    }

    /// Where a value is, clamped to the frame.
    pub(super) fn y(&self, value: f64) -> i32 {
        let share = match self.scale {
            Scale::Linear { max, .. } => value / max,
            Scale::Log { min_ms, max_ms } => (value.max(min_ms) / min_ms).log10() / (max_ms / min_ms).log10(),
            Scale::Lanes => 0.0,
        };
        self.bottom - (share.clamp(0.0, 1.0) * f64::from(self.bottom - self.top)).round() as i32
    }

    /// Grid and labels of the vertical axis.
    pub(super) fn draw_values(&self, pen: &mut Pen<'_>) -> Result<(), ReportError> {
        for (value, label) in self.value_ticks() {
            let y = self.y(value);
            pen.line(Ink::Grid, (self.left, y), (self.right, y))?;
            pen.text(Ink::Muted, Anchor::End, (self.left - 6, y), &label)?;
        }
        Ok(())
    }

    fn value_ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear { max, unit } => {
                let room = f64::from(self.bottom - self.top) / 34.0;
                let step = nice_step(max, (room as usize).clamp(1, 5));
                let n = (max / step + 1e-9) as usize;
                (0..=n)
                    .map(|i| i as f64 * step)
                    .map(|value| (value, format!("{}{unit}", units::number(value))))
                    .collect()
            }
            Scale::Log { min_ms, max_ms } => {
                let decades = (max_ms / min_ms).log10().round() as i32;
                (0..=decades).map(|i| min_ms * 10f64.powi(i)).map(|ms| (ms, short_duration(ms))).collect()
            }
            Scale::Lanes => Vec::new(),
        }
    }

    /// The line at the bottom with the labels of the time axis.
    pub(super) fn draw_time(&self, pen: &mut Pen<'_>) -> Result<(), ReportError> {
        pen.line(Ink::Axis, (self.left, self.bottom), (self.right, self.bottom))?;
        let labels = match self.format {
            Format::Wide => 10,
            Format::Narrow | Format::Small => 5,
        };
        let step = time_step(self.span.length(), labels);
        let first = (self.span.from / step).ceil() as i64;
        let last = (self.span.to / step + 1e-9).floor() as i64;
        for i in first..=last {
            let s = i as f64 * step;
            let x = self.x(s);
            pen.line(Ink::Axis, (x, self.bottom), (x, self.bottom + 4))?;
            // A label at the very end would stick out of the sheet.
            let (anchor, x) = if x > self.right - 16 { (Anchor::End, self.right + 6) } else { (Anchor::Middle, x) };
            pen.text(Ink::Muted, anchor, (x, self.bottom + 15), &time_label(s, step))?;
        }
        Ok(())
    }
}

/// A step of 1, 2 or 5 times a power of ten that divides `max` into at most about `parts`.
fn nice_step(max: f64, parts: usize) -> f64 {
    let raw = max / parts.max(1) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= raw * 0.999).unwrap_or(10.0);
    factor * power
}

/// A step of time that people count in.
fn time_step(length_s: f64, labels: usize) -> f64 {
    const STEPS: [f64; 17] =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0];
    let fits = |step: &f64| length_s / step <= labels as f64;
    STEPS.into_iter().find(fits).unwrap_or_else(|| nice_step(length_s / 3600.0, labels) * 3600.0)
}

/// `12 s`, `2:30`, `1:02:30`.
fn time_label(s: f64, step: f64) -> String {
    if step < 1.0 {
        return format!("{s:.1} s");
    }
    let s = s.round() as i64;
    match s {
        ..60 => format!("{s} s"),
        60..3600 => format!("{}:{:02}", s / 60, s % 60),
        _ => format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
    }
}

/// A power of ten of milliseconds: `10 ms`, `1 s`, `100 s`.
fn short_duration(ms: f64) -> String {
    if ms < 999.0 { format!("{} ms", units::number(ms)) } else { format!("{} s", units::number(ms / 1e3)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_few() {
        assert_eq!(nice_step(100.0, 4), 50.0);
        assert_eq!(nice_step(23.0, 4), 10.0);
        assert_eq!(nice_step(1.0, 4), 0.5);
        assert_eq!(time_step(95.0, 10), 10.0);
        assert_eq!(time_step(0.5, 10), 0.1);
        assert!(time_step(1e6, 10) >= 1e5);
    }

    #[test]
    fn labels_read_like_a_clock() {
        assert_eq!(time_label(30.0, 10.0), "30 s");
        assert_eq!(time_label(90.0, 30.0), "1:30");
        assert_eq!(time_label(3_660.0, 60.0), "1:01:00");
        assert_eq!(short_duration(0.1), "0.1 ms");
        assert_eq!(short_duration(10_000.0), "10 s");
    }

    #[test]
    fn values_outside_stay_inside_of_the_frame() {
        let span = Span { from: 0.0, to: 10.0 };
        let frame = Frame::new(Format::Wide, 10, 110, span, Scale::log(5.0, 8_000.0));
        assert_eq!(frame.y(0.0), 110);
        assert_eq!(frame.y(1e9), 10);
        assert_eq!(frame.x(-5.0), frame.left);
        assert_eq!(frame.x(50.0), frame.right);
    }
}
