//! The contract with the user: annotations, labels and what may stand in them. Pure; admission and controller call the same parsers.
