//! Which cluster, and as whom: the kubeconfig as kubectl reads it, a pod's own service account where there is none, and the proxy on the way.
//! Connects to nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::args::Connection;

pub(crate) async fn config(connection: &Connection) -> Result<Config> {
    let options =
        KubeConfigOptions { context: connection.context.clone(), cluster: connection.cluster.clone(), user: connection.user.clone() };
    let nowhere = "failed to find a cluster: set KUBECONFIG, or give --kubeconfig";
    let Some(file) = file(connection)? else {
        // In a pod, as of a pipeline, kubectl acts as the pod's service account.
        return Config::incluster().map_err(|_| anyhow!(nowhere));
    };
    let is_named = names_a_proxy(&file, &options);
    let mut config = Config::from_custom_kubeconfig(file, &options).await.context(nowhere)?;
    if !is_named {
        proxy_of_the_environment(&mut config, &Matcher::from_env());
    }
    Ok(config)
}

/// `None` where nobody names one, and there is none at its usual place.
fn file(connection: &Connection) -> Result<Option<Kubeconfig>> {
    if let Some(path) = &connection.kubeconfig {
        return Kubeconfig::read_from(path).map(Some).with_context(|| format!("failed to read {}", path.display()));
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let mut paths: Vec<PathBuf> = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if paths.is_empty() {
        paths.extend(std::env::home_dir().map(|home| home.join(".kube/config")));
    }
    let mut merged: Option<Kubeconfig> = None;
    // One of a list may be missing, as on a machine where nobody has logged in to that cluster yet.
    for path in paths.iter().filter(|path| path.exists()) {
        let known = merged.take().unwrap_or_default();
        let read = Kubeconfig::read_from(path).and_then(|read| known.merge(read));
        merged = Some(read.with_context(|| format!("failed to read {}", path.display()))?);
    }
    Ok(merged)
}

/// Such a one counts whatever the environment says.
fn names_a_proxy(file: &Kubeconfig, options: &KubeConfigOptions) -> bool {
    let current = options.context.as_ref().or(file.current_context.as_ref());
    let context = file.contexts.iter().find(|named| Some(&named.name) == current).and_then(|named| named.context.as_ref());
    let cluster = options.cluster.as_ref().or(context.map(|context| &context.cluster));
    let cluster = file.clusters.iter().find(|named| Some(&named.name) == cluster).and_then(|named| named.cluster.as_ref());
    cluster.and_then(|cluster| cluster.proxy_url.as_ref()).is_some_and(|url| !url.is_empty())
}

/// The library holds `NO_PROXY` against the proxy's address, where the cluster's is meant. Nobody's proxy leads to this machine.
fn proxy_of_the_environment(config: &mut Config, environment: &Matcher) {
    let host = config.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let found = environment.intercept(&config.cluster_url).filter(|_| !is_here);
    // As the library read it, with a name and password, but for one that says no scheme.
    config.proxy_url =
        found.map(|found| config.proxy_url.take().filter(|url| url.scheme().is_some()).unwrap_or_else(|| found.uri().clone()));
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::proxied("https://api.example:6443", "10.0.0.0/8,.corp.example", Some("http://user:word@proxy.example:3128/"))]
    #[case::by_domain("https://api.corp.example:6443", "10.0.0.0/8,.corp.example", None)]
    #[case::by_network("https://10.1.2.3:6443", "10.0.0.0/8", None)]
    #[case::the_proxy_itself_is_not_meant("https://api.example:6443", "proxy.example", Some("http://user:word@proxy.example:3128/"))]
    #[case::nobody("https://api.example:6443", "*", None)]
    #[case::here("https://127.0.0.1:6443", "", None)]
    #[case::here_by_name("https://localhost:6443", "", None)]
    #[case::here_by_the_other_family("https://[::1]:6443", "", None)]
    fn the_environments_proxy_leads_where_no_proxy_lets_it(#[case] cluster: &str, #[case] no: &str, #[case] proxy: Option<&str>) {
        let named = "http://user:word@proxy.example:3128";
        let mut config = Config::new(cluster.parse().unwrap());
        config.proxy_url = Some(named.parse().unwrap());
        proxy_of_the_environment(&mut config, &Matcher::builder().https(named).no(no).build());
        assert_eq!(config.proxy_url.map(|url| url.to_string()).as_deref(), proxy);
    }

    #[test]
    fn a_proxy_needs_no_scheme() {
        let mut config = Config::new("https://api.example:6443".parse().unwrap());
        config.proxy_url = Some("proxy.example:3128".parse().unwrap());
        proxy_of_the_environment(&mut config, &Matcher::builder().https("proxy.example:3128").build());
        assert_eq!(config.proxy_url.unwrap().to_string(), "http://proxy.example:3128/");
    }

    #[test]
    fn the_kubeconfigs_own_proxy_is_that_of_the_chosen_cluster() {
        let text = "clusters: [{name: a, cluster: {server: https://a, proxy-url: http://p}}, {name: b, cluster: {server: https://b}}]\n\
                    contexts: [{name: a, context: {cluster: a, user: u}}, {name: b, context: {cluster: b, user: u}}]\ncurrent-context: a\n";
        let file = Kubeconfig::from_yaml(text).unwrap();
        let names = |context: Option<&str>, cluster: Option<&str>| {
            let [context, cluster] = [context, cluster].map(|name| name.map(str::to_owned));
            names_a_proxy(&file, &KubeConfigOptions { context, cluster, user: None })
        };
        assert!(names(None, None) && names(Some("b"), Some("a")));
        assert!(!names(Some("b"), None) && !names(None, Some("b")) && !names(Some("none"), None));
    }
}
