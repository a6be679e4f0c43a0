//! Sorting by prints, which are spread evenly over all 64 bits.
//!
//! One pass puts every item into the bucket of its first bits, in place (McIlroy, Bostic and McIlroy, "Engineering
//! Radix Sort", 1993: American flag sort); then every bucket is small enough for the caches and is sorted by
//! comparing. On ten million items it takes about half the time of comparing alone, and no memory beside.

/// Buckets of about this many items fit into the caches of a processor.
const BUCKET: usize = 1 << 11;

/// More buckets than this, and the first pass itself does not fit any more.
const BITS_MAX: u32 = 13;

/// Sorts by print; items with one print in no order.
pub(super) fn by_print<T: Copy>(items: &mut [T], print: impl Fn(&T) -> u64) {
    let bits = (items.len() / BUCKET).checked_ilog2().unwrap_or(0).min(BITS_MAX);
    if bits == 0 {
        return items.sort_unstable_by_key(print);
    }
    let bucket = |item: &T| (print(item) >> (u64::BITS - bits)) as usize;
    let mut ends = vec![0usize; 1 << bits];
    for item in items.iter() {
        ends[bucket(item)] += 1;
    }
    let mut sum = 0;
    let mut next: Vec<usize> = Vec::with_capacity(ends.len());
    for end in &mut ends {
        next.push(sum);
        sum += *end;
        *end = sum;
    }
    for current in 0..ends.len() {
        while next[current] < ends[current] {
            let at = next[current];
            let wanted = bucket(&items[at]);
            items.swap(at, next[wanted]);
            next[wanted] += 1;
        }
    }
    let mut begin = 0;
    for end in ends {
        items[begin..end].sort_unstable_by_key(&print);
        begin = end;
    }
}

#[cfg(test)]
mod tests {
    use super::by_print;
    use crate::digest::prints;
    use proptest::prelude::*;

    fn check(mut items: Vec<u64>) {
        let mut expected = items.clone();
        expected.sort_unstable();
        by_print(&mut items, |item| *item);
        assert_eq!(items, expected);
    }

    #[test]
    fn sorts_any_number_of_prints() {
        for count in [0u64, 1, 2, 2_047, 4_096, 5_000, 40_000, 300_000] {
            check((0..count).map(prints::ticket_id).collect());
        }
    }

    #[test]
    fn sorts_prints_that_are_not_spread_at_all() {
        check(vec![7; 20_000]);
        check((0..20_000).rev().collect());
        check((0..20_000).map(|n| if n % 3 == 0 { u64::MAX - n } else { 0 }).collect());
    }

    proptest! {
        #[test]
        fn sorts_anything(items in prop::collection::vec(any::<u64>(), 4_000..9_000), shift in 0..64u32) {
            check(items.into_iter().map(|item| item >> shift).collect());
        }
    }
}
