//! The guards of the stacks that a test target boots, until its process ends.

use firedrill_engine::guard::Guard;
use std::sync::{Mutex, PoisonError};

static GUARDS: Mutex<Vec<Guard>> = Mutex::new(Vec::new());

/// Keeps a guard until the process ends, and waits for it there.
pub(crate) fn keep(guard: Guard) {
    let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
    guards.push(guard);
    if guards.len() == 1 {
        remove_at_exit();
    }
}

/// Libtest ends the process with `exit`, which drops no static. A guard removes its stack when this process is gone
/// in any case; waiting for it here means that `cargo test` leaves nothing behind when it returns.
fn remove_at_exit() {
    extern "C" fn remove() {
        let guards = std::mem::take(&mut *GUARDS.lock().unwrap_or_else(PoisonError::into_inner));
        for guard in guards {
            guard.dismiss();
        }
    }
    #[expect(unsafe_code, reason = "the only way to run something when libtest ends the process")]
    // SAFETY: `remove` does not unwind (it only closes pipes and waits for children) and uses no
    // thread-local state.
    let registered = unsafe { libc::atexit(remove) };
    assert_eq!(registered, 0, "the removal of the stacks cannot be registered");
}
