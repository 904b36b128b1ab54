//! No circle of files: of modules that stand beside each other, none knows itself by way of others. Parents and their children are one. Tests may
//! know whatever they like.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{code, sources};

const ROOTS: [&str; 8] = [
    "apps/demo/src",
    "client/src",
    "crates/core/src",
    "crates/kubectl-coalmine/src",
    "crates/statistics/src",
    "src",
    "xtask/simulate/src",
    "xtask/src",
];

/// As `crate::judging::machine`, without the crate.
type Module = Vec<String>;

fn modules(root: &Path) -> BTreeMap<Module, String> {
    let mut files = Vec::new();
    sources(root, &mut files);
    let mut modules = BTreeMap::new();
    for file in files {
        let inside = file.strip_prefix(root).unwrap().with_extension("");
        let parts: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if parts.iter().any(|part| part == "tests") {
            continue;
        }
        let text = code(&file);
        let text = text.split_once("#[cfg(test)]\nmod tests {").map_or(text.as_str(), |(before, _)| before).to_owned();
        modules.insert(if parts == ["lib"] || parts == ["main"] { Module::new() } else { parts }, text);
    }
    modules
}

/// All paths of a tree such as `a::{b, c::d}`.
fn leaves(before: &[String], tree: &str, found: &mut Vec<Module>) {
    let words = |text: &str| text.split("::").map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        found.push([before, &words(path)].concat());
        return;
    };
    let before = [before, &words(head)].concat();
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let (mut depth, mut start) = (0, 0);
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                leaves(&before, &inside[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    leaves(&before, &inside[start..], found);
}

/// What a file says of others, by `crate::` and `super::`.
fn paths(text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = ["crate::", "super::"].iter().filter_map(|word| rest.find(word)).min() {
        let is_inside_a_word = rest[..at].ends_with(|character: char| character.is_alphanumeric() || character == '_' || character == ':');
        rest = &rest[at..];
        let simple =
            rest.find(|character: char| !character.is_alphanumeric() && character != '_' && character != ':').unwrap_or(rest.len());
        let end = if rest[simple..].starts_with('{') { closing(rest, simple) } else { simple };
        if !is_inside_a_word {
            leaves(&[], &rest[..end], &mut found);
        }
        rest = &rest[end.max(1)..];
    }
    found
}

/// Behind the brace that closes the one at `open`.
fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, character) in text[open..].char_indices() {
        depth += match character {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return open + at + 1;
        }
    }
    text.len()
}

/// Which module beside it each knows.
fn known(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut known: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, text) in modules {
        for path in paths(text) {
            let above = path.iter().take_while(|word| *word == "super").count();
            let mut target = match path[0].as_str() {
                "crate" => path[1..].to_vec(),
                _ => [&module[..module.len().saturating_sub(above)], &path[above..]].concat(),
            };
            while !target.is_empty() && !modules.contains_key(&target) {
                target.pop();
            }
            let common = target.iter().zip(module).take_while(|(one, other)| one == other).count();
            if common < target.len() && common < module.len() {
                known.entry(module[..=common].to_vec()).or_default().insert(target[..=common].to_vec());
            }
        }
    }
    known
}

#[test]
fn no_file_knows_itself_by_way_of_others() {
    for root in ROOTS {
        let known = known(&modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root)));
        for start in known.keys() {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&Module> = known[start].iter().collect();
            while let Some(next) = open.pop() {
                assert!(next != start, "{root}: {} knows itself by way of {seen:?}", start.join("::"));
                if seen.insert(next.join("::")) {
                    open.extend(known.get(next).into_iter().flatten());
                }
            }
        }
    }
}

#[test]
fn a_circle_is_seen() {
    let module = |path: &str| -> Module { path.split("::").map(str::to_owned).collect() };
    let files = [("a", "use crate::{\n    b::{C, D},\n};"), ("b::c", "fn f() { super::super::a::g() }"), ("b", "mod c;")];
    let known = known(&files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect());
    assert_eq!(known[&module("a")], BTreeSet::from([module("b")]));
    assert_eq!(known[&module("b")], BTreeSet::from([module("a")]));
}
