//! Patterns that many runs have in common, compiled once while anybody has them: one that knows every library's names takes a few hundred
//! KiB. What comes out depends on the text alone.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use regex::Regex;

static COMPILED: LazyLock<Mutex<HashMap<String, Weak<Regex>>>> = LazyLock::new(Mutex::default);

/// Fits what is this as a whole. `None` where it is no pattern.
pub(super) fn whole(pattern: &str) -> Option<Arc<Regex>> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled.get(pattern).and_then(Weak::upgrade) {
        return Some(known);
    }
    compiled.retain(|_, regex| regex.strong_count() > 0);
    let regex = Arc::new(Regex::new(&format!("^(?:{pattern})$")).ok()?);
    compiled.insert(pattern.to_owned(), Arc::downgrade(&regex));
    Some(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_compiled_once_while_anybody_has_it() {
        let one = whole("a|b").unwrap();
        assert!(Arc::ptr_eq(&one, &whole("a|b").unwrap()));
        assert!(one.is_match("b") && !one.is_match("ab"));
        assert!(whole("(").is_none());
        drop(one);
        whole("c").unwrap();
        assert!(!COMPILED.lock().unwrap().contains_key("a|b"), "nobody has it any more");
    }
}
