//! When certificates are replaced, as a pure function of what there is and the time. The clock is the wall clock, since
//! that is what the API server checks expiry with.

use jiff::{SignedDuration, Timestamp};

use super::material::{Material, Previous};
use super::mint;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Ten years: replacing it is rare, but works unattended, since nobody remembers how after ten years.
pub const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3650);
pub const SERVING_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 90);
/// A new authority is trusted this long before anything signed by it is served: every replica has written `caBundle` by then.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// What to replace next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Authority,
    Serving,
}

/// None when everything is good for now.
pub fn next(material: &Material, names: &[String], now: Timestamp) -> Option<Step> {
    let (authority, serving) = (&material.authority, &material.serving);
    if now >= renew_at(authority.validity.from, authority.validity.until) {
        return Some(Step::Authority);
    }
    let expired = now >= serving.validity.until;
    let overlapping = serving.signed_by != authority.validity.from && now < authority.validity.from + OVERLAP;
    if overlapping && !expired {
        return None;
    }
    let superseded = serving.signed_by != authority.validity.from;
    let lacks_name = names.iter().any(|name| !serving.names.contains(name));
    let due = now >= renew_at(serving.validity.from, serving.validity.until);
    (expired || superseded || lacks_name || due).then_some(Step::Serving)
}

/// After two thirds of its life: a month is left when renewal fails.
fn renew_at(from: Timestamp, until: Timestamp) -> Timestamp {
    until - until.duration_since(from) / 3
}

/// Everything made new, for a cluster that has nothing yet.
pub fn fresh(names: &[String], now: Timestamp) -> Result<Material, mint::Error> {
    let authority = mint::authority(now, AUTHORITY_LIFETIME)?;
    let serving = mint::serving(&authority, names, now, SERVING_LIFETIME)?;
    Ok(Material { authority, previous: None, serving, started_over: None })
}

/// Takes every step that is due.
pub fn renewed(mut material: Material, names: &[String], now: Timestamp) -> Result<Material, mint::Error> {
    while let Some(step) = next(&material, names, now) {
        match step {
            Step::Authority => {
                let authority = mint::authority(now, AUTHORITY_LIFETIME)?;
                let before = std::mem::replace(&mut material.authority, authority);
                material.previous = Some(Previous { certificate: before.certificate, until: before.validity.until });
            }
            Step::Serving => {
                // By a clock that is behind, it must not expire sooner than the one that it replaces.
                let now = now.max(material.serving.validity.from);
                material.serving = mint::serving(&material.authority, names, now, SERVING_LIFETIME)?;
            }
        }
    }
    // Nothing that it signed can be valid any more.
    material.previous = material.previous.filter(|previous| now < previous.until + DAY);
    Ok(material)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tls;
    use rstest::rstest;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use std::sync::Arc;
    use std::time::Duration;

    fn names() -> Vec<String> {
        vec!["coalmine.coalmine.svc".to_owned()]
    }

    fn start() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn day(days: i64) -> Timestamp {
        start() + SignedDuration::from_hours(24 * days)
    }

    /// As the API server would check it, with the bundle of one replica and the serving certificate of another.
    fn trusted(bundle: &str, serving: &Material, now: Timestamp) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let key = tls::certified_key(serving.serving.certificate.as_bytes(), serving.serving.key.as_bytes()).unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap()));
        verifier.verify_server_cert(&key.cert[0], &[], &ServerName::try_from("coalmine.coalmine.svc").unwrap(), &[], time).is_ok()
    }

    #[rstest]
    #[case::fresh(0, None)]
    #[case::clock_set_back(-1, None)]
    #[case::before_two_thirds(59, None)]
    #[case::after_two_thirds(60, Some(Step::Serving))]
    #[case::expired(91, Some(Step::Serving))]
    #[case::authority_old(2434, Some(Step::Authority))]
    fn is_due(#[case] days: i64, #[case] expected: Option<Step>) {
        assert_eq!(next(&fresh(&names(), start()).unwrap(), &names(), day(days)), expected);
    }

    #[test]
    fn a_fresh_pair_is_trusted_until_it_expires_and_survives_the_secret() {
        let material = fresh(&names(), start()).unwrap();
        assert!(trusted(&material.bundle(), &material, start()));
        assert!(trusted(&material.bundle(), &material, day(89)));
        assert!(!trusted(&material.bundle(), &material, day(91)));
        assert_eq!(Material::from_data(&material.to_data()).unwrap(), material);
    }

    #[test]
    fn a_renewed_serving_certificate_needs_no_new_bundle() {
        let before = fresh(&names(), start()).unwrap();
        let after = renewed(before.clone(), &names(), day(60)).unwrap();
        assert_eq!(after.authority, before.authority);
        assert!(trusted(&before.bundle(), &after, day(140)));
    }

    #[test]
    fn a_missing_name_is_added() {
        let material = fresh(&["other".to_owned()], start()).unwrap();
        assert!(!trusted(&material.bundle(), &material, start()));
        let after = renewed(material, &names(), start()).unwrap();
        assert!(trusted(&after.bundle(), &after, start()));
    }

    #[test]
    fn authorities_overlap_so_that_no_replica_is_ever_distrusted() {
        let old = renewed(fresh(&names(), start()).unwrap(), &names(), day(2400)).unwrap();
        let rotated = renewed(old.clone(), &names(), day(2434)).unwrap();
        assert_ne!(rotated.authority, old.authority);
        assert_eq!(rotated.serving, old.serving, "still the old authority's, since bundles may not have been written yet");
        assert!(trusted(&rotated.bundle(), &old, day(2434)));
        let moved = renewed(rotated.clone(), &names(), day(2434) + OVERLAP).unwrap();
        assert_ne!(moved.serving, rotated.serving);
        assert!(trusted(&rotated.bundle(), &moved, day(2435)), "the bundle written an hour before trusts the new one");
        assert!(trusted(&moved.bundle(), &old, day(2435)), "and the new one a replica that is late");
        assert_eq!(renewed(moved, &names(), day(3652)).unwrap().previous, None);
    }

    #[test]
    fn everything_expired_while_nothing_ran_is_made_new_at_once() {
        let late = day(4000);
        let after = renewed(fresh(&names(), start()).unwrap(), &names(), late).unwrap();
        assert!(trusted(&after.bundle(), &after, late));
        assert_eq!(next(&after, &names(), late), None);
    }

    #[rstest]
    #[case::the_first(true)]
    #[case::a_renewal(false)]
    fn what_a_clock_months_ahead_makes_is_trusted_today(#[case] first: bool) {
        let ahead = day(300);
        let made =
            if first { fresh(&names(), ahead).unwrap() } else { renewed(fresh(&names(), start()).unwrap(), &names(), ahead).unwrap() };
        assert!(trusted(&made.bundle(), &made, start()));
        assert!(trusted(&made.bundle(), &made, ahead));
        assert_eq!(renewed(made.clone(), &names(), start()).unwrap(), made, "the replica whose clock is right is content with it");
    }

    #[test]
    fn an_authority_that_a_clock_years_ahead_replaced_locks_nobody_out() {
        let before = fresh(&names(), start()).unwrap();
        let ahead = renewed(before.clone(), &names(), day(2500)).unwrap();
        assert_ne!(ahead.authority, before.authority);
        assert!(trusted(&ahead.bundle(), &ahead, start()) && trusted(&ahead.bundle(), &before, start()));
        assert_eq!(renewed(ahead.clone(), &names(), start()).unwrap(), ahead);
    }

    #[test]
    fn a_clock_that_is_behind_shortens_nothing() {
        let before = fresh(&names(), day(0)).unwrap();
        let names = vec!["other".to_owned()];
        let after = renewed(before.clone(), &names, day(-200)).unwrap();
        assert_eq!(after.serving.names, names);
        assert!(after.serving.validity.until >= before.serving.validity.until);
    }
}
