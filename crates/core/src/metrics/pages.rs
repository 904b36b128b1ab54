//! The pods' own metrics pages: where they may be, and what on one is wanted. Pure; whoever reads a page hands over its bytes.

mod places;
mod text;

pub use places::{Hints, Place, Scheme, places};
pub use text::{Page, TooManySeries, Wishes};
