//! The pods' own metrics pages: where they may be, and what on one is wanted. Pure; whoever reads a page hands over its bytes.

mod monitors;
mod places;
mod text;

pub use monitors::{Endpoint, endpoints, monitored_places};
pub use places::{Hints, Place, Scheme};
pub use text::{Page, TooManySeries, Wishes};
