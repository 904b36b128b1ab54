//! Two Deployments of one template, behind one Service, in one namespace: neither takes the other's pods for its own.

use std::time::Duration;

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use serde_json::Value;

use super::{
    app::App,
    stage::{PATIENCE, Stage},
    traffic::Traffic,
};
use crate::support::{kubectl::Apply::ClientSide, within};

fn twin(app: &App) -> Value {
    let mut manifest = app.manifest();
    manifest["metadata"]["name"] = "twin".into();
    manifest
}

/// The requests in the sentence of a verdict, as in "error rate 0% (0 of 1,845 requests)".
fn requests(message: &str) -> u64 {
    let (_, rest) = message.split_once(" of ").unwrap_or_default();
    let digits: String = rest.chars().take_while(|character| *character != ' ').filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no requests in {message}"))
}

#[test]
#[ignore = "needs a whole cluster"]
fn two_deployments_with_one_template_never_see_each_others_pods() {
    let stage = Stage::with(&App::good("1"));
    // Its pods run what is tried below, and get most of the traffic.
    stage.kubectl.apply(ClientSide, &twin(&App::good("2").replicas(7))).succeeded();
    stage.kubectl.run(&["rollout", "status", "deployment/twin", "--timeout=150s"]).succeeded();
    let traffic = Traffic::start(&stage, 300);
    stage.await_counted();
    let mark = traffic.mark();
    stage.apply(&App::good("2"));
    stage.await_phase(Phase::Promoted);
    let (counted, all) = (requests(&stage.message()), traffic.since(mark).answers_of("2"));
    assert!(counted > 0 && 3 * counted < all, "{counted} of the {all} answers of this template in the whole time: {}", stage.message());
    stage.rollout_status().succeeded();

    // Both at once.
    stage.apply(&App::good("3"));
    stage.kubectl.apply(ClientSide, &twin(&App::good("3").replicas(7))).succeeded();
    let canary = |name: &str| stage.deployment(name).map(|canary| canary["spec"]["template"]["spec"].clone());
    let [left, right] =
        within(PATIENCE, Duration::from_millis(100), "two canaries", || match [canary("app-canary"), canary("twin-canary")] {
            [Some(left), Some(right)] => Ok([left, right]),
            seen => Err(format!("{:?}", seen.map(|canary| canary.is_some()))),
        });
    assert_eq!(left, right);
    stage.await_phase(Phase::Promoted);
    within(PATIENCE, Duration::from_millis(300), "the twin's promotion", || {
        let twin = stage.deployment("twin").expect("the twin");
        let phase = object::phase(object::annotations(&twin));
        let message = object::annotation(&twin, key::MESSAGE).unwrap_or_default();
        if phase == Some(Phase::Promoted) { Ok(()) } else { Err(format!("{phase:?}: {message}")) }
    });
    for name in ["app", "twin"] {
        stage.kubectl.run(&["rollout", "status", &format!("deployment/{name}"), "--timeout=150s"]).succeeded();
    }
}
