//! The walls of the house: what decides knows no clock, no network and no Kubernetes client. Cargo keeps most of it, since a package can
//! use only what it depends on; this says which packages may never be added, and finds what the standard library would offer.

use std::fs;
use std::path::{Path, PathBuf};

use rstest::rstest;

mod circles;

/// What reaches out of the process, or tells the time by itself.
const EDGES: [&str; 9] = ["axum", "hyper", "k8s-openapi", "kube", "reqwest", "rustls", "tokio", "tower", "tracing"];
/// The same in the standard library.
const STANDARD: [&str; 9] =
    ["SystemTime", "Instant", "TcpStream", "UdpSocket", "ToSocketAddrs", "std::fs", "std::process", "std::thread", "Timestamp::now"];

fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(name)
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// Comments aside: they may name what is not used.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[rstest]
#[case::core("core")]
#[case::statistics("statistics")]
fn what_decides_depends_on_no_edge(#[case] name: &str) {
    let manifest = fs::read_to_string(package(name).join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let named: Vec<&str> = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).collect();
    for edge in EDGES {
        assert!(!named.contains(&edge), "crates/{name} depends on {edge}: what decides takes answers as arguments, an edge asks");
    }
}

#[rstest]
#[case::core("core")]
#[case::statistics("statistics")]
fn what_decides_tells_no_time_and_opens_nothing(#[case] name: &str) {
    let mut files = Vec::new();
    sources(&package(name).join("src"), &mut files);
    assert!(!files.is_empty());
    for file in files {
        let code = code(&file);
        for word in STANDARD {
            assert!(!code.contains(word), "{} uses {word}: `now` and everything read are arguments", file.display());
        }
    }
}

/// The rooms of the core, from the ground up: each may use only those before it, so that no circle can come to be.
const ROOMS: [&str; 18] = [
    "statistics",
    "words",
    "names",
    "packed",
    "lease",
    "api",
    "manifest",
    "standing",
    "metrics",
    "facts",
    "message",
    "run",
    "hold",
    "notify",
    "judging",
    "state",
    "view",
    "page",
];

/// The rooms that a file names, as `crate::room` or inside `use crate::{room, ...}`.
fn rooms_used(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect::<String>();
    let mut used = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            used.push(word(rest));
            continue;
        };
        let (mut depth, mut begins) = (1, true);
        for (at, letter) in list.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                _ if depth == 1 && begins && !letter.is_whitespace() => {
                    used.push(word(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    used.retain(|room| ROOMS.contains(&room.as_str()));
    used
}

fn position(room: &str) -> usize {
    ROOMS.iter().position(|known| *known == room).unwrap_or_else(|| panic!("{room} has no place among the rooms: put it where it belongs"))
}

#[test]
fn no_room_knows_one_above_it() {
    let core = package("core").join("src");
    let mut files = Vec::new();
    sources(&core, &mut files);
    for file in files.iter().filter(|file| !file.ends_with("lib.rs")) {
        let path = file.strip_prefix(&core).unwrap().to_str().unwrap();
        let room = path.split('/').next().unwrap().trim_end_matches(".rs");
        for used in rooms_used(&code(file)) {
            assert!(position(&used) <= position(room), "{path} uses {used}, which stands above {room}");
        }
    }
}

/// Of Coalmine's own annotations, those that several read. What only one reads, a history or what has yet to be told, it decodes itself.
const STANDING: [&str; 9] = ["APPROVED", "HELD", "MERGED", "MESSAGE", "ORDER", "PAUSED_SINCE", "REMADE", "RUN", "SINCE"];

#[test]
fn how_a_deployment_stands_is_decoded_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for directory in ["src", "crates"] {
        sources(&root.join(directory), &mut files);
    }
    let is_test = |file: &Path| file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
    for file in files.iter().filter(|file| !file.ends_with("standing.rs") && !is_test(file)) {
        let code = code(file);
        for (name, reader) in STANDING.iter().flat_map(|name| [(name, "text("), (name, "annotation(")]) {
            let reads = |line: &str| line.contains(reader) && line.contains(&format!(", key::{name})"));
            let line = code.lines().take_while(|line| !line.contains("#[cfg(test)]")).find(|line| reads(line));
            assert_eq!(line, None, "{} reads {name}: ask `standing` what a Deployment's annotations say", file.display());
        }
    }
}

#[test]
fn rooms_are_found_however_they_are_named() {
    let code = "use crate::{\n    api::{checks, policy},\n    hold,\n};\nuse crate::metrics::counting; crate::judging::x(crate::other);";
    assert_eq!(rooms_used(code), ["api", "hold", "metrics", "judging"]);
}
