//! Fair shares of the places for steps: whoever makes steps slow, by checks that don't answer, slows their own namespace and no other.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Of one namespace, at once.
const SHARE: usize = 8;

/// Steps under way, by namespace.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<String, usize>>);

impl Shares {
    /// A place among those of this namespace, if there is one.
    pub(super) fn take<'a>(&'a self, namespace: &'a str) -> Option<Place<'a>> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(namespace.to_owned()).or_insert(0);
        if *count >= SHARE {
            return None;
        }
        *count += 1;
        Some(Place { shares: self, namespace })
    }
}

/// Free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    shares: &'a Shares,
    namespace: &'a str,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(self.namespace) {
            *count -= 1;
            if *count == 0 {
                taken.remove(self.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_namespace_leaves_places_for_the_others() {
        let shares = Shares::default();
        let taken: Vec<_> = (0..SHARE).map(|_| shares.take("hostile").unwrap()).collect();
        assert!(shares.take("hostile").is_none());
        assert!(shares.take("shop").is_some());
        drop(taken);
        assert!(shares.take("hostile").is_some());
        assert!(shares.0.lock().unwrap().is_empty(), "nothing is kept of a namespace without steps");
    }
}
