//! Whether the API server's no to a dry run is about the template, and in which words. It asks nobody.

use super::Answer;
use crate::kubernetes::is_refusal;
use coalmine_core::run::canary;

/// In the words of the API server's own quota admission.
pub(super) fn is_quota(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains("exceeded quota: "))
}

/// In the API server's words for a policy's no, and for another webhook's.
pub(super) fn is_policy(error: &kube::Error) -> bool {
    let says_so = |message: &str| [" denied request: ", " denied the request: "].iter().any(|words| message.contains(words));
    matches!(error, kube::Error::Api(status) if says_so(&status.message))
}

pub(super) fn read_refusal(error: &kube::Error, primary: &str) -> Answer {
    let kube::Error::Api(status) = error else { return Answer::Unknown(error.to_string()) };
    // Not a word about the template: a missing right of our own, another webhook that can't do dry runs, a namespace that goes away.
    let about_us = ["cannot create resource", "cannot patch resource", "does not support dry run", "because it is being terminated"]
        .iter()
        .any(|words| status.message.contains(words));
    let refused = is_refusal(status.code) && !about_us;
    if !refused {
        return Answer::Unknown(status.message.clone());
    }
    // The user knows the Deployment, not the canary that was tried in its stead.
    let message = status.message.replace(&format!("\"{}\"", canary::name(primary)), &format!("\"{primary}\""));
    Answer::Refused(message.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[rstest]
    #[case(422, r#"Deployment.apps "app-canary" is invalid: spec.x: Required value"#, Answer::Refused(r#"Deployment.apps "app" is invalid: spec.x: Required value"#.to_owned()))]
    #[case(403, "exceeded quota: few", Answer::Refused("exceeded quota: few".to_owned()))]
    #[case(403, r#"User "x" cannot create resource "deployments""#, Answer::Unknown(r#"User "x" cannot create resource "deployments""#.to_owned()))]
    #[case(400, "admission webhook \"x\" does not support dry run", Answer::Unknown("admission webhook \"x\" does not support dry run".to_owned()))]
    #[case(403, "unable to create new content in namespace w because it is being terminated", Answer::Unknown("unable to create new content in namespace w because it is being terminated".to_owned()))]
    #[case(503, "later", Answer::Unknown("later".to_owned()))]
    fn refusals(#[case] code: u16, #[case] message: &str, #[case] answer: Answer) {
        assert_eq!(read_refusal(&status(code, message), "app"), answer);
    }
}
