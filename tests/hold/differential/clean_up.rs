//! What a client does to the object around its template, in the midst of a sequence: records put in order, annotations taken off. What becomes
//! of a template that is on trial then, and when the other Deployment hears of it. Compares nothing.

use serde_json::{Value, json};

use super::{
    Pending, Worlds,
    files::{app, ends_as_without_coalmine, variables},
    step::{Step, in_order, send},
};
use crate::support::namespace::held;

impl Worlds {
    /// Of records, whatever they describe.
    pub(super) fn clean_up(&mut self, manager: &'static str) {
        // Such a request that changes nothing can't be told from the applier's own statement of the live template.
        if [&self.held, &self.plain].iter().any(|world| in_order(&world.app(), manager).is_none()) {
            return;
        }
        self.around_the_template(Step::CleanUp(manager));
    }

    /// A later wish than what is held, so that it comes after it without Coalmine.
    pub(super) fn around_the_template(&mut self, step: Step) {
        if self.pending.is_empty() {
            self.request(&step);
            return;
        }
        let before = self.held.app();
        if let Err(refused) = send(&self.held, &step, false) {
            assert!(is_asked_for(&refused), "{step:?} passes: {refused}");
            return;
        }
        let after = self.held.app();
        assert_eq!(held(&after).map(|held| held.template), held(&before).map(|held| held.template), "{step:?}");
        self.pending.push(Pending { step, is_live: true });
    }

    /// Whether what this request comes to depends on what such a one left, which the plain Deployment has not heard of yet: an applier's on the
    /// records, and that of kubectl on last-applied.
    pub(super) fn depends_on_pending(&self, request: &Step) -> bool {
        self.pending.iter().any(|pending| match pending.step {
            Step::CleanUp(_) => request.applier().is_some(),
            Step::OwnAnnotations => matches!(request, Step::ClientSideApply(_)),
            _ => false,
        })
    }

    /// Nothing is held any more, of which some requests were not.
    pub(super) fn forget_pending(&mut self) {
        for Pending { step, .. } in std::mem::take(&mut self.pending) {
            self.make_plainly(&step);
        }
    }

    /// `false` where it is something else.
    pub(super) fn make_plainly(&self, step: &Step) -> bool {
        let means_something = match step {
            Step::CleanUp(manager) => in_order(&self.plain.app(), manager).is_some(),
            Step::OwnAnnotations => true,
            _ => return false,
        };
        if means_something {
            send(&self.plain, step, false).expect("what passed with Coalmine passes without");
        }
        true
    }
}

/// Nobody takes the question away that a template on trial waits for.
pub(super) fn is_asked_for(refused: &str) -> bool {
    refused.contains("canary.approval can't")
}

/// Annotations are taken off the object while a file of kubectl's is on trial: what that drops was computed before.
#[test]
#[ignore = "needs a control plane"]
fn annotations_are_taken_off_in_a_trial() {
    let (a, b) = (app("a", &variables(&["VA"]), &json!({"a": "1"})), app("b", &json!([]), &Value::Null));
    let (a, b) = (Step::ClientSideApply(a), Step::ClientSideApply(b));
    ends_as_without_coalmine(&[a.clone(), b.clone(), Step::OwnAnnotations]);
    ends_as_without_coalmine(&[a.clone(), Step::OwnAnnotations, b.clone(), Step::OwnAnnotations]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), Step::OwnAnnotations, Step::Restart(1), Step::Promote, b.clone()]);
    ends_as_without_coalmine(&[a.clone(), a.clone(), b, Step::OwnAnnotations, a]);
}

/// Annotations are taken off what was read, after a part and a change of it.
#[test]
#[ignore = "needs a control plane"]
fn annotations_go_from_what_was_read_beside_a_change() {
    let probe = json!({"httpGet": {"path": "/", "port": 8080}});
    let ports = json!([{"containerPort": 8080, "name": "http"}]);
    let a = json!({
        "metadata": {"annotations": {"a": "2", "b": ""}, "labels": {"app": "app", "team": "x"}},
        "spec": {"nodeSelector": {}, "terminationGracePeriodSeconds": 5, "tolerations": [{"key": "a", "operator": "Exists"}],
            "containers": [{"name": "app", "image": "registry.example/app:b", "env": variables(&["VA"]), "ports": ports, "readinessProbe": probe},
                           {"name": "side", "image": "registry.example/side:b"}]},
    });
    let b = json!({
        "metadata": {"annotations": {"a": "2", "b": ""}, "labels": {"app": "app", "tier": "web"}},
        "spec": {"nodeSelector": {"disk": "ssd"}, "terminationGracePeriodSeconds": null, "tolerations": [{"key": "a", "operator": "Exists"}],
            "containers": [{"name": "app", "image": "registry.example/app:b", "command": null, "env": variables(&["VD"]), "ports": ports, "readinessProbe": null}]},
    });
    let change = Step::Merge(json!({"spec": {"template": {"metadata": {"annotations": {"restartedAt": "2"}}}}}));
    ends_as_without_coalmine(&[Step::ClientSideApply(a), Step::ServerSideApply(b), change, Step::OwnAnnotations]);
}
