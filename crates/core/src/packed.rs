//! A record as the text of an annotation: compressed, and in letters that any tool leaves alone. What it says is its writer's.

use std::io::{self, Read as _, Write as _};

use base64::{DecodeError, Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

/// The same bytes always give the same text.
pub fn pack(bytes: &[u8]) -> io::Result<String> {
    pack_at(bytes, Compression::fast())
}

/// The better levels take seven times as long for a twentieth of the size.
fn pack_at(bytes: &[u8], level: Compression) -> io::Result<String> {
    let mut encoder = DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(bytes)?;
    Ok(STANDARD_NO_PAD.encode(encoder.finish()?))
}

/// The bytes of such a text, of any level. It may grow when it is unpacked: beyond `largest` bytes it is cut, and then says nothing.
pub fn unpack<E: From<DecodeError> + From<io::Error>>(text: &str, largest: u64) -> Result<Vec<u8>, E> {
    let packed = STANDARD_NO_PAD.decode(text)?;
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed.as_slice()).take(largest).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn a_record_of_another_level_is_read_and_a_large_one_cut() {
        let bytes = "value ".repeat(100).into_bytes();
        let text = pack_at(&bytes, Compression::best()).unwrap();
        assert_ne!(text, pack(&bytes).unwrap());
        for text in [text, pack(&bytes).unwrap()] {
            assert_eq!(unpack::<Box<dyn Error>>(&text, 1000).unwrap(), bytes);
            assert_eq!(unpack::<Box<dyn Error>>(&text, 10).unwrap(), bytes[..10]);
        }
    }

    #[test]
    fn another_text_is_none() {
        assert!(unpack::<Box<dyn Error>>("no record!", 1000).is_err());
        assert!(unpack::<Box<dyn Error>>("AAAA", 1000).is_err());
    }
}
