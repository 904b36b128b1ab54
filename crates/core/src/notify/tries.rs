//! What follows from the answer of a sink: it was told, it is tried again after a while, or nobody will tell it. Sends nothing.

use std::time::Duration;

use jiff::Timestamp;

/// Tries of one notification at one sink, while one process leads.
pub const MOST: u32 = 5;
/// After each try but the last. All together some minutes: a service that restarts misses nothing.
const PAUSES: [Duration; 4] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// A service that wants more patience than this gets no more than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Status {
        code: u16,
        retry_after: Option<Duration>,
    },
    /// No answer: one line that names no address.
    None(String),
    /// It can't even be asked: a file is missing, or holds no address.
    Unasked(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Told,
    /// `all`: nothing should be sent there meanwhile.
    Again {
        after: Duration,
        all: bool,
    },
    /// For good, and why.
    Failed(String),
}

/// `tried` counts this one.
pub fn next(answer: &Answer, tried: u32) -> Next {
    let why = answer.words();
    let (pause, all) = match answer {
        Answer::Status { code: 200..=299, .. } => return Next::Told,
        // What it says now it will say again.
        Answer::Status { code: 300..=499, .. } if !answer.is_for_now() => return Next::Failed(why),
        Answer::Status { code, retry_after: Some(pause) } => (Some(*pause), *code == 429),
        Answer::Status { code, retry_after: None } => (None, *code == 429),
        Answer::None(_) | Answer::Unasked(_) => (None, false),
    };
    let Some(usual) = usize::try_from(tried).ok().and_then(|tried| PAUSES.get(tried.saturating_sub(1))) else {
        return Next::Failed(format!("{why}, {MOST} times"));
    };
    Next::Again { after: pause.map_or(*usual, |pause| pause.max(*usual).min(LONGEST_PAUSE)), all }
}

impl Answer {
    fn is_for_now(&self) -> bool {
        matches!(self, Self::Status { code: 408 | 425 | 429 | 500..=599, .. })
    }

    /// The code alone: what a service says besides may repeat what it was sent.
    fn words(&self) -> String {
        match self {
            Self::Status { code: code @ 300..=399, .. } => format!("status {code}: it leads elsewhere, which is not followed"),
            Self::Status { code: code @ (404 | 410), .. } => format!("status {code}: nothing is there any more"),
            Self::Status { code, .. } => format!("status {code}"),
            Self::None(reason) | Self::Unasked(reason) => reason.clone(),
        }
    }
}

/// The header `Retry-After`: seconds, or a date.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        // Discord's are decimal.
        return Duration::try_from_secs_f64(seconds.ceil()).ok();
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    #[test]
    fn five_tries_and_longer_pauses() {
        let again = |seconds, all| Next::Again { after: Duration::from_secs(seconds), all };
        let after: Vec<Next> = (1..=4).map(|tried| next(&status(503), tried)).collect();
        assert_eq!(after, [again(1, false), again(5, false), again(30, false), again(120, false)]);
        assert_eq!(next(&status(503), 5), Next::Failed("status 503, 5 times".to_owned()));
        let none = Answer::None("no connection".to_owned());
        assert_eq!((next(&none, 1), next(&none, 5)), (again(1, false), Next::Failed("no connection, 5 times".to_owned())));
    }

    #[rstest]
    #[case(400, "status 400")]
    #[case(302, "status 302: it leads elsewhere, which is not followed")]
    #[case(410, "status 410: nothing is there any more")]
    fn what_will_not_change_is_not_tried_again(#[case] code: u16, #[case] words: &str) {
        assert_eq!(next(&status(code), 1), Next::Failed(words.to_owned()));
    }

    #[test]
    fn a_service_that_asks_for_patience_gets_it() {
        let asks = |code, seconds| Answer::Status { code, retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(next(&asks(429, 40), 1), Next::Again { after: Duration::from_secs(40), all: true });
        assert_eq!(next(&asks(503, 0), 2), Next::Again { after: Duration::from_secs(5), all: false }, "and never none");
        assert_eq!(next(&asks(429, 86_400), 1), Next::Again { after: LONGEST_PAUSE, all: true }, "but not for ever");
        assert_eq!(next(&status(204), 1), Next::Told);
    }

    #[rstest]
    #[case("7", Some(7))]
    #[case("0.42", Some(1))]
    #[case("Fri, 27 Nov 2026 12:00:30 GMT", Some(30))]
    #[case("Fri, 27 Nov 2026 11:00:00 GMT", Some(0))]
    #[case("-1", None)]
    #[case("NaN", None)]
    #[case("soon", None)]
    fn as_services_write_it(#[case] header: &str, #[case] seconds: Option<u64>) {
        let now = "2026-11-27T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs));
    }
}
