//! Every pod of Coalmine is killed in the middle of a run that is read on the pods' own pages, which keep nothing.

use std::time::{Duration, Instant};

use coalmine_core::{judging::collecting::baseline, manifest::object};

use super::interruptions::{PAUSE, kill_coalmine};
use crate::cluster::{
    app::App,
    pages::BY_PAGES,
    stage::{PATIENCE, Stage},
    traffic::Traffic,
};
use crate::support::within;

#[test]
#[ignore = "needs a whole cluster"]
fn who_takes_over_goes_on_from_what_was_read() {
    let by_pages = |version: &str| {
        let app = App::good(version).replicas(3).canary("metrics", BY_PAGES);
        app.canary("duration", "60s").canary("deadline", "4m")
    };
    let stage = Stage::with(&by_pages("1"));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&by_pages("2"));
    stage.await_canary_ready();
    let ready = Instant::now();
    let mut before: Option<String> = None;
    within(PATIENCE, PAUSE, "what was read to be written twice", || {
        let canary = stage.deployment("app-canary").ok_or("no canary")?;
        let now = object::annotation(&canary, baseline::ANNOTATION).ok_or("nothing is written")?.to_owned();
        let known = before.get_or_insert_with(|| now.clone());
        if *known == now { Err("written once".to_owned()) } else { Ok(()) }
    });
    let killed = ready.elapsed();
    kill_coalmine(stage.control_plane);
    let said = stage.await_event("CanaryPromoted");
    let promoted = ready.elapsed();
    println!("killed after {killed:?}, promoted after {promoted:?}: {said}");
    assert!(said.starts_with("error rate 0% (0 of "), "{said}");
    // Whoever reads anew needs the whole duration from then on.
    assert!(promoted < killed + Duration::from_secs(60), "killed after {killed:?}, promoted after {promoted:?}: {said}");
}
