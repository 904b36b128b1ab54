//! Notifications: who is told of a verdict, what stands on the object until they were, and the request that tells each kind of service.
//! Pure: sends nothing, reads no file, and no address or secret ever comes here but to be signed with.

pub mod advice;
pub mod formats;
pub mod outbox;
pub mod sign;
pub mod sinks;
pub mod tries;
