//! The contract with the user: annotations, labels and what may stand in them.
//! Pure; admission and controller call the same parsers, so nothing that was admitted can be unreadable later.

pub mod annotations;
pub mod checks;
pub mod choice;
pub mod foreign;
pub mod gates;
pub mod label;
pub mod notify;
pub mod origin;
pub mod patterns;
pub mod policy;
pub mod promql;
pub mod quantity;
pub mod reader;
pub mod selector;
