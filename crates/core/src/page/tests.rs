//! What a browser is given, and that nothing of what others wrote is markup in it.

use serde_json::{Value, json};

use super::{Filter, Row, detail, list, select};
use crate::{
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
    let mut namesake = canary::deployment(&primary, template("b"), "r1", &("tier".to_owned(), "canary".to_owned()));
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
fn a_trial_that_goes_on() {
    insta::assert_snapshot!(lines(main_of(&detail(&running(), now()).unwrap())), @r#"
     id="main" tabindex="-1">
    <nav class="filter" aria-label="Where this is"><ul>
    <li><a id="up" href="../">All canaries</a></li>
    <li><a id="up-namespace" href="../?namespace=shop">shop</a></li></ul></nav>
    <h1>shop/<wbr>app <span class="phase busy">Running</span></h1>
    <p class="sentence" id="sentence" data-sentence>Running: 12 of 338 requests that are needed, 0 failed; about 3m11s at this rate; primary 1 of 108 failed; evidence against it 0.2:1 (100:1 rejects)</p>
    <section aria-labelledby="facts">
    <h2 id="facts">What is known</h2><dl>
    <div><dt>Phase</dt><dd>Running for 42s</dd></div>
    <div><dt>Change</dt><dd>registry.example/shop/app:1.9.0 -&gt; registry.example/shop/app:2.0.0</dd></div>
    <div><dt>Applied by</dt><dd>ann (kubectl)</dd></div>
    <div><dt>Canary</dt><dd>Ready for 7s; judged for 30s, given up after 10m</dd></div></dl></section>
    <section aria-labelledby="counted">
    <h2 id="counted">What was counted</h2>
    <div class="pictures">
    <figure>
    <svg viewBox="0 0 480 260" role="img" aria-label="Error rate over time: the canary's is 0% at last, the primary's 0.93%, the limit 1%">
    <line class="grid" x1="64" x2="464" y1="208.0" y2="208.0"/>
    <text x="56.0" y="212.0" text-anchor="end">0%</text>
    <line class="grid" x1="64" x2="464" y1="160.0" y2="160.0"/>
    <text x="56.0" y="164.0" text-anchor="end">0.5%</text>
    <line class="grid" x1="64" x2="464" y1="112.0" y2="112.0"/>
    <text x="56.0" y="116.0" text-anchor="end">1%</text>
    <line class="grid" x1="64" x2="464" y1="64.0" y2="64.0"/>
    <text x="56.0" y="68.0" text-anchor="end">1.5%</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">2%</text>
    <text x="64.0" y="226.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="226.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="226.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="112.0" y2="112.0"/>
    <text class="harm" x="70.0" y="107.0">limit 1%</text>
    <polyline class="line primary" points="157.3,119.1"/>
    <circle class="dot primary" cx="157.3" cy="119.1" r="2.5"/>
    <polyline class="line canary" points="157.3,208.0"/>
    <circle class="dot canary" cx="157.3" cy="208.0" r="2.5"/>
    <text class="canary" x="64.0" y="252.0">● canary</text>
    <text class="primary" x="154.0" y="252.0">● primary</text>
    </svg><figcaption>Failed requests of both, from look to look, and the limit.</figcaption></figure>
    <figure>
    <svg viewBox="0 0 480 260" role="img" aria-label="Evidence over time: 0.2:1 against the canary at last, which is rejected at 100:1; 3.0:1 for it, which may be promoted at 20:1">
    <line class="grid" x1="64" x2="464" y1="208.0" y2="208.0"/>
    <text x="56.0" y="212.0" text-anchor="end">1 : 100</text>
    <line class="grid" x1="64" x2="464" y1="176.0" y2="176.0"/>
    <text x="56.0" y="180.0" text-anchor="end">1 : 10</text>
    <line class="grid" x1="64" x2="464" y1="144.0" y2="144.0"/>
    <text x="56.0" y="148.0" text-anchor="end">1 : 1</text>
    <line class="grid" x1="64" x2="464" y1="112.0" y2="112.0"/>
    <text x="56.0" y="116.0" text-anchor="end">10 : 1</text>
    <line class="grid" x1="64" x2="464" y1="80.0" y2="80.0"/>
    <text x="56.0" y="84.0" text-anchor="end">100 : 1</text>
    <line class="grid" x1="64" x2="464" y1="48.0" y2="48.0"/>
    <text x="56.0" y="52.0" text-anchor="end">1000 : 1</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">10000 : 1</text>
    <text x="64.0" y="226.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="226.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="226.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="80.0" y2="80.0"/>
    <text class="harm" x="70.0" y="75.0">100 : 1 rejects</text>
    <polyline class="line harm" points="64.0,144.0 157.3,166.4"/>
    <circle class="dot harm" cx="64.0" cy="144.0" r="2.5"/>
    <circle class="dot harm" cx="157.3" cy="166.4" r="2.5"/>
    <polyline class="line safe" points="64.0,144.0 157.3,128.7"/>
    <circle class="dot safe" cx="64.0" cy="144.0" r="2.5"/>
    <circle class="dot safe" cx="157.3" cy="128.7" r="2.5"/>
    <line class="threshold safe" x1="64" x2="464" y1="102.4" y2="102.4"/>
    <text class="safe" x="70.0" y="97.4">20 : 1 may promote</text>
    <text class="harm" x="64.0" y="252.0">● worse than the primary</text>
    <text class="safe" x="234.0" y="252.0">● below the limit</text>
    </svg><figcaption>The evidence against the canary and for it; each decides at its line.</figcaption></figure></div>
    <figure class="bar">
    <svg viewBox="0 0 480 18" role="img" aria-label="12 of 338 requests that are needed">
    <rect class="bar" x="1" y="2" width="478.0" height="14" rx="3"/>
    <rect class="bar done" x="1" y="2" width="17.0" height="14" rx="3"/>
    </svg><figcaption>12 of 338 requests that are needed, 0 failed; about 3m11s at this rate; primary 1 of 108 failed; evidence against it 0.2:1 (100:1 rejects)</figcaption></figure>
    <details id="numbers-now"><summary id="summary-now">The numbers</summary>
    <div class="scroll" role="group" aria-label="Numbers" tabindex="0"><table><thead>
    <tr><th scope="col">Time</th><th scope="col">Canary</th><th scope="col">Failed</th><th scope="col">Primary</th><th scope="col">Failed</th><th scope="col">Against</th><th scope="col">For</th><th scope="col">Needed</th></tr></thead><tbody>
    <tr><th scope="row"><time datetime="2026-11-27T12:00:35Z">12:00:35 UTC</time></th><td>0</td><td>0</td><td>0</td><td>0</td><td>1.00:1</td><td>1.00:1</td><td>300</td></tr>
    <tr><th scope="row"><time datetime="2026-11-27T12:00:42Z">12:00:42 UTC</time></th><td>12</td><td>0</td><td>108</td><td>1</td><td>0.20:1</td><td>3.00:1</td><td>338</td></tr></tbody></table></div></details></section>
    <section aria-labelledby="read">
    <h2 id="read">What is read</h2>
    <p>Now: reading http_requests_total by code from Prometheus.</p>
    <pre tabindex="0" role="group" aria-label="Query"><code>sum by (pod, code) (rate(http_requests_total{namespace=&quot;shop&quot;}[1m]))</code></pre>
    <p>Coalmine finds the series by itself. Which ones it chose, and why it waits, says:</p>
    <pre tabindex="0" role="group" aria-label="Command"><code>kubectl coalmine explain app -n shop</code></pre></section>
    <section aria-labelledby="change">
    <h2 id="change">What the held template changes</h2>
    <pre class="diff" tabindex="0" role="group" aria-label="Difference of the templates"><code><span class="taken">--- live
    </span><span class="added">+++ held
    </span><span class="place">@@ -3,5 +3,5 @@
    </span><span class="same">     app: app
    </span><span class="same"> spec:
    </span><span class="same">   containers:
    </span><span class="taken">-  - image: registry.example/shop/app:1.9.0
    </span><span class="added">+  - image: registry.example/shop/app:2.0.0
    </span><span class="same">     name: app
    </span></code></pre></section>
    <section aria-labelledby="history">
    <h2 id="history">History</h2><ol class="history">
    <li>
    <h3><span class="phase bad">Rejected</span> <time datetime="2026-11-23T12:00:30Z">12s ago</time></h3>
    <p>error rate 25% (40 of 160 requests) exceeds 1%</p><dl class="inline">
    <div><dt>Change</dt><dd>app:0 -&gt; 1</dd></div>
    <div><dt>Requests</dt><dd>160</dd></div>
    <div><dt>Failed</dt><dd>40</dd></div>
    <div><dt>Took</dt><dd>12s</dd></div>
    <div><dt>By</dt><dd>ann</dd></div>
    <div><dt>Error rate</dt><dd>25%</dd></div></dl>
    <div class="pictures">
    <figure>
    <svg viewBox="0 0 480 180" role="img" aria-label="Error rate over time: the canary's is 25% at last, the primary's 0.14%, the limit 1%">
    <line class="grid" x1="64" x2="464" y1="128.0" y2="128.0"/>
    <text x="56.0" y="132.0" text-anchor="end">0%</text>
    <line class="grid" x1="64" x2="464" y1="100.0" y2="100.0"/>
    <text x="56.0" y="104.0" text-anchor="end">10%</text>
    <line class="grid" x1="64" x2="464" y1="72.0" y2="72.0"/>
    <text x="56.0" y="76.0" text-anchor="end">20%</text>
    <line class="grid" x1="64" x2="464" y1="44.0" y2="44.0"/>
    <text x="56.0" y="48.0" text-anchor="end">30%</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">40%</text>
    <text x="64.0" y="146.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="146.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="146.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="125.2" y2="125.2"/>
    <text class="harm" x="70.0" y="120.2">limit 1%</text>
    <polyline class="line primary" points="130.7,128.0 197.3,127.6"/>
    <circle class="dot primary" cx="130.7" cy="128.0" r="2.5"/>
    <circle class="dot primary" cx="197.3" cy="127.6" r="2.5"/>
    <polyline class="line canary" points="130.7,58.0 197.3,58.0"/>
    <circle class="dot canary" cx="130.7" cy="58.0" r="2.5"/>
    <circle class="dot canary" cx="197.3" cy="58.0" r="2.5"/>
    <text class="canary" x="64.0" y="172.0">● canary</text>
    <text class="primary" x="154.0" y="172.0">● primary</text>
    </svg><figcaption>Failed requests of both, from look to look, and the limit.</figcaption></figure>
    <figure>
    <svg viewBox="0 0 480 180" role="img" aria-label="Evidence over time: 180.0:1 against the canary at last, which is rejected at 100:1; 0.0:1 for it, which may be promoted at 20:1">
    <line class="grid" x1="64" x2="464" y1="128.0" y2="128.0"/>
    <text x="56.0" y="132.0" text-anchor="end">1 : 100</text>
    <line class="grid" x1="64" x2="464" y1="109.3" y2="109.3"/>
    <text x="56.0" y="113.3" text-anchor="end">1 : 10</text>
    <line class="grid" x1="64" x2="464" y1="90.7" y2="90.7"/>
    <text x="56.0" y="94.7" text-anchor="end">1 : 1</text>
    <line class="grid" x1="64" x2="464" y1="72.0" y2="72.0"/>
    <text x="56.0" y="76.0" text-anchor="end">10 : 1</text>
    <line class="grid" x1="64" x2="464" y1="53.3" y2="53.3"/>
    <text x="56.0" y="57.3" text-anchor="end">100 : 1</text>
    <line class="grid" x1="64" x2="464" y1="34.7" y2="34.7"/>
    <text x="56.0" y="38.7" text-anchor="end">1000 : 1</text>
    <line class="grid" x1="64" x2="464" y1="16.0" y2="16.0"/>
    <text x="56.0" y="20.0" text-anchor="end">10000 : 1</text>
    <text x="64.0" y="146.0" text-anchor="middle">0 s</text>
    <text x="264.0" y="146.0" text-anchor="middle">15 s</text>
    <text x="464.0" y="146.0" text-anchor="middle">30 s</text>
    <line class="threshold harm" x1="64" x2="464" y1="53.3" y2="53.3"/>
    <text class="harm" x="70.0" y="48.3">100 : 1 rejects</text>
    <polyline class="line harm" points="64.0,90.7 130.7,80.5 197.3,48.6"/>
    <circle class="dot harm" cx="64.0" cy="90.7" r="2.5"/>
    <circle class="dot harm" cx="130.7" cy="80.5" r="2.5"/>
    <circle class="dot harm" cx="197.3" cy="48.6" r="2.5"/>
    <polyline class="line safe" points="64.0,90.7 130.7,109.3 197.3,128.0"/>
    <circle class="dot safe" cx="64.0" cy="90.7" r="2.5"/>
    <circle class="dot safe" cx="130.7" cy="109.3" r="2.5"/>
    <circle class="dot safe" cx="197.3" cy="128.0" r="2.5"/>
    <line class="threshold safe" x1="64" x2="464" y1="66.4" y2="66.4"/>
    <text class="safe" x="70.0" y="61.4">20 : 1 may promote</text>
    <text class="harm" x="64.0" y="172.0">● worse than the primary</text>
    <text class="safe" x="234.0" y="172.0">● below the limit</text>
    </svg><figcaption>The evidence against the canary and for it; each decides at its line.</figcaption></figure></div>
    <details id="numbers-0"><summary id="summary-0">The numbers</summary>
    <div class="scroll" role="group" aria-label="Numbers" tabindex="0"><table><thead>
    <tr><th scope="col">Time</th><th scope="col">Canary</th><th scope="col">Failed</th><th scope="col">Primary</th><th scope="col">Failed</th><th scope="col">Against</th><th scope="col">For</th><th scope="col">Needed</th></tr></thead><tbody>
    <tr><th scope="row"><time datetime="2026-11-23T12:00:20Z">12:00:20 UTC</time></th><td>0</td><td>0</td><td>0</td><td>0</td><td>1.00:1</td><td>1.00:1</td><td>338</td></tr>
    <tr><th scope="row"><time datetime="2026-11-23T12:00:25Z">12:00:25 UTC</time></th><td>80</td><td>20</td><td>700</td><td>0</td><td>3.50:1</td><td>0.10:1</td><td>338</td></tr>
    <tr><th scope="row"><time datetime="2026-11-23T12:00:30Z">12:00:30 UTC</time></th><td>160</td><td>40</td><td>1,400</td><td>1</td><td>180:1</td><td>0.00:1</td><td>338</td></tr></tbody></table></div></details></li>
    <li>
    <h3><span class="phase good">Promoted</span> <time datetime="2026-11-22T12:00:30Z">24h ago</time></h3>
    <p>error rate 0%</p><dl class="inline">
    <div><dt>Change</dt><dd>no other image</dd></div>
    <div><dt>Requests</dt><dd>12,000</dd></div>
    <div><dt>Failed</dt><dd>0</dd></div>
    <div><dt>Took</dt><dd>1m3s</dd></div>
    <div><dt>By</dt><dd>ann</dd></div>
    <div><dt>Error rate</dt><dd>0%</dd></div></dl></li></ol></section>
    "#);
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
