//! Who may run beside whom. It knows nothing of what the tests do.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static CLUSTER: RwLock<()> = RwLock::new(());

/// Held by a test as long as it runs.
#[expect(dead_code, reason = "the guards are only held")]
pub(crate) enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Beside others.
pub(crate) fn shared() -> Turn {
    Turn::Shared(CLUSTER.read().unwrap_or_else(PoisonError::into_inner))
}

/// With nobody else on the cluster.
pub(crate) fn alone() -> Turn {
    Turn::Alone(CLUSTER.write().unwrap_or_else(PoisonError::into_inner))
}
