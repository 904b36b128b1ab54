//! The moments of a run, as they stand on its objects, and how long ago they were.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::manifest::object;

/// On the canary: when its pod was seen Ready for the first time. Serving time counts from then, also for a controller that starts later. By our
/// clock, not by the pod's condition: a node whose clock is wrong must not make a canary look as if it had served.
pub const READY_ANNOTATION: &str = "coalmine.dev/ready-since";

/// When the canary's pod was first Ready.
pub fn ready_since(canary: &Value) -> Option<Timestamp> {
    object::annotation(canary, READY_ANNOTATION)?.parse().ok()
}

/// Never negative, whatever the clocks do.
pub fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}
