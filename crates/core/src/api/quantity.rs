//! Durations and percentages as a user writes them, and as messages print them.
//! Parsing answers `None` for anything malformed: the sentence about it belongs to whoever knows the annotation's name.

use std::time::Duration;

/// Reads `90s`, `1m30s`, `250ms`, `1h`: one or more numbers, each with a unit, as Go and Kubernetes write durations.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match rest.get(..unit_end)? {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        rest = rest.get(unit_end..)?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    Some(total)
}

/// Reads `1%`, `0.5%`; the answer is a share (1% is 0.01). Only values above 0 and below 100 % make a limit.
pub fn parse_percentage(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.contains(['e', 'E']) {
        return None;
    }
    let percent: f64 = number.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

/// Prints `60s` as `60s`, `90s` as `1m30s`, `250ms` as `250ms`, ten minutes as `10m`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let milliseconds = duration.subsec_millis();
    if seconds == 0 {
        return format!("{milliseconds}ms");
    }
    if seconds <= 60 {
        return if milliseconds == 0 || seconds >= 10 { format!("{seconds}s") } else { format!("{seconds}.{}s", milliseconds / 100) };
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (number, unit) in [(hours, 'h'), (minutes, 'm'), (seconds, 's')] {
        if number > 0 {
            text = format!("{text}{number}{unit}");
        }
    }
    text
}

/// Prints a share as a percentage with the digits that matter: `48.1%`, `0.02%`, `0%`, `100%`.
pub fn format_percentage(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent {
        p if p <= 0.0 => 0,
        p if p >= 9.95 => 1,
        p if p >= 0.995 => 1,
        p if p >= 0.000_5 => 2,
        _ => 4,
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

/// Prints a count with separators: `1,204`.
pub fn format_count(count: f64) -> String {
    let digits = format!("{:.0}", count.max(0.0));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("60s", Some(60_000))]
    #[case("1m30s", Some(90_000))]
    #[case("250ms", Some(250))]
    #[case("1.5h", Some(5_400_000))]
    #[case("0s", Some(0))]
    #[case("", None)]
    #[case("60", None)]
    #[case("-5m", None)]
    #[case("5 m", None)]
    #[case("1d", None)]
    #[case("s", None)]
    #[case("1..5s", None)]
    #[case("99999999999999999999h", None)]
    fn durations(#[case] text: &str, #[case] milliseconds: Option<u128>) {
        assert_eq!(parse_duration(text).map(|d| d.as_millis()), milliseconds);
    }

    #[rstest]
    #[case("1%", Some(0.01))]
    #[case("0.5%", Some(0.005))]
    #[case("0%", None)]
    #[case("100%", None)]
    #[case("1", None)]
    #[case("-1%", None)]
    #[case("+1%", None)]
    #[case("NaN%", None)]
    #[case("inf%", None)]
    #[case("1e1%", None)]
    fn percentages(#[case] text: &str, #[case] share: Option<f64>) {
        assert_eq!(parse_percentage(text), share);
    }

    #[rstest]
    #[case(60_000, "60s")]
    #[case(90_000, "1m30s")]
    #[case(600_000, "10m")]
    #[case(250, "250ms")]
    #[case(1_500, "1.5s")]
    #[case(3_600_000, "1h")]
    #[case(86_400_000, "24h")]
    fn printed_durations(#[case] milliseconds: u64, #[case] text: &str) {
        assert_eq!(format_duration(Duration::from_millis(milliseconds)), text);
    }

    #[rstest]
    #[case(0.4812, "48.1%")]
    #[case(0.0002, "0.02%")]
    #[case(0.0, "0%")]
    #[case(1.0, "100%")]
    #[case(0.01, "1%")]
    #[case(0.022, "2.2%")]
    fn printed_percentages(#[case] share: f64, #[case] text: &str) {
        assert_eq!(format_percentage(share), text);
    }

    #[rstest]
    #[case(0.0, "0")]
    #[case(999.0, "999")]
    #[case(1204.0, "1,204")]
    #[case(1_000_000.0, "1,000,000")]
    fn printed_counts(#[case] count: f64, #[case] text: &str) {
        assert_eq!(format_count(count), text);
    }
}
