//! The tasks of the process in one set, how they are stopped in order, and the signals that ask for it.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::server::Limits;

/// After the servers had their time to drain, for giving the lease back and the like.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Everything that runs.
#[derive(Default)]
pub(super) struct Parts {
    tasks: JoinSet<&'static str>,
    /// For those who must stop acting at once: another replica takes over.
    pub(super) stop_first: CancellationToken,
    /// For those who go on while requests still come in.
    pub(super) stop: CancellationToken,
}

impl Parts {
    pub(super) fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            part.await;
            name
        });
    }

    /// Until one ends that wasn't asked to.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(name)) => anyhow!("the {name} ended unexpectedly"),
            Some(Err(error)) => anyhow::Error::new(error).context("a part of the process failed"),
            None => anyhow!("nothing runs"),
        }
    }

    /// Goes on serving for a while, then stops everything.
    pub(super) async fn drain(&mut self, delay: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(delay).await;
        self.stop.cancel();
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.context("a part of the process failed")?;
            }
            Ok(())
        };
        let within = Limits::default().drain + END_WITHIN;
        tokio::time::timeout(within, all).await.map_err(|_| anyhow!("not everything ended within {} s", within.as_secs()))?
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
