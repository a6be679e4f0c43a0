//! Numbers and words as people read them.

use firedrill_core::history::At;
use firedrill_core::verdict::{Outage, Recovery, StepVerdict};

/// What stands where a number was not seen.
pub(crate) const NONE: &str = "–";

/// A duration: `0.4 ms`, `840 ms`, `8.3 s`, `1 min 02 s`, `2 h 05 min`.
pub(crate) fn duration(ms: f64) -> String {
    if !ms.is_finite() || ms < 0.0 {
        return NONE.to_owned();
    }
    // Each limit is where the next smaller unit would be rounded up to a full larger one.
    match ms {
        0.0 => "0 s".to_owned(),
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 59_950.0 => format!("{:.1} s", ms / 1e3),
        ms if ms < 3_599_500.0 => {
            let s = (ms / 1e3).round() as u64;
            format!("{} min {:02} s", s / 60, s % 60)
        }
        ms => {
            let min = (ms / 60e3).round() as u64;
            format!("{} h {:02} min", count(min / 60), min % 60)
        }
    }
}

/// A duration that may not have been seen.
pub(crate) fn maybe_duration(ms: Option<f64>) -> String {
    ms.map_or_else(|| NONE.to_owned(), duration)
}

/// A bracket of durations, `7.8 – 8.3 s`, or one number where both ends read the same.
pub(crate) fn bracket(outage: &Outage) -> String {
    let (min, max) = (duration(outage.min_ms), duration(outage.max_ms));
    if min == max {
        return max;
    }
    match (min.strip_suffix(" s"), max.strip_suffix(" s")) {
        (Some(low), Some(high)) if !low.contains(' ') && !high.contains(' ') => {
            format!("{low}–{high} s")
        }
        _ => format!("{min} – {max}"),
    }
}

/// The bracket of an outage, or that there was none.
pub(crate) fn maybe_bracket(outage: Option<&Outage>) -> String {
    outage.map_or_else(|| "none".to_owned(), bracket)
}

/// An instant of the run: `12.3 s`, `2:05.3`.
pub(crate) fn instant(at: At) -> String {
    let tenths = (at.as_ms() / 100.0).round() as u64;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let (s, tenth) = (tenths / 10, tenths % 10);
    match s / 3600 {
        0 => format!("{}:{:02}.{tenth}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}.{tenth}", s / 60 % 60, s % 60),
    }
}

/// A whole number with its thousands separated.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with at most three decimals, and none where it is whole.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let text = format!("{:.3}", value.abs());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{rest}")
}

/// Money in the currency's main unit.
pub(crate) fn money(cents: i64) -> String {
    let sign = if cents < 0 { "−" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", count(cents / 100), cents % 100)
}

/// Memory: `512 MiB`, `15.6 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mib = bytes as f64 / (1024.0 * 1024.0);
    if mib < 1023.5 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

/// A named number of a check: the name tells the unit by its end.
pub(crate) fn named(name: &str, value: f64) -> (String, String) {
    let strip = |suffix: &str| name.strip_suffix(suffix).map(|label| label.replace('_', " "));
    if let Some(label) = strip("_ms") {
        (label, duration(value))
    } else if let Some(label) = strip("_per_s") {
        (label, format!("{} /s", number(value)))
    } else if let Some(label) = strip("_per_min") {
        (label, format!("{} /min", number(value)))
    } else if let Some(label) = strip("_percent") {
        (label, format!("{} %", number(value)))
    } else if let Some(label) = strip("_cents") {
        (label, money(value as i64))
    } else if let Some(label) = strip("_bytes") {
        (label, bytes(value.max(0.0) as u64))
    } else if let Some(label) = strip("_s") {
        (label, duration(value * 1e3))
    } else {
        (name.replace('_', " "), number(value))
    }
}

/// `1 order`, `2 orders`.
pub(crate) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Wall clock for people: `2026-11-21 04:23:26 UTC`; anything else than RFC 3339 in UTC as it stands.
pub(crate) fn wall_clock(started: &str) -> String {
    match started.strip_suffix('Z').and_then(|rest| rest.split_once('T')) {
        Some((date, time)) if !date.is_empty() => {
            format!("{date} {} UTC", time.split('.').next().unwrap_or(time))
        }
        _ => started.to_owned(),
    }
}

/// Text of a foreign system without its control characters: neither a terminal nor a build server shall
/// be steered by a log line.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The recovery time of a step for its row in a table: until buyers were served without errors again.
pub(crate) fn recovery_time(recovery: &Recovery) -> String {
    maybe_duration(recovery.restored_ms.or(recovery.first_sale_ms))
}

/// `kill primary(postgres)`.
pub(crate) fn step_name(step: &StepVerdict) -> String {
    clean(&format!("{} {}", step.fault, step.target))
}

/// Names joined by commas.
pub(crate) fn joined<T: std::fmt::Display>(names: &[T]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Each name once, in the order of its first appearance.
pub(crate) fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out = Vec::new();
    for name in names {
        if !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_never_round_up_to_a_full_larger_unit() {
        let cases = [
            (0.0, "0 s"),
            (0.42, "0.4 ms"),
            (9.96, "10 ms"),
            (999.4, "999 ms"),
            (999.6, "1.0 s"),
            (8_321.0, "8.3 s"),
            (59_949.0, "59.9 s"),
            (59_970.0, "1 min 00 s"),
            (62_000.0, "1 min 02 s"),
            (3_599_600.0, "1 h 00 min"),
            (7_500_000.0, "2 h 05 min"),
            (f64::NAN, NONE),
            (-1.0, NONE),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text, "{ms} ms");
        }
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(number(-12_345.25), "−12,345.25");
        assert_eq!(number(0.0001), "0");
        assert_eq!(money(-123_456), "−1,234.56");
    }

    #[test]
    fn instants_and_brackets_read_like_a_clock() {
        assert_eq!(instant(At::from_ms(12_340)), "12.3 s");
        assert_eq!(instant(At::from_ms(125_300)), "2:05.3");
        assert_eq!(instant(At::from_ms(3_725_300)), "1:02:05.3");
        let outage = |min_ms, max_ms| Outage { from: At(0), until: At(0), min_ms, max_ms };
        assert_eq!(bracket(&outage(7_800.0, 8_300.0)), "7.8–8.3 s");
        assert_eq!(bracket(&outage(800.0, 8_300.0)), "800 ms – 8.3 s");
        assert_eq!(bracket(&outage(8_300.0, 8_301.0)), "8.3 s");
        assert_eq!(bracket(&outage(62_000.0, 72_000.0)), "1 min 02 s – 1 min 12 s");
    }

    #[test]
    fn a_number_is_read_by_the_end_of_its_name() {
        assert_eq!(named("steady_p99_ms", 1_234.0), ("steady p99".to_owned(), "1.2 s".to_owned()));
        assert_eq!(named("success_percent", 99.95).1, "99.95 %");
        assert_eq!(named("arrivals_per_s", 20.0), ("arrivals".to_owned(), "20 /s".to_owned()));
        assert_eq!(named("lost", 3.0), ("lost".to_owned(), "3".to_owned()));
    }

    #[test]
    fn the_wall_clock_is_shown_as_it_was_written() {
        assert_eq!(wall_clock("2026-11-21T04:23:26.123Z"), "2026-11-21 04:23:26 UTC");
        assert_eq!(wall_clock("yesterday"), "yesterday");
        assert_eq!(wall_clock("TZ"), "TZ");
    }

    #[test]
    fn control_characters_are_gone() {
        assert_eq!(clean("a\u{1b}[31mb\nc"), "a [31mb c");
    }
}
