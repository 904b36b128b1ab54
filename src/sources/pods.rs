//! The pods' own metrics pages as a source: one task for each run reads them from the hold on, and what it has read is asked as any other source
//! is. Only a pod's own address is asked.
//!
//! What is read, when, and what is made of it is `judging::collecting`'s to say.

pub(in crate::sources) mod fetch;
mod glance;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use self::fetch::Fetcher;
use self::fetch::TIMEOUT;
pub use self::glance::Glance;
use super::{Error, Problem, Scope, Source, Wanted};
use crate::clock;
use coalmine_core::api::origin::Origin;
use coalmine_core::api::policy::Policy;
use coalmine_core::judging::Pod;
use coalmine_core::judging::collecting::{Collected, Read};
use coalmine_core::metrics::counting::Series;
use coalmine_core::metrics::pages::Wishes;

/// For the round that a question about what is there needs.
const FIRST_ROUND_WITHIN: Duration = Duration::from_secs(8);
/// While there is nobody to be read.
const IDLE: Duration = Duration::from_secs(5);

/// Reads the pages of one run as long as it lives.
#[derive(Debug)]
pub struct PodPages {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    /// What the wishes were made of.
    wished: (Policy, [Value; 2]),
}

#[derive(Debug)]
struct Shared {
    namespace: String,
    fetcher: Arc<Fetcher>,
    collected: Mutex<Collected>,
    changed: Notify,
    rounds: watch::Sender<u64>,
}

fn wishes(policy: &Policy, pod_specs: &[Value; 2]) -> Wishes {
    Wishes::of(policy, &pod_specs.each_ref())
}

impl PodPages {
    /// Of the primary of this name; `pod_specs` are the live template's and the held one's.
    pub fn begin(fetcher: Arc<Fetcher>, namespace: &str, primary: &str, policy: &Policy, pod_specs: [Value; 2]) -> Self {
        let collected = Mutex::new(Collected::new(namespace, primary, wishes(policy, &pod_specs), fetcher.verifies));
        let (rounds, _) = watch::channel(0);
        let shared = Arc::new(Shared { namespace: namespace.to_owned(), fetcher, collected, changed: Notify::new(), rounds });
        let task = tokio::spawn(Arc::clone(&shared).run());
        Self { shared, task, wished: (policy.clone(), pod_specs) }
    }

    /// Goes on from what another replica has read of this run.
    pub fn restore(&self, text: &str, run: &str) {
        self.shared.collected().restore(text, run, clock::now());
    }

    /// What another replica would go on from.
    pub fn baseline(&self, run: &str) -> Option<String> {
        self.shared.collected().baseline(run)
    }

    /// The pods whose pages are read from now on.
    pub fn aim(&self, canary: &[Pod], primary: &[Pod]) {
        self.shared.collected().aim(canary, primary);
        self.shared.changed.notify_one();
    }

    /// What the user wants to be read may change during a run.
    pub fn wish(&mut self, policy: &Policy, pod_specs: [Value; 2]) {
        if self.wished.0 != *policy || self.wished.1 != pod_specs {
            self.shared.collected().wish(wishes(policy, &pod_specs));
            self.wished = (policy.clone(), pod_specs);
        }
    }

    async fn present(&self) -> Result<Vec<Series>, Error> {
        let failed = |problem| Error { target: Origin::Pages.name().to_owned(), problem };
        let mut rounds = self.shared.rounds.subscribe();
        self.shared.collected().want_all();
        let waits = async {
            while self.shared.collected().needs_a_round() {
                // The task outlives whoever asks.
                if rounds.changed().await.is_err() {
                    return;
                }
            }
        };
        let waited = tokio::time::timeout(FIRST_ROUND_WITHIN, waits).await;
        waited.map_err(|_| failed(Problem::Timeout(FIRST_ROUND_WITHIN)))?;
        self.shared.collected().present().map_err(|(tried, is_silent)| failed(Problem::NoPage { tried, is_silent }))
    }
}

impl Drop for PodPages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// A fault of a thread that had it leaves what was read: each addition is whole.
    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        loop {
            let wait = {
                let collected = self.collected();
                if collected.targets().is_empty() { IDLE } else { collected.next(clock::now()) }
            };
            if !wait.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.changed.notified() => continue,
                }
            }
            self.round().await;
        }
    }

    async fn round(&self) {
        let at = clock::now();
        let (targets, wishes) = {
            let collected = self.collected();
            (collected.targets(), Arc::new(collected.wishes().clone()))
        };
        let read = targets.iter().map(|target| self.fetcher.read(&self.namespace, &target.address, &target.place, &wishes, TIMEOUT));
        let (read, mut took): (Vec<Read>, Vec<Option<Duration>>) = join_all(read).await.into_iter().unzip();
        for read in &read {
            self.fetcher.count(read);
        }
        took.retain(Option::is_some);
        took.sort_unstable();
        // What a page usually takes: one hiccup is none of the page's.
        let takes = took.get(took.len() / 2).copied().flatten().unwrap_or_default();
        self.collected().took(at, targets.into_iter().zip(read).collect(), takes);
        self.rounds.send_modify(|rounds| *rounds += 1);
    }
}

impl Source for PodPages {
    fn present<'a>(&'a self, _: &'a Scope, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(self.present())
    }

    fn samples<'a>(&'a self, _: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { Ok(self.shared.collected().samples(&wanted.metrics, &wanted.bounds)) })
    }

    fn evaluate<'a>(&'a self, _: &'a str, _: &'a str, _: Duration, _: Duration) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        let problem = Problem::Refused("pages answer no queries".to_owned());
        Box::pin(async move { Err(Error { target: Origin::Pages.name().to_owned(), problem }) })
    }
}
