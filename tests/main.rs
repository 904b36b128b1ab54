//! The integration tests, in one binary: linking is what takes the time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking; helpers of tests do too")]

mod manifests;
