//! A measure of a cell over many runs: small, so that many of them fit beside each other.

use super::canvas::{self, Anchor, Ink, Pen};
use super::frame::{FOOT, Frame, Scale};
use super::{Format, Span};
use crate::{ReportError, units};
use firedrill_core::trend::Measure;
use firedrill_core::verdict::Judgement;

/// Height of the drawing.
const HEIGHT: i32 = 150;
/// Room above the frame for marks of what never came about.
const HEAD: i32 = 14;

/// A repeat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Repeat {
    /// Place of its run, from 0.
    pub(crate) run: usize,
    /// In the unit of the measure; none did not come about.
    pub(crate) value: Option<f64>,
    pub(crate) judgement: Judgement,
}

/// A measure over runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small<'a> {
    pub(crate) measure: Measure,
    /// What it is of, for those who do not see it.
    pub(crate) of: &'a str,
    /// The oldest first.
    pub(crate) repeats: &'a [Repeat],
    /// The runs on the axis: dates of the first and of the last one.
    pub(crate) dates: [&'a str; 2],
    /// How many runs there are.
    pub(crate) runs: usize,
    /// The first of the newest runs.
    pub(crate) newest_from: usize,
}

/// Draws the repeats as points, with a line through the middle of each run.
pub(crate) fn small(series: Small<'_>) -> Result<String, ReportError> {
    let unit = if series.measure.is_duration() { 1e-3 } else { 1.0 };
    let values: Vec<f64> = series.repeats.iter().filter_map(|repeat| repeat.value).collect();
    let max = values.iter().copied().fold(0.0, f64::max);
    let (last, never) = (values.last().copied(), series.repeats.len() - values.len());
    let said = |value: Option<f64>| crate::trend::value(series.measure, value);
    let mut label = format!(
        "{} of {} over {}: at most {}, last {}",
        series.measure.label(),
        series.of,
        units::plural(series.runs as u64, "run", "runs"),
        said(Some(max)),
        last.map_or_else(|| units::NONE.to_owned(), |last| said(Some(last))),
    );
    if never > 0 {
        label += &format!("; {never} times not before the deadline");
    }
    canvas::draw(Format::Small, HEIGHT, &label, |pen, format| {
        let span = Span { from: -0.5, to: series.runs as f64 - 0.5 };
        let scale = Scale::from_zero(max * unit, if series.measure.is_duration() { " s" } else { "" });
        let frame = Frame::new(format, HEAD, HEIGHT - FOOT, span, scale);
        newest(pen, &frame, series)?;
        frame.draw_values(pen)?;
        middles(pen, &frame, series.repeats, unit)?;
        for repeat in series.repeats {
            point(pen, &frame, *repeat, unit)?;
        }
        pen.line(Ink::Axis, (frame.left, frame.bottom), (frame.right, frame.bottom))?;
        let [first, last] = series.dates;
        pen.text(Ink::Muted, Anchor::Start, (frame.left, frame.bottom + 15), first)?;
        if first != last {
            pen.text(Ink::Muted, Anchor::End, (frame.right, frame.bottom + 15), last)?;
        }
        Ok(())
    })
}

/// The newest runs have a ground of their own and a line before them.
fn newest(pen: &mut Pen<'_>, frame: &Frame, series: Small<'_>) -> Result<(), ReportError> {
    if series.newest_from == 0 || series.newest_from >= series.runs {
        return Ok(());
    }
    let x = frame.x(series.newest_from as f64 - 0.5);
    pen.rect(Ink::Healing, (x, frame.top), (frame.right, frame.bottom))?;
    pen.line(Ink::Limit, (x, frame.top), (x, frame.bottom))
}

/// A line through the median of each run, with gaps where a run did not have the cell.
fn middles(pen: &mut Pen<'_>, frame: &Frame, repeats: &[Repeat], unit: f64) -> Result<(), ReportError> {
    let mut line: Vec<(i32, i32)> = Vec::new();
    let mut before = None;
    for run in repeats.chunk_by(|a, b| a.run == b.run) {
        let Some(first) = run.first() else { continue };
        let mut values: Vec<f64> = run.iter().filter_map(|repeat| repeat.value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.get(values.len() / 2);
        if middle.is_none() || before.is_some_and(|before| first.run > before + 1) {
            pen.path(Ink::P50, &line)?;
            line.clear();
        }
        line.extend(middle.map(|middle| (frame.x(first.run as f64), frame.y(middle * unit))));
        before = Some(first.run);
    }
    pen.path(Ink::P50, &line)
}

/// What passed is a dot, what failed a cross, what cannot be said stands on its corner: told by shape, not by colour.
/// What did not come about before its deadline is above the frame.
fn point(pen: &mut Pen<'_>, frame: &Frame, repeat: Repeat, unit: f64) -> Result<(), ReportError> {
    let x = frame.x(repeat.run as f64);
    let y = repeat.value.map_or(frame.top - 7, |value| frame.y(value * unit));
    match repeat.judgement {
        Judgement::Pass => pen.dot(Ink::Served, (x, y), 3),
        Judgement::Fail => pen.cross(Ink::Failed, (x, y), 4),
        Judgement::Unknown => pen.area(Ink::Retried, &[(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_plot_shows_what_passed_failed_and_never_came() {
        let repeat = |run, value, judgement| Repeat { run, value, judgement };
        let repeats = [
            repeat(0, Some(8_000.0), Judgement::Pass),
            repeat(1, Some(9_500.0), Judgement::Unknown),
            repeat(3, Some(8_700.0), Judgement::Pass),
            repeat(4, None, Judgement::Fail),
        ];
        let series = Small {
            measure: Measure::RestoredMs,
            of: "kill <one>",
            repeats: &repeats,
            dates: ["03-01", "03-05"],
            runs: 5,
            newest_from: 4,
        };
        let svg = small(series).expect("draws");
        insta::assert_snapshot!(svg);
    }

    #[test]
    fn values_of_nought_have_an_axis() {
        let repeats = [Repeat { run: 0, value: Some(0.0), judgement: Judgement::Pass }];
        let series = Small {
            measure: Measure::ErrorsPercent,
            of: "x",
            repeats: &repeats,
            dates: ["03-01", "03-01"],
            runs: 1,
            newest_from: 0,
        };
        assert!(small(series).expect("draws").contains(">1<"), "the axis goes to 1 where nothing was seen");
    }
}
