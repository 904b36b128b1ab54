//! What a browser is given, and that nothing of what others wrote is markup in it.

mod trial;

use serde_json::{Value, json};

use super::{Filter, Row, detail, list, select};
use crate::{
    api::label::Label,
    hold::held::{Held, Operation},
    run::canary,
    view::status::Objects,
};

const HOSTILE: &str = r#"<script>alert("1")</script>'"><img src=x onerror=alert(2)>&lt;"#;

fn now() -> jiff::Timestamp {
    "2026-11-23T12:00:42Z".parse().unwrap()
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": image}]}})
}

fn primary(namespace: &str, name: &str, phase: &str, message: &str) -> Value {
    let held = Held {
        template: template("registry.example/shop/app:2.0.0"),
        manager: "kubectl".to_owned(),
        operation: Operation::Update,
        user: "ann".to_owned(),
        owners: std::collections::BTreeMap::default(),
        last_applied: None,
        against: None,
        contributions: Vec::new(),
    };
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": "u-1", "annotations": {
            "canary.enabled": "true", "canary.duration": "30s", "canary.state/phase": phase, "canary.state/run": "r1",
            "canary.state/since": "2026-11-23T12:00:00Z", "canary.state/held": held.encode().unwrap(), "canary.state/message": message,
        }},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": template("registry.example/shop/app:1.9.0")},
    })
}

fn running() -> Objects {
    let mut primary = primary("shop", "app", "Running", "");
    primary["metadata"]["annotations"]["canary.state/history"] = json!(
        r#"[{"t":1795435230,"p":"Rejected","i":{"app":["r.example/app:0","r.example/app:1"]},"n":160,"f":40,"s":12,"u":"ann","m":"error rate 25% (40 of 160 requests) exceeds 1%","e":[[1795435220,0,0,0,0,1,1,338],[1795435225,80,20,700,0,3.5,0.1,338],[1795435230,160,40,1400,1,180,0.001,338]]},
            {"t":1795348830,"p":"Promoted","n":12000,"f":0,"s":63,"u":"ann","m":"error rate 0%"}]"#
    );
    let mut namesake = canary::deployment(&primary, template("b"), "r1", &Label::new("tier", "canary"));
    namesake["metadata"]["annotations"]["coalmine.dev/ready-since"] = json!("2026-11-23T12:00:35Z");
    namesake["metadata"]["annotations"]["coalmine.dev/evidence"] = json!(
        r#"{"run":"r1","reads":{"words":"reading http_requests_total by code from Prometheus","queries":["sum by (pod, code) (rate(http_requests_total{namespace=\"shop\"}[1m]))"]},"looks":[[1795780835,0.0,0.0,0.0,0.0,1,1,300.0],[1795780842,12.0,0.0,108.0,1.0,0.2,3.0,338.0]]}"#
    );
    Objects { primary, namesake: Some(namesake), ..Objects::default() }
}

fn main_of(page: &str) -> &str {
    page.split_once("<main").unwrap().1.split_once("</main>").unwrap().0
}

/// A line for each block, so that a snapshot can be read.
fn lines(page: &str) -> String {
    const BLOCKS: [&str; 14] = ["h1", "h2", "h3", "p", "nav", "li", "section", "tr", "div", "figure", "svg", "details", "pre", "main"];
    BLOCKS.iter().fold(page.to_owned(), |text, block| {
        let text = text.replace(&format!("<{block}>"), &format!("\n<{block}>"));
        text.replace(&format!("<{block} "), &format!("\n<{block} "))
    })
}

fn rows(objects: &[Value]) -> Vec<Row> {
    objects.iter().filter_map(Row::of).collect()
}

fn listed(rows: &[Row], query: &str) -> String {
    let filter = Filter::of(query).unwrap();
    list(&select(rows, &filter), &filter, None, now())
}

#[test]
fn the_whole_frame_and_an_empty_list() {
    insta::assert_snapshot!(lines(&listed(&[], "")), @r##"
    <!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Canaries · Coalmine</title><link rel="icon" type="image/svg+xml" href="icon.svg"><link rel="stylesheet" href="page.css"><script src="page.js" defer></script></head><body data-events="events"><a class="skip" id="skip" href="#main">Skip to the content</a><header>
    <p class="brand"><a id="home" href="./">Coalmine</a></p>
    <p class="live" id="live"></p>
    <p class="unseen" id="news" role="status" aria-live="polite"></p></header>
    <main id="main" tabindex="-1">
    <h1>Canaries</h1>
    <p class="sentence" id="sentence" data-sentence>Nothing is on trial.</p>
    <nav class="filter" aria-label="Phases"><ul>
    <li><a id="phase-all" href="./" aria-current="true">All <span class="count">0</span></a></li></ul></nav>
    <p class="note">Nothing was held yet. To opt a Deployment in: kubectl annotate deploy/NAME canary.enabled=true</p></main><footer>
    <p>This page shows what the objects say, and can change nothing.</p></footer></body></html>
    "##);
}

#[test]
fn a_list_has_what_waits_first() {
    let idle = json!({"metadata": {"name": "idle", "namespace": "shop", "annotations": {"canary.enabled": "true"}}});
    let stranger = json!({"metadata": {"name": "stranger", "namespace": "shop"}});
    let all = rows(&[
        primary("shop", "cart", "Rejected", "error rate 25% exceeds 1%; template kept out"),
        primary("pay", "api", "Running", ""),
        primary("shop", "app", "AwaitingApproval", ""),
        idle,
        stranger,
    ]);
    insta::assert_snapshot!(lines(main_of(&listed(&all, ""))), @r#"
     id="main" tabindex="-1">
    <h1>Canaries</h1>
    <p class="sentence" id="sentence" data-sentence>1 is on trial, 1 waits for approval, 1 is kept out, 1 more is opted in.</p>
    <nav class="filter" aria-label="Phases"><ul>
    <li><a id="phase-all" href="./" aria-current="true">All <span class="count">3</span></a></li>
    <li><a id="phase-Running" href="?phase=Running">Running <span class="count">1</span></a></li>
    <li><a id="phase-AwaitingApproval" href="?phase=AwaitingApproval">AwaitingApproval <span class="count">1</span></a></li>
    <li><a id="phase-Rejected" href="?phase=Rejected">Rejected <span class="count">1</span></a></li></ul></nav>
    <nav class="filter" aria-label="Namespaces">
    <details id="namespaces"><summary id="namespaces-summary">Namespaces</summary><ul>
    <li><a id="namespace-all" href="./" aria-current="true">All</a></li>
    <li><a id="namespace-shop" href="?namespace=shop">shop <span class="count">2</span></a></li>
    <li><a id="namespace-pay" href="?namespace=pay">pay <span class="count">1</span></a></li></ul></details></nav>
    <div class="scroll" role="group" aria-label="Deployments" tabindex="0"><table><caption class="unseen">Deployments</caption><thead>
    <tr><th scope="col">Deployment</th><th scope="col">Phase</th><th scope="col">Since</th><th scope="col">Change</th><th scope="col">Message</th></tr></thead><tbody>
    <tr><th scope="row"><a id="row-shop/app" href="shop/app">shop/<wbr>app</a></th><td><span class="phase warn">AwaitingApproval</span></td><td class="time"><time datetime="2026-11-23T12:00:00Z">42s</time></td><td class="change">app:1.9.0 -&gt; 2.0.0</td><td class="message"></td></tr>
    <tr><th scope="row"><a id="row-pay/api" href="pay/api">pay/<wbr>api</a></th><td><span class="phase busy">Running</span></td><td class="time"><time datetime="2026-11-23T12:00:00Z">42s</time></td><td class="change">app:1.9.0 -&gt; 2.0.0</td><td class="message"></td></tr>
    <tr><th scope="row"><a id="row-shop/cart" href="shop/cart">shop/<wbr>cart</a></th><td><span class="phase bad">Rejected</span></td><td class="time"><time datetime="2026-11-23T12:00:00Z">42s</time></td><td class="change">app:1.9.0 -&gt; 2.0.0</td><td class="message">error rate 25% exceeds 1%; template kept out</td></tr></tbody></table></div>
    "#);
    insta::assert_snapshot!(lines(main_of(&listed(&all, "namespace=pay&phase=Rejected"))), @r#"
     id="main" tabindex="-1">
    <h1>Canaries in pay</h1>
    <p class="sentence" id="sentence" data-sentence>1 is on trial.</p>
    <nav class="filter" aria-label="Phases"><ul>
    <li><a id="phase-all" href="?namespace=pay">All <span class="count">1</span></a></li>
    <li><a id="phase-Running" href="?namespace=pay&amp;phase=Running">Running <span class="count">1</span></a></li>
    <li><a id="phase-Rejected" href="?namespace=pay&amp;phase=Rejected" aria-current="true">Rejected <span class="count">0</span></a></li></ul></nav>
    <nav class="filter" aria-label="Namespaces">
    <details id="namespaces" open><summary id="namespaces-summary">Namespaces</summary><ul>
    <li><a id="namespace-all" href="?phase=Rejected">All</a></li>
    <li><a id="namespace-shop" href="?namespace=shop&amp;phase=Rejected">shop <span class="count">2</span></a></li>
    <li><a id="namespace-pay" href="?namespace=pay&amp;phase=Rejected" aria-current="true">pay <span class="count">1</span></a></li></ul></details></nav>
    <p class="note">Nothing is in this phase here.</p>
    "#);
}

#[test]
fn ten_thousand_are_shown_by_the_hundred() {
    let of_phase = |phase: &str| Row::of(&primary("many", "app", phase, "")).unwrap();
    let (held, promoted) = (of_phase("Held"), of_phase("Promoted"));
    let one = |number: usize| Row { name: format!("app-{number:05}").into(), ..if number < 500 { held.clone() } else { promoted.clone() } };
    let all: Vec<Row> = (0..10_000).map(one).collect();
    let filter = Filter::of("phase=Held&page=5").unwrap();
    let selection = select(&all, &filter);
    assert_eq!((selection.rows.len(), selection.total, selection.pages), (100, 500, 5));
    assert_eq!(&*selection.rows[0].name, "app-00400");
    let page = list(&selection, &filter, None, now());
    assert!(page.len() < 100_000 && page.contains("Page 5 of 5"), "{}", page.len());
    assert!(listed(&all, "phase=Held&page=6").contains("There is no such page."));
}

#[test]
fn a_verdict_is_the_sentence() {
    let objects = Objects { primary: primary("shop", "app", "Rejected", "error rate 25% exceeds 1%"), ..Objects::default() };
    let page = detail(&objects, now()).unwrap();
    assert!(page.contains(r#"<p class="sentence" id="sentence" data-sentence>Rejected: error rate 25% exceeds 1%</p>"#), "{page}");
}

#[test]
fn a_deployment_that_is_not_opted_in_has_no_page() {
    let stranger = json!({"metadata": {"name": "app", "namespace": "shop"}, "spec": {"template": template("secret:1")}});
    assert_eq!(detail(&Objects { primary: stranger.clone(), ..Objects::default() }, now()), None);
    assert_eq!(Row::of(&stranger), None);
}

/// In whatever place somebody may write: images, containers, environment, users, messages, annotations, history, evidence.
#[test]
fn whatever_others_write_is_text() {
    let mut objects = running();
    let evil = template(HOSTILE);
    let held = Held {
        template: json!({"spec": {"containers": [{"name": HOSTILE, "image": HOSTILE, "env": [{"name": HOSTILE, "value": HOSTILE}]}]}}),
        manager: HOSTILE.to_owned(),
        operation: Operation::Update,
        user: HOSTILE.to_owned(),
        owners: std::collections::BTreeMap::default(),
        last_applied: None,
        against: None,
        contributions: Vec::new(),
    };
    objects.primary["spec"]["template"] = evil;
    let history = json!([{"t": 1_795_435_230, "p": "Rejected", "i": {HOSTILE: [HOSTILE, HOSTILE]}, "u": HOSTILE, "m": HOSTILE}]);
    for (name, value) in [
        ("canary.state/held", held.encode().unwrap()),
        ("canary.state/message", HOSTILE.to_owned()),
        ("canary.state/run", HOSTILE.to_owned()),
        ("canary.metrics", HOSTILE.to_owned()),
        ("canary.state/approved", json!({"run": "r1", "by": HOSTILE, "reason": HOSTILE}).to_string()),
        ("canary.state/history", history.to_string()),
        (HOSTILE, HOSTILE.to_owned()),
    ] {
        objects.primary["metadata"]["annotations"][name] = json!(value);
    }
    objects.last_event = Some((HOSTILE.to_owned(), HOSTILE.to_owned()));
    objects.missing = vec![HOSTILE.to_owned()];
    for phase in crate::api::annotations::Phase::ALL {
        objects.primary["metadata"]["annotations"]["canary.state/phase"] = json!(phase.as_str());
        let all = rows(std::slice::from_ref(&objects.primary));
        for page in [detail(&objects, now()).unwrap(), listed(&all, ""), super::message(HOSTILE, HOSTILE, true)] {
            assert_eq!(page.matches("<script").count(), 1, "{page}");
            assert!(!page.contains("<img") && !page.contains("style="), "{page}");
            assert!(page.contains("&lt;script&gt;"), "{page}");
        }
    }
    objects.primary["metadata"]["annotations"]["canary.duration"] = json!(HOSTILE);
    let page = listed(&rows(std::slice::from_ref(&objects.primary)), "");
    assert_eq!(page.matches("<script").count(), 1, "{page}");
}

#[test]
fn counts_that_nobody_can_have_draw_a_picture_all_the_same() {
    let mut objects = running();
    objects.namesake.as_mut().unwrap()["metadata"]["annotations"]["coalmine.dev/evidence"] = json!(
        r#"{"run":"r1","looks":[[5,1e308,1e308,-1e308,1e300,-5,0,0],[4,-1e308,3,7,9,1e308,1e-308,-3],[253402207200,1,2,3,4,5,6,null]]}"#
    );
    let page = detail(&objects, now()).unwrap();
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

/// The policy forbids what stands in the page itself; all addresses are relative, so that a proxy may put a path before them.
#[test]
fn nothing_is_inline_and_nothing_is_absolute() {
    for page in
        [listed(&rows(&[primary("shop", "app", "Held", "")]), ""), detail(&running(), now()).unwrap(), super::message("a", "b", false)]
    {
        assert!(
            !page.contains("style=")
                && !page.contains("<style")
                && !["onload=", "onclick=", "onerror="].iter().any(|event| page.contains(event)),
            "{page}"
        );
        for address in page.split("href=\"").chain(page.split("src=\"")).skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(!address.starts_with('/') && !address.contains(':') || address.starts_with('<'), "{address}");
        }
    }
    assert!(!super::SHEET.contains("url(") && !super::SHEET.contains("@import"));
}
