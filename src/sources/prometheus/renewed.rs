//! The HTTP client, made anew when its certificates change: mounted Secrets are renewed in place, and a certificate that expired would
//! otherwise be held until the next start.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::sync::Mutex;

use super::settings::{Material, Settings, SettingsError};

/// How old a look at the files may be.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Renewed {
    settings: Settings,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    material: Material,
    looked: Instant,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys have no place in a log.
        formatter.debug_struct("Current").field("looked", &self.looked).finish_non_exhaustive()
    }
}

impl Renewed {
    pub(super) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let material = settings.material()?;
        let client = settings.client_with(&material)?;
        Ok(Self { settings, current: Mutex::new(Current { client, material, looked: Instant::now() }) })
    }

    /// With the certificates that the files hold now. Files that can't be read or used change nothing: they may be written just now.
    pub(super) async fn current(&self) -> Client {
        let mut current = self.current.lock().await;
        if current.looked.elapsed() >= LOOK_AGAIN {
            current.looked = Instant::now();
            if let Err(error) = self.renew(&mut current) {
                tracing::warn!(error = &error as &dyn std::error::Error, "the certificates for {} stay as they were", self.settings.url);
            }
        }
        current.client.clone()
    }

    fn renew(&self, current: &mut Current) -> Result<(), SettingsError> {
        let material = self.settings.material()?;
        if material != current.material {
            current.client = self.settings.client_with(&material)?;
            current.material = material;
            tracing::info!("read new certificates for {}", self.settings.url);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn certificate() -> String {
        rcgen::generate_simple_self_signed(["prometheus.test".to_owned()]).unwrap().cert.pem()
    }

    #[tokio::test]
    async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.crt");
        fs::write(&file, certificate()).unwrap();
        let renewed = Renewed::new(Settings { ca_file: Some(file.clone()), ..Settings::new("https://prometheus.test") }).unwrap();
        let look = async || {
            let mut current = renewed.current.lock().await;
            renewed.renew(&mut current).map(|()| current.material.clone()).map_err(|error| error.to_string())
        };
        let first = look().await.unwrap();
        assert!(look().await.unwrap() == first);
        fs::write(&file, certificate()).unwrap();
        let second = look().await.unwrap();
        assert!(second != first);
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(look().await.is_err());
        fs::remove_file(&file).unwrap();
        assert!(look().await.is_err());
        assert!(renewed.current.lock().await.material == second, "what can't be used changes nothing");
    }
}
