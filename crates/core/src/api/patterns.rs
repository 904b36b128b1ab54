//! Patterns that many runs have in common, compiled once while anybody has them: one that knows every library's names takes a few hundred
//! KiB. What comes out depends on the text alone.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use regex::Regex;

static COMPILED: LazyLock<Mutex<HashMap<String, Weak<Regex>>>> = LazyLock::new(Mutex::default);

/// Fits a text as a whole.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Regex>);

impl Pattern {
    /// `None` where it is no pattern.
    pub fn whole(pattern: &str) -> Option<Self> {
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(pattern).and_then(Weak::upgrade) {
            return Some(Self(known));
        }
        compiled.retain(|_, regex| regex.strong_count() > 0);
        let regex = Arc::new(Regex::new(&format!("^(?:{pattern})$")).ok()?);
        compiled.insert(pattern.to_owned(), Arc::downgrade(&regex));
        Some(Self(regex))
    }

    pub fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// With its anchors.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_compiled_once_while_anybody_has_it() {
        let one = Pattern::whole("own-a|own-b").unwrap();
        assert!(Arc::ptr_eq(&one.0, &Pattern::whole("own-a|own-b").unwrap().0));
        assert!(one.fits("own-b") && !one.fits("own-aown-b"));
        assert!(Pattern::whole("(").is_none());
        drop(one);
        Pattern::whole("own-c").unwrap();
        assert!(!COMPILED.lock().unwrap().contains_key("own-a|own-b"), "nobody has it any more");
    }
}
