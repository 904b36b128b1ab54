//! The part that decides. Nothing here may know a clock, a network or a Kubernetes client: `now` is an argument.
