//! What was decided and what happened, as data with numbers: judgements, the reasons of a phase, Events. Nothing here is a sentence: those are
//! made last, in `message`. It decides nothing.

pub mod checked;
pub mod event;
pub mod judgement;
pub mod why;
