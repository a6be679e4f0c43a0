//! Counts as people say them.

use std::fmt::Display;

/// `1 order`, `2 orders`: for nouns whose plural takes an "s".
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    let s = if n == N::from(1) { "" } else { "s" };
    format!("{n} {noun}{s}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_one() {
        assert_eq!(counted(0u64, "order"), "0 orders");
        assert_eq!(counted(1usize, "order"), "1 order");
        assert_eq!(counted(21i64, "order"), "21 orders");
    }
}
