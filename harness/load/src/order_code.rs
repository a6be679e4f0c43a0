//! Client-chosen order codes: the idempotency key that the shop really enforces.
//!
//! Pretix's `X-Idempotency-Key` does not make orders exactly-once (an order can be committed and its key
//! deleted); its order code is UNIQUE per organizer in the database. So each operation brings its own.

use crate::draw::{Draws, mix};
use firedrill_core::ids::{OpId, RunId};

/// Pretix's alphabet for order codes: no letter that is mistaken for a digit.
const ALPHABET: &[u8; 27] = b"ABCDEFGHJKLMNPQRSTUVWXYZ379";

/// Characters of a code. Pretix takes 5 to 16.
const CODE_CHARS: u32 = 12;

/// Number of codes: 27^12, about 1.5 * 10^17.
const CODES: u128 = 27u128.pow(CODE_CHARS);

/// The order codes of one run: a function of seed, run and operation.
///
/// Code number n is `offset + n * stride` modulo 27^12. The stride is not divisible by 3, hence no two
/// operations of a run share a code. Offset and stride are drawn from seed and run: two runs of a million
/// purchases each on one database collide with a probability of about 10^12 / 27^12 = 7 * 10^-6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCodes {
    offset: u128,
    stride: u128,
}

impl OrderCodes {
    /// The codes of this run.
    pub fn new(seed: u64, run: &RunId) -> Self {
        let mut draws = Draws::new(fnv1a(run.as_str().as_bytes()) ^ mix(seed));
        let offset = wide(&mut draws) % CODES;
        let mut stride = wide(&mut draws) % CODES;
        if stride.is_multiple_of(3) {
            stride += 1;
        }
        Self { offset, stride }
    }

    /// The code of an operation.
    pub fn code(&self, op: OpId) -> String {
        let product = (u128::from(op.0) % CODES) * self.stride % CODES;
        let mut rest = (self.offset + product) % CODES;
        let mut code = String::with_capacity(CODE_CHARS as usize);
        for _ in 0..CODE_CHARS {
            code.push(char::from(ALPHABET[(rest % 27) as usize]));
            rest /= 27;
        }
        code
    }
}

/// The e-mail address of an operation: unique like its code, so that a confirmation that reached the wrong
/// buyer is noticed.
pub fn email_of(code: &str) -> String {
    format!("{}@buyers.example.org", code.to_ascii_lowercase())
}

fn wide(draws: &mut Draws) -> u128 {
    (u128::from(draws.next()) << 64) | u128::from(draws.next())
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::PROBE_OPS_FROM;
    use std::collections::HashSet;

    fn codes(seed: u64, run: &str) -> OrderCodes {
        OrderCodes::new(seed, &RunId::new(run))
    }

    #[test]
    fn codes_are_of_the_shops_alphabet_and_length() {
        let code = codes(7, "r1").code(OpId(12_345));
        assert_eq!(code.len(), 12);
        assert!(code.bytes().all(|byte| ALPHABET.contains(&byte)), "{code}");
    }

    #[test]
    fn codes_are_unique_within_and_between_runs_and_probes() {
        let mut seen = HashSet::new();
        for maker in [codes(7, "r1"), codes(7, "r2"), codes(8, "r1")] {
            for n in 0..50_000 {
                assert!(seen.insert(maker.code(OpId(n))));
            }
            for n in 0..100 {
                assert!(seen.insert(maker.code(OpId(PROBE_OPS_FROM + n))));
            }
        }
    }

    #[test]
    fn the_same_seed_and_run_give_the_same_codes() {
        assert_eq!(codes(7, "r1").code(OpId(3)), codes(7, "r1").code(OpId(3)));
        assert_eq!(email_of("AB37"), "ab37@buyers.example.org");
    }

    #[test]
    fn probe_numbers_stay_clear_of_purchases() {
        // Codes repeat only where operation numbers are equal modulo 27^12.
        let probe = u128::from(PROBE_OPS_FROM) % CODES;
        assert!(probe > 1_000_000_000_000 && probe < CODES - 1_000_000_000_000);
    }
}
