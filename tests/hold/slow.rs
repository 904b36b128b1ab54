//! The API server gives no answer to what Coalmine asks it about a request, while it waits for Coalmine's own.

use std::time::{Duration, Instant};

use crate::support::{
    coalmine::Coalmine,
    fixtures::{self, Template},
    gateway::{Gateway, Way, api_server},
    kubectl::Apply,
    namespace::Namespace,
    results::row,
};

/// Of the webhook in `deploy/`: what takes longer is refused.
const DEADLINE: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs a control plane"]
fn a_request_is_answered_in_time_although_no_question_about_it_is() {
    const SLOW: &str = "coalmine-slow";
    let _row = row("a template change while the API server answers no question of Coalmine's", "kubectl apply", "held, unchecked, in time");
    let namespace = Namespace::with_a(Apply::ClientSide);
    let gateway = Gateway::new(namespace.control_plane, vec![api_server(&namespace.kubectl)]);
    let way = format!("https://127.0.0.1:{}", gateway.port);
    let slow = Coalmine::beside(namespace.control_plane, SLOW, Some(&way), &["--approval-verb"]);
    let is_asked = ["annotate", "deployment/app", "--dry-run=server", "canary.duration=10s"];
    namespace.served_by(Some(SLOW), || {
        namespace.kubectl.run(&is_asked).succeeded();
        if slow.reviews() > 0 { Ok(()) } else { Err("it was asked nothing".to_owned()) }
    });

    gateway.set(Way::Stalled);
    let began = Instant::now();
    let said = namespace.kubectl.apply(Apply::ClientSide, &fixtures::deployment("app", &Template::named("B"))).succeeded();
    let took = began.elapsed();
    assert!(said.stderr.contains("template held"), "{said:?}");
    assert!(took < DEADLINE, "{took:?}");
    namespace.assert_held("B");
    gateway.set(Way::Open);
}
