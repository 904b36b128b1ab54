//! What the process tells about itself: the log, and metrics that belong to no part in particular.
//!
//! Each part registers its own metrics; a failure is logged once, where it is handled.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::args::LogFormat;
use crate::clock;

const LEVEL_VARIABLE: &str = "COALMINE_LOG";
/// The client logs each failed request as an error of its own; whoever sent it says the same once.
const USUAL: &str = "info,kube_client=off";

/// Starts logging, to standard error. An unusable level falls back to `info` and says so.
pub fn start(format: LogFormat) {
    let asked = std::env::var(LEVEL_VARIABLE).unwrap_or_default();
    let (filter, mistake) = match EnvFilter::try_new(if asked.is_empty() { USUAL } else { &asked }) {
        Ok(_) if names_no_level(&asked) => (EnvFilter::new(USUAL), Some("expected a level such as debug, or coalmine=debug".to_owned())),
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(USUAL), Some(error.to_string())),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let others = filter_fn(|metadata| metadata.target() != AUDIT);
    let lines = match format {
        LogFormat::Text => lines.with_filter(filter.and(others)).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter.and(others)).boxed(),
    };
    // An audit log is complete, whatever else is logged.
    let audit = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(Bare);
    let audit = audit.with_filter(filter_fn(|metadata| metadata.target() == AUDIT));
    let started = tracing_subscriber::registry().with(lines).with(audit).try_init();
    crate::panics::log_them();
    if let (Ok(()), Some(error)) = (started, mistake) {
        tracing::warn!("{LEVEL_VARIABLE}={asked:?} is not understood, using info: {error}");
    }
}

/// What the library takes for the name of a part of the program, and would log nothing else of it: `verbose`, `warning`.
fn names_no_level(asked: &str) -> bool {
    let has_level = |part: &str| {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        ["trace", "debug", "info", "warn", "error", "off"].iter().any(|known| level.eq_ignore_ascii_case(known))
            || level.parse::<u8>().is_ok_and(|level| level <= 5)
    };
    !asked.trim().is_empty() && !asked.split(',').any(has_level)
}

/// The log target of decisions about templates, each a line of JSON and nothing else.
const AUDIT: &str = "audit";

/// Writes one such line.
pub fn audit(line: &str) {
    tracing::info!(target: AUDIT, "{line}");
}

/// The message alone.
struct Bare;

impl<S, N> FormatEvent<S, N> for Bare
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Version and memory of this process.
pub fn register(registry: &mut Registry) {
    registry.register("coalmine_build", "Version of this Coalmine", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
    crate::panics::register(registry);
    let started = clock::now().as_second();
    gauge(registry, "process_start_time", "When this process began, as Unix time", Some(Unit::Seconds), move || Some(started));
    gauge(registry, "process_resident_memory", "Resident memory size", Some(Unit::Bytes), resident_memory);
}

/// A gauge that is read when the page is asked for. It is absent while there is nothing to tell, which is better than a zero.
pub fn gauge(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    read: impl Fn() -> Option<i64> + Send + Sync + 'static,
) {
    registry.register_collector(Box::new(Reading { name, help, unit, read }));
}

struct Reading<F> {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    read: F,
}

impl<F> fmt::Debug for Reading<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl<F: Fn() -> Option<i64> + Send + Sync + 'static> Collector for Reading<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(value) = (self.read)() else { return Ok(()) };
        let gauge = ConstGauge::new(value);
        gauge.encode(encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), gauge.metric_type())?)
    }
}

fn resident_memory() -> Option<i64> {
    resident_bytes(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
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

    #[test]
    fn a_level_is_none_that_only_looks_like_one() {
        for asked in ["", " ", "info", "WARN", "coalmine=debug", "coalmine::lease=trace,info", "3", "coalmine,off"] {
            assert!(!names_no_level(asked), "{asked}");
        }
        for asked in ["verbose", "warning", "coalmine", "garbage=", "info;debug"] {
            assert!(names_no_level(asked), "{asked}");
        }
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let mut registry = Registry::default();
        gauge(&mut registry, "known", "A value", None, || Some(1));
        gauge(&mut registry, "unknown", "No value", None, || None);
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
        assert!(page.contains("\nknown 1\n") && !page.contains("unknown"), "{page}");
    }
}
