//! What counts, pages, checks and Jobs say about one canary, and the words for it. Asks nobody: answers are arguments.

pub mod checks;
pub mod early;
pub mod job;
pub mod verdict;
