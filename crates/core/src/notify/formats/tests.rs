//! Each format as it is sent.

mod hostile;

use serde_json::Value;

use super::*;

fn notice(phase: Phase, message: &str) -> Notice {
    Notice {
        run: "1f8ac323".to_owned(),
        phase,
        time: "2026-11-27T12:01:00Z".parse().unwrap(),
        user: "ann".to_owned(),
        images: vec![("app".to_owned(), "shop/app:1.4".to_owned(), "shop/app:1.5".to_owned())],
        message: message.to_owned(),
        info: vec![("git".to_owned(), "4f2a9c1".to_owned())],
        sinks: vec!["payments".to_owned()],
    }
}

fn sink(kind: Kind) -> Sink {
    Sink {
        name: "payments".to_owned(),
        kind,
        url_file: "/secrets/payments".to_owned(),
        channel: (kind == Kind::Slack).then(|| "#payments".to_owned()),
        headers: Vec::new(),
        phases: Vec::new(),
        ca_file: None,
        secret_file: None,
    }
}

fn posted(kind: Kind, notice: &Notice) -> Value {
    let page = Some("https://coalmine.example");
    let letter = Letter { cluster: Some("eu1"), page, namespace: "shop", name: "app", uid: "u-1", notice };
    body(&sink(kind), &letter).text.parse().unwrap()
}

fn pretty(kind: Kind, notice: &Notice) -> String {
    serde_json::to_string_pretty(&posted(kind, notice)).unwrap()
}

const REJECTED: &str = "error rate 25% (40 of 160 requests) exceeds 1% after 12s; primary 0.02%; template kept out";

#[test]
fn slack_gets_blocks() {
    insta::assert_snapshot!(pretty(Kind::Slack, &notice(Phase::Rejected, REJECTED)));
}

#[test]
fn teams_gets_an_adaptive_card() {
    insta::assert_snapshot!(pretty(Kind::Teams, &notice(Phase::AwaitingApproval, "error rate 0%; it waits for approval")));
}

#[test]
fn discord_gets_an_embed() {
    insta::assert_snapshot!(pretty(Kind::Discord, &notice(Phase::Inconclusive, "54 requests seen, 338 are needed; template kept out")), @r#"
    {
      "allowed_mentions": {
        "parse": []
      },
      "embeds": [
        {
          "color": 12551936,
          "description": "54 requests seen, 338 are needed; template kept out\n\nTo try it again:\n```\nkubectl -n shop annotate deploy/app --overwrite canary.retry=$(date +%s)\n```",
          "fields": [
            {
              "inline": false,
              "name": "Image of app",
              "value": "shop/app\\:1.4 → shop/app\\:1.5"
            },
            {
              "inline": false,
              "name": "Applied by",
              "value": "ann"
            },
            {
              "inline": false,
              "name": "git",
              "value": "4f2a9c1"
            }
          ],
          "timestamp": "2026-11-27T12:01:00Z",
          "title": "Inconclusive\\: shop/app \\(eu1\\)",
          "url": "https://coalmine.example/shop/app"
        }
      ],
      "username": "Coalmine"
    }
    "#);
}

#[test]
fn google_chat_gets_a_card() {
    insta::assert_snapshot!(pretty(Kind::GoogleChat, &notice(Phase::Promoted, "error rate 0%; template promoted")), @r#"
    {
      "cardsV2": [
        {
          "card": {
            "header": {
              "title": "Promoted: shop/app (eu1)"
            },
            "sections": [
              {
                "widgets": [
                  {
                    "textParagraph": {
                      "text": "error rate 0%; template promoted"
                    }
                  },
                  {
                    "decoratedText": {
                      "text": "shop/app:1.4 → shop/app:1.5",
                      "topLabel": "Image of app",
                      "wrapText": true
                    }
                  },
                  {
                    "decoratedText": {
                      "text": "ann",
                      "topLabel": "Applied by",
                      "wrapText": true
                    }
                  },
                  {
                    "decoratedText": {
                      "text": "4f2a9c1",
                      "topLabel": "git",
                      "wrapText": true
                    }
                  },
                  {
                    "buttonList": {
                      "buttons": [
                        {
                          "onClick": {
                            "openLink": {
                              "url": "https://coalmine.example/shop/app"
                            }
                          },
                          "text": "Open the page"
                        }
                      ]
                    }
                  }
                ]
              }
            ]
          },
          "cardId": "u-1_1f8ac323_promoted"
        }
      ]
    }
    "#);
}

#[test]
fn programs_get_a_cloud_event() {
    insta::assert_snapshot!(pretty(Kind::Webhook, &notice(Phase::Rejected, REJECTED)), @r#"
    {
      "data": {
        "cluster": "eu1",
        "command": "kubectl -n shop annotate deploy/app --overwrite canary.retry=$(date +%s)",
        "images": {
          "app": {
            "new": "shop/app:1.5",
            "old": "shop/app:1.4"
          }
        },
        "info": {
          "git": "4f2a9c1"
        },
        "message": "error rate 25% (40 of 160 requests) exceeds 1% after 12s; primary 0.02%; template kept out",
        "name": "app",
        "namespace": "shop",
        "page": "https://coalmine.example/shop/app",
        "phase": "Rejected",
        "run": "1f8ac323",
        "uid": "u-1",
        "user": "ann"
      },
      "datacontenttype": "application/json",
      "id": "u-1_1f8ac323_rejected",
      "source": "/coalmine/clusters/eu1",
      "specversion": "1.0",
      "subject": "shop/app",
      "time": "2026-11-27T12:01:00Z",
      "type": "dev.coalmine.canary.rejected"
    }
    "#);
}
