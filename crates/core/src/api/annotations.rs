//! Every annotation and label key that Coalmine reads or writes, and the phases that one of them takes.
//! Only names: what the values mean is decided by the modules that own them.

/// Opts a Deployment in. `true` and `false` are the user's; `held` is what it reads while a template from Helm's client-side patch is held.
pub const ENABLED: &str = "canary.enabled";
pub const DURATION: &str = "canary.duration";
pub const MAX_ERROR_RATE: &str = "canary.max-error-rate";
pub const MAX_LATENCY_P99: &str = "canary.max-latency-p99";
pub const METRICS: &str = "canary.metrics";
pub const CHECKS: &str = "canary.checks";
pub const WARM_UP: &str = "canary.warm-up";
pub const CLIENT_ERRORS: &str = "canary.client-errors";
pub const IGNORE_PATHS: &str = "canary.ignore-paths";
pub const DEADLINE: &str = "canary.deadline";
pub const ON_INCONCLUSIVE: &str = "canary.on-inconclusive";
pub const MODE: &str = "canary.mode";
pub const OVERLAP: &str = "canary.overlap";
pub const APPROVAL: &str = "canary.approval";
pub const APPROVAL_TIMEOUT: &str = "canary.approval-timeout";
pub const WINDOW: &str = "canary.window";
pub const PAUSED: &str = "canary.paused";
pub const NOTIFY: &str = "canary.notify";
pub const NOTIFY_INFO: &str = "canary.notify-info";
pub const APPROVE: &str = "canary.approve";
pub const PROMOTE: &str = "canary.promote";
pub const REJECT: &str = "canary.reject";
pub const RETRY: &str = "canary.retry";
pub const BYPASS: &str = "canary.bypass";

/// All keys that a user may write, in the order in which messages list them.
pub const USER_KEYS: [&str; 24] = [
    ENABLED,
    DURATION,
    MAX_ERROR_RATE,
    MAX_LATENCY_P99,
    METRICS,
    CHECKS,
    WARM_UP,
    CLIENT_ERRORS,
    IGNORE_PATHS,
    DEADLINE,
    ON_INCONCLUSIVE,
    MODE,
    OVERLAP,
    APPROVAL,
    APPROVAL_TIMEOUT,
    WINDOW,
    PAUSED,
    NOTIFY,
    NOTIFY_INFO,
    APPROVE,
    PROMOTE,
    REJECT,
    RETRY,
    BYPASS,
];

/// On a namespace: why nothing is tried or promoted there.
pub const FREEZE: &str = "canary.freeze";

/// What every annotation of the user begins with.
pub const USER_PREFIX: &str = "canary.";
/// What every annotation of Coalmine's own begins with.
pub const STATE_PREFIX: &str = "canary.state/";

/// The held template with its records, compressed (see `hold::held`).
pub const HELD: &str = "canary.state/held";
/// What this version writes in the former, and reads. A version that writes what this one would misread puts its own number and a colon
/// before the record: `2:...`. The first has none.
pub const STATE_VERSION: u32 = 1;
/// A key that stands both on the object and inside last-applied while a template is held, so that every later client-side apply has
/// something to send: kubectl sends no request at all when it computes an empty patch.
pub const MARKER: &str = "canary.state/marker";
/// See [`Phase`].
pub const PHASE: &str = "canary.state/phase";
/// Names one attempt at one template; the canary carries the same value.
pub const RUN: &str = "canary.state/run";
/// The verdict, or the reason of the phase, in words.
pub const MESSAGE: &str = "canary.state/message";
/// When the phase's verdict was given, RFC 3339, written by the controller (admission has no clock).
pub const SINCE: &str = "canary.state/since";
/// Hashes of the templates that may come back at once, newest first, separated by commas.
pub const PROVEN: &str = "canary.state/proven";

/// The templates that were rejected last, so that they stay out whatever comes in between (see `hold::rejected`).
pub const REJECTED: &str = "canary.state/rejected";
/// Who approved the template on trial (see `run::gates`).
pub const APPROVED: &str = "canary.state/approved";
/// That a person ends the trial, and how.
pub const ORDER: &str = "canary.state/order";
/// Since when the trial stands still.
pub const PAUSED_SINCE: &str = "canary.state/paused-since";
/// The last verdicts, for people (see `run::history`).
pub const HISTORY: &str = "canary.state/history";
/// What has yet to be told to sinks (see `notify::outbox`).
pub const UNSENT: &str = "canary.state/unsent";
/// How often the canary of the present run was made anew since something changed it: `<run> <count>`.
pub const REMADE: &str = "canary.state/remade";

/// Whose changes were made to the template on trial, in words, for the Event.
pub const MERGED: &str = "canary.state/merged";

/// On a primary: who asked for the template on trial, or that was promoted last. Several, where it came of changes by several.
pub const REQUESTED_BY: &str = "canary.state/requested-by";
/// The groups that all of them are in, as a JSON list.
pub const REQUESTED_BY_GROUPS: &str = "canary.state/requested-by-groups";
/// The same two on a canary.
pub const CANARY_REQUESTED_BY: &str = "coalmine.dev/requested-by";
pub const CANARY_REQUESTED_BY_GROUPS: &str = "coalmine.dev/requested-by-groups";

/// Set on a Deployment while the controller has something to do with it: what its watch selects.
pub const ACTIVE_LABEL: &str = "coalmine.dev/active";
/// On a `CronJob` that checks may run, with the value `"true"`.
pub const CHECK_LABEL: &str = "coalmine.dev/check";
/// On every canary Deployment and its pods.
pub const ROLE_LABEL: &str = "coalmine.dev/role";
pub const ROLE_CANARY: &str = "canary";
/// On the pods of a canary: the run that they belong to; as an annotation on the canary Deployment too.
pub const RUN_LABEL: &str = "coalmine.dev/run";
/// On a canary and its pods: the name of the primary.
pub const PRIMARY_ANNOTATION: &str = "coalmine.dev/primary";

/// The field manager of all that the controller writes.
pub const FIELD_MANAGER: &str = "coalmine";

/// The Deployment controller's, on Deployments and their `ReplicaSets`.
pub const REVISION: &str = "deployment.kubernetes.io/revision";

/// kubectl's record of what client-side apply sent last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Where a template is on its way. While [`Phase::holds`], the object carries the held template and the live one is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Held by admission; the controller has not begun.
    Held,
    /// The canary exists.
    Running,
    /// It proved itself, goes on being judged, and waits for somebody to agree.
    AwaitingApproval,
    /// Proven bad. The template stays held back until something else is applied.
    Rejected,
    /// Nothing could be proven; held back like a rejected one.
    Inconclusive,
    /// Proven good and written to the primary.
    Promoted,
    /// The user went back to the live template.
    Withdrawn,
    /// The user opted out while a template was held.
    Cancelled,
    /// Let through because the user said so.
    Bypassed,
    /// A template that was live before came back.
    RolledBack,
    /// Let through because the Deployment has no replicas and so no traffic to judge with.
    Skipped,
    /// Another template became the live one past Coalmine, or what was held can't be read: there is nothing left to try.
    Superseded,
}

impl Phase {
    pub const ALL: [Self; 12] = [
        Self::Held,
        Self::Running,
        Self::AwaitingApproval,
        Self::Rejected,
        Self::Inconclusive,
        Self::Promoted,
        Self::Withdrawn,
        Self::Cancelled,
        Self::Bypassed,
        Self::RolledBack,
        Self::Skipped,
        Self::Superseded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "Held",
            Self::Running => "Running",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Rejected => "Rejected",
            Self::Inconclusive => "Inconclusive",
            Self::Promoted => "Promoted",
            Self::Withdrawn => "Withdrawn",
            Self::Cancelled => "Cancelled",
            Self::Bypassed => "Bypassed",
            Self::RolledBack => "RolledBack",
            Self::Skipped => "Skipped",
            Self::Superseded => "Superseded",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// A verdict that keeps the template out.
    pub fn is_kept_out(self) -> bool {
        matches!(self, Self::Rejected | Self::Inconclusive)
    }

    /// The canary is due or running.
    pub fn is_trying(self) -> bool {
        self == Self::Held || self.is_running()
    }

    /// There is a canary, and it is judged.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::AwaitingApproval)
    }

    /// A held template is on the object.
    pub fn holds(self) -> bool {
        self.is_trying() || self.is_kept_out()
    }
}

/// An annotation that is the user's to write for Coalmine. Other tools' prefixes begin so, too (`canary.flagger.app/...`).
pub fn is_of_user(name: &str) -> bool {
    name.starts_with(USER_PREFIX) && !name.contains('/')
}

/// An annotation that concerns Coalmine.
pub fn is_ours(name: &str) -> bool {
    is_of_user(name) || name.starts_with(STATE_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_read_back() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
        assert_eq!(Phase::parse("promoted"), None);
    }
}
