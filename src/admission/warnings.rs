//! What the API server warned of when it was asked about a template that is held: a field that is deprecated, a variable set twice, a policy that only
//! warns. It says so about the template that is stored, which is the live one, so that who sent the held one would never hear it.
//! Reads headers, and decides nothing.

use axum::http::{HeaderMap, header::WARNING};
use coalmine_core::words::within;

/// More are no help to a reader.
const MOST: usize = 10;
/// In characters. The API server cuts them itself where they are many.
const LONGEST: usize = 1000;

/// In the order in which they came.
pub(super) fn of(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(WARNING).iter().filter_map(|value| text(value.to_str().ok()?));
    // The canary's own name is nobody's concern.
    let texts = texts.filter(|text| !text.starts_with("metadata."));
    texts.take(MOST).map(|text| within(&text, LONGEST)).collect()
}

/// The words in `299 - "words"`, as Kubernetes writes them.
/// Source: `NewWarningHeader` in <https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/util/net/http.go>.
fn text(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 ")?.split_once(' ')?.1.strip_prefix('"')?;
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_from_their_headers() {
        let mut headers = HeaderMap::new();
        for value in [
            r#"299 - "image \"latest\" is \\ discouraged""#,
            r#"299 server "unknown field" "Fri""#,
            r#"299 - "metadata.name: must not contain dots""#,
            "299 - bare",
            "199 - \"old\"",
            r#"299 - "open"#,
        ] {
            headers.append(WARNING, value.parse().unwrap());
        }
        assert_eq!(of(&headers), [r#"image "latest" is \ discouraged"#, "unknown field"]);
        let mut many = HeaderMap::new();
        for _ in 0..50 {
            many.append(WARNING, format!("299 - \"{}\"", "x".repeat(5000)).parse().unwrap());
        }
        assert_eq!(of(&many).iter().map(|text| text.chars().count()).collect::<Vec<_>>(), [LONGEST; MOST]);
    }
}
