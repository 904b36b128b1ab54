//! What people reserve to themselves in the annotations: who must agree, when templates may be tried, and what they say about one trial.
//! Parsed once; admission denies what this refuses.

use std::time::Duration;

use jiff::{Timestamp, Zoned, civil::Weekday, tz::TimeZone};

use super::{
    annotations as key,
    quantity::{format_duration, parse_duration},
    reader::{InvalidAnnotation, Reader, shown},
};

/// The longest reason that a person may give.
pub const LONGEST_REASON: usize = 300;
const MOST_WINDOWS: usize = 20;
const DAY: u32 = 24 * 60;

#[derive(Debug, Clone, PartialEq)]
pub struct Gates {
    pub approval: Option<Approval>,
    /// For so long a template that proved itself waits for it.
    pub approval_timeout: Duration,
    /// The trial stands still.
    pub paused: bool,
    /// When templates may be tried.
    pub windows: Windows,
}

/// Who must agree before a template that proved itself is let in. The later is the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approval {
    /// Anybody who may write the Deployment.
    Required,
    /// Somebody else than who applied the template.
    Other,
}

impl Default for Gates {
    fn default() -> Self {
        Self { approval: None, approval_timeout: Duration::from_hours(24), paused: false, windows: Windows::default() }
    }
}

impl Gates {
    pub(super) fn read(reader: &Reader<'_>, duration: Duration, is_report: bool) -> Result<Self, InvalidAnnotation> {
        let defaults = Self::default();
        if reader.text(key::FREEZE).is_some() {
            let problem = "it stands on the namespace: kubectl annotate namespace NAME canary.freeze=REASON".to_owned();
            return Err(InvalidAnnotation::Problem { key: key::FREEZE.to_owned(), problem });
        }
        let approval = reader.read(key::APPROVAL, "\"required\" or \"other\"", |text| match text {
            "required" => Some(Approval::Required),
            "other" => Some(Approval::Other),
            _ => None,
        })?;
        if approval.is_some() && is_report {
            let problem = "nothing is kept out with canary.mode: report, so there is nothing to approve".to_owned();
            return Err(InvalidAnnotation::Problem { key: key::APPROVAL.to_owned(), problem });
        }
        let approval_timeout = reader.read(key::APPROVAL_TIMEOUT, "a duration from 1m to 336h (14 days), such as 8h", |text| {
            parse_duration(text).filter(|timeout| (Duration::from_mins(1)..=Duration::from_hours(14 * 24)).contains(timeout))
        })?;
        let paused = reader.read(key::PAUSED, "\"true\" or \"false\"", |text| text.parse::<bool>().ok())?;
        for (name, expected) in [
            (key::PROMOTE, "a reason in words, up to 300 characters"),
            (key::REJECT, "a reason in words, up to 300 characters"),
            (key::BYPASS, "a reason in words, up to 300 characters"),
            (key::APPROVE, "what canary.state/run says of the template on trial, and a reason if you like"),
        ] {
            reader.read(name, expected, |text| is_reason(text).then_some(()))?;
        }
        let windows = reader.text(key::WINDOW).map_or(Ok(Windows::default()), |text| Windows::parse(text, duration));
        let refused = |problem| InvalidAnnotation::Problem { key: key::WINDOW.to_owned(), problem };
        Ok(Self {
            approval,
            approval_timeout: approval_timeout.unwrap_or(defaults.approval_timeout),
            paused: paused.unwrap_or_default(),
            windows: windows.map_err(refused)?,
        })
    }
}

fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_REASON
}

/// What `canary.approve` names, and the words after it.
pub fn approved_run(text: &str) -> (&str, &str) {
    let (run, reason) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    (run, reason.trim())
}

/// Times of the week. None at all: always.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Windows(Vec<Window>);

#[derive(Debug, Clone, PartialEq)]
struct Window {
    /// From Monday on.
    days: [bool; 7],
    /// In minutes of the day that it begins on; beyond the day's last where it ends on the next.
    from: u32,
    to: u32,
    zone: TimeZone,
}

impl Windows {
    /// `Mon-Fri 09:00-17:00 Europe/Berlin`, several by `;`. Days and zone may be left out: each day, and UTC.
    fn parse(text: &str, duration: Duration) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() || parts.len() > MOST_WINDOWS {
            return Err(format!("expected 1 to {MOST_WINDOWS} windows such as Mon-Fri 09:00-17:00 Europe/Berlin, with ; between them"));
        }
        let windows: Vec<Window> = parts.into_iter().map(Window::parse).collect::<Result<_, _>>()?;
        let longest = windows.iter().map(Window::length).max().unwrap_or_default();
        if longest < duration {
            let (longest, duration) = (format_duration(longest), format_duration(duration));
            return Err(format!("the longest window is open for {longest}, and a trial takes {duration} (canary.duration)"));
        }
        Ok(Self(windows))
    }

    pub fn is_open(&self, now: Timestamp) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.is_open(now))
    }

    /// When it opens next, in the words of its own zone: `Mon 09:00 Europe/Berlin`.
    pub fn opens(&self, now: Timestamp) -> Option<String> {
        let next = self.0.iter().filter_map(|window| window.opens(now)).min_by_key(Zoned::timestamp)?;
        let zone = next.time_zone().iana_name().unwrap_or("UTC").to_owned();
        Some(format!("{} {zone}", next.strftime("%a %H:%M")))
    }
}

impl Window {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{:?} is no window; expected one such as Mon-Fri 09:00-17:00 Europe/Berlin", shown(text));
        let mut words = text.split_whitespace().peekable();
        let named = words.next_if(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()));
        let days = named.map_or(Some([true; 7]), days).ok_or_else(expected)?;
        let (from, to) = words.next().and_then(|word| word.split_once('-')).ok_or_else(expected)?;
        let (from, to) = (minute(from).filter(|from| *from < DAY).ok_or_else(expected)?, minute(to).ok_or_else(expected)?);
        if from == to {
            return Err(format!("{:?} never opens: it ends when it begins; the whole day is 00:00-24:00", shown(text)));
        }
        let zone = match words.next() {
            None | Some("UTC") => TimeZone::UTC,
            Some(name) => {
                TimeZone::get(name).map_err(|_| format!("unknown time zone {:?}; expected one such as Europe/Berlin", shown(name)))?
            }
        };
        if words.next().is_some() {
            return Err(expected());
        }
        Ok(Self { days, from, to: if to < from { to + DAY } else { to }, zone })
    }

    fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.to - self.from) * 60)
    }

    fn is_open(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.clone());
        let minute = u32::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or_default();
        let today = index(now.weekday());
        let began_today = self.days[today] && (self.from..self.to).contains(&minute);
        let began_yesterday = self.days[(today + 6) % 7] && minute + DAY < self.to;
        began_today || began_yesterday
    }

    /// The next beginning. One that the clock leaps over on that day is none.
    fn opens(&self, now: Timestamp) -> Option<Zoned> {
        let (hour, minute) = (i8::try_from(self.from / 60).ok()?, i8::try_from(self.from % 60).ok()?);
        let mut day = now.to_zoned(self.zone.clone()).date();
        for _ in 0..=14 {
            if self.days[index(day.weekday())]
                && let Ok(begins) = day.at(hour, minute, 0, 0).to_zoned(self.zone.clone())
                && begins.timestamp() > now
                && self.is_open(begins.timestamp())
            {
                return Some(begins);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// `Mon`, `Mon-Fri`, `Sat,Sun`.
fn days(text: &str) -> Option<[bool; 7]> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |name: &str| NAMES.iter().position(|known| name.eq_ignore_ascii_case(known));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        for step in 0..=(last + 7 - first) % 7 {
            days[(first + step) % 7] = true;
        }
    }
    Some(days)
}

/// `09:00` as a minute of the day; `24:00` is its end.
fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number =
        |text: &str| if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<u32>().ok() } else { None };
    let minutes = number(hour)? * 60 + number(minute).filter(|minute| *minute < 60)?;
    (minutes <= DAY).then_some(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::policy::Policy;
    use rstest::rstest;

    fn windows(text: &str) -> Windows {
        Windows::parse(text, Duration::from_mins(1)).unwrap()
    }

    #[rstest]
    #[case::inside("Mon-Fri 09:00-17:00", "2026-11-27T16:59:59Z", true, "Mon 09:00 UTC")]
    #[case::its_end_is_outside("Mon-Fri 09:00-17:00", "2026-11-27T17:00:00Z", false, "Mon 09:00 UTC")]
    #[case::before("Mon-Fri 09:00-17:00", "2026-11-27T08:00:00Z", false, "Fri 09:00 UTC")]
    #[case::in_its_own_zone("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-27T08:00:00Z", true, "Mon 09:00 Europe/Berlin")]
    #[case::in_summer("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-07-03T06:30:00Z", false, "Fri 09:00 Europe/Berlin")]
    #[case::over_night("Fri 22:00-06:00", "2026-11-28T05:59:00Z", true, "Fri 22:00 UTC")]
    #[case::the_night_before_was_no_friday("Sat 22:00-06:00", "2026-11-28T05:59:00Z", false, "Sat 22:00 UTC")]
    #[case::over_the_weekend("Sat-Mon 00:00-24:00", "2026-11-30T23:59:00Z", true, "Sat 00:00 UTC")]
    #[case::each_day("09:00-10:00", "2026-11-28T12:00:00Z", false, "Sun 09:00 UTC")]
    #[case::the_sooner_of_two("Mon 09:00-17:00; Sun,Wed 10:00-11:00 Asia/Tokyo", "2026-11-28T12:00:00Z", false, "Sun 10:00 Asia/Tokyo")]
    #[case::in_the_hour_that_is_leapt_over("Sun 02:15-02:45 Europe/Berlin", "2026-03-28T12:00:00Z", false, "Sun 02:15 Europe/Berlin")]
    #[case::days_in_any_case("mON,tue 09:00-10:00", "2026-11-30T09:30:00Z", true, "Tue 09:00 UTC")]
    fn when_it_is_open(#[case] text: &str, #[case] now: &str, #[case] open: bool, #[case] opens: &str) {
        let (windows, now) = (windows(text), now.parse().unwrap());
        assert_eq!((windows.is_open(now), windows.opens(now).as_deref()), (open, Some(opens)));
    }

    #[test]
    fn without_one_it_is_always_open() {
        assert!(Windows::default().is_open(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_beginning_that_the_clock_leaps_over_comes_a_week_later() {
        let now: Timestamp = "2026-03-28T12:00:00Z".parse().unwrap();
        let begins = windows("Sun 02:15-02:45 Europe/Berlin").0[0].opens(now).unwrap();
        assert_eq!(begins.timestamp().to_string(), "2026-04-05T00:15:00Z");
    }

    #[rstest]
    #[case::zone("canary.window", "Mon 09:00-17:00 Europe/Berln", "unknown time zone \"Europe/Berln\"; expected one such as Europe/Berlin")]
    #[case::no_window("canary.window", ";", "expected 1 to 20 windows such as Mon-Fri 09:00-17:00 Europe/Berlin, with ; between them")]
    #[case::day(
        "canary.window",
        "Mo 09:00-17:00",
        "\"Mo 09:00-17:00\" is no window; expected one such as Mon-Fri 09:00-17:00 Europe/Berlin"
    )]
    #[case::hour("canary.window", "9-17", "\"9-17\" is no window; expected one such as Mon-Fri 09:00-17:00 Europe/Berlin")]
    #[case::minute("canary.window", "09:60-17:00", "\"09:60-17:00\" is no window; expected one such as Mon-Fri 09:00-17:00 Europe/Berlin")]
    #[case::more(
        "canary.window",
        "09:00-17:00 UTC x",
        "\"09:00-17:00 UTC x\" is no window; expected one such as Mon-Fri 09:00-17:00 Europe/Berlin"
    )]
    #[case::never("canary.window", "09:00-09:00", "\"09:00-09:00\" never opens: it ends when it begins; the whole day is 00:00-24:00")]
    #[case::short("canary.window", "09:00-09:00;\n", "\"09:00-09:00\" never opens: it ends when it begins; the whole day is 00:00-24:00")]
    #[case::approval("canary.approval", "yes", "\"yes\" is not accepted; expected \"required\" or \"other\"")]
    #[case::timeout("canary.approval-timeout", "5s", "\"5s\" is not accepted; expected a duration from 1m to 336h (14 days), such as 8h")]
    #[case::paused("canary.paused", "yes", "\"yes\" is not accepted; expected \"true\" or \"false\"")]
    #[case::reason("canary.reject", " ", "\" \" is not accepted; expected a reason in words, up to 300 characters")]
    #[case::freeze("canary.freeze", "x", "it stands on the namespace: kubectl annotate namespace NAME canary.freeze=REASON")]
    fn refused_in_one_line(#[case] key: &str, #[case] value: &str, #[case] sentence: &str) {
        let error = Policy::parse(&[(key, value)].into_iter().collect()).unwrap_err();
        assert_eq!(error.to_string(), format!("{key}: {sentence}"));
    }

    #[test]
    fn a_reason_of_two_hundred_kilobytes_is_refused_in_a_short_line() {
        let reason = "x".repeat(200 << 10);
        for key in ["canary.promote", "canary.reject", "canary.bypass", "canary.approve"] {
            let error = Policy::parse(&[(key, reason.as_str())].into_iter().collect()).unwrap_err().to_string();
            assert!(error.len() < 200, "{error}");
        }
    }

    #[test]
    fn what_belongs_together() {
        let parse = |pairs: &[(&str, &str)]| Policy::parse(&pairs.iter().copied().collect()).map(|policy| policy.gates);
        let error = parse(&[("canary.window", "09:00-09:30"), ("canary.duration", "1h")]).unwrap_err();
        assert_eq!(error.to_string(), "canary.window: the longest window is open for 30m, and a trial takes 1h (canary.duration)");
        let error = parse(&[("canary.approval", "other"), ("canary.mode", "report")]).unwrap_err();
        assert_eq!(error.to_string(), "canary.approval: nothing is kept out with canary.mode: report, so there is nothing to approve");
        assert!(Approval::Other > Approval::Required && Some(Approval::Required) > None);
        assert_eq!(approved_run(" r1  looks good "), ("r1", "looks good"));
        assert_eq!(approved_run("r1"), ("r1", ""));
    }
}
