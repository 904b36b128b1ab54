//! What the process tells about itself: the log, and metrics that belong to no part in particular.
//!
//! Each part registers its own metrics; a failure is logged once, where it is handled.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

const LEVEL_VARIABLE: &str = "COALMINE_LOG";

/// Starts logging, to standard error. An unusable level falls back to `info` and says so.
pub fn start(format: LogFormat) {
    let asked = std::env::var(LEVEL_VARIABLE).unwrap_or_default();
    let (filter, mistake) = match EnvFilter::try_new(if asked.is_empty() { "info" } else { &asked }) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    if let (Ok(()), Some(error)) = (started, mistake) {
        tracing::warn!("{LEVEL_VARIABLE}={asked:?} is not understood, using info: {error}");
    }
}

/// Version and memory of this process.
pub fn register(registry: &mut Registry) {
    registry.register("coalmine_build", "Version of this Coalmine", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    registry.register_collector(Box::new(ResidentMemory));
}

#[derive(Debug)]
struct ResidentMemory;

impl Collector for ResidentMemory {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Not every system has it: then the metric is absent, which is better than a zero.
        let Some(bytes) = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| resident_bytes(&status)) else {
            return Ok(());
        };
        let gauge = ConstGauge::new(bytes);
        let metric =
            encoder.encode_descriptor("process_resident_memory", "Resident memory size", Some(&Unit::Bytes), gauge.metric_type())?;
        gauge.encode(metric)
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(resident_bytes("Name:\tcoalmine\nVmPeak:\t  90000 kB\nVmRSS:\t    9216 kB\n"), Some(9_437_184));
        assert_eq!(resident_bytes("Name:\tcoalmine\n"), None);
    }

    #[test]
    fn own_metrics_are_in_the_page() {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        assert!(page.contains("coalmine_build_info{version=\""), "{page}");
        assert!(page.contains("\nprocess_resident_memory_bytes "), "{page}");
    }
}
