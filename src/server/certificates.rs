//! Where the webhook's certificate comes from, and how the API server learns whom to trust.
//!
//! By default Coalmine is its own authority: [`own`] keeps an authority and a serving certificate in a Secret that all
//! replicas share, and [`registration`] keeps `caBundle` current. With files given ([`files`]) somebody else, such as
//! cert-manager, does both. Neither needs a restart.

pub mod files;
pub mod material;
mod mint;
pub mod own;
pub mod registration;
pub mod renewal;

use std::time::Duration;

/// How long to wait after a number of failures in a row, from `first` to `longest`.
fn retry_after(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

/// Name of the Secret in Coalmine's namespace; the only one that it may read.
pub const SECRET: &str = "coalmine-certificate";

/// The names under which an API server may reach the webhook.
pub fn names(service: &str, namespace: &str, url: Option<&axum::http::Uri>) -> Vec<String> {
    let mut names = vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.to_owned(),
    ];
    if let Some(host) = url.and_then(axum::http::Uri::host) {
        let host = host.trim_matches(['[', ']']).to_owned();
        names.extend([host, "localhost".to_owned(), "127.0.0.1".to_owned()]);
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_and_for_tests_the_address_in_the_url() {
        assert_eq!(
            names("coalmine", "system", None),
            ["coalmine", "coalmine.system", "coalmine.system.svc", "coalmine.system.svc.cluster.local"]
        );
        let url = "https://127.0.0.1:9443/".parse().unwrap();
        assert!(names("coalmine", "coalmine", Some(&url)).contains(&"127.0.0.1".to_owned()));
        let url = "https://[::1]:9443/".parse().unwrap();
        assert!(names("coalmine", "coalmine", Some(&url)).contains(&"::1".to_owned()));
    }
}
