//! The table of known request counters, in the order in which they are preferred: one row for each name that a library documents.
//! A new library is a new row here and a recorded page in the tests.

use std::collections::BTreeSet;

use super::Unit;
use crate::metrics::counting::{Failure, Selector, escaped};

/// What `canary.metrics` may name.
#[derive(Debug, PartialEq)]
pub struct Preset {
    pub name: &'static str,
    pub families: &'static [Family],
}

/// One counter of requests, and the histograms that its library writes beside it.
#[derive(Debug, PartialEq)]
pub struct Family {
    /// The counter's name; `*` in front stands for any prefix.
    pub metric: &'static str,
    /// Conditions, as in a selector: what isn't a request to this pod is left out.
    pub only: &'static str,
    /// Labels that may say that a request failed. Those that the series have are used.
    pub failures: &'static [(&'static str, Failure)],
    /// Histograms of latency, the best first: the name without `_bucket`, and the unit of its bounds.
    pub latency: &'static [(&'static str, Unit)],
}

use Failure::{BesideCode, GrpcStatus, HttpName, HttpStatus, Is};
use Unit::{Milliseconds, Seconds};

/// The names that hand-written counters and many small libraries use for the status.
const HTTP: &[(&str, Failure)] = &[
    ("code", HttpStatus),
    ("status", HttpStatus),
    ("status_code", HttpStatus),
    ("response_code", HttpStatus),
    ("http_status", HttpStatus),
    ("http_status_code", HttpStatus),
    ("http_response_status_code", HttpStatus),
    ("statusCode", HttpStatus),
    ("statuscode", HttpStatus),
    ("response_status", HttpStatus),
    ("http_code", HttpStatus),
    ("http_response_code", HttpStatus),
    ("status_class", HttpStatus),
    ("status_code_class", HttpStatus),
    ("http_status_class", HttpStatus),
    ("code_class", HttpStatus),
    ("outcome", HttpName),
    ("result", HttpName),
    // What came behind the answer, which is HTTP's 200 all the same.
    ("grpc_status", GrpcStatus),
    ("grpc_code", GrpcStatus),
    ("grpc_status_code", GrpcStatus),
    ("grpc_response_status", GrpcStatus),
    ("rpc_grpc_status_code", GrpcStatus),
];
const OTEL_HTTP: &[(&str, Failure)] = &[
    ("http_response_status_code", HttpStatus),
    ("http_status_code", HttpStatus),
    ("rpc_grpc_status_code", GrpcStatus),
    ("rpc_response_status_code", GrpcStatus),
    ("grpc_status_code", GrpcStatus),
    ("error_type", BesideCode),
];
const OTEL_HTTP_DOTS: &[(&str, Failure)] = &[
    ("http.response.status_code", HttpStatus),
    ("http.status_code", HttpStatus),
    ("rpc.grpc.status_code", GrpcStatus),
    ("rpc.response.status_code", GrpcStatus),
    ("error.type", BesideCode),
];
const MICROMETER: &[(&str, Failure)] = &[("status", HttpStatus), ("outcome", Is("SERVER_ERROR")), ("exception", BesideCode)];
const HTTP_LATENCY: &[(&str, Unit)] = &[
    ("http_request_duration_seconds", Seconds),
    ("http_requests_duration_seconds", Seconds),
    ("http_server_request_duration_seconds", Seconds),
    ("http_response_time_seconds", Seconds),
    ("http_request_duration_milliseconds", Milliseconds),
    ("http_request_duration_ms", Milliseconds),
];

const fn family(metric: &'static str, failures: &'static [(&'static str, Failure)], latency: &'static [(&'static str, Unit)]) -> Family {
    Family { metric, only: "", failures, latency }
}

/// Every preset. Libraries that write `http_requests_total` (promhttp, the instrumentator of `FastAPI`, fiber, hand-written ones) are `http`.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "http",
        families: &[
            family("http_requests_total", HTTP, HTTP_LATENCY),
            family("http_request_total", HTTP, HTTP_LATENCY),
            family("http_requests", HTTP, HTTP_LATENCY),
            family("http_responses_total", HTTP, HTTP_LATENCY),
            // actix-web-prom, axum-prometheus, Kong and others put a prefix of their own in front.
            family("*_http_requests_total", HTTP, HTTP_LATENCY),
            family("requests_total", HTTP, &[("request_duration_seconds", Seconds)]),
            // go-zero, Kratos.
            family("http_server_requests_code_total", HTTP, &[("http_server_requests_duration_ms", Milliseconds)]),
            family("server_requests_code_total", HTTP, &[("server_requests_seconds", Seconds), ("server_requests_duration_sec", Seconds)]),
        ],
    },
    // Semantic conventions 1.23 and later, then the older ones; the dots are those of a Prometheus that keeps names as they were sent.
    Preset {
        name: "otel",
        families: &[
            family("http_server_request_duration_seconds_count", OTEL_HTTP, &[("http_server_request_duration_seconds", Seconds)]),
            // The collector's exporter takes a namespace.
            family("*_http_server_request_duration_seconds_count", OTEL_HTTP, &[("http_server_request_duration_seconds", Seconds)]),
            family("http_server_duration_milliseconds_count", OTEL_HTTP, &[("http_server_duration_milliseconds", Milliseconds)]),
            family("http_server_duration_seconds_count", OTEL_HTTP, &[("http_server_duration_seconds", Seconds)]),
            family("http_server_duration_count", OTEL_HTTP, &[("http_server_duration", Milliseconds)]),
            family("http.server.request.duration_count", OTEL_HTTP_DOTS, &[("http.server.request.duration", Seconds)]),
            family("http.server.request.duration_seconds_count", OTEL_HTTP_DOTS, &[("http.server.request.duration_seconds", Seconds)]),
            family("http.server.duration_milliseconds_count", OTEL_HTTP_DOTS, &[("http.server.duration_milliseconds", Milliseconds)]),
            family("http.server.duration_count", OTEL_HTTP_DOTS, &[("http.server.duration", Milliseconds)]),
        ],
    },
    // Spring Boot, Quarkus, Micronaut; the same by way of OTLP; Ktor, Vert.x, and Jetty as in Javalin.
    Preset {
        name: "micrometer",
        families: &[
            family("http_server_requests_seconds_count", MICROMETER, &[("http_server_requests_seconds", Seconds)]),
            family("http_server_requests_milliseconds_count", MICROMETER, &[("http_server_requests_milliseconds", Milliseconds)]),
            family("ktor_http_server_requests_seconds_count", MICROMETER, &[("ktor_http_server_requests_seconds", Seconds)]),
            family("vertx_http_server_response_time_seconds_count", HTTP, &[("vertx_http_server_response_time_seconds", Seconds)]),
            family("jetty_server_requests_seconds_count", MICROMETER, &[("jetty_server_requests_seconds", Seconds)]),
        ],
    },
    // prometheus-net; ASP.NET Core's own meter is `otel`.
    Preset {
        name: "aspnet",
        families: &[family("http_requests_received_total", &[("code", HttpStatus)], &[("http_request_duration_seconds", Seconds)])],
    },
    // prometheus-flask-exporter
    Preset {
        name: "flask",
        families: &[
            family("flask_http_request_total", &[("status", HttpStatus)], &[("flask_http_request_duration_seconds", Seconds)]),
            // Where the counter is not exported, as in several of its setups.
            family(
                "flask_http_request_duration_seconds_count",
                &[("status", HttpStatus)],
                &[("flask_http_request_duration_seconds", Seconds)],
            ),
        ],
    },
    // django-prometheus
    Preset {
        name: "django",
        families: &[
            family(
                "django_http_responses_total_by_status_total",
                &[("status", HttpStatus)],
                &[("django_http_requests_latency_including_middlewares_seconds", Seconds)],
            ),
            family(
                "django_http_responses_total_by_status_view_method_total",
                &[("status", HttpStatus)],
                &[("django_http_requests_latency_seconds_by_view_method", Seconds)],
            ),
        ],
    },
    // starlette_exporter; prometheus-fastapi-instrumentator writes http_requests_total.
    Preset {
        name: "fastapi",
        families: &[
            family("starlette_requests_total", &[("status_code", HttpStatus)], &[("starlette_request_duration_seconds", Seconds)]),
            family("fastapi_requests_total", &[("status_code", HttpStatus)], &[("fastapi_request_duration_seconds", Seconds)]),
        ],
    },
    // prometheus_exporter, yabeda-rails, and the collector of prometheus-client for Rack.
    Preset {
        name: "rails",
        families: &[
            family("ruby_http_requests_total", &[("status", HttpStatus)], &[("ruby_http_request_duration_seconds", Seconds)]),
            family("rails_requests_total", &[("status", HttpStatus)], &[("rails_request_duration_seconds", Seconds)]),
            family("http_server_requests_total", HTTP, &[("http_server_request_duration_seconds", Seconds)]),
        ],
    },
    // Middlewares of Go frameworks, and Caddy.
    Preset {
        name: "go",
        families: &[
            family("gin_requests_total", &[("code", HttpStatus)], &[("gin_request_duration_seconds", Seconds)]),
            family("echo_requests_total", &[("code", HttpStatus)], &[("echo_request_duration_seconds", Seconds)]),
            family(
                "caddy_http_request_duration_seconds_count",
                &[("code", HttpStatus)],
                &[("caddy_http_request_duration_seconds", Seconds)],
            ),
        ],
    },
    // express-prom-bundle, prometheus-api-metrics, and others that have a histogram only.
    Preset {
        name: "express",
        families: &[
            family("http_request_duration_seconds_count", HTTP, &[("http_request_duration_seconds", Seconds)]),
            family("*_http_request_duration_seconds_count", HTTP, &[("http_request_duration_seconds", Seconds)]),
            family("http_request_duration_ms_count", HTTP, &[("http_request_duration_ms", Milliseconds)]),
        ],
    },
    // go-grpc-middleware and its relatives, gRPC's own OpenTelemetry metrics, and the semantic conventions for RPC.
    Preset {
        name: "grpc",
        families: &[
            family("grpc_server_handled_total", &[("grpc_code", GrpcStatus)], &[("grpc_server_handling_seconds", Seconds)]),
            family(
                "grpc_server_call_duration_seconds_count",
                &[("grpc_status", GrpcStatus)],
                &[("grpc_server_call_duration_seconds", Seconds)],
            ),
            family(
                "rpc_server_duration_milliseconds_count",
                &[("rpc_grpc_status_code", GrpcStatus)],
                &[("rpc_server_duration_milliseconds", Milliseconds)],
            ),
            family(
                "rpc_server_call_duration_seconds_count",
                &[("rpc_response_status_code", GrpcStatus)],
                &[("rpc_server_call_duration_seconds", Seconds)],
            ),
            // go-zero
            family("rpc_server_requests_code_total", &[("code", GrpcStatus)], &[("rpc_server_requests_duration_ms", Milliseconds)]),
        ],
    },
    // A sidecar also counts what its pod asks of others.
    Preset {
        name: "istio",
        families: &[Family {
            only: r#"{reporter="destination"}"#,
            ..family(
                "istio_requests_total",
                &[("response_code", HttpStatus), ("grpc_response_status", GrpcStatus)],
                &[("istio_request_duration_milliseconds", Milliseconds)],
            )
        }],
    },
    Preset {
        name: "linkerd",
        families: &[Family {
            only: r#"{direction="inbound"}"#,
            ..family(
                "response_total",
                &[("status_code", HttpStatus), ("grpc_status", GrpcStatus), ("classification", Is("failure"))],
                &[("response_latency_ms", Milliseconds)],
            )
        }],
    },
    Preset {
        name: "envoy",
        families: &[Family {
            only: r#"{envoy_http_conn_manager_prefix!~"admin|stats|.*(egress|outbound|upstream).*"}"#,
            ..family(
                "envoy_http_downstream_rq_xx",
                &[("envoy_response_code_class", HttpStatus)],
                &[("envoy_http_downstream_rq_time", Milliseconds)],
            )
        }],
    },
    // The two below count for the proxy's own pods: a proxy in front of a Service can't tell one pod behind it from another.
    Preset {
        name: "nginx-ingress",
        families: &[family(
            "nginx_ingress_controller_requests",
            &[("status", HttpStatus)],
            &[("nginx_ingress_controller_request_duration_seconds", Seconds)],
        )],
    },
    Preset {
        name: "traefik",
        families: &[
            Family {
                only: r#"{entrypoint!~"metrics|traefik|ping"}"#,
                ..family(
                    "traefik_entrypoint_requests_total",
                    &[("code", HttpStatus)],
                    &[("traefik_entrypoint_request_duration_seconds", Seconds)],
                )
            },
            family("traefik_service_requests_total", &[("code", HttpStatus)], &[("traefik_service_request_duration_seconds", Seconds)]),
        ],
    },
];

impl Preset {
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Whether its counters are usually those of a proxy in front of the Service.
    pub(super) fn is_a_proxy(&self) -> bool {
        matches!(self.name, "nginx-ingress" | "traefik")
    }

    /// Whether its families are spellings of one library, which may write several of them at a time.
    pub(super) fn is_one_library(&self) -> bool {
        matches!(self.name, "otel" | "django" | "flask" | "micrometer")
    }

    /// Adds the names of its metrics, as regular expressions.
    pub(super) fn names(&self, latency: bool, names: &mut Vec<String>) {
        for family in self.families {
            let suffix = family.metric.strip_prefix('*');
            names.push(suffix.map_or_else(|| escaped(family.metric), |suffix| format!(".+{}", escaped(suffix))));
            if latency {
                let prefix = if suffix.is_some() { "(.+_)?" } else { "" };
                names.extend(family.latency.iter().map(|(name, _)| format!("{prefix}{}", escaped(&bucket(name)))));
            }
        }
    }
}

impl Family {
    /// Its series under one of its names.
    pub(super) fn selector(&self, metric: &str) -> Option<Selector> {
        if self.only.is_empty() { Some(Selector::of(metric)) } else { Selector::parse(&format!("{metric}{}", self.only)).ok() }
    }

    pub(super) fn is_named(&self, metric: &str) -> bool {
        match self.metric.strip_prefix('*') {
            // A name with a row of its own is that row's.
            // A colon is in the names of recording rules alone, which may count for all pods together.
            Some(suffix) => metric.len() > suffix.len() && metric.ends_with(suffix) && !metric.contains(':') && !is_known(metric),
            None => metric == self.metric,
        }
    }
}

/// The labels that discovery looks at, if all these names (as [`super::wanted`] spells them) are the table's: the others need not be told apart.
pub fn kept_labels(names: &[String]) -> Option<Vec<String>> {
    let mut known = vec!["up".to_owned()];
    for preset in PRESETS {
        preset.names(true, &mut known);
    }
    if !names.iter().all(|name| known.contains(name)) {
        return None;
    }
    // Labels with dots are of metrics with dots, which are asked for by themselves.
    Some(labels().into_iter().filter(|label| !label.contains('.')).collect())
}

/// Every label that some preset looks at.
pub(super) fn labels() -> BTreeSet<String> {
    let families = || PRESETS.iter().flat_map(|preset| preset.families);
    let mut labels: BTreeSet<String> = families().flat_map(|family| family.failures).map(|(label, _)| (*label).to_owned()).collect();
    for family in families() {
        labels.extend(family.selector("metric").iter().flat_map(|selector| selector.labels().map(str::to_owned).collect::<Vec<_>>()));
    }
    labels
}

fn is_known(metric: &str) -> bool {
    PRESETS.iter().flat_map(|preset| preset.families).any(|family| family.metric == metric)
}

/// The series that hold a histogram's buckets.
pub(super) fn bucket(histogram: &str) -> String {
    format!("{histogram}_bucket")
}
