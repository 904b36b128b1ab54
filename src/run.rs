//! Puts the parts together, watches over them, and takes them down in order. No decisions about canaries here.
//!
//! Every task is in one set: the first that ends without having been asked ends the process, which is then started
//! again by the kubelet, rather than living on without one of its parts.

mod parts;
mod sources;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::client::ClientBuilder;
use kube::{Api, Client};
use prometheus_client::registry::{Registry, Unit};
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::watch;
use tower::timeout::TimeoutLayer;

use self::parts::{Parts, Signals};
use self::sources::{datadog_source, prometheus_settings};
use crate::admission::{self, Checker, Webhook};
use crate::args::Arguments;
use crate::clock;
use crate::controller;
use crate::kubernetes;
use crate::lease::{Claim, Elector};
use crate::notify::{self, Notifier};
use crate::page::{self, arguments::PageAccess};
use crate::server::admin::{self, Readiness};
use crate::server::certificates::{self, files, own, registration};
use crate::server::clients;
use crate::server::tls::{self, CurrentCertificate};
use crate::server::{Limits, Transport, end_connections, listen, serve};
use crate::sources::{Pages, Questions, Source, Sources, pods::Fetcher, prometheus};
use crate::telemetry;
use coalmine_core::api::checks::Rules;
use coalmine_core::api::origin::Origin;
use coalmine_core::hold::admit::Settings;

/// Runs until a signal says otherwise.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("failed to listen for signals")?;
    let client = client().await?;
    let readiness = Readiness::default();
    let mut registry = Registry::default();
    telemetry::register(&mut registry);
    let mut parts = Parts::default();

    let current = Arc::<CurrentCertificate>::default();
    spawn_certificates(&mut parts, &arguments, &client, &current, &readiness);

    let leases = Api::namespaced(client.clone(), &arguments.namespace);
    let (elector, claims) = Elector::new(leases, identity(&arguments));
    parts.spawn("leader election", elector.run(parts.stop_first.clone()));
    let notifier = Notifier::new(&notifications(&arguments), notify::Metrics::register(&mut registry))?.map(Arc::new);
    let sinks = notifier.as_ref().map(|notifier| Arc::clone(&notifier.sinks)).unwrap_or_default();
    spawn_controller(&mut parts, &arguments, &client, claims.clone(), notifier, &mut registry)?;

    let webhook = admission::router(Arc::new(Webhook {
        settings: settings(&arguments),
        checker: Checker::new(client.clone()),
        approval_verb: arguments.approval_verb,
        sinks,
        metrics: admission::Metrics::register(&mut registry),
    }));

    let leader = claims.clone();
    telemetry::gauge(&mut registry, "coalmine_leader", "1 while this replica runs the canaries", None, move || {
        Some(i64::from(leader.borrow().is_current(clock::moment())))
    });
    let served = Arc::clone(&current);
    let help = "When the serving certificate expires, as Unix time";
    telemetry::gauge(&mut registry, "coalmine_certificate_expiry", help, Some(Unit::Seconds), move || {
        served.until().map(jiff::Timestamp::as_second)
    });

    let acceptor = tls::acceptor(current, client_verifier(&arguments)?).context("failed to set up TLS")?;
    let webhook = end_connections(webhook, parts.stop_first.clone());
    let listener = listen(arguments.webhook_address).await?;
    parts.spawn("webhook server", counted(serve(listener, Transport::Tls(acceptor), webhook, Limits::default(), parts.stop.clone())));
    let running = readiness.register("running");
    running.holds();
    let limits = Limits {
        first_request: Duration::from_secs(5),
        header_read: Duration::from_secs(30),
        connections: 64,
        drain: Duration::from_secs(1),
        ..Limits::default()
    };
    if let Some(address) = arguments.probes_address {
        let (listener, probes) = (listen(address).await?, admin::probes(readiness.clone()));
        parts.spawn("probes server", counted(serve(listener, Transport::Plain, probes, limits, parts.stop.clone())));
    }
    let listener = listen(arguments.admin_address).await?;
    let admin = admin::router(readiness, registry);
    parts.spawn("admin server", counted(serve(listener, Transport::Plain, admin, limits, parts.stop.clone())));
    spawn_page(&mut parts, &arguments, &client).await?;
    tracing::info!(webhook = %arguments.webhook_address, admin = %arguments.admin_address, "coalmine {} runs", env!("CARGO_PKG_VERSION"));

    tokio::select! {
        ended = parts.ended() => bail!(ended),
        name = signals.next() => tracing::info!("{name}: draining"),
    }
    running.fails("shutting down");
    parts.stop_first.cancel();
    tokio::select! {
        ended = parts.drain(arguments.shutdown_delay) => ended,
        name = signals.next() => bail!("{name} again: ended without draining"),
    }
}

/// Nobody's `kubectl apply` waits for a page: where its port on loopback is taken, by another program on a host's network, there is none.
async fn spawn_page(parts: &mut Parts, arguments: &Arguments, client: &Client) -> anyhow::Result<()> {
    let Some(settings) = arguments.page.settings() else { return Ok(()) };
    let listener = match listen(settings.address).await {
        Err(error) if !settings.is_open() => {
            tracing::warn!("there is no page: {error:#}");
            return Ok(());
        }
        listener => listener?,
    };
    if settings.is_open() && settings.access == PageAccess::None {
        tracing::warn!("{}", settings.words());
    } else {
        tracing::info!("{}", settings.words());
    }
    let limits = Limits {
        first_request: Duration::from_secs(5),
        header_read: Duration::from_secs(30),
        connections: 128,
        drain: Duration::from_secs(1),
        ..Limits::default()
    };
    let router = page::router(settings, client.clone(), parts.stop.clone());
    parts.spawn("page server", counted(serve(listener, Transport::Plain, router, limits, parts.stop.clone())));
    Ok(())
}

/// Read once: who is let in changes with a restart.
fn client_verifier(arguments: &Arguments) -> anyhow::Result<Option<Arc<dyn ClientCertVerifier>>> {
    let Some(path) = &arguments.client_ca_file else { return Ok(None) };
    let authorities = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    clients::verifier(&authorities, arguments.client_name.clone()).map(Some).with_context(|| format!("failed to use {}", path.display()))
}

fn settings(arguments: &Arguments) -> Settings {
    Settings {
        controller: format!("system:serviceaccount:{}:{}", arguments.namespace, arguments.service_account),
        canary_label: arguments.canary_label.clone(),
        checks: rules(arguments),
    }
}

/// Where pods reach it, which is no page of anybody's.
fn api_server() -> Vec<IpAddr> {
    std::env::var("KUBERNETES_SERVICE_HOST").ok().and_then(|host| host.parse().ok()).into_iter().collect()
}

/// Admission refuses what the controller could never ask.
fn rules(arguments: &Arguments) -> Rules {
    Rules {
        see_all_namespaces: arguments.checks_see_all_namespaces,
        without_prometheus: arguments.prometheus_url.is_none(),
        without_datadog: arguments.datadog_api_key_file.is_none(),
    }
}

fn spawn_controller(
    parts: &mut Parts,
    arguments: &Arguments,
    client: &Client,
    claims: watch::Receiver<Claim>,
    notifier: Option<Arc<Notifier>>,
    registry: &mut Registry,
) -> anyhow::Result<()> {
    let prometheus = prometheus_settings(arguments).map(prometheus::Prometheus::new).transpose();
    let questions = Questions::register(registry);
    let counted = |origin, source: Arc<dyn Source>| questions.of(origin, source);
    let prometheus = prometheus.context("failed to set up the Prometheus client")?;
    let prometheus = prometheus.map(|source| counted(Origin::Prometheus, Arc::new(source)));
    let datadog = datadog_source(arguments)?.map(|source| counted(Origin::Datadog, source));
    let authorities = arguments.pages_ca_file.as_deref().map(std::fs::read).transpose().context("failed to read --pages-ca-file")?;
    let pages = Pages::new(arguments.page_headers_directory.clone(), api_server(), authorities.as_deref());
    let pages = pages.context("failed to set up the client for pages")?;
    let fetcher = Fetcher::new(authorities.as_deref()).context("failed to set up the client for metrics pages")?.counted(&questions);
    let sources = Sources::new(prometheus, datadog, pages, arguments.read_pages, fetcher, rules(arguments));
    let label = arguments.canary_label.clone();
    let metrics = controller::Metrics::register(registry);
    let context = controller::Context::new(client.clone(), claims, sources, label, identity(arguments), metrics, notifier);
    parts.spawn("controller", controller::run(Arc::new(context), parts.stop_first.clone()));
    Ok(())
}

fn notifications(arguments: &Arguments) -> notify::Settings {
    notify::Settings {
        file: arguments.notifications_file.clone(),
        default: arguments.notify_default.iter().filter(|name| !name.is_empty()).cloned().collect(),
        cluster: arguments.cluster_name.clone(),
        page: arguments.page_url.as_ref().map(ToString::to_string),
    }
}

/// One client for everything. It must not retry by itself: its fifteen retries would outlive the review being answered.
async fn client() -> anyhow::Result<Client> {
    let mut config = kube::Config::infer().await.context("failed to find out how to reach the API server")?;
    config.default_retry = false;
    // HTTPS_PROXY is for notifications and Datadog alone. In a cluster it is not looked at anyway.
    if config.proxy_url.is_some() && ["HTTPS_PROXY", "https_proxy"].iter().any(|name| std::env::var_os(name).is_some()) {
        config.proxy_url = None;
    }
    config.connect_timeout = Some(Duration::from_secs(5));
    // Longer than a watch may be silent (see `WATCH_FOR`): whoever waits for less says so. Counted from when something was sent.
    config.read_timeout = Some(kubernetes::SILENT_FOR);
    config.reset_reader_on_write = true;
    let client = ClientBuilder::try_from(config).context("failed to set up the Kubernetes client")?;
    Ok(client.with_layer(&TimeoutLayer::new(kubernetes::ANSWER_WITHIN)).build())
}

fn spawn_certificates(parts: &mut Parts, arguments: &Arguments, client: &Client, current: &Arc<CurrentCertificate>, readiness: &Readiness) {
    let condition = readiness.register("certificate");
    if let (Some(certificate), Some(key)) = (arguments.certificate_file.clone(), arguments.key_file.clone()) {
        let reloader = files::Reloader::new(certificate, key, Arc::clone(current), condition);
        parts.spawn("certificate files", reloader.run(parts.stop.clone()));
        return;
    }
    let names = certificates::names(&arguments.service_name, &arguments.namespace, arguments.webhook_url.as_ref());
    let secrets = Api::namespaced(client.clone(), &arguments.namespace);
    let (keeper, bundle) = own::Keeper::new(secrets, names.clone(), Arc::clone(current), condition);
    parts.spawn("certificate", keeper.run(parts.stop.clone()));
    let registrar = registration::Registrar::new(
        Api::all(client.clone()),
        arguments.webhook_name.clone(),
        arguments.namespace.clone(),
        names,
        bundle,
        readiness.register("webhook"),
    );
    parts.spawn("caBundle", registrar.run(parts.stop.clone()));
}

async fn counted(server: impl Future<Output = usize>) {
    let cut = server.await;
    if cut > 0 {
        tracing::warn!(connections = cut, "connections were cut: their requests took longer than the drain");
    }
}

/// Unique among replicas; in a cluster the pod's name, which stays when only the container restarts.
fn identity(arguments: &Arguments) -> String {
    arguments.identity.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}-{}", host.trim(), std::process::id())
    })
}
