//! A verdict is told although whoever gave it is killed before it could tell it; and what was told is told once.

use std::sync::atomic::AtomicBool;

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use serde_json::Value;

use super::{
    schedule::{Request, Template},
    stage::Stage,
    users::User,
};
use crate::support::{control_plane::api_server, eventually, results::row};

const CRASHING: Template = Template(5);

fn phase(app: &Value) -> Option<Phase> {
    object::phase(object::annotations(app))
}

#[test]
#[ignore = "needs a control plane of its own"]
fn a_verdict_is_told_although_the_leader_is_killed_before_it_could_tell() {
    let _row = row("a verdict whose leader is killed before it is told", "a webhook", "told by the next leader, and once");
    let mut stage = Stage::new(api_server());
    let world = stage.world();
    let mut user = User::new(api_server(), &world, &format!("told-{}", std::process::id()), 0);
    user.begin();
    eventually("the first template to be available", || user.is_available());
    stage.sink.answer(503);
    user.send(&Request::Apply(CRASHING), &AtomicBool::new(true));
    let rejected = eventually("a verdict that is not told", || {
        let app = user.app().ok_or("no Deployment")?;
        let untold = phase(&app) == Some(Phase::Rejected) && object::annotation(&app, key::UNSENT).is_some();
        let tried = stage.sink.letters().iter().any(|letter| letter.namespace == user.namespace);
        if untold && tried { Ok(app) } else { Err(format!("{:?}", object::annotations(&app).get(key::PHASE))) }
    });
    let killed = stage.kill_the_leader();
    stage.sink.answer(200);
    let told = eventually("the next leader to tell it", || {
        let app = user.app().ok_or("no Deployment")?;
        match object::annotation(&app, key::UNSENT) {
            None => Ok(stage.sink.taken(&user.namespace)),
            Some(unsent) => Err(format!("{killed} was killed; {unsent}")),
        }
    });
    let id = |app: &Value| format!("{}_{}_rejected", object::uid(app), object::annotation(app, key::RUN).unwrap_or_default());
    let ids: Vec<&str> = told.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(ids, [id(&rejected)]);

    user.send(&Request::Retry(1), &AtomicBool::new(true));
    let again = eventually("the second verdict to be told", || {
        let app = user.app().ok_or("no Deployment")?;
        let is_told = phase(&app) == Some(Phase::Rejected) && id(&app) != id(&rejected) && object::annotation(&app, key::UNSENT).is_none();
        if is_told { Ok(app) } else { Err(format!("{:?}", object::annotations(&app).get(key::PHASE))) }
    });
    let ids: Vec<String> = stage.sink.taken(&user.namespace).into_iter().map(|letter| letter.id).collect();
    assert_eq!(ids, [id(&rejected), id(&again)], "each once");

    stage.sink.answer(410);
    user.send(&Request::Retry(2), &AtomicBool::new(true));
    let note = eventually("an Event that nobody was told", || {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", user.namespace);
        let events = api_server().attempt("GET", &path, "", &Value::Null).map_err(|refused| refused.to_string())?;
        let told = events["items"].as_array().into_iter().flatten().filter(|event| event["reason"] == "CanaryNotificationFailed");
        let notes: Vec<String> = told.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect();
        let left = user.app().is_some_and(|app| object::annotation(&app, key::UNSENT).is_some());
        if notes.len() == 1 && !left { Ok(notes.concat()) } else { Err(format!("{notes:?}")) }
    });
    insta::assert_snapshot!(note, @"ledger was not told that it is Rejected: status 410: nothing is there any more; the verdict stands");
    user.leave();
}
