//! What a packager asks for, and completion: the manual, a script for each shell, and what kubectl asks a plugin's `kubectl_complete-coalmine` for.

use std::{ffi::OsString, path::Path};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use crate::args::Arguments;

pub(crate) fn script(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "kubectl-coalmine", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// A page for the program and one for each command.
pub(crate) fn manual(directory: &Path) -> Result<()> {
    let command = Arguments::command().name("kubectl-coalmine").bin_name("kubectl-coalmine");
    clap_mangen::generate_to(command, directory).with_context(|| format!("failed to write the manual to {}", directory.display()))
}

/// What may stand where the last word is being typed, a line each, then cobra's directive: 4 offers no files, 0 does.
/// Source: <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/> and cobra's `ShellCompDirective`.
pub(crate) fn candidates(typed: &[OsString]) -> String {
    let words: Vec<String> = typed.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (last, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let command = Arguments::command();
    let verb = before.iter().find_map(|word| command.find_subcommand(word));
    let offered: Vec<String> = match verb {
        None if !last.starts_with('-') => command
            .get_subcommands()
            .map(|verb| format!("{}\t{}", verb.get_name(), verb.get_about().map(ToString::to_string).unwrap_or_default()))
            .collect(),
        _ if last.starts_with('-') => flags(verb.unwrap_or(&command)).chain(flags(&command).filter(|_| verb.is_some())).collect(),
        _ => Vec::new(),
    };
    let files = matches!(before.last().map(String::as_str), Some("-f" | "--filename" | "--kubeconfig"));
    let fitting = offered.into_iter().filter(|candidate| candidate.starts_with(last));
    fitting.chain([if files { ":0" } else { ":4" }.to_owned()]).collect::<Vec<_>>().join("\n")
}

fn flags(command: &clap::Command) -> impl Iterator<Item = String> {
    command.get_arguments().filter_map(|argument| {
        Some(format!("--{}\t{}", argument.get_long()?, argument.get_help().map(ToString::to_string).unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> String {
        candidates(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn verbs_flags_and_files() {
        assert_eq!(asked(&["ret"]), "retry\tTry a template that was kept out once more\n:4");
        assert_eq!(asked(&["list", "--all"]), "--all-namespaces\tIn every namespace\n:4");
        assert_eq!(asked(&["lint", "-f", ""]), ":0");
        assert!(asked(&[""]).lines().count() > 8);
    }
}
