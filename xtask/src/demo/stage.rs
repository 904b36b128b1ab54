//! How the demo speaks: headings, real command lines with their real output, and claims that end it when they are not true.
//!
//! Everything goes line by line to standard output, with the seconds since the start where time matters.

use std::{
    process::{Command, Output},
    sync::LazyLock,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::follower::Follower;
use crate::{command, directory, target::Target};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Begins to count the time.
pub(crate) fn begin() {
    LazyLock::force(&START);
}

pub(crate) fn heading(title: &str) {
    println!("\n──── {title} {}", "─".repeat(100_usize.saturating_sub(title.chars().count())));
}

pub(crate) fn tell(text: &str) {
    println!("{text}");
}

/// One line of something that runs beside the story.
pub(crate) fn aside(who: &str, text: &str) {
    println!("{:>7.1}s  {who:<8} {text}", START.elapsed().as_secs_f64());
}

/// What the demo promises. The first that is not true ends it.
pub(crate) fn claim(holds: bool, what: &str) -> Result<()> {
    if !holds {
        bail!("not as promised: {what}");
    }
    println!("  ok: {what}");
    Ok(())
}

/// `kubectl` for one cluster, which says what it does.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl(pub(crate) Target);

impl Kubectl {
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.kubectl(arguments);
        // Paths such as examples/app.yaml are written as a reader would type them.
        command.current_dir(directory::repository());
        command
    }

    /// The lines that make the reader's own shell use this cluster.
    pub(crate) fn print_environment(&self) {
        if let (Some(kubeconfig), Some(directory)) = (self.0.kubeconfig(), self.0.kubectl_path().parent()) {
            println!("export KUBECONFIG={}", kubeconfig.display());
            println!("export PATH={}:$PATH", directory.display());
        }
    }

    /// Prints the command line, runs it, prints its output, and returns both streams whatever its exit code.
    pub(crate) fn try_show(&self, arguments: &[&str]) -> Result<(Output, String)> {
        println!("$ {}", command_line(arguments));
        let output = command::output(&mut self.command(arguments))?;
        // Warnings come on standard error, before the result: the order in which a person sees them.
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        if !text.trim().is_empty() {
            println!("{}", text.trim_end());
        }
        Ok((output, text))
    }

    /// As `try_show`, for what must succeed.
    pub(crate) fn show(&self, arguments: &[&str]) -> Result<String> {
        let (output, text) = self.try_show(arguments)?;
        if !output.status.success() {
            bail!("failed to run {}: {}", command_line(arguments), output.status);
        }
        Ok(text)
    }

    /// Runs in silence and returns what was printed.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String> {
        command::capture(&mut self.command(arguments))
    }

    /// Prints the command line and starts it beside the story; `who` marks its lines.
    pub(crate) fn follow(&self, who: &'static str, arguments: &[&str]) -> Result<Follower> {
        println!("$ {} &", command_line(arguments));
        Follower::start(self.command(arguments), move |line| aside(who, line))
    }
}

/// How long the story took so far.
pub(crate) fn elapsed() -> Duration {
    START.elapsed()
}

/// As a person would type it in a shell.
fn command_line(arguments: &[&str]) -> String {
    let plain = |argument: &str| argument.chars().all(|character| character.is_ascii_alphanumeric() || "-_./=,:@%+".contains(character));
    let words = arguments.iter().map(|argument| if plain(argument) { (*argument).to_owned() } else { format!("'{argument}'") });
    std::iter::once("kubectl".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Seconds with one decimal.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["apply", "-f", "examples/app.yaml"], "kubectl apply -f examples/app.yaml")]
    #[case(&["get", "pods", "-o", "jsonpath={.items[*].metadata.name}"], "kubectl get pods -o 'jsonpath={.items[*].metadata.name}'")]
    #[case(&["get", "pods", "-l", "a!=b"], "kubectl get pods -l 'a!=b'")]
    fn command_lines_can_be_pasted(#[case] arguments: &[&str], #[case] line: &str) {
        assert_eq!(command_line(arguments), line);
    }

    #[test]
    fn a_claim_that_is_not_true_ends_the_demo() {
        assert!(claim(true, "water is wet").is_ok());
        assert_eq!(claim(false, "the moon is near").unwrap_err().to_string(), "not as promised: the moon is near");
    }
}
