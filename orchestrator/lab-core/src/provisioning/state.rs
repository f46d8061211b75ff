//! The session's state and its one transition function.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SessionState {
    /// Admitted; time is held; nothing runs yet.
    Requested,
    /// Waits for capacity.
    Queued,
    /// The runtime makes the sandbox; the lab comes up.
    Provisioning,
    /// First prompt was shown.
    Ready,
    /// Stopped with its state kept.
    Frozen,
    /// Being taken down.
    Stopping { reason: EndReason },
    /// Over, after it was usable (or stopped before it was).
    Ended { reason: EndReason },
    /// Never became usable.
    Failed { reason: FailReason, detail: String },
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $code)] $variant),+ }

        impl $name {
            /// Every value, for tables and metrics.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The public code: metric label, API value, key of the page's texts.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// Back from the code.
            pub fn from_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|r| r.code() == code)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

reasons!(
    /// Why a session ended.
    EndReason {
        /// The learner pressed stop.
        LearnerStopped = "learner-stopped",
        /// A teacher or operations did.
        StaffStopped = "staff-stopped",
        /// No key typed for the lab's idle time.
        IdleTimeout = "idle-timeout",
        /// It waited in the queue, and its page had been closed for long.
        LeftQueue = "left-queue",
        /// The lab's maximum time.
        TimeLimit = "time-limit",
        /// The grants are used up.
        BudgetSpent = "budget-spent",
        /// The lab's own start command ended.
        LabExited = "lab-exited",
        /// The platform lost the sandbox: its machine, its pod; lost time is not billed.
        SandboxLost = "sandbox-lost",
        /// The sandbox used more memory than its size has. A learner can do that: see [`EndReason::may_be_the_learners`].
        OutOfMemory = "out-of-memory",
        /// It wrote more to its disk than it may. A learner can do that, too.
        OutOfDisk = "out-of-disk",
        /// Its agent ended, or does not answer in a sandbox that runs. A learner can do that, too.
        AgentLost = "agent-lost",
        /// Its time had run out, and it could not be made to stand still.
        NotStill = "not-still",
        /// The recording is required and could not be kept.
        RecordingFailed = "recording-failed",
        /// The recording is required and reached its limit: the lab wrote more than is kept of a session.
        RecordingTooLarge = "recording-too-large",
    }
);

impl EndReason {
    /// The sandbox went by itself: there is nothing left to ask for an orderly end.
    pub fn is_loss(self) -> bool {
        self == Self::SandboxLost || self.may_be_the_learners()
    }

    /// A loss that whoever is inside can bring about, on purpose or not; who did cannot be known. Every other loss is the
    /// platform's alone, and never billed.
    pub fn may_be_the_learners(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::OutOfDisk | Self::AgentLost)
    }
}

reasons!(
    /// Why a session never became usable. Nothing is billed.
    FailReason {
        /// The lab's image is not on this engine and cannot be had.
        ImageMissing = "image-missing",
        /// The runtime refused to make or start the sandbox.
        SandboxRefused = "sandbox-refused",
        /// The runtime does not answer.
        RuntimeUnavailable = "runtime-unavailable",
        /// The lab's start command failed.
        LabFailed = "lab-failed",
        /// There was no room for the sandbox for too long.
        NoCapacity = "no-capacity",
        /// `ready` did not pass in time.
        ReadyTimeout = "ready-timeout",
        /// The sandbox ended while coming up.
        SandboxLost = "sandbox-lost",
        /// The lab version is not in the store.
        LabMissing = "lab-missing",
    }
);

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// No capacity now.
    Queue,
    /// The runtime is asked for the sandbox.
    Provision,
    /// First prompt shown.
    Ready,
    Freeze,
    Thaw,
    Stop(EndReason),
    /// The sandbox is gone: after a stop, or by itself with this reason.
    Gone(EndReason),
    Fail(FailReason, String),
}

/// An event that the state does not allow; a caller's bug or a race it lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session that is {from} cannot take {event:?}")]
pub struct IllegalTransition {
    pub from: &'static str,
    pub event: SessionEvent,
}

impl SessionState {
    /// The state's public name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Queued => "queued",
            Self::Provisioning => "provisioning",
            Self::Ready => "ready",
            Self::Frozen => "frozen",
            Self::Stopping { .. } => "stopping",
            Self::Ended { .. } => "ended",
            Self::Failed { .. } => "failed",
        }
    }

    /// Reason code, for states that have one.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Stopping { reason } | Self::Ended { reason } => Some(reason.code()),
            Self::Failed { reason, .. } => Some(reason.code()),
            _ => None,
        }
    }

    /// Nothing will happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Failed { .. })
    }

    /// A sandbox should exist.
    pub fn wants_sandbox(&self) -> bool {
        matches!(self, Self::Provisioning | Self::Ready | Self::Frozen)
    }

    /// A learner can type or has typed: metered.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Ready | Self::Frozen)
    }

    /// The one transition function.
    pub fn next(&self, event: SessionEvent) -> Result<Self, IllegalTransition> {
        use SessionEvent as E;
        match (self, event) {
            (Self::Requested, E::Queue) => Ok(Self::Queued),
            (Self::Requested | Self::Queued, E::Provision) => Ok(Self::Provisioning),
            (Self::Provisioning, E::Ready) | (Self::Frozen, E::Thaw) => Ok(Self::Ready),
            (Self::Ready, E::Freeze) => Ok(Self::Frozen),
            (Self::Requested | Self::Queued | Self::Provisioning | Self::Ready | Self::Frozen, E::Stop(reason)) => {
                Ok(Self::Stopping { reason })
            }
            (Self::Ready | Self::Frozen, E::Gone(reason)) => Ok(Self::Ended { reason }),
            // the reason of the stop outlives how the sandbox went
            (Self::Stopping { reason }, E::Gone(_)) => Ok(Self::Ended { reason: *reason }),
            (Self::Requested | Self::Queued | Self::Provisioning, E::Fail(reason, detail)) => {
                Ok(Self::Failed { reason, detail })
            }
            (state, event) => Err(IllegalTransition {
                from: state.name(),
                event,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EndReason, FailReason, SessionEvent as E, SessionState};
    use proptest::prelude::*;

    /// What the diagram in the module's doc says, written down as pairs of names: state, event, next state.
    const DIAGRAM: &[(&str, &str, &str)] = &[
        ("requested", "queue", "queued"),
        ("requested", "provision", "provisioning"),
        ("queued", "provision", "provisioning"),
        ("provisioning", "ready", "ready"),
        ("ready", "freeze", "frozen"),
        ("frozen", "thaw", "ready"),
        ("requested", "stop", "stopping"),
        ("queued", "stop", "stopping"),
        ("provisioning", "stop", "stopping"),
        ("ready", "stop", "stopping"),
        ("frozen", "stop", "stopping"),
        ("requested", "fail", "failed"),
        ("queued", "fail", "failed"),
        ("provisioning", "fail", "failed"),
        ("ready", "gone", "ended"),
        ("frozen", "gone", "ended"),
        ("stopping", "gone", "ended"),
    ];

    fn name(event: &E) -> &'static str {
        match event {
            E::Queue => "queue",
            E::Provision => "provision",
            E::Ready => "ready",
            E::Freeze => "freeze",
            E::Thaw => "thaw",
            E::Stop(_) => "stop",
            E::Gone(_) => "gone",
            E::Fail(..) => "fail",
        }
    }

    fn event() -> impl Strategy<Value = E> {
        let end = || prop::sample::select(EndReason::ALL);
        let fail = prop::sample::select(FailReason::ALL);
        prop_oneof![
            Just(E::Queue),
            Just(E::Provision),
            Just(E::Ready),
            Just(E::Freeze),
            Just(E::Thaw),
            end().prop_map(E::Stop),
            end().prop_map(E::Gone),
            fail.prop_map(|r| E::Fail(r, "why".into())),
        ]
    }

    proptest! {
        #[test]
        fn a_session_goes_only_as_the_diagram_says(events in prop::collection::vec(event(), 0..40)) {
            let mut state = SessionState::Requested;
            let mut stopped_for = None;
            for event in events {
                let (before, by) = (state.name(), name(&event));
                let model = DIAGRAM.iter().find(|(from, e, _)| *from == before && *e == by).map(|(.., to)| *to);
                match state.next(event.clone()) {
                    Ok(next) => {
                        prop_assert_eq!(model, Some(next.name()));
                        prop_assert!(!state.is_over(), "what is over stays over");
                        if let E::Stop(reason) = event {
                            stopped_for = Some(reason);
                        }
                        if let (SessionState::Ended { reason }, Some(asked)) = (&next, stopped_for) {
                            prop_assert_eq!(*reason, asked, "the reason of the stop outlives how the sandbox went");
                        }
                        state = next;
                    }
                    Err(refused) => {
                        prop_assert_eq!(model, None, "{} must take {}", before, by);
                        prop_assert_eq!(refused.from, before);
                    }
                }
            }
        }
    }

    #[test]
    fn reasons_are_read_back_from_their_codes() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::from_code(reason.code()), Some(*reason));
        }
        for reason in FailReason::ALL {
            assert_eq!(FailReason::from_code(reason.code()), Some(*reason));
        }
    }
}
