//! Reviews as they come in: answered, refused, met by a fault, or in vain.

use axum::body::{Body, Bytes, to_bytes};
use rstest::rstest;
use serde_json::json;
use tower::ServiceExt as _;

use super::*;
use coalmine_core::api::label::Label;

/// Whoever asks the API server panics.
fn faulty() -> Router {
    let service = tower::service_fn(|_: Request<kube::client::Body>| async {
        let answers: Vec<axum::http::Response<Body>> = Vec::new();
        Ok::<_, std::convert::Infallible>(answers.into_iter().next().expect("a fault"))
    });
    router(Arc::new(Webhook { checker: Checker::new(kube::Client::new(service, "default")), ..webhook() }))
}

fn webhook() -> Webhook {
    let nobody = tower::service_fn(|_: Request<kube::client::Body>| {
        std::future::ready(Ok::<_, std::convert::Infallible>(axum::http::Response::new(Body::empty())))
    });
    Webhook {
        settings: Settings {
            controller: "coalmine".to_owned(),
            canary_label: Label::new("tier", "canary"),
            checks: coalmine_core::api::checks::Rules::default(),
        },
        checker: Checker::new(kube::Client::new(nobody, "default")),
        approval_verb: false,
        sinks: Arc::default(),
        metrics: Metrics::register(&mut prometheus_client::registry::Registry::default()),
    }
}

/// An API server that lets bob approve.
fn asking_who_may() -> Router {
    let service = tower::service_fn(|request: Request<kube::client::Body>| async {
        let body = to_bytes(Body::new(request.into_body()), usize::MAX).await.expect("a body");
        let mut review: Value = serde_json::from_slice(&body).expect("a question");
        let asked = &review["spec"]["resourceAttributes"];
        assert_eq!((&asked["verb"], &asked["resource"], &asked["name"]), (&json!("approve"), &json!("deployments"), &json!("app")));
        review["status"] = json!({"allowed": review["spec"]["user"] == "bob" && review["spec"]["groups"][0] == "leads"});
        Ok::<_, std::convert::Infallible>(axum::http::Response::new(Body::from(review.to_string())))
    });
    router(Arc::new(Webhook { checker: Checker::new(kube::Client::new(service, "default")), approval_verb: true, ..webhook() }))
}

#[rstest]
#[case("bob", true)]
#[case("eve", false)]
#[tokio::test]
async fn with_the_verb_only_who_has_it_approves(#[case] user: &str, #[case] allowed: bool) {
    let mut held = app("a", json!({"canary.enabled": "true", "canary.approval": "required"}));
    let mut sent = held.clone();
    sent["spec"]["template"]["spec"]["containers"][0]["image"] = json!("b");
    let review = json!({"request": {"uid": "u", "name": "app", "oldObject": held, "object": sent}}).to_string();
    let read = review::read(review.as_bytes()).unwrap();
    let Outcome::Changed(changed) = admit::admit(&webhook().settings, &read.input()).outcome else { panic!("it is held") };
    held["metadata"]["annotations"] = changed["metadata"]["annotations"].clone();
    let mut approved = held.clone();
    approved["metadata"]["annotations"]["canary.approve"] = held["metadata"]["annotations"]["canary.state/run"].clone();
    let who = json!({"username": user, "groups": ["leads"]});
    let review = json!({"request": {"uid": "u", "name": "app", "userInfo": who, "oldObject": held, "object": approved}}).to_string();
    let answer: Value = post(&asking_who_may(), "/admit", review).await.1.parse().unwrap();
    assert_eq!(answer["response"]["allowed"], allowed, "{answer}");
    if !allowed {
        insta::assert_snapshot!(answer["response"]["status"]["message"].as_str().unwrap(), @"canary: eve may not approve: the verb approve on this Deployment is missing (kubectl auth can-i approve deployments.apps)");
    }
}

/// A notification never keeps a template out.
#[rstest]
#[case::known("payments", "sinks: [{name: payments, type: slack, url-file: /a}]", &[])]
#[case::nobody("none", "sinks: []", &[])]
#[case::unknown(
    "payments, paymets",
    "sinks: [{name: payments, type: slack, url-file: /a}]",
    &["canary: canary.notify on the Deployment: no sink is called paymets; there is payments"]
)]
#[case::not_set_up("payments", "sinks: []", &["canary: canary.notify: nobody is told: Coalmine has no sinks here; ask who runs it"])]
#[tokio::test]
async fn a_name_that_no_sink_has_is_told_and_not_refused(#[case] names: &str, #[case] file: &str, #[case] warnings: &[&str]) {
    let sinks = Arc::new(Sinks::parse(file, &[]).unwrap());
    let router = router(Arc::new(Webhook { sinks, ..webhook() }));
    let (old, new) = (json!({"canary.enabled": "true"}), json!({"canary.enabled": "true", "canary.notify": names}));
    let review = json!({"request": {"uid": "u", "name": "app", "oldObject": app("a", old), "object": app("a", new)}}).to_string();
    let answer: Value = post(&router, "/admit", review).await.1.parse().unwrap();
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    let told: Vec<&str> = answer["response"]["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(told, warnings);
}

fn app(image: &str, annotations: Value) -> Value {
    json!({"metadata": {"name": "app", "namespace": "shop", "uid": "1", "annotations": annotations},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "app"}},
            "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": image}]}}}})
}

async fn post(router: &Router, path: &str, body: String) -> (StatusCode, String) {
    let response = router.clone().oneshot(Request::post(path).body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_fault_denies_the_request_that_met_it_in_words_and_no_other() {
    let router = faulty();
    let review = |old: Value, new: Value| json!({"request": {"uid": "u", "name": "app", "oldObject": old, "object": new}}).to_string();
    let held = review(app("a", json!({"canary.enabled": "true"})), app("b", json!({"canary.enabled": "true"})));
    let (status, text) = post(&router, "/admit", held).await;
    let answer: Value = text.parse().unwrap();
    assert_eq!((status, &answer["response"]["uid"], &answer["response"]["allowed"]), (StatusCode::OK, &json!("u"), &json!(false)));
    insta::assert_snapshot!(answer["response"]["status"]["message"].as_str().unwrap(),
        @"canary: Coalmine met a fault of its own with this request, so nothing was changed; its log names the place: please report it. To go on without Coalmine, apply it without canary.* annotations (kubectl replace)");
    let labelled = review(app("a", json!({"canary.enabled": "true"})), app("a", json!({"canary.enabled": "true", "x": "1"})));
    let answer: Value = post(&router, "/admit", labelled).await.1.parse().unwrap();
    assert_eq!(answer["response"]["allowed"], true, "the process goes on");
}

#[rstest]
#[case::opted_in("ann", json!({"canary.enabled": "true"}), Effect::Denied)]
#[case::opted_out("ann", json!({"canary.enabled": "false"}), Effect::Passed)]
#[case::plain("ann", json!({"team": "shop"}), Effect::Passed)]
#[case::state_could_be_forged("ann", json!({"canary.state/held": "x"}), Effect::Denied)]
#[case::the_controller_promotes_nothing_unseen("coalmine", json!({}), Effect::Denied)]
fn what_passes_after_a_fault(#[case] user: &str, #[case] annotations: Value, #[case] expected: Effect) {
    let settings = Settings {
        controller: "coalmine".to_owned(),
        canary_label: Label::new("tier", "canary"),
        checks: coalmine_core::api::checks::Rules::default(),
    };
    let review = json!({"request": {"uid": "u", "userInfo": {"username": user}, "object": app("b", annotations)}}).to_string();
    let admission = after_a_fault(&settings, &review::read(review.as_bytes()).unwrap());
    assert_eq!(admission.effect, expected);
}

/// While replicas of two versions answer, the older one is asked by entries that came with the newer.
#[rstest]
#[case::of_a_newer_version("/since/0.2.0/services", StatusCode::OK)]
#[case::misspelt("/admit-agian", StatusCode::NOT_FOUND)]
#[tokio::test]
async fn an_entry_of_a_newer_version_denies_nothing(#[case] path: &str, #[case] expected: StatusCode) {
    let annotations = json!({"canary.enabled": "true"});
    let review = json!({"request": {"uid": "u", "oldObject": app("a", annotations.clone()), "object": app("b", annotations)}});
    let (status, text) = post(&router(Arc::new(webhook())), path, review.to_string()).await;
    assert_eq!(status, expected);
    if expected == StatusCode::OK {
        let answer: Value = text.parse().unwrap();
        assert_eq!(answer["response"], json!({"uid": "u", "allowed": true}));
    }
}

#[tokio::test]
async fn a_review_that_does_not_end_is_given_up() {
    let limit = Duration::from_millis(20);
    let router: Router =
        Router::new().route("/", axum::routing::post(|_: Bytes| async { "read" })).layer(middleware::from_fn_with_state(limit, in_time));
    let ask = |body: Body| router.clone().oneshot(Request::post("/").body(body).unwrap());
    assert_eq!(ask(Body::from("{}")).await.unwrap().status(), StatusCode::OK);
    let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(ask(endless).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
}
