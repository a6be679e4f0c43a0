//! The plots of the HTML report as inline SVG.
//!
//! Every plot is drawn twice, for a wide page and for a phone, and the style sheet shows one: scaling one
//! drawing down to 360 px would make its labels illegible. Colours are classes, so that one drawing
//! serves the light, the dark and the printed page.

mod bands;
mod canvas;
mod data;
mod frame;
mod lanes;
mod series;
mod timeline;
mod usage;
mod zoom;

pub(crate) use data::{Span, TimeSeries};
pub(crate) use lanes::{Lane, lanes, roles};
pub(crate) use series::{Repeat, Small, small};
pub(crate) use timeline::{errors, latency, sales, success};
pub(crate) use usage::{TierUsage, cpu, tier_usage};
pub(crate) use zoom::{Mark, Purchase, zoom};

use crate::ReportError;
use canvas::Pen;

/// For which page a plot is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Screens and paper.
    Wide,
    /// Phones.
    Narrow,
    /// One of several beside each other, the same on every page.
    Small,
}

impl Format {
    fn width(self) -> i32 {
        match self {
            Self::Wide => 920,
            Self::Narrow => 350,
            Self::Small => 300,
        }
    }

    fn left(self) -> i32 {
        match self {
            Self::Wide => 80,
            Self::Narrow => 54,
            Self::Small => 46,
        }
    }

    /// How much of this many things there is room for.
    fn share_of(self, wide: usize) -> usize {
        match self {
            Self::Wide => wide,
            Self::Narrow | Self::Small => wide / 2,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Wide => "plot wide",
            Self::Narrow => "plot narrow",
            Self::Small => "plot small",
        }
    }
}

/// Draws a plot in both formats. `label` is what a screen reader says instead of it.
fn both(
    label: &str,
    height: i32,
    draw: impl Fn(&mut Pen<'_>, Format) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let wide = canvas::draw(Format::Wide, height, label, &draw)?;
    let narrow = canvas::draw(Format::Narrow, height, label, &draw)?;
    Ok(wide + &narrow)
}
