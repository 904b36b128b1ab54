//! A certificate that somebody else renews, such as cert-manager: two files, looked at every few seconds.
//!
//! No file notifications: a mounted Secret is swapped by symlink, which they miss. What cannot be used is not taken; the
//! certificate from before goes on being served.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::server::admin::Condition;
use crate::server::tls::{self, CurrentCertificate};

const LOOK_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {path:?}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("failed to use {path:?}")]
    Use { path: PathBuf, source: tls::Error },
}

#[derive(Debug)]
pub struct Reloader {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<CurrentCertificate>,
    condition: Condition,
    seen: Option<(Vec<u8>, Vec<u8>)>,
}

impl Reloader {
    pub fn new(certificate: PathBuf, key: PathBuf, current: Arc<CurrentCertificate>, condition: Condition) -> Self {
        Self { certificate, key, current, condition, seen: None }
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let mut failing = None;
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(()) => failing = None,
                Err(error) => {
                    // Once per reason, not every few seconds.
                    let reason = format!("{:#}", anyhow::Error::from(error));
                    if failing.as_ref() != Some(&reason) {
                        tracing::warn!("cannot take the certificate from its files, and go on with the one before: {reason}");
                        failing = Some(reason);
                    }
                }
            }
            let _ = tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await;
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        let read = async |path: &PathBuf| tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.clone(), source });
        let pair = (read(&self.certificate).await?, read(&self.key).await?);
        if self.seen.as_ref() == Some(&pair) {
            return Ok(());
        }
        let key = tls::certified_key(&pair.0, &pair.1).map_err(|source| Error::Use { path: self.certificate.clone(), source })?;
        self.current.set(key, None);
        self.condition.holds();
        if self.seen.replace(pair).is_some() {
            tracing::info!("serving the new certificate of {}", self.certificate.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::Readiness;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["webhook".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn changed_files_are_taken_and_garbage_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
        let (current, readiness) = (Arc::<CurrentCertificate>::default(), Readiness::default());
        let mut reloader = Reloader::new(certificate.clone(), key.clone(), Arc::clone(&current), readiness.register("certificate"));
        assert!(matches!(reloader.step().await, Err(Error::Read { .. })));
        assert!(!readiness.is_ready());

        let write = |pair: &(String, String)| {
            std::fs::write(&certificate, &pair.0).unwrap();
            std::fs::write(&key, &pair.1).unwrap();
        };
        let (first, second) = (pair(), pair());
        write(&first);
        reloader.step().await.unwrap();
        assert!(readiness.is_ready());
        let served = current.key().unwrap();

        write(&(second.0.clone(), first.1.clone()));
        assert!(matches!(reloader.step().await, Err(Error::Use { .. })), "half of a renewal");
        assert!(Arc::ptr_eq(&served, &current.key().unwrap()));

        write(&second);
        reloader.step().await.unwrap();
        assert!(!Arc::ptr_eq(&served, &current.key().unwrap()));
        std::fs::remove_file(&key).unwrap();
        assert!(reloader.step().await.is_err());
        assert!(readiness.is_ready(), "the certificate in memory is still good");
    }
}
