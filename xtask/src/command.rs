//! Running other programs: every call names itself when it fails and never reads from our standard input.
//!
//! It must not interpret what the programs say; callers do.

use std::{
    fmt::Write as _,
    fs::{File, Permissions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

/// Runs to the end with our own output streams.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("failed to start {}", words(command)))?;
    if !status.success() {
        bail!("failed to run {}: {status}", words(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed; its error output is shown only when it fails.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!("failed to run {}: {}\n{}", words(command), output.status, both_streams(&output));
    }
    String::from_utf8(output.stdout).with_context(|| format!("failed to read the output of {}", words(command)))
}

/// Runs to the end; a program that ran and failed is an `Output` too.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {}", words(command)))
}

/// Runs to the end with `input` as its standard input.
pub(crate) fn capture_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", words(command)))?;
    // What we send is short against a pipe's buffer, or the program reads all of it before it answers: no deadlock.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("failed to write to {}", words(command)))?;
    }
    let output = child.wait_with_output().with_context(|| format!("failed to wait for {}", words(command)))?;
    if !output.status.success() {
        bail!("failed to run {}: {}\n{}", words(command), output.status, both_streams(&output));
    }
    String::from_utf8(output.stdout).with_context(|| format!("failed to read the output of {}", words(command)))
}

/// A program that ends with this one, however this one ends: an interrupted measurement must not disturb the next.
pub(crate) fn ending_with_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    // It becomes the program, so that the process is the program's own.
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// What a program printed on both streams, for messages.
pub(crate) fn both_streams(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).trim().to_owned()
}

/// The command line as a person would type it.
fn words(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        // Writing to a string cannot fail.
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// Where a program is, by `PATH` and the places that a root shell without a login leaves out.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// A command for a program that must be there.
pub(crate) fn program(name: &str) -> Result<Command> {
    let path = find_program(name).with_context(|| format!("failed to find the program {name} in PATH"))?;
    Ok(Command::new(path))
}

/// cargo, without what `cargo run` told us about this package: build scripts that look at it (ring's does) would run again, and
/// half of the tree with them, each time a person goes from plain cargo to xtask and back.
pub(crate) fn cargo() -> Result<Command> {
    let mut cargo = program("cargo")?;
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_CRATE_NAME";
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| ours(name)) {
        cargo.env_remove(name);
    }
    Ok(cargo)
}

/// Reads a file, naming it when that fails.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

/// Writes a file and the directories above it, unless it has this content already.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if std::fs::read(path).is_ok_and(|present| present == content.as_ref()) {
        return Ok(());
    }
    make_parent(path)?;
    std::fs::write(path, content).with_context(|| format!("failed to write {}", path.display()))
}

/// Writes a file with keys in it: nobody else may read it, not for a moment, also where it was there before.
pub(crate) fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    make_parent(path)?;
    let opened = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| format!("failed to open {}", path.display()))?;
    file.set_permissions(Permissions::from_mode(0o600)).with_context(|| format!("failed to protect {}", path.display()))?;
    file.write_all(content.as_ref()).with_context(|| format!("failed to write {}", path.display()))
}

fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo nothing works >&2; exit 3"])).unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"
        failed to run sh -c echo nothing works >&2; exit 3: exit status: 3
        nothing works
        ");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(capture_with_input(&mut Command::new("cat"), "hello").unwrap(), "hello");
    }
}
