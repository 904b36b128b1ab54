//! The language and the API of Prometheus, and of what speaks it: the texts of questions, and what an answer says. Sends nothing.

pub mod answer;
pub mod parts;
pub mod present;
pub mod query;
pub mod summed;
