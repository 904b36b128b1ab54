//! What the environment asks for, read once and checked: a typo must stop the program at start with one clear line,
//! not make a "bad" version that is good.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{dependency::Dependency, faults::Faults};

/// Everything that can be set from outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) version: String,
    pub(crate) port: u16,
    /// How long to go on serving after SIGTERM, until every node has taken this pod out of its Services.
    pub(crate) stop_delay: Duration,
    pub(crate) faults: Faults,
    pub(crate) dependency: Option<Dependency>,
    /// What `http_requests_total` calls the status code.
    pub(crate) code_label: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{name}={value}: expected {accepted}")]
pub(crate) struct SettingError {
    name: &'static str,
    value: String,
    accepted: &'static str,
}

const SHARE: &str = "a share from 0 to 1 such as 0.02, or a percentage such as 2%";
const DURATION: &str = "a duration such as 200ms, 5s or 1m30s";
const FLAG: &str = "true or false";
const SIZE: &str = "a number of bytes such as 500000, 64Ki or 16Mi";
const ADDRESS: &str = "an address such as http://store:8080/livez";
const VERSION: &str = "1 to 63 letters, digits, dots, dashes or underscores";
const LABEL: &str = "lower case letters and underscores";
const PORT: &str = "a port from 1 to 65535";

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Settings {
    /// Reads the variables through `lookup`, so that tests need not touch the process's own environment.
    pub(crate) fn from_lookup(lookup: Lookup<'_>) -> Result<Self, SettingError> {
        let errors_after = read(lookup, "ERRORS_AFTER", DURATION, duration)?;
        let latency = read(lookup, "LATENCY", DURATION, duration)?.unwrap_or_default();
        Ok(Self {
            version: read(lookup, "VERSION", VERSION, version)?.unwrap_or_else(|| "dev".to_owned()),
            port: read(lookup, "PORT", PORT, port)?.unwrap_or(8080),
            stop_delay: read(lookup, "STOP_DELAY", DURATION, duration)?.unwrap_or(Duration::from_secs(3)),
            faults: Faults {
                // Who only says when errors begin means that everything fails from then on.
                error_rate: read(lookup, "ERROR_RATE", SHARE, share)?.unwrap_or(if errors_after.is_some() { 1.0 } else { 0.0 }),
                errors_after: errors_after.unwrap_or_default(),
                not_found_rate: read(lookup, "NOT_FOUND_RATE", SHARE, share)?.unwrap_or(0.0),
                hang_after: read(lookup, "HANG_AFTER", DURATION, duration)?,
                metrics_hang_after: read(lookup, "METRICS_HANG_AFTER", DURATION, duration)?,
                latency,
                latency_rate: read(lookup, "LATENCY_RATE", SHARE, share)?.unwrap_or(1.0),
                crash_after: read(lookup, "CRASH_AFTER", DURATION, duration)?,
                never_ready: read(lookup, "NEVER_READY", FLAG, flag)?.unwrap_or(false),
                not_ready_for: read(lookup, "NOT_READY_FOR", DURATION, duration)?.unwrap_or_default(),
                not_ready_after: read(lookup, "NOT_READY_AFTER", DURATION, duration)?,
                not_alive_after: read(lookup, "NOT_ALIVE_AFTER", DURATION, duration)?,
                leak: read(lookup, "LEAK", SIZE, size)?.unwrap_or(0),
            },
            dependency: read(lookup, "DEPENDENCY", ADDRESS, Dependency::parse)?,
            code_label: read(lookup, "CODE_LABEL", LABEL, label)?.unwrap_or_else(|| "code".to_owned()),
        })
    }
}

/// An empty variable counts as unset: that is how a manifest takes back what an image sets.
fn read<T>(
    lookup: Lookup<'_>,
    name: &'static str,
    accepted: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, SettingError> {
    match lookup(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => parse(value.trim()).map(Some).ok_or(SettingError { name, value, accepted }),
    }
}

fn share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percentage) => percentage.trim_end().parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

fn duration(text: &str) -> Option<Duration> {
    Duration::try_from(text.parse::<SignedDuration>().ok()?).ok()
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("Mi") {
        Some(number) => (number, 1 << 20),
        None => text.strip_suffix("Ki").map_or((text, 1), |number| (number, 1 << 10)),
    };
    number.parse::<u32>().ok().map(|number| u64::from(number) * unit)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The version becomes a header and a metric label, so it must need no escaping in either.
fn version(text: &str) -> Option<String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    ((1..=63).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

fn label(text: &str) -> Option<String> {
    let is_plain = |letter: u8| letter.is_ascii_lowercase() || letter == b'_';
    ((1..=63).contains(&text.len()) && text.bytes().all(is_plain)).then(|| text.to_owned())
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::from_lookup(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_set_is_a_good_version() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.version.as_str(), settings.port, settings.stop_delay), ("dev", 8080, Duration::from_secs(3)));
        insta::assert_snapshot!(settings.faults, @"no faults");
    }

    #[test]
    fn every_fault_is_said_at_start() {
        let settings = settings(&[
            ("ERROR_RATE", "2%"),
            ("ERRORS_AFTER", "40s"),
            ("NOT_FOUND_RATE", "1"),
            ("HANG_AFTER", "15s"),
            ("METRICS_HANG_AFTER", "16s"),
            ("LATENCY", "200ms"),
            ("LATENCY_RATE", "0.5"),
            ("CRASH_AFTER", "1m"),
            ("NOT_READY_FOR", "5s"),
            ("NOT_READY_AFTER", "10s"),
            ("NOT_ALIVE_AFTER", "20s"),
            ("NEVER_READY", "true"),
            ("LEAK", "2Ki"),
        ])
        .unwrap();
        insta::assert_snapshot!(
            settings.faults,
            @"answers 2% of requests with 500 after 40s; answers 100% of the others with 404; answers no request after 15s; shows no metrics after 16s; delays 50% of requests by 200ms; crashes after 60s; is not ready for 5s; is never ready; is not ready any more after 10s; is not alive any more after 20s; leaks 2048 bytes of memory per second"
        );
    }

    #[test]
    fn errors_that_begin_later_are_total_unless_a_share_is_given() {
        let faults = settings(&[("ERRORS_AFTER", "40s")]).unwrap().faults;
        assert_eq!((faults.error_rate, faults.errors_after), (1.0, Duration::from_secs(40)));
    }

    #[test]
    fn an_empty_variable_takes_back_what_the_image_sets() {
        assert_eq!(settings(&[("ERROR_RATE", "")]), settings(&[]));
    }

    #[rstest]
    #[case("ERROR_RATE", "banana")]
    #[case("ERROR_RATE", "1.5")]
    #[case("ERROR_RATE", "-1%")]
    #[case("ERROR_RATE", "NaN")]
    #[case("LATENCY_RATE", "200")]
    #[case("LATENCY", "200")]
    #[case("LATENCY", "-5s")]
    #[case("ERRORS_AFTER", "soon")]
    #[case("CRASH_AFTER", "1d")]
    #[case("NOT_READY_FOR", "x")]
    #[case("NOT_READY_AFTER", "-1s")]
    #[case("NOT_ALIVE_AFTER", "later")]
    #[case("NOT_FOUND_RATE", "all")]
    #[case("HANG_AFTER", "15")]
    #[case("METRICS_HANG_AFTER", "never")]
    #[case("CODE_LABEL", "a label")]
    #[case("LEAK", "16M")]
    #[case("LEAK", "-1")]
    #[case("DEPENDENCY", "store:8080")]
    #[case("NEVER_READY", "yes")]
    #[case("STOP_DELAY", "3")]
    #[case("VERSION", "one two")]
    #[case("PORT", "0")]
    #[case("PORT", "70000")]
    fn a_bad_value_is_refused_by_name(#[case] name: &str, #[case] value: &str) {
        let error = settings(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}={value}: expected ")), "{error}");
    }

    #[test]
    fn the_error_is_one_clear_line() {
        insta::assert_snapshot!(
            settings(&[("ERROR_RATE", "banana")]).unwrap_err(),
            @"ERROR_RATE=banana: expected a share from 0 to 1 such as 0.02, or a percentage such as 2%"
        );
    }
}
