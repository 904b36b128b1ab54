//! All that Coalmine decides, as a map. The same input always gives the same output: nothing here may know a clock, a network or a
//! Kubernetes client, `now` is an argument, and the package's dependencies keep it so.
//!
//! ```text
//!  api        what a user writes, and what it may be
//!  manifest   objects as JSON: templates, who set which field, merges, last-applied
//!  standing   what Coalmine's own annotations say of a Deployment, decoded in one place
//!  hold       what becomes of a request: held, withdrawn, let in; what the status says meanwhile
//!  run        what the controller does next about a held template
//!  notify     who is told of a verdict, by what name, in whose format
//!  metrics    which series to read, and what they count
//!  judging    what counts and checks say about a canary
//!  state      what the objects say of a Deployment and its canary, typed; view: the same as lines for a person
//!  page       the same for a person with a browser: pages and pictures
//!  message    the sentences of admission; words, names, lease: small things that all share
//! ```

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
pub mod page;
pub mod run;
pub mod standing;
pub mod state;
pub mod view;
pub mod words;

pub use coalmine_statistics as statistics;
