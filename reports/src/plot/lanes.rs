//! Swim lanes: what every node said it was, over time.

use super::bands::{self, STRIP};
use super::canvas::{Anchor, Ink, Pen};
use super::frame::{FOOT, Frame, Scale};
use super::{Format, Span, both};
use crate::ReportError;
use firedrill_core::history::{History, Role};
use firedrill_core::ids::{NodeName, TierName};
use firedrill_core::manifest::Manifest;
use firedrill_core::verdict::StepVerdict;
use std::collections::BTreeMap;

/// Height of a lane with its gap.
const LANE: i32 = 22;
/// How many pieces all lanes of a drawing have together at most.
const PIECES_MAX: usize = 1_200;

/// The roles of one node, each from its instant (in seconds) to the next.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// Whose.
    pub(crate) node: NodeName,
    /// Its tier.
    pub(crate) tier: TierName,
    /// Begin and role, in order.
    pub(crate) roles: Vec<(f64, Role)>,
}

/// The lanes of a history, in the manifest's order of nodes; nodes that only the history knows come last.
pub(crate) fn lanes(history: &History, manifest: &Manifest) -> Vec<Lane> {
    let mut lanes: BTreeMap<&NodeName, Lane> = BTreeMap::new();
    for o in history.observations() {
        let begin = || Lane { node: o.node.clone(), tier: o.tier.clone(), roles: Vec::new() };
        let lane = lanes.entry(&o.node).or_insert_with(begin);
        if lane.roles.last().map(|(_, role)| *role) != Some(o.role) {
            lane.roles.push((o.at.as_s(), o.role));
        }
    }
    let place = |lane: &Lane| manifest.nodes.iter().position(|n| n.name == lane.node);
    let mut lanes: Vec<Lane> = lanes.into_values().collect();
    lanes.sort_by_key(|lane| place(lane).unwrap_or(usize::MAX));
    lanes
}

/// Draws lanes over a span.
pub(crate) fn roles(lanes: &[Lane], steps: &[StepVerdict], span: Span) -> Result<String, ReportError> {
    let height = STRIP + lanes.len() as i32 * LANE + FOOT + 4;
    let changes: usize = lanes.iter().map(|lane| lane.roles.len().saturating_sub(1)).sum();
    let label = format!("Roles of {} nodes over time, {changes} changes.", lanes.len());
    both(&label, height, |pen, format| {
        let frame = Frame::new(format, STRIP, height - FOOT, span, Scale::Lanes);
        bands::faults(pen, &frame, steps)?;
        bands::labels(pen, &frame, steps)?;
        for ((i, lane), pieces) in lanes.iter().enumerate().zip(pieces(lanes, &frame)) {
            let top = frame.top + i as i32 * LANE + 3;
            let node = fitted(lane.node.as_str(), format);
            pen.text(Ink::Text, Anchor::End, (frame.left - 6, top + 8), &node)?;
            for (a, b, role) in pieces {
                piece(pen, (a, top), (b, top + LANE - 6), role)?;
            }
        }
        frame.draw_time(pen)
    })
}

fn piece(pen: &mut Pen<'_>, a: (i32, i32), b: (i32, i32), role: Role) -> Result<(), ReportError> {
    let (ink, letter) = look(role);
    pen.rect(ink, a, b)?;
    let on = match role {
        Role::Primary | Role::Unreachable => Ink::OnDark,
        _ => Ink::OnPattern,
    };
    let word = role.to_string();
    let room = b.0 - a.0;
    let label = if room >= bands::width(&word) + 8 {
        word.as_str()
    } else if room >= 11 {
        letter
    } else {
        return Ok(());
    };
    pen.text(on, Anchor::Middle, ((a.0 + b.0) / 2, (a.1 + b.1) / 2), label)
}

/// Colour with pattern, and the letter for pieces that have no room for the word.
fn look(role: Role) -> (Ink, &'static str) {
    match role {
        Role::Primary => (Ink::Primary, "P"),
        Role::Standby => (Ink::Standby, "S"),
        Role::Serving => (Ink::Serving, "✓"),
        Role::NotServing => (Ink::NotServing, "!"),
        Role::Unreachable => (Ink::Unreachable, "✗"),
    }
}

/// The pieces of every lane on the sheet. Where more happened than can be seen, pieces are merged to the
/// gravest role of a few pixels, the more pixels the more happened.
fn pieces(lanes: &[Lane], frame: &Frame) -> Vec<Vec<(i32, i32, Role)>> {
    let mut grain = 1;
    loop {
        let all: Vec<_> = lanes.iter().map(|lane| lane_pieces(lane, frame, grain)).collect();
        if all.iter().map(Vec::len).sum::<usize>() <= PIECES_MAX || grain >= 64 {
            return all;
        }
        grain *= 2;
    }
}

fn lane_pieces(lane: &Lane, frame: &Frame, grain: i32) -> Vec<(i32, i32, Role)> {
    let mut columns: BTreeMap<i32, Role> = BTreeMap::new();
    let mut current = None;
    for (s, role) in &lane.roles {
        if *s > frame.span.to {
            break;
        }
        if *s < frame.span.from {
            current = Some(*role);
            continue;
        }
        let column = (frame.x(*s) - frame.left) / grain;
        if let Some(before) = current.filter(|_| columns.is_empty() && column > 0) {
            columns.insert(0, before);
        }
        let gravest = columns.get(&column).map_or(*role, |there| (*there).max(*role));
        columns.insert(column, gravest);
        // The role that lasts beyond this column begins in the next one.
        if gravest != *role {
            columns.insert(column + 1, *role);
        }
        current = Some(*role);
    }
    if let Some(role) = current.filter(|_| columns.is_empty()) {
        columns.insert(0, role);
    }
    let begins: Vec<(i32, Role)> = columns.into_iter().collect();
    let mut pieces: Vec<(i32, i32, Role)> = Vec::new();
    for (i, (column, role)) in begins.iter().enumerate() {
        let a = frame.left + column * grain;
        let b = begins.get(i + 1).map_or(frame.right, |(next, _)| frame.left + next * grain);
        match pieces.last_mut().filter(|last| last.2 == *role) {
            Some(last) => last.1 = b.min(frame.right),
            None if a < frame.right => pieces.push((a, b.min(frame.right), *role)),
            None => {}
        }
    }
    pieces
}

/// A node's name as far as it fits into the margin.
fn fitted(name: &str, format: Format) -> String {
    let room = match format {
        Format::Wide => 11,
        Format::Narrow | Format::Small => 8,
    };
    if name.chars().count() <= room {
        return name.to_owned();
    }
    // The end stays: it is what tells `redis-sentinel-1` from `redis-sentinel-2`.
    let end: Vec<char> = name.chars().rev().take(3).collect();
    name.chars().take(room - 4).chain(['…']).chain(end.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame::new(Format::Wide, 0, 100, Span { from: 10.0, to: 20.0 }, Scale::Lanes)
    }

    fn lane(roles: Vec<(f64, Role)>) -> Lane {
        Lane { node: "n".into(), tier: "t".into(), roles }
    }

    #[test]
    fn a_role_from_before_the_span_fills_it() {
        let frame = frame();
        let pieces = lane_pieces(&lane(vec![(1.0, Role::Primary)]), &frame, 1);
        assert_eq!(pieces, [(frame.left, frame.right, Role::Primary)]);
    }

    #[test]
    fn pieces_are_contiguous_and_end_with_the_span() {
        let roles = vec![(1.0, Role::Primary), (15.0, Role::Unreachable), (18.0, Role::Standby)];
        let frame = frame();
        let pieces = lane_pieces(&lane(roles), &frame, 1);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.windows(2).all(|pair| pair[0].1 == pair[1].0));
        assert_eq!(pieces[2].1, frame.right);
    }

    #[test]
    fn a_flapping_node_does_not_grow_the_drawing() {
        let roles = (0..100_000).map(|i| {
            let role = if i % 2 == 0 { Role::Serving } else { Role::Unreachable };
            (10.0 + f64::from(i) / 1e4, role)
        });
        let all = pieces(&[lane(roles.collect())], &frame());
        assert!(all[0].len() <= PIECES_MAX);
        assert!(all[0].iter().any(|(_, _, role)| *role == Role::Unreachable));
    }
}
