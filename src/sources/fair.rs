//! Fair shares of the questions under way: a namespace whose answers never come waits for itself, and for nobody else's canaries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Places for questions, with a maximum number for each namespace.
#[derive(Debug)]
pub(super) struct Shares {
    all: Semaphore,
    share: usize,
    namespaces: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Shares {
    pub(super) fn new(all: usize, share: usize) -> Self {
        Self { all: Semaphore::new(all), share, namespaces: Mutex::default() }
    }

    /// Waits for a place: among the namespace's own first, so that who waits long takes none from others.
    pub(super) async fn take<'a>(&'a self, namespace: &'a str) -> Place<'a> {
        let own = {
            let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(namespaces.entry(namespace.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
        };
        // From here on the entry is cleaned up, also when whoever waits gives up.
        let mut place = Place { shares: self, namespace, own: None, all: None };
        // No semaphore is ever closed; should one be, unbounded is better than stuck.
        place.own = own.acquire_owned().await.ok();
        place.all = self.all.acquire().await.ok();
        place
    }
}

/// Free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    shares: &'a Shares,
    namespace: &'a str,
    own: Option<OwnedSemaphorePermit>,
    all: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut namespaces = self.shares.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        drop((self.all.take(), self.own.take()));
        // A question that waits holds it as well.
        if namespaces.get(self.namespace).is_some_and(|own| Arc::strong_count(own) == 1) {
            namespaces.remove(self.namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_free(shares: &Shares, namespace: &str) -> bool {
        tokio::time::timeout(Duration::from_millis(50), shares.take(namespace)).await.is_ok()
    }

    #[tokio::test]
    async fn one_namespace_leaves_places_for_the_others() {
        let shares = Shares::new(3, 2);
        let taken = [shares.take("hostile").await, shares.take("hostile").await];
        assert!(!is_free(&shares, "hostile").await);
        let other = shares.take("shop").await;
        assert!(!is_free(&shares, "third").await, "all places are taken");
        drop((taken, other));
        assert!(is_free(&shares, "hostile").await);
        assert!(shares.namespaces.lock().unwrap().is_empty(), "nothing is kept of a namespace without questions");
    }
}
