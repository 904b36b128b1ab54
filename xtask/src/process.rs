//! Long-running programs: started in the background, recorded, recognised again, stopped.
//!
//! A record holds the process id and the time at which that process started, so that a later process with the same id is never
//! mistaken for ours. Nothing is ever stopped by its name.

use std::{
    fs,
    fs::File,
    io::ErrorKind,
    ops::ControlFlow,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::{
    directory::fingerprint,
    progress::{say, wait_for},
};

/// How long a program may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// A program that is to run in the background.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// What it reads when it starts: after a change of these it is started again.
    pub(crate) files: Vec<PathBuf>,
}

/// What is remembered of a started program.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    pid: i32,
    /// Clock ticks between boot and the start of the process.
    started: u64,
    boot: String,
    command: Vec<String>,
    /// A fingerprint of the files that it read.
    #[serde(default)]
    files: String,
}

/// The programs of one cluster: `run/NAME.json` records each, `log/NAME.log` is what it says.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    directory: PathBuf,
}

impl Processes {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.directory.join("run").join(format!("{name}.json"))
    }

    pub(crate) fn log_path(&self, name: &str) -> PathBuf {
        self.directory.join("log").join(format!("{name}.log"))
    }

    /// Starts the program, unless it runs already with the same arguments.
    pub(crate) fn ensure(&self, daemon: &Daemon) -> Result<()> {
        let mut command = vec![daemon.program.to_string_lossy().into_owned()];
        command.extend(daemon.arguments.iter().cloned());
        let files = fingerprint_of(&daemon.files)?;
        if let Some(record) = self.running(daemon.name)? {
            if record.command == command && record.files == files {
                return Ok(());
            }
            say(format_args!("the arguments or files of {} have changed: starting it again", daemon.name));
            self.stop(daemon.name)?;
        }
        let log = self.log_path(daemon.name);
        for directory in [self.directory.join("run"), self.directory.join("log")] {
            fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
        }
        let output = File::options().create(true).append(true).open(&log).with_context(|| format!("failed to open {}", log.display()))?;
        let errors = output.try_clone().context("failed to share the log file")?;
        let child = Command::new(&daemon.program)
            .args(&daemon.arguments)
            .envs(daemon.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A group of its own: an interrupt at the terminal is for us, not for the cluster.
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", daemon.program.display()))?;
        let pid = i32::try_from(child.id()).context("failed to record a process id")?;
        let started = start_time(pid)?.with_context(|| format!("{} ended at once\n{}", daemon.name, self.last_words(daemon.name)))?;
        let record = Record { pid, started, boot: boot_id()?, command, files };
        let path = self.record_path(daemon.name);
        fs::write(&path, serde_json::to_vec(&record)?).with_context(|| format!("failed to write {}", path.display()))
    }

    /// An error with the end of its log when the program doesn't run any more.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        if self.running(name)?.is_none() {
            bail!("{name} has ended; the end of {}:\n{}", self.log_path(name).display(), self.last_words(name));
        }
        Ok(())
    }

    pub(crate) fn is_running(&self, name: &str) -> bool {
        self.running(name).is_ok_and(|record| record.is_some())
    }

    pub(crate) fn pid(&self, name: &str) -> Option<i32> {
        self.running(name).ok().flatten().map(|record| record.pid)
    }

    /// Asks the program to end, then makes it.
    pub(crate) fn stop(&self, name: &str) -> Result<()> {
        if let Some(record) = self.running(name)? {
            signal(record.pid, Signal::TERM)?;
            let ended = wait_for(&format!("{name} to end"), GRACE, || self.has_ended(name));
            if ended.is_err() {
                say(format_args!("{name} does not end: killing it"));
                signal(record.pid, Signal::KILL)?;
                wait_for(&format!("{name} to be gone"), GRACE, || self.has_ended(name))?;
            }
        }
        match fs::remove_file(self.record_path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("failed to forget {name}")),
            _ => Ok(()),
        }
    }

    fn has_ended(&self, name: &str) -> Result<ControlFlow<(), String>> {
        Ok(match self.running(name)? {
            None => ControlFlow::Break(()),
            Some(record) => ControlFlow::Continue(format!("process {} still runs", record.pid)),
        })
    }

    fn running(&self, name: &str) -> Result<Option<Record>> {
        let path = self.record_path(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        // A record that was cut short by a kill is of a process that nobody has seen running.
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { return Ok(None) };
        let same = record.boot == boot_id()? && start_time(record.pid)? == Some(record.started);
        Ok(same.then_some(record))
    }

    fn last_words(&self, name: &str) -> String {
        let log = fs::read(self.log_path(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Sends a signal; a process that is gone already is no failure.
pub(crate) fn signal(pid: i32, signal: Signal) -> Result<()> {
    let process = Pid::from_raw(pid).with_context(|| format!("failed to signal the process {pid}"))?;
    match kill_process(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("failed to signal the process {pid}")),
    }
}

/// When the process started, in clock ticks since boot; `None` when there is none or only its remains.
fn start_time(pid: i32) -> Result<Option<u64>> {
    let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("failed to look at the process {pid}")),
    };
    parse_start_time(&stat).with_context(|| format!("failed to parse /proc/{pid}/stat"))
}

/// The program's name in parentheses may hold anything, also parentheses; the fields after the last one are safe.
fn parse_start_time(stat: &str) -> Result<Option<u64>> {
    let (_, fields) = stat.rsplit_once(')').context("no program name")?;
    let mut fields = fields.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return Ok(None);
    }
    let started = fields.nth(18).context("too few fields")?;
    Ok(Some(started.parse().context("not a number")?))
}

fn fingerprint_of(files: &[PathBuf]) -> Result<String> {
    let contents: Vec<Vec<u8>> =
        files.iter().map(|file| fs::read(file).with_context(|| format!("failed to read {}", file.display()))).collect::<Result<_>>()?;
    Ok(fingerprint(contents.iter().map(Vec::as_slice)))
}

fn boot_id() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id").context("failed to read the boot id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("12 (etcd) S 1 12 12 0 -1 1 2 3 4 5 6 7 8 9 20 0 5 0 4711 100 200", Some(4711))]
    #[case::parentheses("12 (a) b)) R 1 12 12 0 -1 1 2 3 4 5 6 7 8 9 20 0 5 0 4711 100 200", Some(4711))]
    #[case::zombie("12 (etcd) Z 1 12 12 0 -1 1 2 3 4 5 6 7 8 9 20 0 5 0 4711 100 200", None)]
    fn start_times(#[case] stat: &str, #[case] expected: Option<u64>) {
        assert_eq!(parse_start_time(stat).unwrap(), expected);
    }

    fn sleeper(seconds: &str) -> Daemon {
        Daemon {
            name: "sleeper",
            program: "/bin/sleep".into(),
            arguments: vec![seconds.to_owned()],
            environment: Vec::new(),
            files: Vec::new(),
        }
    }

    #[test]
    fn a_program_is_recognised_replaced_and_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let processes = Processes::new(directory.path());
        processes.ensure(&sleeper("600")).unwrap();
        let first = processes.pid("sleeper").unwrap();
        processes.ensure(&sleeper("600")).unwrap();
        assert_eq!(processes.pid("sleeper"), Some(first), "the same program is not started twice");
        processes.ensure(&sleeper("601")).unwrap();
        let second = processes.pid("sleeper").unwrap();
        assert_ne!(second, first, "other arguments need another process");
        processes.stop("sleeper").unwrap();
        assert!(!processes.is_running("sleeper"));
    }

    #[test]
    fn a_changed_file_starts_its_program_again() {
        let directory = tempfile::tempdir().unwrap();
        let processes = Processes::new(directory.path());
        let file = directory.path().join("configuration");
        let daemon = || Daemon { files: vec![file.clone()], ..sleeper("600") };
        fs::write(&file, "one").unwrap();
        processes.ensure(&daemon()).unwrap();
        let first = processes.pid("sleeper").unwrap();
        fs::write(&file, "two").unwrap();
        processes.ensure(&daemon()).unwrap();
        assert_ne!(processes.pid("sleeper").unwrap(), first);
        processes.stop("sleeper").unwrap();
    }

    #[test]
    fn another_process_with_the_recorded_id_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let processes = Processes::new(directory.path());
        let own = i32::try_from(std::process::id()).unwrap();
        let record = Record { pid: own, started: 1, boot: boot_id().unwrap(), command: Vec::new(), files: String::new() };
        fs::create_dir_all(directory.path().join("run")).unwrap();
        fs::write(processes.record_path("impostor"), serde_json::to_vec(&record).unwrap()).unwrap();
        assert!(!processes.is_running("impostor"));
        processes.stop("impostor").unwrap(); // would end this test
    }
}
