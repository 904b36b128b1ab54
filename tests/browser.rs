//! The page in a real browser, against a real API server: a rejection and a promotion as they happen, deep links, filters, keyboard, and that it
//! says nothing on the console, asks nobody else, and breaks no rule of accessibility.

use std::path::PathBuf;

use coalmine::clock;
use coalmine_core::{
    api::annotations::{Phase, RUN},
    api::label::Label,
    hold::promotion,
    manifest::object,
    run::canary,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{
    browser::{Browser, Scheme},
    control_plane::{As, control_plane},
    kubectl::Apply::ClientSide,
    namespace::{Namespace, held},
    page::PageServer,
};

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// What stands before the test: a server, a browser, and template B on trial in a namespace.
struct Scene {
    namespace: Namespace,
    server: PageServer,
    browser: Browser,
    now: Timestamp,
}

impl Scene {
    fn set(name: &str) -> Self {
        let namespace = Namespace::with_b_held(ClientSide);
        let server = PageServer::start(control_plane(), name, &[]);
        Self { namespace, server, browser: Browser::start(control_plane()), now: clock::now() }
    }

    fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    fn detail(&self) -> String {
        self.address(&format!("/{}/app", self.namespace.name))
    }

    /// As the controller does it: the canary of the present run.
    fn create_canary(&self) {
        let app = self.namespace.app();
        let held = held(&app).expect("a held template");
        let run = object::annotation(&app, RUN).expect("a run");
        let canary = canary::deployment(&app, held.template, run, &Label::new("tier", "canary"));
        let path = self.namespace.path("app-canary");
        let (path, _) = path.rsplit_once('/').expect("a path");
        self.namespace.control_plane.send(As::Controller, "POST", path, "application/json", &canary).expect("a canary");
        let since = (self.now - SignedDuration::from_secs(75)).to_string();
        let patch = promotion::state_patch(&self.namespace.app(), Phase::Running, Some(""), &since);
        self.namespace.patch(As::Controller, &patch).expect("the controller may begin a trial");
    }

    /// What the leader writes of this many looks; `share` of the canary's requests fail.
    fn count(&self, looks: i64, share: f64) {
        let app = self.namespace.app();
        let run = object::annotation(&app, RUN).expect("a run");
        let began = self.now.as_second() - 5 * looks;
        let look = |at: i64| {
            let (second, requests) = (began + 5 * at, 120.0 * at as f64);
            let (against, in_favour) = if share > 0.05 {
                (8.0_f64.powf(at as f64 / 2.0), 0.5_f64.powf(at as f64))
            } else {
                (0.9_f64.powf(at as f64), 1.4_f64.powf(at as f64))
            };
            json!([second, requests, (requests * share).round(), requests * 9.0, at / 3, against, in_favour, 1_204])
        };
        let record = json!({"run": run, "looks": (0..looks).map(look).collect::<Vec<_>>()});
        let ready = Timestamp::from_second(began).expect("a time").to_string();
        let patch = json!({"metadata": {"annotations": {"coalmine.dev/evidence": record.to_string(), "coalmine.dev/ready-since": ready}}});
        let path = self.namespace.path("app-canary");
        self.namespace.control_plane.send(As::Controller, "PATCH", &path, "application/merge-patch+json", &patch).expect("evidence");
    }

    /// A verdict on the day before, as the controller keeps it.
    fn remember(&self) {
        let before = self.now.as_second() - 26 * 3600;
        let look = |at: i64| {
            json!([before + 5 * at, 120 * at, 30 * at, 1080 * at, at / 3, 8.0_f64.powf(at as f64 / 2.0), 0.5_f64.powf(at as f64), 1_204])
        };
        let history = json!([{
            "t": before + 20, "p": "Rejected", "i": {"app": ["registry.example/app:a", "registry.example/app:bad"]}, "n": 480, "f": 120, "s": 26, "u": "ann",
            "m": "error rate 25% (120 of 480 requests) exceeds 1% after 20s; primary 0.02%; template kept out",
            "e": (0..5).map(look).collect::<Vec<_>>(),
        }]);
        let patch = json!([{"op": "add", "path": "/metadata/annotations/canary.state~1history", "value": history.to_string()}]);
        self.namespace.patch(As::Controller, &patch).expect("the controller may keep a verdict");
    }

    /// The end of all tests: quiet on the console, and nobody else was asked.
    #[track_caller]
    fn assert_quiet(&self) {
        assert_eq!(self.browser.console(), Vec::<String>::new());
        let origin = self.address("/");
        let strangers: Vec<String> =
            self.browser.requests().into_iter().filter(|url| !url.starts_with(&origin) && !url.starts_with("chrome://")).collect();
        assert_eq!(strangers, Vec::<String>::new());
    }

    #[track_caller]
    fn assert_accessible(&self) {
        for scheme in [Scheme::Light, Scheme::Dark] {
            self.browser.prefer(scheme);
            let found = self.browser.accessibility();
            assert!(found.is_empty(), "{}:\n{}", scheme.as_str(), found.join("\n"));
        }
    }
}

#[test]
#[ignore = "needs a browser"]
fn a_rejection_and_a_promotion_are_watched_as_they_happen() {
    let scene = Scene::set("browser-live");
    let browser = &scene.browser;
    browser.open(&scene.detail());
    browser.await_text("#live", "live");
    browser.await_text("#sentence", "Held");
    // Whatever loads the page again forgets this.
    browser.run("window.isTheSame = true;");
    scene.create_canary();
    browser.await_text("h1", "Running");
    scene.count(3, 0.25);
    browser.await_text("#sentence", "of 1,204 requests that are needed, 60 failed");
    scene.count(8, 0.25);
    browser.await_text("#sentence", "840 of 1,204 requests that are needed, 210 failed");
    assert_eq!(browser.value("document.querySelectorAll('#main svg').length"), 3);
    // What is open and what has the focus stay when the rest is put in place.
    browser.run("document.getElementById('summary-now').focus();");
    browser.press(ENTER);
    scene.count(9, 0.25);
    browser.await_text("#sentence", "960 of 1,204");
    assert_eq!(browser.value("[document.activeElement.id, document.getElementById('numbers-now').open]"), json!(["summary-now", true]));
    scene.namespace.judge(Phase::Rejected, "error rate 25% (240 of 960 requests) exceeds 1% after 40s; primary 0%; template kept out");
    browser.await_text("#sentence", "Rejected: error rate 25% (240 of 960 requests) exceeds 1%");
    browser.await_text("#news", "Rejected: error rate 25%");

    scene.namespace.apply(ClientSide, "C").succeeded();
    browser.await_text("h1", "Held");
    scene.namespace.judge(Phase::Running, "");
    browser.await_text("h1", "Running");
    scene.namespace.promote();
    browser.await_text("h1", "Promoted");
    browser.await_text("#sentence", "Promoted: the template is good");
    assert_eq!(browser.value("window.isTheSame"), true, "the page was loaded again");
    scene.assert_quiet();
}

#[test]
#[ignore = "needs a browser"]
fn links_filters_and_keys_lead_where_they_say() {
    let scene = Scene::set("browser-keys");
    let browser = &scene.browser;
    let name = &scene.namespace.name;
    browser.open(&scene.address(&format!("/?namespace={name}&phase=Held")));
    browser.await_text("#sentence", "1 is on trial.");
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.id"), "skip");
    browser.press(ENTER);
    assert_eq!(browser.value("document.activeElement.id"), "main");
    browser.press(TAB);
    assert_eq!(browser.value("document.activeElement.id"), "phase-all");
    browser.click("#phase-all");
    assert_eq!(browser.value("location.search"), format!("?namespace={name}"));
    browser.click("#phase-Held");
    assert_eq!(browser.value("location.search"), format!("?namespace={name}&phase=Held"));
    browser.run(&format!("document.getElementById('row-{name}/app').focus();"));
    browser.press(ENTER);
    browser.await_text("h1", &format!("{name}/app Held"));
    assert_eq!(browser.value("location.pathname"), format!("/{name}/app"));
    browser.click("#up-namespace");
    browser.await_text("h1", &format!("Canaries in {name}"));
    browser.click("#home");
    browser.await_text("h1", "Canaries");
    assert_eq!(browser.value("location.pathname + location.search"), "/");
    scene.assert_quiet();
    browser.let_scripts_run(false);
    browser.open(&scene.detail());
    browser.let_scripts_run(true);
    browser.await_text("h1", &format!("{name}/app Held"));
    browser.await_text(".diff", "+      value: B");
}

#[test]
#[ignore = "needs a browser"]
fn nothing_is_found_by_the_rules_of_accessibility() {
    let scene = Scene::set("browser-axe");
    let other = Namespace::with_b_held(ClientSide);
    scene.create_canary();
    scene.count(12, 0.02);
    scene.namespace.judge(Phase::Rejected, "error rate 2% exceeds 1%; template kept out");
    scene.namespace.apply(ClientSide, "C").succeeded();
    for path in ["/".to_owned(), format!("/?namespace={}", other.name), "/?page=7".to_owned(), format!("/{}/nope", other.name)] {
        scene.browser.open(&scene.address(&path));
        scene.assert_accessible();
    }
    scene.browser.open(&scene.detail());
    scene.browser.await_text("h1", "Held");
    scene.browser.run("for (const details of document.querySelectorAll('details')) details.open = true;");
    scene.assert_accessible();
}

/// The pictures of the README, where `COALMINE_SCREENSHOTS` names the directory that they go to.
#[test]
#[ignore = "needs a browser"]
fn pictures_in_light_and_dark() {
    let scene = Scene::set("browser-pictures");
    let browser = &scene.browser;
    scene.create_canary();
    scene.count(9, 0.001);
    scene.remember();
    // Without scripts it stays as it was loaded.
    browser.let_scripts_run(false);
    browser.open(&scene.detail());
    browser.let_scripts_run(true);
    browser.await_text("h1", "Running");
    browser.await_text(".history", "error rate 25%");
    let (own, shown) = (json!(scene.namespace.name), json!("shop"));
    browser.run(&format!("document.body.innerHTML = document.body.innerHTML.replaceAll({own}, {shown});"));
    let directory = std::env::var_os("COALMINE_SCREENSHOTS").map(PathBuf::from);
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme);
        let background = browser.value("getComputedStyle(document.body).backgroundColor");
        let expected = if scheme == Scheme::Light { "rgb(255, 255, 255)" } else { "rgb(13, 17, 23)" };
        assert_eq!(background, Value::from(expected));
        if let Some(directory) = &directory {
            browser.screenshot(&directory.join(format!("page-{}.png", scheme.as_str())));
        }
    }
}
