//! The situations that Events tell of. One situation has one reason: silence about one is never silence about another.

use crate::api::annotations::Phase;

/// The situation that an Event tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Held,
    Started,
    Analyzing,
    /// Which series are read.
    Metrics,
    /// A Service does not send the canary what it sends the primary.
    Unreached,
    Superseded,
    /// The live template can't start another pod.
    LiveBroken,
    /// A change of the live object was made to the template on trial.
    Merged,
    /// Somebody changed the canary.
    Changed,
    /// The Deployment was scaled to zero in the middle of a trial.
    ScaledToZero,
    /// The namespace is frozen, or it is outside of the window.
    NotNow,
    Paused,
    Resumed,
    AwaitsApproval,
    /// The numbers do not decide yet.
    Waiting,
    /// A `ConfigMap` or Secret that the canary names is not there yet.
    ConfigMissing,
    /// The canary's pod was Ready and is not any more, and nobody holds it against the template.
    NotReady,
    /// The canary's pod was not Ready at times: it is not promoted before it stayed so.
    Unsteady,
    /// The primary's pods fail as the canary's does.
    SharedTrouble,
    /// The source of the metrics does not answer, or has nothing.
    MetricsUnavailable,
    /// The API server refuses the canary.
    CreateRefused,
    /// The API server refuses the proven template.
    PromotionRefused,
    /// The API server refuses what is written about the run.
    WriteRefused,
    /// The API server refuses to delete the canary.
    DeleteRefused,
    /// A newer Coalmine held the template, in a way that this one can't read.
    NewerState,
    Promoted,
    Rejected,
    Inconclusive,
    Withdrawn,
    Cancelled,
    Bypassed,
    RolledBack,
    Skipped,
    RolledOut,
    RolloutFailed,
    /// A sink was not told, for good.
    NotificationFailed,
    /// A fault of this program's own.
    Fault,
}

impl Reason {
    pub const ALL: [Self; 37] = [
        Self::Held,
        Self::Started,
        Self::Analyzing,
        Self::Metrics,
        Self::Unreached,
        Self::Superseded,
        Self::LiveBroken,
        Self::Merged,
        Self::Changed,
        Self::ScaledToZero,
        Self::NotNow,
        Self::Paused,
        Self::Resumed,
        Self::AwaitsApproval,
        Self::Waiting,
        Self::ConfigMissing,
        Self::NotReady,
        Self::Unsteady,
        Self::SharedTrouble,
        Self::MetricsUnavailable,
        Self::CreateRefused,
        Self::PromotionRefused,
        Self::WriteRefused,
        Self::DeleteRefused,
        Self::NewerState,
        Self::Promoted,
        Self::Rejected,
        Self::Inconclusive,
        Self::Withdrawn,
        Self::Cancelled,
        Self::Bypassed,
        Self::RolledBack,
        Self::Skipped,
        Self::RolledOut,
        Self::RolloutFailed,
        Self::NotificationFailed,
        Self::Fault,
    ];

    /// The Event's reason, as `kubectl events` prints it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "CanaryHeld",
            Self::Started => "CanaryStarted",
            Self::Analyzing => "CanaryAnalyzing",
            Self::Metrics => "CanaryMetrics",
            Self::Unreached => "CanaryUnreached",
            Self::Superseded => "CanarySuperseded",
            Self::LiveBroken => "CanaryLiveBroken",
            Self::Merged => "CanaryMerged",
            Self::Changed => "CanaryChanged",
            Self::ScaledToZero => "CanaryScaledToZero",
            Self::NotNow => "CanaryNotNow",
            Self::Paused => "CanaryPaused",
            Self::Resumed => "CanaryResumed",
            Self::AwaitsApproval => "CanaryAwaitsApproval",
            Self::Waiting => "CanaryWaiting",
            Self::ConfigMissing => "CanaryConfigMissing",
            Self::NotReady => "CanaryNotReady",
            Self::Unsteady => "CanaryUnsteady",
            Self::SharedTrouble => "CanarySharedTrouble",
            Self::MetricsUnavailable => "CanaryMetricsUnavailable",
            Self::CreateRefused => "CanaryCreateRefused",
            Self::PromotionRefused => "CanaryPromotionRefused",
            Self::WriteRefused => "CanaryWriteRefused",
            Self::DeleteRefused => "CanaryDeleteRefused",
            Self::NewerState => "CanaryNewerState",
            Self::Promoted => "CanaryPromoted",
            Self::Rejected => "CanaryRejected",
            Self::Inconclusive => "CanaryInconclusive",
            Self::Withdrawn => "CanaryWithdrawn",
            Self::Cancelled => "CanaryCancelled",
            Self::Bypassed => "CanaryBypassed",
            Self::RolledBack => "CanaryRolledBack",
            Self::Skipped => "CanarySkipped",
            Self::RolledOut => "CanaryRolledOut",
            Self::RolloutFailed => "CanaryRolloutFailed",
            Self::NotificationFailed => "CanaryNotificationFailed",
            Self::Fault => "CanaryFault",
        }
    }

    /// Whether it is a state that lasts and is looked at again and again, so that it is told seldom. All others are steps of a run.
    pub fn lasts(self) -> bool {
        matches!(
            self,
            Self::Waiting
                | Self::ConfigMissing
                | Self::NotReady
                | Self::Unsteady
                | Self::SharedTrouble
                | Self::MetricsUnavailable
                | Self::CreateRefused
                | Self::PromotionRefused
                | Self::WriteRefused
                | Self::DeleteRefused
                | Self::NewerState
        )
    }

    /// Whether somebody should do something about it.
    pub fn is_warning(self) -> bool {
        matches!(
            self,
            Self::Unreached
                | Self::LiveBroken
                | Self::Changed
                | Self::Unsteady
                | Self::SharedTrouble
                | Self::MetricsUnavailable
                | Self::CreateRefused
                | Self::PromotionRefused
                | Self::WriteRefused
                | Self::DeleteRefused
                | Self::NewerState
                | Self::Rejected
                | Self::Inconclusive
                | Self::Bypassed
                | Self::RolloutFailed
                | Self::NotificationFailed
                | Self::Fault
        )
    }

    /// The reason of the Event that tells of the end of a hold.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Held => Self::Held,
            Phase::Running => Self::Started,
            Phase::AwaitingApproval => Self::AwaitsApproval,
            Phase::Rejected => Self::Rejected,
            Phase::Inconclusive => Self::Inconclusive,
            Phase::Promoted => Self::Promoted,
            Phase::Withdrawn => Self::Withdrawn,
            Phase::Cancelled => Self::Cancelled,
            Phase::Bypassed => Self::Bypassed,
            Phase::RolledBack => Self::RolledBack,
            Phase::Skipped => Self::Skipped,
            Phase::Superseded => Self::Superseded,
        }
    }
}
