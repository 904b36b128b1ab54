//! The operator's headers for pages, such as a token, from a Secret that is mounted: a file for each host, read again for each page. Only that very
//! host is ever sent them; which checks ask it is not looked at, so whoever may write a check may have it asked.

use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

const LONGEST_FILE: u64 = 16 << 10;

#[derive(Clone, Debug)]
pub(super) struct Headers {
    directory: Option<PathBuf>,
}

impl Headers {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// None for a host without a file. One that can't be read is told, rather than to ask without.
    pub(super) async fn of(&self, url: &Url) -> Result<HeaderMap, String> {
        let (Some(directory), Some(host)) = (&self.directory, url.host_str()) else { return Ok(HeaderMap::new()) };
        let is_a_name = host.starts_with(|first: char| first.is_ascii_alphanumeric())
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        if !is_a_name {
            return Ok(HeaderMap::new());
        }
        let file = directory.join(host);
        let unreadable = |_| format!("the headers for {host} can't be read");
        match tokio::fs::metadata(&file).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HeaderMap::new()),
            Err(error) => return Err(unreadable(error)),
            Ok(found) if found.len() > LONGEST_FILE => return Err(format!("the headers for {host} are too long")),
            Ok(_) => {}
        }
        let text = tokio::fs::read_to_string(&file).await.map_err(unreadable)?;
        parse(&text).ok_or_else(|| format!("the headers for {host} aren't lines such as Authorization: Bearer ..."))
    }
}

fn parse(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let mut value = HeaderValue::try_from(value.trim()).ok()?;
        value.set_sensitive(true);
        headers.append(HeaderName::try_from(name.trim()).ok()?, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://status.example/a", Some("Bearer secret"))]
    #[case("http://status.example:8080/a", Some("Bearer secret"))]
    #[case::another_host("http://other.example/", None)]
    #[case::part_of_the_name("http://a.status.example/", None)]
    #[case::a_path("http://status.example.evil/status.example", None)]
    #[case::six("http://[fd00::7]/", None)]
    #[tokio::test]
    async fn only_that_host_is_sent_them(#[case] url: &str, #[case] expected: Option<&str>) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("status.example"), "Authorization: Bearer secret\nX-Team: shop\n").unwrap();
        let headers = Headers::new(Some(directory.path().to_owned())).of(&url.parse().unwrap()).await.unwrap();
        assert_eq!(headers.get("authorization").map(|value| value.to_str().unwrap()), expected);
        assert!(headers.values().all(HeaderValue::is_sensitive));
    }

    #[tokio::test]
    async fn what_is_no_header_is_told_without_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.test"), "secret").unwrap();
        let told = Headers::new(Some(directory.path().to_owned())).of(&"http://a.test/".parse().unwrap()).await.unwrap_err();
        assert_eq!(told, "the headers for a.test aren't lines such as Authorization: Bearer ...");
    }
}
