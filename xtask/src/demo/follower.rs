//! A program that runs beside the story: its lines are shown as they come and kept with the time at which they came.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::{process, progress};

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// Killed when dropped, so that no failure leaves one behind.
#[derive(Debug)]
pub(crate) struct Follower {
    name: String,
    child: Child,
    heard: Arc<Heard>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    lines: Mutex<Vec<Line>>,
    more: Condvar,
}

impl Follower {
    pub(crate) fn start(mut command: Command, show: impl Fn(&str) + Clone + Send + 'static) -> Result<Self> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let name = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        let heard = Arc::new(Heard::default());
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            readers.push(read_lines(output, Arc::clone(&heard), show.clone()));
        }
        if let Some(errors) = child.stderr.take() {
            readers.push(read_lines(errors, Arc::clone(&heard), show));
        }
        Ok(Self { name, child, heard, readers })
    }

    /// Everything heard so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.heard.lock().clone()
    }

    /// Waits until `find` finds something in the lines heard so far.
    pub(crate) fn wait_for<T>(&self, what: &str, patience: Duration, mut find: impl FnMut(&[Line]) -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + patience;
        let mut lines = self.heard.lock();
        loop {
            if let Some(found) = find(&lines)? {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("gave up waiting for {what} after {} s; {} said nothing of it", patience.as_secs(), self.name);
            }
            lines = self.heard.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).with_context(|| format!("failed to signal {}", self.name))?;
        process::signal(pid, signal)
    }

    /// Waits until it ends by itself and all its lines are read.
    pub(crate) fn exit_within(&mut self, patience: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        let status = progress::wait_for(&what, patience, || {
            let status = self.child.try_wait().with_context(|| format!("failed to wait for {}", self.name))?;
            Ok(status.map_or_else(|| std::ops::ControlFlow::Continue("it still runs".to_owned()), std::ops::ControlFlow::Break))
        })?;
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                bail!("failed to read the output of {}", self.name);
            }
        }
        Ok(status)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell either way.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_lines(stream: impl Read + Send + 'static, heard: Arc<Heard>, show: impl Fn(&str) + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut last = String::new();
        for text in BufReader::new(stream).lines().map_while(Result::ok) {
            let at = Instant::now();
            // What watches repeat is shown once.
            if text != last {
                show(&text);
                last.clone_from(&text);
            }
            heard.lock().push(Line { at, text });
            heard.more.notify_all();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Follower {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Follower::start(command, |_| {}).unwrap()
    }

    #[test]
    fn lines_of_both_streams_and_the_exit_code_are_kept() {
        let mut follower = shell("echo one; echo two >&2; exit 3");
        assert_eq!(follower.exit_within(Duration::from_secs(10)).unwrap().code(), Some(3));
        let mut texts: Vec<_> = follower.lines().into_iter().map(|line| line.text).collect();
        texts.sort();
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn a_wait_ends_with_the_line() {
        let mut follower = shell("echo ready; exec cat");
        let has = |lines: &[Line]| Ok(lines.iter().any(|line| line.text == "ready").then_some(()));
        follower.wait_for("ready", Duration::from_secs(10), has).unwrap();
        follower.signal(Signal::TERM).unwrap();
        assert_eq!(follower.exit_within(Duration::from_secs(10)).unwrap().code().unwrap_or_default(), 0);
    }

    #[test]
    fn a_wait_in_vain_says_for_what() {
        let error = shell("exec sleep 60").wait_for("rain", Duration::ZERO, |_| Ok(None::<()>)).unwrap_err().to_string();
        assert_eq!(error, "gave up waiting for rain after 0 s; sh -c exec sleep 60 said nothing of it");
    }
}
