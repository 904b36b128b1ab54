//! All that Coalmine decides, as a map. The same input always gives the same output: nothing here may know a clock, a network or a
//! Kubernetes client, `now` is an argument, and the package's dependencies keep it so.
//!
//! ```text
//!  words, names, packed, lease   small things that all the others share
//!  api        what a user writes, and what it may be
//!  manifest   objects as JSON: templates, field owners, merges, last-applied; `workload` has what is true of Deployments alone
//!  standing   what Coalmine's own annotations say about a Deployment, decoded in one place
//!  metrics    which series to read, and what they count
//!  facts      what was decided and what happened, as data: judgements, reasons of phases, Events
//!  message    every sentence that a user reads, made last, from data
//!  run        what the controller does next about a held template
//!  hold       what becomes of a request: held, withdrawn, let in; what the status says meanwhile
//!  notify     who is told of a verdict, by what name, in which format
//!  judging    what counts and checks say about a canary
//!  state      what the objects say about a Deployment and its canary, as the JSON that is printed
//!  view       the same as lines for a person at a terminal; page: the same for a person with a browser
//! ```
//!
//! Each room may use only those above it in this list, and the `statistics` package; `tests/walls.rs` refuses anything else.

pub mod api;
pub mod facts;
pub mod hold;
pub mod judging;
pub mod lease;
pub mod manifest;
pub mod message;
pub mod metrics;
pub mod names;
pub mod notify;
pub mod packed;
pub mod page;
pub mod run;
pub mod standing;
pub mod state;
pub mod view;
pub mod words;

pub use coalmine_statistics as statistics;
