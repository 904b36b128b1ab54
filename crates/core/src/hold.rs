//! What becomes of a request: which template is held aside and which is let in, how it is kept in the object, and what the status says
//! meanwhile. Knows nothing of pods and metrics.

pub mod admit;
pub mod audit;
pub mod held;
pub mod promotion;
pub mod rejected;
pub mod replica_sets;
pub mod status;
