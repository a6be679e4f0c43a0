//! The judges judged: a checker that never fires proves nothing, and one that fires on a correct shop is worse.
//!
//! A small shop with switchable bugs (`fixtures/boxoffice`) sells over a real PostgreSQL and its standbys
//! (`fixtures/topologies/boxoffice`), which are booted once. The load generator buys from it for a few seconds,
//! the final read reads it, and the checkers judge, all of it as in a drill. With a bug switched on the checker
//! that the bug names must fail; without one everything must pass, twenty times.
//!
//! `FIREDRILL_WRITE=1` writes `docs/judges.md` from what was found; `FIREDRILL_BUGS=no-lock,slow` tries some bugs
//! only.

mod api;
mod bugs;
mod evening;
mod final_read;
#[path = "../guards.rs"]
mod guards;
mod hardship;
mod house;
mod long_sale;
mod table;
