//! What is known of a schedule while it runs: the pods, what each user asked for, what the objects were seen to be, and what must not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::Value;

/// A pod template by what tells it from the user's others: its image, and the variable that says which file it is from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) image: String,
    pub(super) file: String,
}

impl Name {
    pub(super) fn of(template: &Value) -> Self {
        let text = |path: &str| template.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { image: text("/spec/containers/0/image"), file: text("/spec/containers/0/env/0/value") }
    }

    pub(super) fn fails(&self) -> bool {
        self.image.contains(":failing-")
    }

    pub(super) fn crashes(&self) -> bool {
        self.image.contains(":crashing-")
    }

    pub(super) fn is_good(&self) -> bool {
        !self.fails() && !self.crashes()
    }
}

/// All that a template says beside its [`Name`].
pub(super) fn rest(template: &Value) -> Value {
    let mut rest = template.clone();
    for path in ["/spec/containers/0/image", "/spec/containers/0/env/0/value"] {
        if let Some(place) = rest.pointer_mut(path) {
            place.take();
        }
    }
    rest
}

#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) template: Name,
    pub(super) is_canary: bool,
    /// When it became Ready.
    pub(super) since: Instant,
    pub(super) gone: bool,
}

/// Of one user, which has a namespace and the Deployment `app` in it.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The names that were stated, each by a file or by `set image` on a file's.
    pub(super) files: BTreeSet<String>,
    pub(super) images: BTreeSet<String>,
    /// Bad ones that are let in, since the request comes while nothing is tried.
    pub(super) excused: BTreeSet<Name>,
    pub(super) lived: BTreeSet<Name>,
    pub(super) rest: Option<Value>,
    /// As they were seen last.
    pub(super) primary: Option<Value>,
    pub(super) canary: Option<Value>,
    /// What was seen may not be all that was.
    pub(super) missed: bool,
    pub(super) phases: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct World {
    pods: Mutex<Vec<Pod>>,
    accounts: Mutex<BTreeMap<String, Account>>,
    violations: Mutex<Vec<String>>,
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn clear(&self) {
        lock(&self.pods).clear();
        lock(&self.accounts).clear();
        lock(&self.violations).clear();
    }

    pub(super) fn open_account(&self, namespace: &str) {
        lock(&self.accounts).insert(namespace.to_owned(), Account::default());
    }

    /// `None` for a namespace that is nobody's.
    pub(super) fn account<T>(&self, namespace: &str, work: impl FnOnce(&mut Account) -> T) -> Option<T> {
        lock(&self.accounts).get_mut(namespace).map(work)
    }

    pub(super) fn accounts<T>(&self, work: impl FnMut((&String, &mut Account)) -> T) -> Vec<T> {
        lock(&self.accounts).iter_mut().map(work).collect()
    }

    pub(super) fn violate(&self, violation: String) {
        let mut violations = lock(&self.violations);
        if !violations.contains(&violation) {
            println!("VIOLATION: {violation}");
            violations.push(violation);
        }
    }

    pub(super) fn violations(&self) -> Vec<String> {
        lock(&self.violations).clone()
    }

    pub(super) fn serves(&self, pod: Pod) {
        let mut pods = lock(&self.pods);
        if !pods.iter().any(|known| (&known.namespace, &known.name) == (&pod.namespace, &pod.name)) {
            pods.push(pod);
        }
    }

    /// Those that are there: all others are gone.
    pub(super) fn only(&self, names: &BTreeSet<(String, String)>) {
        for pod in lock(&self.pods).iter_mut() {
            pod.gone |= !names.contains(&(pod.namespace.clone(), pod.name.clone()));
        }
    }

    pub(super) fn serving(&self) -> Vec<Pod> {
        lock(&self.pods).iter().filter(|pod| !pod.gone).cloned().collect()
    }

    /// How long a canary of this template has been Ready, or would have been if it had not gone.
    pub(super) fn canary_ready_for(&self, namespace: &str, template: &Name) -> Option<std::time::Duration> {
        let pods = lock(&self.pods);
        let canaries = pods.iter().filter(|pod| pod.is_canary && pod.namespace == namespace && pod.template == *template);
        canaries.map(|pod| pod.since.elapsed()).max()
    }
}
