//! A short version of the simulation, and the samplers that it rests on. Every seed is fixed: the same numbers on every machine.

mod bounds;
mod first_minute;
mod judged;
mod pages;
mod random;
mod seen;
mod situations;
