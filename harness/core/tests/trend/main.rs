//! Whether runs became worse: the tests by ranks against tables and brute force, and comparisons of made-up runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod compare;
mod flake;
mod rank;
mod runs;
mod series;
