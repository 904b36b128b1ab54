//! What people said about the template on trial, as admission records it. Admission knows who asked; the plan acts by the record.

use serde::{Deserialize, Serialize};

use crate::words::{one_line, within};

/// In characters: a reason is told in Events and conditions.
const LONGEST_REASON: usize = 200;

/// Somebody agrees to the template of this run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    pub run: String,
    pub by: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
}

/// Somebody ends the trial of this run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub verb: Verb,
    #[serde(flatten)]
    pub said: Approved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Promote,
    Reject,
}

impl Approved {
    pub fn new(run: &str, by: &str, reason: &str) -> Self {
        Self { run: run.to_owned(), by: one_line(by), reason: cut_reason(reason) }
    }

    /// `ann: looks good`
    pub fn words(&self) -> String {
        if self.reason.is_empty() { self.by.clone() } else { format!("{}: {}", self.by, self.reason) }
    }
}

/// A reason that a person gave, on one line that fits.
pub fn cut_reason(text: &str) -> String {
    within(text, LONGEST_REASON)
}
