//! A real headless Chromium, by the protocol of Debian's chromium-driver: what a person would see and press. It knows nothing of the page.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Client;
use serde_json::{Value, json};

use super::{control_plane::ControlPlane, eventually};

/// For one answer of the driver: a browser starts within it on a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);
/// The rules of accessibility, fetched for the test and kept nowhere.
const AXE: &str = "axe-core@4.10.3";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

pub(crate) struct Browser {
    driver: Child,
    control_plane: &'static ControlPlane,
    client: Client,
    session: String,
}

impl Browser {
    pub(crate) fn start(control_plane: &'static ControlPlane) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts: Debian has it as chromium-driver");
        let client = Client::builder().tls_certs_only([]).timeout(ANSWERED_WITHIN).build().expect("a client");
        let address = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, control_plane, client, session: address.clone() };
        eventually("chromedriver", || browser.ask("GET", "/status", &Value::Null).map(drop));
        let profile = control_plane.directory.join(format!("chromium-{port}"));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--window-size=1200,1500",
            &format!("--user-data-dir={}", profile.display()),
        ]
        .map(str::to_owned);
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let started = browser.ask("POST", "/session", &capabilities).expect("a browser");
        browser.session = format!("{address}/session/{}", started["sessionId"].as_str().expect("a session"));
        // The browser's own first page, and what that asked for.
        browser.open("about:blank");
        browser.requests();
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let request = if method == "GET" { self.client.get(url) } else { self.client.post(url).json(body) };
        let answer = self.control_plane.block_on(async { request.send().await?.json::<Value>().await });
        let answer = answer.map_err(|error| format!("{method} {path}: {error:?}"))?;
        let value = answer["value"].clone();
        if value["error"].is_string() { Err(format!("{method} {path}: {value}")) } else { Ok(value) }
    }

    #[track_caller]
    fn done(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, body).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub(crate) fn open(&self, address: &str) {
        self.done("/url", &json!({"url": address}));
    }

    /// The value of an expression.
    #[track_caller]
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.done("/execute/sync", &json!({"script": format!("return {expression};"), "args": []}))
    }

    #[track_caller]
    pub(crate) fn run(&self, script: &str) {
        self.done("/execute/sync", &json!({"script": script, "args": []}));
    }

    /// What stands there, as a person reads it.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({}) ? document.querySelector({0}).innerText : ''", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn await_text(&self, selector: &str, words: &str) {
        eventually(&format!("{words} in {selector}"), || {
            let text = self.text(selector);
            if text.contains(words) { Ok(()) } else { Err(text) }
        });
    }

    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        // What was found may have been put in place anew before it is clicked.
        eventually(&format!("{selector} to be clicked"), || {
            let found = self.ask("POST", "/element", &json!({"using": "css selector", "value": selector}))?;
            let id = found.as_object().and_then(|object| object.values().next()).and_then(Value::as_str).unwrap_or_default().to_owned();
            self.ask("POST", &format!("/element/{id}/click"), &json!({})).map(drop)
        });
    }

    /// One key, by its code in the protocol.
    #[track_caller]
    pub(crate) fn press(&self, key: char) {
        let key = key.to_string();
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.done("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    #[track_caller]
    pub(crate) fn prefer(&self, scheme: Scheme) {
        let media = json!({"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme.as_str()}]});
        self.done("/goog/cdp/execute", &json!({"cmd": "Emulation.setEmulatedMedia", "params": media}));
    }

    /// Without scripts, as some people have it.
    #[track_caller]
    pub(crate) fn let_scripts_run(&self, may: bool) {
        self.done("/goog/cdp/execute", &json!({"cmd": "Emulation.setScriptExecutionDisabled", "params": {"value": !may}}));
    }

    /// The beginning of the page, as PNG.
    #[track_caller]
    pub(crate) fn screenshot(&self, path: &Path) {
        let clip = json!({"x": 0, "y": 0, "width": 1180, "height": 1000, "scale": 1});
        let parameters = json!({"cmd": "Page.captureScreenshot", "params": {"format": "png", "clip": clip}});
        let taken = self.done("/goog/cdp/execute", &parameters);
        let bytes = BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(path, bytes).expect("a picture is written");
    }

    /// What the console said since it was asked last.
    #[track_caller]
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.done("/se/log", &json!({"type": "browser"}));
        entries.as_array().into_iter().flatten().map(ToString::to_string).collect()
    }

    /// All addresses that were asked for since the last time.
    #[track_caller]
    pub(crate) fn requests(&self) -> Vec<String> {
        let entries = self.done("/se/log", &json!({"type": "performance"}));
        let messages = entries.as_array().into_iter().flatten().filter_map(|entry| entry["message"].as_str());
        let messages = messages.filter_map(|message| serde_json::from_str::<Value>(message).ok());
        let asked = messages.filter(|message| message["message"]["method"] == "Network.requestWillBeSent");
        asked.filter_map(|message| message["message"]["params"]["request"]["url"].as_str().map(str::to_owned)).collect()
    }

    /// What axe's rules of accessibility find wrong, a line each.
    #[track_caller]
    pub(crate) fn accessibility(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(axe(self.control_plane)).expect("axe");
        let script = format!(
            "{axe}; const done = arguments[0]; axe.run(document).then((found) => done(found.violations), (e) => done([{{id: String(e)}}]));"
        );
        let found = self.done("/execute/async", &json!({"script": script, "args": []}));
        let line = |violation: &Value| {
            let nodes = violation["nodes"].as_array().into_iter().flatten();
            let places: Vec<String> = nodes.map(|node| format!("{}: {}", node["html"], node["failureSummary"])).collect();
            format!("{}: {} {}", violation["id"], violation["help"], places.join("; "))
        };
        found.as_array().into_iter().flatten().map(line).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, the driver by us.
        let _ = self.control_plane.block_on(async { self.client.delete(&self.session).send().await });
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// By npm, once per run.
fn axe(control_plane: &ControlPlane) -> &'static Path {
    static AXE_FILE: OnceLock<PathBuf> = OnceLock::new();
    AXE_FILE.get_or_init(|| {
        let directory = control_plane.directory.join("axe");
        std::fs::create_dir_all(&directory).expect("a directory");
        let npm = Command::new("npm")
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&directory)
            .arg(AXE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("npm starts: Debian has it as npm");
        assert!(npm.success(), "npm: {npm}");
        directory.join("node_modules/axe-core/axe.min.js")
    })
}
