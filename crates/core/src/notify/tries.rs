//! What follows from the answer of a sink: it was told, it is tried again after a while, or nobody will tell it. Sends nothing.

use std::time::Duration;

use jiff::Timestamp;

/// Tries of one notification that fail.
const MOST: u32 = 5;
/// Tries that the sink puts off, since it takes so many from all who send: that is no failure, and many may wait for their turn.
const MOST_PUT_OFF: u32 = 40;
/// After each try but the last. All together some minutes: a service that restarts misses nothing.
const PAUSES: [Duration; 4] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
const LONGEST_USUAL: Duration = PAUSES[PAUSES.len() - 1];
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

/// The tries of one notification at one sink, while one process leads.
#[derive(Debug, Default)]
pub struct Tries {
    failed: u32,
    put_off: u32,
}

impl Tries {
    /// What follows from the answer to one more try.
    pub fn after(&mut self, answer: &Answer) -> Next {
        let why = answer.words();
        match answer {
            Answer::Status { code: 200..=299, .. } => Next::Told,
            Answer::Status { code: 429, retry_after } => {
                self.put_off += 1;
                if self.put_off >= MOST_PUT_OFF {
                    return Next::Failed(format!("{why}, {MOST_PUT_OFF} times"));
                }
                let after = retry_after.unwrap_or_else(|| pause(self.put_off).unwrap_or(LONGEST_USUAL));
                Next::Again { after: after.clamp(PAUSES[0], LONGEST_PAUSE), all: true }
            }
            // What it says now it will say again.
            Answer::Status { code: 300..=499, .. } if !answer.is_for_now() => Next::Failed(why),
            Answer::Status { .. } | Answer::None(_) | Answer::Unasked(_) => {
                self.failed += 1;
                let Some(usual) = pause(self.failed) else { return Next::Failed(format!("{why}, {MOST} times")) };
                let asked = if let Answer::Status { retry_after, .. } = answer { retry_after.unwrap_or_default() } else { usual };
                Next::Again { after: asked.max(usual).min(LONGEST_PAUSE), all: false }
            }
        }
    }
}

/// After that many tries.
fn pause(tries: u32) -> Option<Duration> {
    PAUSES.get(usize::try_from(tries).ok()?.checked_sub(1)?).copied()
}

impl Answer {
    fn is_for_now(&self) -> bool {
        matches!(self, Self::Status { code: 408 | 425 | 500..=599, .. })
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

    fn again(seconds: u64, all: bool) -> Next {
        Next::Again { after: Duration::from_secs(seconds), all }
    }

    #[test]
    fn five_tries_and_longer_pauses() {
        for (answer, words) in [(status(503), "status 503, 5 times"), (Answer::None("no connection".to_owned()), "no connection, 5 times")]
        {
            let mut tries = Tries::default();
            let after: Vec<Next> = (0..5).map(|_| tries.after(&answer)).collect();
            assert_eq!(after, [again(1, false), again(5, false), again(30, false), again(120, false), Next::Failed(words.to_owned())]);
        }
    }

    #[rstest]
    #[case(400, "status 400")]
    #[case(302, "status 302: it leads elsewhere, which is not followed")]
    #[case(410, "status 410: nothing is there any more")]
    fn what_will_not_change_is_not_tried_again(#[case] code: u16, #[case] words: &str) {
        assert_eq!(Tries::default().after(&status(code)), Next::Failed(words.to_owned()));
    }

    #[test]
    fn a_service_that_asks_for_patience_gets_it() {
        let mut tries = Tries::default();
        let mut asks = |code, seconds| tries.after(&Answer::Status { code, retry_after: Some(Duration::from_secs(seconds)) });
        assert_eq!(asks(429, 40), again(40, true));
        assert_eq!(asks(429, 86_400), again(600, true), "but not for ever");
        assert_eq!((asks(503, 0), asks(503, 0)), (again(1, false), again(5, false)), "and never none");
        assert_eq!(tries.after(&status(204)), Next::Told);
    }

    /// Of hundreds of verdicts at once, by a service that takes one a second, many are put off again and again.
    #[test]
    fn who_is_put_off_is_not_given_up_for_it() {
        let mut tries = Tries::default();
        let put_off = Answer::Status { code: 429, retry_after: Some(Duration::from_secs(0)) };
        assert!((1..MOST_PUT_OFF).all(|_| tries.after(&put_off) == again(1, true)));
        assert_eq!(tries.after(&put_off), Next::Failed("status 429, 40 times".to_owned()), "nor kept for ever");
        let mut tries = Tries::default();
        let after: Vec<Next> = (0..6).map(|_| tries.after(&status(429))).collect();
        assert_eq!(after, [1, 5, 30, 120, 120, 120].map(|seconds| again(seconds, true)));
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
