//! Files of sinks: what may stand in them, who is told by them, and what each mistake says.

use rstest::rstest;

use super::*;

const TWO: &str = "sinks:
- name: payments
  type: slack
  url-file: /secrets/payments
  channel: '#payments'
  headers: {X-Team: payments}
  phases: [Rejected, AwaitingApproval]
- name: ledger
  type: webhook
  url-file: /secrets/ledger
  secret-file: /secrets/ledger-key
  ca-file: /authorities/ca.crt
";

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_may_be_written() {
    let sinks = Sinks::parse(TWO, &list(&["ledger"])).unwrap();
    let payments = sinks.get("payments").unwrap();
    assert_eq!(
        (payments.kind, payments.url_file.as_str(), payments.channel.as_deref()),
        (Kind::Slack, "/secrets/payments", Some("#payments"))
    );
    assert_eq!(payments.headers, [("X-Team".to_owned(), "payments".to_owned())]);
    assert_eq!(payments.phases, [Phase::Rejected, Phase::AwaitingApproval]);
    let ledger = sinks.get("ledger").unwrap();
    assert_eq!((ledger.secret_file.as_deref(), ledger.ca_file.as_deref()), (Some("/secrets/ledger-key"), Some("/authorities/ca.crt")));
    assert_eq!(ledger.phases, PHASES);
    let elsewhere = Sinks::parse(&format!("ca-file: /ca.crt\n{TWO}"), &[]).unwrap();
    let authorities: Vec<&str> = elsewhere.iter().filter_map(|sink| sink.ca_file.as_deref()).collect();
    assert_eq!(authorities, ["/ca.crt", "/authorities/ca.crt"]);
    assert!(Sinks::parse("sinks: []", &[]).unwrap().is_empty());
}

#[test]
fn who_is_told() {
    let sinks = Sinks::parse(TWO, &list(&["ledger"])).unwrap();
    let (payments, both, nobody) = (list(&["payments"]), list(&["payments", "ledger", "unheard-of"]), Vec::new());
    let chosen = |deployment, namespace, phase| sinks.chosen(deployment, namespace, phase).join(" ");
    assert_eq!(chosen(None, None, Phase::Promoted), "ledger");
    assert_eq!(chosen(None, Some(&payments), Phase::Rejected), "payments");
    assert_eq!(chosen(None, Some(&payments), Phase::Promoted), "", "it is not told of that phase");
    assert_eq!(chosen(Some(&both), Some(&payments), Phase::Rejected), "payments ledger");
    assert_eq!(chosen(Some(&nobody), Some(&payments), Phase::Rejected), "");
    assert_eq!(sinks.unknown(&both), ["unheard-of"]);
}

#[rstest]
#[case::no_sinks("- name: a", "not the YAML expected (line 1 column 1: expected fields, as in name: a)")]
#[case::field(
    "sinks:\n- name: a\n  type: slack\n  url: https://x",
    "not the YAML expected (line 4 column 3: unknown field `url`, expected one of name, type, url-file, channel, headers, phases, ca-file, secret-file)"
)]
#[case::missing("sinks:\n- name: a\n  type: slack", "not the YAML expected (line 3 column 3: missing field `url-file`)")]
#[case::kind(
    "sinks:\n- name: a\n  type: slak\n  url-file: /a",
    "line 3: sink a: type: \"slak\" is not accepted; expected slack, teams, discord, googlechat or webhook"
)]
#[case::name(
    "sinks:\n- name: A team\n  type: slack\n  url-file: /a",
    "line 2: name: \"A team\" is not accepted; expected up to 40 lower case letters, digits and dashes, and not \"none\""
)]
#[case::none(
    "sinks:\n- name: none\n  type: slack\n  url-file: /a",
    "line 2: name: \"none\" is not accepted; expected up to 40 lower case letters, digits and dashes, and not \"none\""
)]
#[case::address(
    "sinks:\n- name: a\n  type: slack\n  url-file: https://hooks.slack.com/services/T/B/x",
    "line 4: sink a: url-file: an address is not accepted; expected the absolute path of a file"
)]
#[case::phase(
    "sinks:\n- name: a\n  type: slack\n  url-file: /a\n  phases:\n  - Rejected\n  - Held",
    "line 7: sink a: phases: \"Held\" is not accepted; expected Rejected, Inconclusive, AwaitingApproval or Promoted"
)]
#[case::no_phase(
    "sinks:\n- name: a\n  type: slack\n  url-file: /a\n  phases: []",
    "line 5: sink a: phases: \"\" is not accepted; expected Rejected, Inconclusive, AwaitingApproval or Promoted"
)]
#[case::channel(
    "sinks:\n- name: a\n  type: teams\n  url-file: /a\n  channel: general",
    "line 5: sink a: channel: \"general\" is not accepted; expected nothing: only slack has one"
)]
#[case::unsigned(
    "sinks:\n- name: a\n  type: webhook\n  url-file: /a",
    "line 3: sink a: type: \"webhook\" is not accepted; expected secret-file beside it: a webhook is signed with what that file holds"
)]
#[case::signed(
    "sinks:\n- name: a\n  type: discord\n  url-file: /a\n  secret-file: /b",
    "line 5: sink a: secret-file: \"/b\" is not accepted; expected nothing: only a webhook is signed"
)]
#[case::header(
    "sinks:\n- name: a\n  type: slack\n  url-file: /a\n  headers:\n    Host: elsewhere",
    "line 6: sink a: headers: \"Host\" is not accepted; expected names such as X-Team, and none that the request has itself"
)]
#[case::header_value(
    "sinks:\n- name: a\n  type: slack\n  url-file: /a\n  headers:\n    X-Token: \"s3cret\\r\\nHost: x\"",
    "line 6: sink a: headers: \"X-Token\" is not accepted; expected a value of visible ASCII characters for each"
)]
#[case::twice(
    "sinks:\n- name: a\n  type: slack\n  url-file: /a\n- name: a\n  type: teams\n  url-file: /b",
    "line 5: name: two sinks are called \"a\""
)]
fn a_mistake_is_one_line_that_says_where(#[case] text: &str, #[case] sentence: &str) {
    assert_eq!(Sinks::parse(text, &[]).unwrap_err().to_string(), sentence);
}

#[test]
fn a_default_that_nobody_has_is_a_mistake() {
    let error = Sinks::parse(TWO, &list(&["ops"])).unwrap_err().to_string();
    assert_eq!(error, "--notify-default: no sink is called \"ops\"; there are payments, ledger");
}

#[test]
fn a_header_is_not_printed() {
    let sinks = Sinks::parse(TWO, &[]).unwrap();
    assert_eq!(format!("{:?}", sinks.get("payments").unwrap()), "Sink { name: \"payments\", kind: Slack, .. }");
}
