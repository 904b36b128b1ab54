//! What is answered at all, and what every answer says of itself. A name that somebody made lead here (DNS rebinding) is not answered, nor a
//! page of another origin that embeds ours.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use coalmine_core::page::POLICY;

use super::Page;
use crate::panics::caught;

/// From a request to the head of its answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(super) async fn guard(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    let mut response = match refused(&request, &page.hosts) {
        Some(refused) => refused,
        None => answered(request, next).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answered(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWERED_WITHIN, caught("answer for the page", next.run(request)));
    match answer.await {
        Ok(Ok(response)) => response,
        Ok(Err(fault)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the API server takes too long to answer\n").into_response(),
    }
}

fn refused(request: &Request, hosts: &[String]) -> Option<Response> {
    if request.method() != Method::GET {
        return Some((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")], "only GET is answered here\n").into_response());
    }
    let host = named(request.uri(), request.headers());
    if !host.as_deref().is_some_and(|host| is_known(host, hosts)) {
        let words = "host: not a name of this page; expected localhost, an address, or one that --page-host gives\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, words).into_response());
    }
    is_embedded(request.headers()).then(|| (StatusCode::FORBIDDEN, "pages of other origins get nothing here\n").into_response())
}

/// The host that the request is for; `None` where it names several, or none.
fn named(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else { return None };
    let host = host.to_str().ok()?;
    // An absolute address must not say another.
    match uri.authority() {
        Some(authority) if authority.as_str() != host => None,
        _ => Some(host.to_owned()),
    }
}

/// DNS rebinding needs a name: an address can't be rebound.
fn is_known(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port),
        None => match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.parse::<IpAddr>().is_ok() || names.contains(&name)
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Asked for by a page of somebody else's, which can read nothing of it but can ask often. A link to here is followed.
fn is_embedded(headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(says("sec-fetch-site"), "cross-site" | "same-site") && says("sec-fetch-mode") != "navigate"
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_give_are_answered() {
        let names = ["coalmine.example".to_owned()];
        for host in
            ["localhost", "LOCALHOST:1", "127.0.0.1:8082", "10.1.2.3", "[::1]", "[::1]:80", "coalmine.example:443", "Coalmine.Example"]
        {
            assert!(is_known(host, &names), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:80@evil.example",
            "[::1].evil.example",
            "coalmine.example.evil.example",
            "localhost:80:80",
            "[localhost]",
            "127.1",
            "2130706433",
            "localhost:a",
        ] {
            assert!(!is_known(host, &names), "{host}");
        }
    }

    #[test]
    fn what_is_refused_and_with_which_words() {
        let asked = |method: &str, uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            refused(&request.body(Body::empty()).unwrap(), &[]).map(|response| response.status().as_u16())
        };
        let local = ("host", "localhost");
        assert_eq!(asked("GET", "/", &[local]), None);
        assert_eq!(asked("GET", "/", &[local, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]), None);
        for method in ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
            assert_eq!(asked(method, "/", &[local]), Some(405), "{method}");
        }
        assert_eq!(asked("GET", "/", &[]), Some(421));
        assert_eq!(asked("GET", "/", &[("host", "evil.example")]), Some(421));
        assert_eq!(asked("GET", "/", &[local, ("host", "evil.example")]), Some(421));
        assert_eq!(asked("GET", "http://evil.example/", &[local]), Some(421));
        assert_eq!(asked("GET", "/", &[local, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]), Some(403));
    }
}
