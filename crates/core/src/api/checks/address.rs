//! Which addresses a page check may name. Coalmine asks from its own place in the network, so what only that place can reach by nature
//! (itself, the machine's own services, a cloud's metadata) is refused. A text is judged as the HTTP client will read it; the same question
//! is put again, when a page is read, to the address with all names filled in, and to what its host resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Where clouds answer to the machine itself, besides link-local addresses.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether an address may be asked at all.
pub fn is_allowed(address: IpAddr) -> bool {
    if METADATA.contains(&address) {
        return false;
    }
    match address {
        IpAddr::V4(four) => {
            // All of 0.0.0.0/8 is "this host".
            !(four.octets()[0] == 0 || four.is_loopback() || four.is_link_local() || four.is_multicast() || four.is_broadcast())
        }
        IpAddr::V6(six) => {
            let is_outside = !(six.is_loopback() || six.is_unicast_link_local() || six.is_unspecified() || six.is_multicast());
            is_outside && within(six).is_none_or(|four| is_allowed(IpAddr::V4(four)))
        }
    }
}

/// The older address that a newer one stands for: mapped, compatible, translated, or tunnelled.
fn within(six: Ipv6Addr) -> Option<Ipv4Addr> {
    let four = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match six.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(four(high, low)),
        _ => None,
    }
}

const EXPECTED: &str = "expected http:// or https:// with a host, without user name or fragment";
const REFUSED: &str = "loopback, link-local and metadata addresses and the API server aren't asked";

/// A check's URL, before anything is known: placeholders stand for names of the run; `{{address}}` for the canary's own address.
pub(super) fn check(url: &str) -> Result<(), &'static str> {
    let url = &["address", "namespace", "primary"].iter().fold(url.to_owned(), |url, name| url.replace(&format!("{{{{{name}}}}}"), "name"));
    if url.contains("{{") {
        return Err("unknown placeholder; known are {{address}}, {{namespace}} and {{primary}}");
    }
    target(url).map(drop)
}

/// An address as the HTTP client reads it, if it may be asked.
pub fn target(url: &str) -> Result<Url, &'static str> {
    if url.len() > 2000 || url.contains('\\') || url.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(EXPECTED);
    }
    let parsed = Url::parse(url).map_err(|_| EXPECTED)?;
    let is_plain = matches!(parsed.scheme(), "http" | "https") && !url.contains('@') && parsed.fragment().is_none();
    // What the parser supplies was not written: `http:a` and `http:///a` are typing errors.
    let (_, written) = url.split_once("://").ok_or(EXPECTED)?;
    if !is_plain || written.starts_with(['/', ':', '?']) {
        return Err(EXPECTED);
    }
    let is_refused = match parsed.host().ok_or(EXPECTED)? {
        Host::Domain(name) => leads_home(name),
        Host::Ipv4(four) => !is_allowed(IpAddr::V4(four)),
        Host::Ipv6(six) => !is_allowed(IpAddr::V6(six)),
    };
    if is_refused { Err(REFUSED) } else { Ok(parsed) }
}

/// Names of this machine and of the API server, with or without the dot at the end and the cluster's own domain.
fn leads_home(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost") || name == "localhost.localdomain";
    let is_api_server = matches!(name.as_str(), "kubernetes" | "kubernetes.default") || name.starts_with("kubernetes.default.svc");
    name.is_empty() || is_local || is_api_server || name == "metadata" || name == "metadata.google.internal" || name == "instance-data"
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://app-canary.default.svc:8080/status", true)]
    #[case("https://10.0.0.7/health?deep=1", true)]
    #[case("http://[fd00::7]:8080/", true)]
    #[case("http://100.64.0.7/", true)]
    #[case("http://{{address}}:8080/health", true)]
    #[case("http://{{primary}}.{{namespace}}.svc/health", true)]
    #[case("http://{{pods}}:8080/health", false)]
    #[case("http://localhost:8080/", false)]
    #[case("http://LOCALHOST./", false)]
    #[case("http://a.localhost/", false)]
    #[case("http://127.0.0.1:8080/", false)]
    #[case("http://127.0.0.1./", false)]
    #[case::one_number("http://2852039166/", false)]
    #[case::one_number_and_a_port("http://2130706433:8080/", false)]
    #[case::hexadecimal("http://0x7f.1/", false)]
    #[case::octal("http://0177.0.0.1/", false)]
    #[case::two_parts("http://169.16689662/", false)]
    #[case::wide_digits("http://１２７.０.０.１/", false)]
    #[case::percent("http://%31%32%37.0.0.1/", false)]
    #[case::this_host("http://0/", false)]
    #[case::this_net("http://0.1.2.3/", false)]
    #[case("http://169.254.169.254/latest", false)]
    #[case("http://100.100.100.200/", false)]
    #[case("http://metadata.google.internal/", false)]
    #[case("http://[::1]/", false)]
    #[case::mapped("http://[::ffff:127.0.0.1]/", false)]
    #[case::compatible("http://[::127.0.0.1]/", false)]
    #[case::translated("http://[64:ff9b::a9fe:a9fe]/", false)]
    #[case::tunnelled("http://[2002:7f00:1::]/", false)]
    #[case::zone("http://[fe80::1%25eth0]/", false)]
    #[case::metadata_by_six("http://[fd00:ec2::254]/", false)]
    #[case::the_api_server("https://kubernetes.default.svc.cluster.local/", false)]
    #[case::the_api_server_in_short("https://kubernetes.default./", false)]
    #[case("http://user@app/", false)]
    #[case("http:///status", false)]
    #[case("http://:80/", false)]
    #[case("http:app/", false)]
    #[case("http://app/#x", false)]
    #[case("http://app\\@127.0.0.1/", false)]
    #[case("file:///etc/passwd", false)]
    #[case("http://a b/", false)]
    #[case("http://a:99999/", false)]
    fn addresses(#[case] url: &str, #[case] expected: bool) {
        assert_eq!(check(url).is_ok(), expected, "{:?}", target(url));
    }

    #[test]
    fn a_name_of_the_run_may_turn_out_to_be_a_number() {
        assert!(check("http://{{primary}}/").is_ok());
        assert_eq!(target("http://2852039166/"), Err(REFUSED));
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_is_an_allowed_host(url in "https?://[0-9a-fx.:\\[\\]%@/\\\\１。]{1,24}") {
            if let Ok(parsed) = target(&url) {
                let literal = match parsed.host() {
                    Some(Host::Ipv4(four)) => Some(IpAddr::V4(four)),
                    Some(Host::Ipv6(six)) => Some(IpAddr::V6(six)),
                    _ => None,
                };
                proptest::prop_assert!(literal.is_none_or(is_allowed), "{}", parsed);
            }
        }
    }
}
