//! Words that try to be more than words, and those that are too long: whatever somebody writes, it calls nobody and fits.

use rstest::rstest;

use super::*;

const HOSTILE: &str =
    "<!channel> <@U123> @everyone *bold* [pay](https://evil.example) `x` <at>ann</at> <users/all> <b>&lt;</b> ||x|| :skull:\u{202e}\r\n# x";

fn hostile() -> Notice {
    Notice {
        user: HOSTILE.to_owned(),
        images: vec![(HOSTILE.to_owned(), HOSTILE.to_owned(), HOSTILE.to_owned())],
        info: vec![("git".to_owned(), HOSTILE.to_owned())],
        ..notice(Phase::Rejected, HOSTILE)
    }
}

/// The texts of a payload, with the place of each.
fn texts(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        Value::Array(list) => list.iter().for_each(|inner| texts(inner, path, found)),
        Value::Object(map) => map.iter().for_each(|(key, inner)| texts(inner, &format!("{path}/{key}"), found)),
        _ => {}
    }
}

fn all(kind: Kind, notice: &Notice) -> Vec<(String, String)> {
    let mut found = Vec::new();
    texts(&posted(kind, notice), "", &mut found);
    found
}

#[test]
fn nobody_is_called_and_nothing_is_markup_in_slack() {
    let message = posted(Kind::Slack, &hostile());
    assert!(!message.to_string().contains("<!channel>") && !message.to_string().contains("<@U123>"), "{message}");
    assert_eq!((&message["link_names"], &message["mrkdwn"]), (&Value::Bool(false), &Value::Bool(false)));
    for block in message["blocks"].as_array().unwrap() {
        let texts = block["fields"].as_array().into_iter().flatten().chain(block.get("text"));
        for text in texts.filter(|text| text["type"] == "mrkdwn") {
            assert!(text["text"].as_str().unwrap().starts_with("```kubectl -n shop annotate deploy/app"), "only our own: {text}");
        }
    }
}

#[test]
fn foreign_words_are_in_rich_text_in_teams() {
    let found = all(Kind::Teams, &hostile());
    assert!(found.iter().filter(|(_, text)| text.contains("evil.example")).all(|(path, _)| path.ends_with("/inlines/text")), "{found:?}");
    assert!(found.iter().all(|(path, text)| !path.ends_with("/type") || text != "TextBlock" && text != "FactSet"), "{found:?}");
}

#[test]
fn discord_mentions_nobody_and_every_mark_is_escaped() {
    let message = posted(Kind::Discord, &hostile());
    assert_eq!(message["allowed_mentions"], serde_json::json!({"parse": []}));
    let description = message["embeds"][0]["description"].as_str().unwrap();
    insta::assert_snapshot!(description.lines().next().unwrap(), @r"\<!channel\> \<\@U123\> \@everyone \*bold\* \[pay\]\(https\://evil.example\) \`x\` \<at\>ann\</at\> \<users/all\> \<b\>&lt;\</b\> \|\|x\|\| \:skull\:   \# x");
}

#[test]
fn google_chat_shows_tags_as_text() {
    let found = all(Kind::GoogleChat, &hostile());
    assert!(found.iter().all(|(_, text)| !text.contains(['<', '>'])), "{found:?}");
    assert!(posted(Kind::GoogleChat, &hostile()).get("text").is_none(), "where mentions are read");
}

#[rstest]
#[case(Kind::Slack)]
#[case(Kind::Teams)]
#[case(Kind::Discord)]
#[case(Kind::GoogleChat)]
fn each_is_one_line_without_what_hides(#[case] kind: Kind) {
    for (path, text) in all(kind, &hostile()) {
        assert!(!text.contains(['\u{202e}', '\r']), "{path}: {text}");
    }
}

/// As long as the record on an object lets anything be.
fn longest(text: &str) -> Notice {
    let cut = |width| crate::words::within(&text.repeat(600), width);
    Notice {
        user: cut(120),
        images: vec![(cut(120), cut(120), cut(120)); 3],
        info: (0..10).map(|number| (format!("word-{number}"), cut(50))).collect(),
        ..notice(Phase::Rejected, &cut(300))
    }
}

#[rstest]
#[case::markup("<&*")]
#[case::wide("\u{10ffff}")]
#[case::plain("x")]
fn however_long_it_fits(#[case] text: &str) {
    let notice = longest(text);
    let slack = posted(Kind::Slack, &notice);
    let blocks = slack["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let length = |text: &Value| text["text"].as_str().unwrap().chars().count();
    assert!(length(&blocks[0]["text"]) <= 150);
    for block in blocks {
        assert!(block.get("text").is_none_or(|text| length(text) <= 3000));
        let fields = block["fields"].as_array().cloned().unwrap_or_default();
        assert!(fields.len() <= 10 && fields.iter().all(|field| length(field) <= 2000));
    }
    let embed = &posted(Kind::Discord, &notice)["embeds"][0];
    let units = |text: &Value| text.as_str().unwrap().encode_utf16().count();
    let fields = embed["fields"].as_array().unwrap();
    assert!(units(&embed["title"]) <= 256 && units(&embed["description"]) <= 4096 && fields.len() <= 25);
    assert!(fields.iter().all(|field| (1..=256).contains(&units(&field["name"])) && (1..=1024).contains(&units(&field["value"]))));
    let total: usize = fields.iter().map(|field| units(&field["name"]) + units(&field["value"])).sum();
    assert!(total + units(&embed["title"]) + units(&embed["description"]) <= 6000, "{total}");
    assert!(posted(Kind::Teams, &notice).to_string().len() <= 28 << 10);
    assert!(posted(Kind::GoogleChat, &notice).to_string().len() <= 32_000);
}

#[test]
fn a_source_is_an_address_whatever_the_cluster_is_called() {
    let notice = notice(Phase::Promoted, "x");
    let letter = Letter { cluster: Some("eu 1/é"), page: None, namespace: "shop", name: "app", uid: "u-1", notice: &notice };
    let event: Value = body(&sink(Kind::Webhook), &letter).text.parse().unwrap();
    assert_eq!(event["source"], "/coalmine/clusters/eu%201/%C3%A9");
}
