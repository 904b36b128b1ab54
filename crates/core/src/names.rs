//! Names made from other names: digests as text, and what to do with a name that is too long for its place.

use ring::digest;

/// The first bytes of SHA-256 over all parts, in hexadecimal.
pub fn digest(parts: &[&[u8]], bytes: usize) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().iter().take(bytes).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The name itself, or, where it is longer than `longest` bytes, its beginning with a digest of the whole behind it.
pub fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let digest = digest(&[name.as_bytes()], 4);
    let start: String = name.chars().take(longest.saturating_sub(digest.len() + 1)).collect();
    format!("{}-{digest}", start.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_apart_and_valid() {
        assert_eq!(shortened("app", 10), "app");
        let long = shortened(&"a".repeat(100), 63);
        assert_eq!(long.len(), 63);
        assert_ne!(long, shortened(&"a".repeat(101), 63));
        assert!(!shortened(&format!("{}-.{}", "b".repeat(52), "c".repeat(100)), 63).contains(".-"));
    }
}
