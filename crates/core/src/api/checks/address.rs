//! Which addresses a page check may name. Coalmine asks from its own place in the network, so what only that place can reach by nature
//! (itself, and the machine's own services on link-local addresses) is refused. The source refuses names that lead there.

use std::net::IpAddr;

/// Whether an address may be asked at all; the same question is put again to what a name resolves to.
pub fn is_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            !(four.is_loopback() || four.is_link_local() || four.is_unspecified() || four.is_multicast() || four.is_broadcast())
        }
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => is_allowed(IpAddr::V4(four)),
            None => !(six.is_loopback() || six.is_unicast_link_local() || six.is_unspecified() || six.is_multicast()),
        },
    }
}

const EXPECTED: &str = "expected http:// or https:// with a host, without user name or fragment";

/// A check's URL, before anything is resolved.
/// Placeholders stand for names of the run; `{{address}}` for the canary's own address.
pub(super) fn check(url: &str) -> Result<(), &'static str> {
    let url = &["address", "namespace", "primary"].iter().fold(url.to_owned(), |url, name| url.replace(&format!("{{{{{name}}}}}"), "name"));
    if url.contains("{{") {
        return Err("unknown placeholder; known are {{address}}, {{namespace}} and {{primary}}");
    }
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).ok_or(EXPECTED)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.is_empty()
        || url.contains(['@', '#', '\\'])
        || url.chars().any(|character| character.is_whitespace() || character.is_control())
    {
        return Err(EXPECTED);
    }
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    if host.is_empty() {
        return Err(EXPECTED);
    }
    let refused = host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address| !is_allowed(address));
    if refused { Err("loopback and link-local addresses aren't asked") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://app-canary.default.svc:8080/status", true)]
    #[case("https://10.0.0.7/health?deep=1", true)]
    #[case("http://[fd00::7]:8080/", true)]
    #[case("http://{{address}}:8080/health", true)]
    #[case("http://{{pods}}:8080/health", false)]
    #[case("http://localhost:8080/", false)]
    #[case("http://127.0.0.1:8080/", false)]
    #[case("http://169.254.169.254/latest", false)]
    #[case("http://[::1]/", false)]
    #[case("http://[::ffff:127.0.0.1]/", false)]
    #[case("http://user@app/", false)]
    #[case("http:///status", false)]
    #[case("http://:80/", false)]
    #[case("file:///etc/passwd", false)]
    #[case("http://a b/", false)]
    fn addresses(#[case] url: &str, #[case] expected: bool) {
        assert_eq!(check(url).is_ok(), expected);
    }
}
