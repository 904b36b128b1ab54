//! What a fault of our own, or of a library's, may end: the one piece of work that met it, never the process. Catches, counts and logs; what
//! the user is told is the business of who called.

use std::{any::Any, panic::AssertUnwindSafe, sync::LazyLock};

use futures::FutureExt as _;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    place: &'static str,
}

/// Panics that were caught, by place, for the whole process: no caller need hand it over.
static CAUGHT: LazyLock<Family<Place, Counter>> = LazyLock::new(Family::default);

/// A piece of work ended in a panic. Its text was logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to {doing}: Coalmine met a fault of its own")]
pub struct Panicked {
    doing: &'static str,
}

pub fn register(registry: &mut Registry) {
    registry.register("coalmine_panics", "Faults of Coalmine's own that were caught, by what was being done", CAUGHT.clone());
}

/// Logs each panic as one line, in the log's own format, in the place of the runtime's text on standard error.
pub fn log_them() {
    std::panic::set_hook(Box::new(|information| {
        let place = information.location().map(ToString::to_string);
        tracing::error!(place, panic = text(information.payload()), "a fault of Coalmine's own: please report it");
    }));
}

/// Does it, and ends with it alone when it panics. What it held is gone then: hand it nothing that others go on using half-changed.
pub async fn caught<T>(doing: &'static str, work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
        CAUGHT.get_or_create(&Place { place: doing }).inc();
        Panicked { doing }
    })
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let literal = || payload.downcast_ref::<&'static str>().copied();
    payload.downcast_ref::<String>().map(String::as_str).or_else(literal).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_work_that_met_it_and_is_counted() {
        let before = CAUGHT.get_or_create(&Place { place: "count sheep" }).get();
        let sheep: Vec<u32> = Vec::new();
        assert_eq!(caught("count sheep", async { sheep[3] }).await, Err(Panicked { doing: "count sheep" }));
        assert_eq!(caught("count sheep", async { sheep.len() }).await, Ok(0));
        assert_eq!(CAUGHT.get_or_create(&Place { place: "count sheep" }).get(), before + 1);
        insta::assert_snapshot!(Panicked { doing: "count sheep" }, @"failed to count sheep: Coalmine met a fault of its own");
    }
}
