//! Coalmine as the suite found it, after a test that took it away.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{app::App, stage::PATIENCE};
use crate::support::{control_plane::ControlPlane, kubectl::Kubectl, within};

/// `kubectl apply -k deploy` and an answer of the webhook, however the test ends.
pub(super) struct Reinstalled<'a>(&'a ControlPlane, &'a str);

impl<'a> Reinstalled<'a> {
    pub(super) fn at_the_end(control_plane: &'a ControlPlane, directory: &'a str) -> Self {
        Self(control_plane, directory)
    }
}

impl Drop for Reinstalled<'_> {
    fn drop(&mut self) {
        let kubectl = Kubectl::of(self.0);
        within(PATIENCE, Duration::from_secs(1), "Coalmine to be installed again", || {
            let output = kubectl.run(&["apply", "-k", self.1]);
            if output.code == 0 { Ok(()) } else { Err(output.stderr) }
        });
        let _ = kubectl.run(&["rollout", "status", "deployment/coalmine", "--namespace=coalmine", "--timeout=120s"]);
        let mut refused = App::good("0").canary("duration", "soon").manifest();
        refused["metadata"]["name"] = json!("probe");
        within(PATIENCE, Duration::from_millis(300), "the webhook to answer", || {
            match self.0.post("/apis/apps/v1/namespaces/default/deployments?dryRun=All", &refused) {
                Err(refused) if refused.message.contains("canary.duration") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}
