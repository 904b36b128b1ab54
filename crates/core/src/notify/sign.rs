//! The headers by which a receiver knows that a webhook comes from here, after the specification of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks>): HMAC-SHA256 over the id, the time and the body.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use ring::hmac;

const PREFIX: &str = "whsec_";

/// The three headers. `secret` is what the file holds: `whsec_` and base64, or any other words as they are.
pub fn headers(secret: &str, id: &str, now: Timestamp, body: &[u8]) -> [(&'static str, String); 3] {
    let secret = secret.trim();
    let key = secret.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_else(|| secret.as_bytes().to_vec());
    let time = now.as_second().to_string();
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
        context.update(part);
    }
    let signature = format!("v1,{}", STANDARD.encode(context.sign()));
    [("webhook-id", id.to_owned()), ("webhook-timestamp", time), ("webhook-signature", signature)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn as_the_reference_libraries_sign() {
        let body = br#"{"test": 2432232314}"#;
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let [id, time, signature] = headers("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "msg_p5jXN8AQM9LWM0D4loKWxJek", now, body);
        assert_eq!(id, ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()));
        assert_eq!(time, ("webhook-timestamp", "1614265330".to_owned()));
        assert_eq!(signature, ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn words_are_a_key_as_they_are() {
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        let sign = |secret| headers(secret, "id", now, b"{}")[2].1.clone();
        assert_eq!(sign("hunter2"), sign(" hunter2\n"));
        assert_ne!(sign("hunter2"), sign("hunter3"));
    }
}
