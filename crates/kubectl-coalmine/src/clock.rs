//! The one place of this program that looks at the clock; the core is given `now`.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
