//! What a server says by the status of its answer, an API server or a store of metrics. Its words are for people.

/// Whether a server understood the request and will not have it, so that the same again won't help: for a quota, a policy, another webhook, or
/// for what is asked.
pub fn is_refusal(code: u16) -> bool {
    matches!(code, 400 | 403 | 422)
}

/// What the API server says of a JSON patch whose `test` failed or whose path is gone; a policy that refuses has words of its own.
/// Source: `NewGenericServerResponse` in apimachinery, as `applyJSPatcher` in apiserver calls it.
const PATCH_REFUSED: &str = "the server rejected our request due to an error in our request";

/// Whether the object is gone, or not the one any more that the request was about.
pub fn is_about_another(code: u16, message: &str) -> bool {
    matches!(code, 404 | 409) || (code == 422 && message.starts_with(PATCH_REFUSED))
}
