//! Reads what `go build -v` writes: for a person who waits, and for one who must find the mistake.

use std::{fs, path::Path};

/// What Go does: it writes a line per module that it downloads and, with `-v`, the name of each package that it compiles.
pub(super) fn progress(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let compiled = log.lines().filter(|line| is_package(line)).count();
    match log.lines().last() {
        None => "compiling (minutes, the first time)".to_owned(),
        Some(line) if is_package(line) => format!("{compiled} packages compiled, {line} the last"),
        Some(line) => line.to_owned(),
    }
}

/// What Go wrote besides the names of packages.
pub(super) fn complaints(log: &str) -> String {
    log.lines().filter(|line| !is_package(line)).collect::<Vec<_>>().join("\n")
}

fn is_package(line: &str) -> bool {
    !line.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_from_the_packages_around_it() {
        let log = "go: downloading k8s.io/api v0.37.2\nk8s.io/api/core/v1\n# k8s.io/broken\nbroken/x.go:3:1: syntax error\n";
        assert_eq!(complaints(log), "go: downloading k8s.io/api v0.37.2\n# k8s.io/broken\nbroken/x.go:3:1: syntax error");
    }
}
