//! A day of commits on a control plane, without nodes: what each request of Flux' controllers comes to. The verdicts are the test's.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::Value;

use super::{
    PATIENCE, PAUSE,
    engine::{Engine, Flux, Place, Waiting},
};
use crate::support::{
    fixtures::{self, Template},
    namespace::{Namespace, state},
    results::row,
    within,
};

fn manifest(template: &str) -> Value {
    fixtures::deployment("app", &Template::named(template))
}

#[track_caller]
fn await_state(namespace: &Namespace, live: &str, held: Option<&str>, phase: Option<Phase>) {
    let wanted = (live.to_owned(), held.map(str::to_owned), phase);
    within(PATIENCE, PAUSE, &format!("{wanted:?}"), || {
        namespace.make_pods_ready();
        let app = namespace.control_plane.find(&namespace.path("app")).unwrap_or_default();
        let seen = state(&app);
        if seen == wanted { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// Whatever the controller does at each interval.
#[track_caller]
fn assert_the_interval_changes_nothing(namespace: &Namespace, flux: &mut Flux<'_>) {
    let all = |app: &Value| {
        (state(app), object::annotation(app, key::RUN).map(str::to_owned), object::annotation(app, key::SINCE).map(str::to_owned))
    };
    let before = all(&namespace.app());
    for _ in 0..3 {
        flux.reconcile();
    }
    assert_eq!(all(&namespace.app()), before);
}

#[rstest]
#[ignore = "needs a control plane and Flux's controllers"]
fn a_day_of_commits(
    #[values(Engine::Kustomization, Engine::HelmRelease)] engine: Engine,
    #[values(Waiting::ForTheRollout, Waiting::ForNothing)] waiting: Waiting,
) {
    let client = format!("{}, {}", engine.words(), waiting.words());
    let namespace = Namespace::new();
    let meanwhile = || namespace.make_pods_ready();
    let place = Place { namespace: &namespace.name, control_plane: namespace.control_plane, meanwhile: &meanwhile };
    let mut flux = Flux::start(place, engine, waiting);
    flux.commit(&manifest("A"));
    await_state(&namespace, "A", None, None);
    flux.await_ready(true);
    {
        let _row =
            row("B is committed and rejected; the interval, again and again", &client, "held once; stays out; not ready if it waits");
        flux.commit(&manifest("B"));
        await_state(&namespace, "A", Some("B"), Some(Phase::Held));
        namespace.judge(Phase::Rejected, "error rate 48.1% exceeds 1% after 12s; template kept out");
        if waiting == Waiting::ForTheRollout {
            flux.await_ready(false);
        }
        assert_the_interval_changes_nothing(&namespace, &mut flux);
        namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
    }
    {
        let _row = row("B was rejected, kubectl annotate and label, the interval", &client, "stays out");
        for command in [["annotate", "note=1"], ["annotate", "note=2"], ["label", "team=x"]] {
            namespace.kubectl.run(&[command[0], "deployment/app", "--overwrite", command[1]]).succeeded();
            assert_the_interval_changes_nothing(&namespace, &mut flux);
        }
        namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
    }
    {
        let _row = row("B was rejected, A is committed again", &client, "withdrawn; ready again");
        flux.commit(&manifest("A"));
        await_state(&namespace, "A", None, Some(Phase::Withdrawn));
        flux.await_ready(true);
        assert_the_interval_changes_nothing(&namespace, &mut flux);
    }
    {
        let _row = row("C is committed and promoted; the interval", &client, "ready once C is rolled out; nothing more");
        flux.commit(&manifest("C"));
        await_state(&namespace, "A", Some("C"), Some(Phase::Held));
        namespace.promote();
        await_state(&namespace, "C", None, Some(Phase::Promoted));
        flux.await_ready(true);
        assert_the_interval_changes_nothing(&namespace, &mut flux);
    }
    {
        let _row = row("D is committed and taken back during its trial", &client, "held once; withdrawn; ready again");
        flux.commit(&manifest("D"));
        await_state(&namespace, "C", Some("D"), Some(Phase::Held));
        namespace.judge(Phase::Running, "");
        flux.commit(&manifest("C"));
        await_state(&namespace, "C", None, Some(Phase::Withdrawn));
        flux.await_ready(true);
        assert_the_interval_changes_nothing(&namespace, &mut flux);
    }
}
