//! The loop around [`lease`](coalmine_core::lease): reads and writes the `Lease`, publishes the [`Claim`].
//!
//! It must not decide anything itself, and must never publish a claim that lasts longer than what the API server has
//! accepted: the expiry counts from before the request was sent.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;
pub use coalmine_core::lease::Claim;
use coalmine_core::lease::{DURATION, Moment, Observed, RENEW_EVERY, Step, evaluate, pause};

/// Name of the Lease in Coalmine's namespace.
pub const NAME: &str = "coalmine";
/// An answer that takes longer is no answer: the next renewal would be due.
const ANSWER_WITHIN: Duration = RENEW_EVERY;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {verb} lease {NAME:?}")]
    Request { verb: &'static str, source: Box<kube::Error> },
    #[error("failed to {verb} lease {NAME:?}: no answer within {} s", ANSWER_WITHIN.as_secs())]
    Timeout { verb: &'static str },
}

/// Takes part in the election until told to stop, then gives the lease back.
#[derive(Debug)]
pub struct Elector {
    leases: Api<Lease>,
    me: String,
    seen: Option<Observed>,
    claim: watch::Sender<Claim>,
}

impl Elector {
    /// `me` must be unique among the running replicas and should survive a restart of the container: then the claim
    /// of the process before is taken over at once.
    pub fn new(leases: Api<Lease>, me: String) -> (Self, watch::Receiver<Claim>) {
        let (claim, claims) = watch::channel(Claim::Nobody);
        (Self { leases, me, seen: None, claim }, claims)
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            match self.step(clock::moment(), clock::now()).await {
                Ok(()) => failing = false,
                // Once per outage: what follows is the same, and readiness and metrics tell the rest.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot reach the lease");
                }
                Err(_) => {}
            }
            let pause = pause(&self.claim.borrow(), failing, clock::moment());
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
        if let Err(error) = self.release().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the lease was not given back; it runs out by itself");
        }
    }

    /// One look at the lease, and at most one write. `wall` is what is written for people to read; nothing depends on it.
    async fn step(&mut self, now: Moment, wall: Timestamp) -> Result<(), Error> {
        let lease = ask("read", self.leases.get_opt(NAME)).await?;
        self.seen = lease.as_ref().map(|lease| observed(lease, now).or_seen_before(self.seen.as_ref()));
        let written = match evaluate(self.seen.as_ref(), &self.me, now) {
            Step::Yield { holder, until: expiry } => {
                self.publish(&Claim::Theirs { holder, expiry });
                return Ok(());
            }
            Step::Acquire | Step::Renew => self.write(lease, wall).await,
        };
        match written {
            Ok(lease) => {
                self.seen = Some(observed(&lease, now));
                self.publish(&Claim::Mine { expiry: now.saturating_add(DURATION) });
                Ok(())
            }
            // Another replica was quicker: the next look says who.
            Err(Error::Request { source, .. }) if is_conflict(&source) => {
                self.publish(&Claim::Nobody);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&self, lease: Option<Lease>, wall: Timestamp) -> Result<Lease, Error> {
        let Some(mut lease) = lease else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec(&self.me, wall, None)) };
            return ask("create", self.leases.create(&PostParams::default(), &lease)).await;
        };
        lease.spec = Some(spec(&self.me, wall, lease.spec.take()));
        ask("write", self.leases.replace(NAME, &PostParams::default(), &lease)).await
    }

    /// Gives the lease back, so that another replica goes on within seconds.
    async fn release(&self) -> Result<(), Error> {
        let mine = self.claim.borrow().is_current(clock::moment());
        self.publish(&Claim::Nobody);
        if !mine {
            return Ok(());
        }
        let Some(mut lease) = ask("read", self.leases.get_opt(NAME)).await? else { return Ok(()) };
        let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.me)) else { return Ok(()) };
        spec.holder_identity = None;
        ask("release", self.leases.replace(NAME, &PostParams::default(), &lease)).await.map(drop)
    }

    fn publish(&self, claim: &Claim) {
        let was_mine = matches!(*self.claim.borrow(), Claim::Mine { .. });
        let is_mine = matches!(claim, Claim::Mine { .. });
        if is_mine && !was_mine {
            tracing::info!(identity = self.me, "this replica runs the canaries now");
        } else if was_mine && !is_mine {
            tracing::info!(identity = self.me, "this replica no longer runs the canaries");
        }
        self.claim.send_if_modified(|current| std::mem::replace(current, claim.clone()) != *claim);
    }
}

async fn ask<T>(verb: &'static str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(answer) => answer.map_err(|source| Error::Request { verb, source: Box::new(source) }),
        Err(_) => Err(Error::Timeout { verb }),
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
}

fn observed(lease: &Lease, now: Moment) -> Observed {
    let spec = lease.spec.as_ref();
    Observed {
        holder: spec.and_then(|spec| spec.holder_identity.clone()),
        duration: spec
            .and_then(|spec| spec.lease_duration_seconds)
            .map_or(DURATION, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or_default())),
        renewed: spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0),
        first_seen: now,
    }
}

/// Our spec over what was there: the time of acquisition and the count of transitions change only with the holder.
fn spec(me: &str, wall: Timestamp, before: Option<LeaseSpec>) -> LeaseSpec {
    let before = before.unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(me);
    let seconds = i32::try_from(DURATION.as_secs()).unwrap_or(i32::MAX);
    LeaseSpec {
        acquire_time: if ours { before.acquire_time } else { Some(MicroTime(wall)) },
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(seconds),
        lease_transitions: Some(before.lease_transitions.unwrap_or(0).saturating_add(i32::from(!ours))),
        renew_time: Some(MicroTime(wall)),
        ..LeaseSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ApiServer;

    fn elector(server: &ApiServer, me: &str) -> (Elector, watch::Receiver<Claim>) {
        Elector::new(Api::namespaced(server.client(), "coalmine"), me.to_owned())
    }

    fn at(second: u64) -> Moment {
        Moment::from_secs(1_000_000 + second)
    }

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[tokio::test]
    async fn a_free_lease_is_taken_at_once_and_kept() {
        let server = ApiServer::default();
        let (mut first, claim) = elector(&server, "first");
        first.step(at(0), wall(0)).await.unwrap();
        assert_eq!(*claim.borrow(), Claim::Mine { expiry: at(6) });
        first.step(at(5), wall(5)).await.unwrap();
        assert_eq!(*claim.borrow(), Claim::Mine { expiry: at(11) });
        let lease: Lease = server.stored("leases", NAME).unwrap();
        let spec = lease.spec.unwrap();
        assert_eq!((spec.acquire_time.unwrap().0, spec.renew_time.unwrap().0), (wall(0), wall(5)));
        assert_eq!(spec.lease_transitions, Some(1));
    }

    #[tokio::test]
    async fn the_second_waits_until_the_first_ran_out_and_the_first_notices() {
        let server = ApiServer::default();
        let ((mut first, first_claim), (mut second, second_claim)) = (elector(&server, "first"), elector(&server, "second"));
        first.step(at(0), wall(0)).await.unwrap();
        second.step(at(1), wall(1)).await.unwrap();
        assert_eq!(*second_claim.borrow(), Claim::Theirs { holder: "first".to_owned(), expiry: at(7) });
        second.step(at(6), wall(6)).await.unwrap();
        assert!(!second_claim.borrow().is_current(at(6)));
        second.step(at(7), wall(7)).await.unwrap();
        assert!(second_claim.borrow().is_current(at(7)));
        assert!(!first_claim.borrow().is_current(at(7)), "its claim ended without anybody telling it");
        first.step(at(8), wall(8)).await.unwrap();
        assert_eq!(*first_claim.borrow(), Claim::Theirs { holder: "second".to_owned(), expiry: at(14) });
    }

    #[tokio::test]
    async fn a_clock_that_is_moved_by_months_changes_nothing() {
        let months = 100 * 24 * 3600;
        let server = ApiServer::default();
        let ((mut first, first_claim), (mut second, second_claim)) = (elector(&server, "first"), elector(&server, "second"));
        first.step(at(0), wall(months)).await.unwrap();
        second.step(at(1), wall(0)).await.unwrap();
        assert_eq!(*second_claim.borrow(), Claim::Theirs { holder: "first".to_owned(), expiry: at(7) });
        first.step(at(2), wall(-months)).await.unwrap();
        assert!(first_claim.borrow().is_current(at(7)));
        second.step(at(3), wall(0)).await.unwrap();
        second.step(at(8), wall(0)).await.unwrap();
        assert!(!second_claim.borrow().is_current(at(8)), "the renewal by the other clock counted");
        second.step(at(9), wall(0)).await.unwrap();
        assert!(second_claim.borrow().is_current(at(9)), "and no longer than any other");
    }

    #[tokio::test]
    async fn a_lost_race_is_not_a_claim() {
        let server = ApiServer::default();
        let (mut first, claim) = elector(&server, "first");
        server.fail_next_write_with_conflict();
        first.step(at(0), wall(0)).await.unwrap();
        assert_eq!(*claim.borrow(), Claim::Nobody);
    }

    #[tokio::test]
    async fn a_stopped_replica_gives_the_lease_back() {
        let server = ApiServer::default();
        let (first, mut claim) = elector(&server, "first");
        let stop = CancellationToken::new();
        let running = tokio::spawn(first.run(stop.clone()));
        claim.wait_for(|claim| matches!(claim, Claim::Mine { .. })).await.unwrap();
        stop.cancel();
        running.await.unwrap();
        let lease: Lease = server.stored("leases", NAME).unwrap();
        assert_eq!(lease.spec.unwrap().holder_identity, None);
        let (mut second, second_claim) = elector(&server, "second");
        second.step(at(0), wall(0)).await.unwrap();
        assert!(second_claim.borrow().is_current(at(0)));
    }
}
