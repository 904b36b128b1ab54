//! What a person sees while they wait: one line per step with the time since the start, and who is waited for.
//!
//! All of it goes to standard error, so that standard output holds results only (`eval "$(cargo xtask cluster up)"`).

use std::{
    fmt::Display,
    ops::ControlFlow,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How often a long wait reminds of itself.
const REMINDER: Duration = Duration::from_secs(15);

/// How often a state is looked at.
const INTERVAL: Duration = Duration::from_millis(150);

/// One line with the time since the program started.
pub(crate) fn say(message: impl Display) {
    let elapsed = STARTED.elapsed();
    eprintln!("{:>4}:{:02}  {message}", elapsed.as_secs() / 60, elapsed.as_secs() % 60);
}

/// Looks until `probe` breaks with a value; `Continue` says what is still missing.
///
/// An error ends the wait at once: it is for what waiting cannot mend.
pub(crate) fn wait_for<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Result<ControlFlow<T, String>>) -> Result<T> {
    let started = Instant::now();
    let mut reminded = started;
    loop {
        let missing = match probe()? {
            ControlFlow::Break(value) => return Ok(value),
            ControlFlow::Continue(missing) => missing,
        };
        if started.elapsed() > patience {
            bail!("gave up waiting for {what} after {} s: {missing}", patience.as_secs());
        }
        if reminded.elapsed() > REMINDER {
            reminded = Instant::now();
            say(format_args!("still waiting for {what}: {missing}"));
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_value() {
        let mut looks = 0;
        let value = wait_for("three looks", Duration::from_secs(10), || {
            looks += 1;
            Ok(if looks == 3 { ControlFlow::Break(looks) } else { ControlFlow::Continue(format!("{looks} looks")) })
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn a_wait_that_ends_in_vain_says_what_was_missing() {
        let result: Result<()> = wait_for("the moon", Duration::ZERO, || Ok(ControlFlow::Continue("it is day".to_owned())));
        assert_eq!(result.unwrap_err().to_string(), "gave up waiting for the moon after 0 s: it is day");
    }
}
