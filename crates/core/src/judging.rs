//! What counts, metrics pages, checks and Jobs say about one canary. It asks nobody: the judge is a machine that says what it wants to know, and
//! the answers are arguments.

pub mod checks;
pub mod collecting;
mod counters;
pub mod early;
pub mod job;
mod joined;
pub mod lasting;
mod machine;
mod pace;
mod question;
mod rounds;
mod scope;
mod statement;
mod step;
mod strange;
mod subject;
mod twins;
pub mod usage;

pub use crate::facts::judgement::{Decision, Finding, Judgement, Measure, Measured, Unobserved, Waiting};
pub use machine::Judge;
pub use question::{Answer, Checks, Failure, Question, Samples};
pub use scope::{Pod, of_primary_alone};
pub use step::{News, Step};
pub use subject::Subject;
