//! The wall clock, in one place. Edges ask it and hand `now` on as an argument; the pure parts never import this.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock: everything else takes `now` as an argument")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
