//! What the tests stand on: a Coalmine against a control plane, clients, namespaces of their own, waiting, and the table of results.
//! Nothing here knows what Coalmine should answer.

pub(crate) mod browser;
pub(crate) mod coalmine;
pub(crate) mod control_plane;
pub(crate) mod fixtures;
pub(crate) mod gateway;
pub(crate) mod gitops;
pub(crate) mod helm;
pub(crate) mod kinds;
pub(crate) mod kubectl;
pub(crate) mod mutator;
pub(crate) mod namespace;
pub(crate) mod page;
pub(crate) mod results;

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Generous: machines that run the tests are shared, and only a failure takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Signals a process of the tests' own, by the system call: a minimal machine has no `kill` on its path.
#[track_caller]
pub(crate) fn signal(pid: u32, signal: Signal) {
    let process = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

/// Asks until the answer is there, or fails with what was waited for and the last thing seen.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    within(PATIENCE, Duration::from_millis(50), what, look)
}

/// The same with a patience of the caller's, and so long between two looks.
#[track_caller]
pub(crate) fn within<T>(patience: Duration, pause: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => panic!("waited {} s for {what}; seen last: {seen}", patience.as_secs()),
            Err(_) => std::thread::sleep(pause),
        }
    }
}
