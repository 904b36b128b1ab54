//! One run of a held template: the canary's Deployment, how its pods fare, and what to do next. Reads no metrics.

pub mod canary;
pub mod events;
pub mod evidence;
pub mod gates;
pub mod history;
pub mod live;
pub mod plan;
pub mod pods;
pub mod services;
pub mod shared;
pub mod times;
