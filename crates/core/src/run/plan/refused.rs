//! What the API server will not have of the controller: a quota's word, a policy's, or another webhook's. It may be allowed before the deadline,
//! so it is told and tried again until then. Only words and the decision; who asks again, and when, is the controller's business.

use jiff::Timestamp;
use serde_json::Value;

use super::{Event, Reason, is_past_deadline};
use crate::api::{policy::Policy, quantity::format_duration};

/// The canary can't be created, in the API server's words. At the deadline [`super::plan`] ends the run.
pub fn creation(words: &str, policy: &Policy) -> Event {
    refused(Reason::CreateRefused, "the canary can't be created", words, policy)
}

/// The proven template can't be promoted: what to tell while there is time, or else the message of the verdict, `Inconclusive`.
pub fn promotion(primary: &Value, policy: &Policy, words: &str, now: Timestamp) -> Result<Event, String> {
    if is_past_deadline(primary, policy, now) {
        return Err(format!("proved itself, but can't be promoted: {words}; template kept out"));
    }
    Ok(refused(Reason::PromotionRefused, "the template can't be promoted", words, policy))
}

/// Where the run stands can't be written to the Deployment: nothing goes on, and there is nowhere else to say so.
pub fn state(words: &str) -> Event {
    Event::warning(Reason::WriteRefused, format!("the Deployment can't be written to: {words}; trying again"))
}

/// The canary can't be deleted: it goes on getting traffic.
pub fn deletion(canary: &str, words: &str) -> Event {
    Event::warning(Reason::DeleteRefused, format!("{canary} can't be deleted: {words}; trying again"))
}

fn refused(reason: Reason, what: &str, words: &str, policy: &Policy) -> Event {
    Event::warning(reason, format!("{what}: {words}; trying until the deadline ({})", format_duration(policy.deadline)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WORDS: &str = "admission webhook \"digests\" denied the request: no";

    #[test]
    fn a_refused_promotion_waits_until_the_deadline_and_ends_there() {
        let annotations = json!({"canary.enabled": "true", "canary.state/phase": "Running", "canary.state/since": "2026-01-01T00:00:00Z"});
        let primary = json!({"metadata": {"annotations": annotations}});
        let policy = Policy::of(annotations.as_object().unwrap()).unwrap();
        let at = |now: &str| promotion(&primary, &policy, WORDS, now.parse().unwrap());
        insta::assert_snapshot!(at("2026-01-01T00:09:59Z").unwrap().note, @r#"the template can't be promoted: admission webhook "digests" denied the request: no; trying until the deadline (10m)"#);
        insta::assert_snapshot!(at("2026-01-01T00:10:00Z").unwrap_err(), @r#"proved itself, but can't be promoted: admission webhook "digests" denied the request: no; template kept out"#);
    }

    #[test]
    fn a_refused_canary_is_told_with_the_words_of_who_refused_it() {
        let event = creation("exceeded quota: pods", &Policy::of(&serde_json::Map::new()).unwrap());
        assert!(event.warning);
        insta::assert_snapshot!(event.note, @"the canary can't be created: exceeded quota: pods; trying until the deadline (10m)");
    }

    #[test]
    fn a_refused_state_is_told_with_the_words_of_who_refused_it() {
        insta::assert_snapshot!(state(WORDS).note, @r#"the Deployment can't be written to: admission webhook "digests" denied the request: no; trying again"#);
        insta::assert_snapshot!(deletion("app-canary", WORDS).note, @r#"app-canary can't be deleted: admission webhook "digests" denied the request: no; trying again"#);
    }
}
