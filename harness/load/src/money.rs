//! Money between the shop's decimal strings and cents, without floating point.

/// Cents of a decimal string as the shop writes it (`23.00`, `-1.5`, `7`).
///
/// None for anything else, for fractions of a cent and for amounts beyond 64 bits: a total that cannot be
/// represented must make the confirmation unreadable rather than wrong.
pub fn parse_cents(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return None;
    }
    let (kept, beyond) = fraction.split_at(fraction.len().min(2));
    if beyond.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let hundredths = match kept.len() {
        0 => 0,
        1 => kept.parse::<i64>().ok()? * 10,
        _ => kept.parse::<i64>().ok()?,
    };
    let cents = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
    Some(if negative { -cents } else { cents })
}

/// The decimal string that the shop expects for an amount in cents.
pub fn format_cents(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let amount = cents.unsigned_abs();
    format!("{sign}{}.{:02}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("23.00", Some(2300))]
    #[case("0.07", Some(7))]
    #[case("-1.5", Some(-150))]
    #[case("7", Some(700))]
    #[case("23.000", Some(2300))]
    #[case("23.005", None)]
    #[case("", None)]
    #[case(".5", None)]
    #[case("5.", None)]
    #[case("1e3", None)]
    #[case("+1.00", None)]
    #[case("--1", None)]
    #[case("NaN", None)]
    #[case("99999999999999999999.00", None)]
    fn decimal_strings_become_cents_or_nothing(#[case] text: &str, #[case] cents: Option<i64>) {
        assert_eq!(parse_cents(text), cents);
    }

    proptest! {
        #[test]
        fn cents_survive_the_way_to_the_shop_and_back(cents in -(i64::MAX / 2)..i64::MAX / 2) {
            prop_assert_eq!(parse_cents(&format_cents(cents)), Some(cents));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse_cents(&text);
        }
    }
}
