//! Addresses as the administrator writes them: absolute, and with nothing in them that is told to others or in the way of a path.

use axum::http::Uri;

pub(super) fn http_url(text: &str) -> Result<Uri, String> {
    url(text, &["http", "https"])
}

pub(super) fn https_url(text: &str) -> Result<Uri, String> {
    url(text, &["https"])
}

fn url(text: &str, schemes: &[&str]) -> Result<Uri, String> {
    let expected = || format!("expected an absolute URL that begins with {}://", schemes.join(":// or "));
    let uri: Uri = text.parse().map_err(|_| expected())?;
    let scheme = uri.scheme_str().unwrap_or_default();
    if !schemes.contains(&scheme) || uri.host().is_none() {
        return Err(expected());
    }
    // It is told in Events and logs, and paths are put behind it.
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("expected no user name and password in it: files hold them, which other flags name".to_owned());
    }
    if uri.query().is_some() {
        return Err("expected nothing behind a question mark".to_owned());
    }
    Ok(uri)
}

/// The address of an API, whose own paths are put behind it. A gateway of several tenants may want to know the namespace.
pub(super) fn prometheus_url(text: &str) -> Result<Uri, String> {
    let uri = match text.split_once('?') {
        Some((address, parameters)) if parameters.contains("{{namespace}}") => {
            http_url(address)?;
            text.parse().map_err(|_| "expected parameters as in ?namespace={{namespace}}".to_owned())?
        }
        _ => http_url(text)?,
    };
    let path = uri.path().trim_end_matches('/');
    let page = ["/graph", "/query", "/alerts", "/targets"].iter().any(|page| path.ends_with(page));
    if page || path.contains("/api/v1") {
        return Err("expected the address that /api/v1/query stands behind, as in http://prometheus.monitoring.svc:9090".to_owned());
    }
    Ok(uri)
}
