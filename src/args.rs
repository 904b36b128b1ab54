//! The command line: what may be given, its defaults, and its validation into types that cannot be wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Uri};
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Parser, ValueEnum};
use coalmine_core::api::{label::Label, selector::Selector};
use jiff::SignedDuration;
use rustls::pki_types::ServerName;

use self::address::{http_url, https_url, prometheus_url};
use crate::page::arguments::PageArguments;

mod address;

/// Canary releases through an admission webhook: holds a changed template aside and lets it through once it proved itself.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    /// Where the API server reaches the webhook (TLS)
    #[arg(long, env = "COALMINE_WEBHOOK_ADDRESS", default_value = "[::]:8443")]
    pub webhook_address: SocketAddr,

    /// Where /livez, /readyz and /metrics are served (plain HTTP)
    #[arg(long, env = "COALMINE_ADMIN_ADDRESS", default_value = "[::]:8080")]
    pub admin_address: SocketAddr,

    /// Where /livez and /readyz are served besides, on a port that nothing else uses (plain HTTP)
    #[arg(long, env = "COALMINE_PROBES_ADDRESS")]
    pub probes_address: Option<SocketAddr>,

    /// Namespace of Coalmine itself: of its Lease and of the Secret with its certificate
    #[arg(long, env = "POD_NAMESPACE", default_value = "coalmine", value_parser = NonEmptyStringValueParser::new())]
    pub namespace: String,

    /// Service account that Coalmine runs as: whose promotions the webhook lets through
    #[arg(long, env = "COALMINE_SERVICE_ACCOUNT", default_value = "coalmine", value_parser = NonEmptyStringValueParser::new())]
    pub service_account: String,

    /// Name of this replica in the Lease and in Events; unique, and best kept over restarts [default: host name and process id]
    #[arg(long, env = "POD_NAME", value_parser = NonEmptyStringValueParser::new())]
    pub identity: Option<String>,

    /// Who approves a template must have the RBAC verb `approve` on its Deployment
    #[arg(long, env = "COALMINE_APPROVAL_VERB")]
    pub approval_verb: bool,

    /// Prometheus, or what speaks its query API; `{{namespace}}` stands for the one that is asked about [default: none, and the pods' own metrics pages
    /// are read]
    #[arg(long, env = "COALMINE_PROMETHEUS_URL", value_parser = prometheus_url)]
    pub prometheus_url: Option<Uri>,

    /// File with a bearer token for Prometheus; read again for each query
    #[arg(long, env = "COALMINE_PROMETHEUS_BEARER_TOKEN_FILE")]
    pub prometheus_bearer_token_file: Option<PathBuf>,

    /// User name for Prometheus, by basic authentication
    #[arg(long, env = "COALMINE_PROMETHEUS_USERNAME", requires = "prometheus_password_file")]
    pub prometheus_username: Option<String>,

    /// File with the password of --prometheus-username
    #[arg(long, env = "COALMINE_PROMETHEUS_PASSWORD_FILE", requires = "prometheus_username")]
    pub prometheus_password_file: Option<PathBuf>,

    /// Authorities (PEM) that Prometheus' certificate is checked against
    #[arg(long, env = "COALMINE_PROMETHEUS_CA_FILE")]
    pub prometheus_ca_file: Option<PathBuf>,

    /// Client certificate chain (PEM) for Prometheus
    #[arg(long, env = "COALMINE_PROMETHEUS_CERTIFICATE_FILE", requires = "prometheus_key_file")]
    pub prometheus_certificate_file: Option<PathBuf>,

    /// Private key (PEM) of --prometheus-certificate-file
    #[arg(long, env = "COALMINE_PROMETHEUS_KEY_FILE", requires = "prometheus_certificate_file")]
    pub prometheus_key_file: Option<PathBuf>,

    /// A further header for Prometheus, such as `X-Scope-OrgID: team-a` for a tenant; may be given several times
    #[arg(long, env = "COALMINE_PROMETHEUS_HEADER", value_parser = header)]
    pub prometheus_header: Vec<(String, String)>,

    /// A condition that every series must meet, such as `cluster="eu1"` where one store holds several clusters; may be given several times
    #[arg(long, env = "COALMINE_PROMETHEUS_MATCHER", value_parser = matcher)]
    pub prometheus_matcher: Vec<String>,

    /// Label that names the pod, where it is not one of pod, `pod_name`, `exported_pod`, `kubernetes_pod`, `kubernetes_pod_name`, `k8s_pod_name`
    #[arg(long, env = "COALMINE_PROMETHEUS_POD_LABEL", value_parser = label_name)]
    pub prometheus_pod_label: Option<String>,

    /// Whether the metrics pages of busy pods are read once a second while a canary is new, to reject sooner than the next scrape
    #[arg(long, env = "COALMINE_READ_PAGES", default_value_t = true, action = ArgAction::Set)]
    pub read_pages: bool,

    /// Authorities (PEM) that certificates of the pods' own metrics pages are checked against, where `prometheus.io/scheme` is https; without it such
    /// pages may reject a canary and promote none. JSON pages that checks ask for are believed by them, too
    #[arg(long, env = "COALMINE_PAGES_CA_FILE")]
    pub pages_ca_file: Option<PathBuf>,

    /// Datadog's API, for checks and `canary.metrics` with `source: datadog`, such as <https://api.datadoghq.eu>
    #[arg(long, env = "COALMINE_DATADOG_URL", default_value = "https://api.datadoghq.com", value_parser = http_url)]
    pub datadog_url: Uri,

    /// File with an API key of Datadog; read again for each query
    #[arg(long, env = "COALMINE_DATADOG_API_KEY_FILE", requires = "datadog_application_key_file")]
    pub datadog_api_key_file: Option<PathBuf>,

    /// File with an application key of Datadog
    #[arg(long, env = "COALMINE_DATADOG_APPLICATION_KEY_FILE", requires = "datadog_api_key_file")]
    pub datadog_application_key_file: Option<PathBuf>,

    /// Authorities (PEM) that Datadog's certificate is checked against; an image without certificates needs them
    #[arg(long, env = "COALMINE_DATADOG_CA_FILE")]
    pub datadog_ca_file: Option<PathBuf>,

    /// Let checks see the series of all namespaces; otherwise a matcher for their own is put into every selector of a query
    #[arg(long, env = "COALMINE_CHECKS_SEE_ALL_NAMESPACES")]
    pub checks_see_all_namespaces: bool,

    /// Directory with headers for the pages of checks: a file for each host, by its name, with lines such as `Authorization: Bearer ...`;
    /// read again for each page
    #[arg(long, env = "COALMINE_PAGE_HEADERS_DIRECTORY")]
    pub page_headers_directory: Option<PathBuf>,

    /// File with the sinks that users name in `canary.notify`: see docs/notifications.md
    #[arg(long, env = "COALMINE_NOTIFICATIONS_FILE")]
    pub notifications_file: Option<PathBuf>,

    /// Sinks that are told where neither a Deployment nor its namespace names any, with commas between them
    #[arg(long, env = "COALMINE_NOTIFY_DEFAULT", value_delimiter = ',')]
    pub notify_default: Vec<String>,

    /// What notifications call this cluster
    #[arg(long, env = "COALMINE_CLUSTER_NAME")]
    pub cluster_name: Option<String>,

    /// Where people reach the page, for links in notifications, such as <https://coalmine.example>
    #[arg(long, env = "COALMINE_PAGE_URL", value_parser = http_url)]
    pub page_url: Option<Uri>,

    /// Label that tells canary pods from the primary's, unless the template has that key already
    #[arg(long, env = "COALMINE_CANARY_LABEL", default_value = "tier=canary")]
    pub canary_label: Label,

    /// Name of the `MutatingWebhookConfiguration` whose caBundle is kept current
    #[arg(long, env = "COALMINE_WEBHOOK_NAME", default_value = "zz-coalmine", value_parser = NonEmptyStringValueParser::new())]
    pub webhook_name: String,

    /// Name of the Service in front of the webhook
    #[arg(long, env = "COALMINE_SERVICE_NAME", default_value = "coalmine", value_parser = NonEmptyStringValueParser::new())]
    pub service_name: String,

    /// The webhook is registered by this address instead of a Service: its host becomes a name of the certificate
    #[arg(long, env = "COALMINE_WEBHOOK_URL", value_parser = https_url)]
    pub webhook_url: Option<Uri>,

    /// Serve this certificate chain (PEM) instead of making one; caBundle is then left alone
    #[arg(long, env = "COALMINE_CERTIFICATE_FILE", requires = "key_file")]
    pub certificate_file: Option<PathBuf>,

    /// Private key (PEM) of --certificate-file
    #[arg(long, env = "COALMINE_KEY_FILE", requires = "certificate_file")]
    pub key_file: Option<PathBuf>,

    /// Let nobody ask the webhook without a client certificate of these authorities (PEM): see SECURITY.md for the API server's side
    #[arg(long, env = "COALMINE_CLIENT_CA_FILE")]
    pub client_ca_file: Option<PathBuf>,

    /// DNS name that the client certificate must be for besides
    #[arg(long, env = "COALMINE_CLIENT_NAME", requires = "client_ca_file", value_parser = client_name)]
    pub client_name: Option<ServerName<'static>>,

    #[command(flatten)]
    pub page: PageArguments,

    /// After SIGTERM, go on serving for so long while the API server learns to send reviews elsewhere
    #[arg(long, env = "COALMINE_SHUTDOWN_DELAY", default_value = "3s", value_parser = duration)]
    pub shutdown_delay: Duration,

    /// How to write the log; its level is in the environment variable `COALMINE_LOG`, such as `info` or `coalmine=debug`
    #[arg(long, env = "COALMINE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

fn client_name(text: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(text.to_owned()).map_err(|_| "expected a DNS name, as in apiserver.example".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if HeaderName::try_from(name.trim()).is_ok() && HeaderValue::try_from(value.trim()).is_ok() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected NAME: VALUE, as in X-Scope-OrgID: team-a".to_owned()),
    }
}

fn matcher(text: &str) -> Result<String, String> {
    // Nothing may end the braces that it is put into.
    let selector = Selector::parse(&format!("x{{{text}}}")).map_err(|_| ());
    let is_one = |selector: &Selector| selector.metric() == "x" && selector.labels().next().is_some();
    match selector {
        Ok(selector) if is_one(&selector) => Ok(text.trim().trim_end_matches(',').to_owned()),
        _ => Err("expected conditions on labels, as in cluster=\"eu1\"".to_owned()),
    }
}

fn label_name(text: &str) -> Result<String, String> {
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
            && !text.starts_with(|first: char| first.is_ascii_digit())
    };
    if !text.is_empty() && is_name(text) { Ok(text.to_owned()) } else { Err("expected the name of a label, as in workload_pod".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed.and_then(|duration| Duration::try_from(duration).ok()).ok_or_else(|| "expected a duration such as 3s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use rstest::rstest;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_store_of_several_clusters() {
        let given = [
            "coalmine",
            "--prometheus-matcher",
            "cluster=\"eu1\"",
            "--prometheus-matcher",
            "env=~\"a|b\",x!=\"\",",
            "--prometheus-pod-label",
            "workload_pod",
        ];
        let arguments = Arguments::try_parse_from(given).unwrap();
        assert_eq!(arguments.prometheus_matcher, ["cluster=\"eu1\"", "env=~\"a|b\",x!=\"\""]);
        assert_eq!(arguments.prometheus_pod_label.as_deref(), Some("workload_pod"));
    }

    #[test]
    fn a_store_behind_a_path() {
        let url = |text: &str| {
            Arguments::try_parse_from(["coalmine", "--prometheus-url", text]).map(|found| found.prometheus_url.unwrap().to_string())
        };
        for text in [
            "http://mimir:8080/prometheus",
            "https://prometheus:9090/",
            "http://[fd00::1]:9090/select/0/prometheus",
            "https://thanos:9092/?namespace={{namespace}}",
        ] {
            assert_eq!(url(text).unwrap(), text);
        }
    }

    #[rstest]
    #[case(&["--prometheus-url", "prometheus:9090"])]
    #[case(&["--webhook-url", "http://127.0.0.1:1/"])]
    #[case(&["--certificate-file", "/tls.crt"])]
    #[case(&["--client-name", "apiserver"])]
    #[case(&["--client-name", "api server", "--client-ca-file", "/ca.crt"])]
    #[case(&["--prometheus-username", "ann"])]
    #[case(&["--prometheus-header", "team-a"])]
    #[case(&["--prometheus-header", "X Scope: team-a"])]
    #[case(&["--prometheus-header", "X-Scope: team\n-a"])]
    #[case(&["--prometheus-url", "http://ann:word@prometheus:9090"])]
    #[case(&["--prometheus-url", "http://prometheus:9090/?dedup=true"])]
    #[case(&["--prometheus-url", "http://prometheus:9090/graph"])]
    #[case(&["--prometheus-url", "http://prometheus:9090/api/v1/query"])]
    #[case(&["--identity", ""])]
    #[case(&["--service-account", ""])]
    #[case(&["--namespace", ""])]
    #[case(&["--prometheus-matcher", "eu1"])]
    #[case(&["--prometheus-matcher", "cluster=\"eu1\"} or up{a=\"b\""])]
    #[case(&["--prometheus-matcher", ""])]
    #[case(&["--prometheus-pod-label", "a-b"])]
    #[case(&["--read-pages", "often"])]
    #[case(&["--page-url", "coalmine.example"])]
    #[case(&["--shutdown-delay", "-3s"])]
    #[case(&["--shutdown-delay", "soon"])]
    fn refuses(#[case] arguments: &[&str]) {
        assert!(Arguments::try_parse_from([&["coalmine"], arguments].concat()).is_err());
    }
}
