//! A sheet to draw on: plotters' SVG backend with classes instead of colours.

use super::Format;
use crate::ReportError;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// What something is drawn with. The style sheet has `.s-NAME` for its stroke and `.f-NAME` for its fill,
/// with a dash or a pattern wherever a colour alone would carry meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    Axis,
    Grid,
    Acks,
    AcksArea,
    Errors,
    P50,
    P99,
    Service,
    Limit,
    Band,
    Healing,
    Mark,
    Outage,
    Served,
    Retried,
    Failed,
    Primary,
    Standby,
    Serving,
    NotServing,
    Unreachable,
    OnDark,
    OnPattern,
    Tier0,
    Tier1,
    Tier2,
    Tier3,
    Tier4,
    Tier5,
    Tier6,
}

impl Ink {
    /// In the order of their discriminants, which is how a colour finds its way back to its ink.
    const NAMES: [&'static str; 32] = [
        "text",
        "muted",
        "axis",
        "grid",
        "acks",
        "area",
        "errors",
        "p50",
        "p99",
        "service",
        "limit",
        "band",
        "healing",
        "mark",
        "outage",
        "served",
        "retried",
        "failed",
        "primary",
        "standby",
        "serving",
        "notserving",
        "unreachable",
        "ondark",
        "onpattern",
        "tier0",
        "tier1",
        "tier2",
        "tier3",
        "tier4",
        "tier5",
        "tier6",
    ];

    /// The lines that tell tiers apart, in the order in which they are given out.
    pub(crate) const TIERS: [Self; 7] =
        [Self::Tier0, Self::Tier1, Self::Tier2, Self::Tier3, Self::Tier4, Self::Tier5, Self::Tier6];

    /// Its name in the style sheet.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// A colour that no plot uses otherwise and that is replaced by the class afterwards.
    fn colour(self) -> RGBColor {
        RGBColor(0xF0, 0x0D, self as u8)
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Draws into one SVG.
pub(crate) struct Pen<'a> {
    backend: SVGBackend<'a>,
}

impl Pen<'_> {
    /// A straight line.
    pub(crate) fn line(&mut self, ink: Ink, a: (i32, i32), b: (i32, i32)) -> Result<(), ReportError> {
        self.backend.draw_line(a, b, &ink.colour()).map_err(failed)
    }

    /// A line through points; fewer than two draw nothing.
    pub(crate) fn path(&mut self, ink: Ink, points: &[(i32, i32)]) -> Result<(), ReportError> {
        if points.len() < 2 {
            return Ok(());
        }
        self.backend.draw_path(points.iter().copied(), &ink.colour()).map_err(failed)
    }

    /// A filled area inside of points.
    pub(crate) fn area(&mut self, ink: Ink, points: &[(i32, i32)]) -> Result<(), ReportError> {
        if points.len() < 3 {
            return Ok(());
        }
        self.backend.fill_polygon(points.iter().copied(), &ink.colour()).map_err(failed)
    }

    /// A filled rectangle, at least one unit wide so that nothing that happened is invisible.
    pub(crate) fn rect(&mut self, ink: Ink, a: (i32, i32), b: (i32, i32)) -> Result<(), ReportError> {
        let b = (b.0.max(a.0 + 1), b.1);
        self.backend.draw_rect(a, b, &ink.colour(), true).map_err(failed)
    }

    /// A filled dot.
    pub(crate) fn dot(&mut self, ink: Ink, at: (i32, i32), radius: u32) -> Result<(), ReportError> {
        self.backend.draw_circle(at, radius, &ink.colour(), true).map_err(failed)
    }

    /// A cross.
    pub(crate) fn cross(&mut self, ink: Ink, (x, y): (i32, i32), r: i32) -> Result<(), ReportError> {
        self.path(ink, &[(x - r, y - r), (x + r, y + r)])?;
        self.path(ink, &[(x - r, y + r), (x + r, y - r)])
    }

    /// A text on the line whose middle is `at.1`.
    pub(crate) fn text(&mut self, ink: Ink, anchor: Anchor, at: (i32, i32), text: &str) -> Result<(), ReportError> {
        let h = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let colour = ink.colour();
        let style = TextStyle::from(("sans-serif", 12).into_font()).color(&colour).pos(Pos::new(h, VPos::Center));
        self.backend.draw_text(&crate::units::clean(text), &style, at).map_err(failed)
    }
}

/// The backend's error, whose type the plotting library does not export.
fn failed(error: impl std::fmt::Display) -> ReportError {
    ReportError::Plot(error.to_string())
}

/// Draws one SVG of a format.
pub(super) fn draw(
    format: Format,
    height: i32,
    label: &str,
    draw: impl Fn(&mut Pen<'_>, Format) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let mut raw = String::new();
    let size = (format.width().unsigned_abs(), height.unsigned_abs());
    let mut pen = Pen { backend: SVGBackend::with_string(&mut raw, size) };
    draw(&mut pen, format)?;
    pen.backend.present().map_err(failed)?;
    drop(pen);
    Ok(restyle(&raw, format, height, label))
}

/// The drawing with a head of our own, classes for colours, and without the attributes that the style
/// sheet gives.
fn restyle(raw: &str, format: Format, height: i32, label: &str) -> String {
    let body = raw.split_once('>').map_or("", |(_, body)| body);
    let mut out = format!(
        "<svg class=\"{}\" viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"{}\">",
        format.class(),
        format.width(),
        escape(label)
    );
    let mut rest = body;
    // Texts are escaped by the backend, so a `<` always begins a tag.
    while let Some(start) = rest.find('<') {
        out.push_str(rest[..start].trim());
        let Some(len) = rest[start..].find('>') else {
            break;
        };
        restyle_tag(&rest[start..start + len], &mut out);
        out.push('>');
        rest = &rest[start + len + 1..];
    }
    out
}

fn restyle_tag(tag: &str, out: &mut String) {
    const DROPPED: [&str; 8] = [
        "opacity=\"1\"",
        "stroke=\"none\"",
        "fill=\"none\"",
        "font-family=",
        "font-size=",
        "stroke-width=",
        "dy=",
        "text-anchor=\"start\"",
    ];
    let is_text = tag.starts_with("<text");
    let mut rest = tag;
    // Attribute by attribute: no value that is not ours holds a quote.
    while let Some(space) = rest.find(' ') {
        out.push_str(&rest[..space]);
        let attribute = &rest[space + 1..];
        let end = attribute.match_indices('"').nth(1).map_or(attribute.len(), |(i, _)| i + 1);
        let (attribute, after) = attribute.split_at(end);
        rest = after;
        let class = ink_of(attribute, "fill").map(|ink| ('f', ink));
        let class = class.or_else(|| ink_of(attribute, "stroke").map(|ink| ('s', ink)));
        if let Some((kind, name)) = class {
            out.push_str(&format!(" class=\"{kind}-{name}\""));
        } else if let Some(points) = attribute.strip_prefix("points=\"") {
            out.push_str(&format!(" points=\"{}\"", points.trim_end_matches('"').trim_end()));
        } else if !DROPPED.iter().any(|dropped| attribute.starts_with(dropped)) {
            out.push(' ');
            out.push_str(attribute);
        }
    }
    if is_text {
        out.push_str(" dy=\".35em\"");
    }
    out.push_str(rest);
}

fn ink_of(attribute: &str, key: &str) -> Option<&'static str> {
    let value = attribute.strip_prefix(key)?.strip_prefix("=\"#F00D")?;
    let index = usize::from_str_radix(value.get(..2)?, 16).ok()?;
    Ink::NAMES.get(index).copied()
}

/// Text for an attribute or between tags.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_foreign_text_stays_text() {
        let svg = draw(Format::Wide, 50, "a \"plot\" of <x>", |pen, _| {
            pen.path(Ink::P99, &[(0, 0), (10, 5)])?;
            pen.rect(Ink::Band, (1, 2), (1, 9))?;
            pen.dot(Ink::Served, (3, 4), 2)?;
            pen.text(Ink::Text, Anchor::End, (5, 6), "<script>alert(\"1\")</script> fill=\"#F00D03\"")
        })
        .expect("draws");
        insta::assert_snapshot!(svg);
        assert!(!svg.contains("<script"));
        assert!(!svg.contains("http:"));
    }

    #[test]
    fn every_ink_has_its_name() {
        assert_eq!(Ink::Text.name(), "text");
        assert_eq!(Ink::Unreachable.name(), "unreachable");
        assert_eq!(Ink::Tier6.name(), "tier6");
        assert_eq!(Ink::NAMES.len(), Ink::Tier6 as usize + 1);
    }
}
