//! The page of the Coalmine that is installed, brought here by `kubectl coalmine dashboard`, while real traffic decides: what a person sees of a
//! bad version and of a good one.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use coalmine_core::api::annotations::Phase;
use rustix::process::{Pid, Signal, kill_process_group};

use super::{app::App, stage::Stage, traffic::Traffic};
use crate::support::{
    browser::Browser,
    control_plane::{api_server, variable},
};

/// The dashboard, running beside the test.
struct Dashboard {
    process: Child,
    address: String,
}

impl Dashboard {
    fn start() -> Self {
        let kubectl = api_server().kubectl.clone();
        let plugin = PathBuf::from(variable("COALMINE_PLUGIN"));
        let on_path = [&kubectl, &plugin].map(|program| program.parent().expect("a directory").display().to_string()).join(":");
        let mut process = Command::new(plugin)
            .args(["dashboard", "--no-open"])
            .env("PATH", format!("{on_path}:{}", std::env::var("PATH").unwrap_or_default()))
            // Ended together with its kubectl. Not as by a terminal: whoever is started in the background hears no interrupt.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the plugin starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let address = line.split(' ').next().unwrap_or_default().trim_end_matches('/').to_owned();
        assert!(address.starts_with("http://127.0.0.1:") && line.contains("shows the page of pod coalmine-"), "{line}");
        Self { process, address }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let group = self.process.id().try_into().ok().and_then(Pid::from_raw).expect("a process");
        let _ = kill_process_group(group, Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_bad_and_a_good_version_are_watched_in_a_browser() {
    let stage = Stage::with(&App::good("1"));
    let _traffic = Traffic::start(&stage, 200);
    let (dashboard, browser) = (Dashboard::start(), Browser::start(api_server()));
    browser.open(&format!("{}/{}/app", dashboard.address, stage.name));
    browser.await_text("#live", "live");
    browser.run("window.isTheSame = true;");
    stage.apply(&App::good("2").with("ERROR_RATE", "30%"));
    browser.await_text("h1", "Running");
    let (phase, message) = stage.await_verdict();
    assert_eq!(phase, Phase::Rejected, "{message}");
    browser.await_text("#sentence", &format!("Rejected: {message}"));
    stage.apply(&App::good("3"));
    browser.await_text("h1", "Running");
    browser.await_text("#sentence", "requests that are needed, 0 failed");
    let (phase, message) = stage.await_verdict();
    assert_eq!(phase, Phase::Promoted, "{message}");
    browser.await_text("h1", "Promoted");
    browser.await_text("#history + .history", "Rejected");
    assert_eq!(browser.value("window.isTheSame"), true, "the page was loaded again");
    assert!(
        browser.value("document.querySelectorAll('.history svg').length").as_i64() >= Some(2),
        "the runs that ended keep their pictures"
    );
    assert_eq!(browser.console(), Vec::<String>::new());
}
