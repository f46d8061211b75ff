//! What the runtime said last, and what follows from it.

use lab_core::{
    SandboxId,
    port::{GoneCause, SandboxPhase, SandboxStatus, Waiting},
};
use std::collections::HashMap;

/// The last list that was answered, and whether one was refused since.
#[derive(Default)]
pub(super) struct Facts {
    list: Option<List>,
    /// The runtime did not answer the latest question: nothing is known now.
    pub outage: bool,
}

struct List {
    /// Monotonic time at which it was asked for.
    asked_us: u64,
    sandboxes: HashMap<SandboxId, SandboxStatus>,
}

/// What is known of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    /// No list was asked for since it must exist.
    Unknown,
    Here,
    /// It is made and did not run yet when that list was asked for.
    Starting {
        asked_us: u64,
        waiting: Option<Waiting>,
    },
    /// A list that should have it does not have it running: with what the runtime knows of its end.
    Lost {
        cause: GoneCause,
        detail: String,
    },
}

impl Facts {
    /// Takes an answered list.
    pub fn take(&mut self, asked_us: u64, list: Vec<SandboxStatus>) {
        self.outage = false;
        self.list = Some(List {
            asked_us,
            sandboxes: list.into_iter().map(|s| (s.id, s)).collect(),
        });
    }

    /// Every sandbox of the last answered list.
    pub fn sandboxes(&self) -> impl Iterator<Item = &SandboxStatus> {
        self.list.iter().flat_map(|l| l.sandboxes.values())
    }

    /// Whether the machine of a sandbox does not answer its cluster, by the last answered list.
    pub fn node_away(&self, id: SandboxId) -> bool {
        let sandbox = self.list.as_ref().and_then(|l| l.sandboxes.get(&id));
        sandbox.is_some_and(|s| s.node_away)
    }

    /// What the last answered list says of a sandbox that must exist since `since_us`. Only an answered list that was asked
    /// for after that is believed: an outage, or an answer under way while the sandbox was made, proves nothing.
    pub fn of(&self, id: SandboxId, since_us: u64) -> Fact {
        let Some(list) = self.list.as_ref().filter(|l| l.asked_us > since_us) else {
            return Fact::Unknown;
        };
        match list.sandboxes.get(&id).map(|s| &s.phase) {
            Some(SandboxPhase::Running) => Fact::Here,
            Some(SandboxPhase::Starting { waiting }) => Fact::Starting {
                asked_us: list.asked_us,
                waiting: waiting.clone(),
            },
            Some(SandboxPhase::Gone { cause, status, .. }) => Fact::Lost {
                cause: *cause,
                detail: match (cause, status) {
                    (GoneCause::OutOfMemory, _) => "it ran out of memory".into(),
                    (GoneCause::OutOfDisk, _) => "it wrote more to its disk than it may".into(),
                    (GoneCause::Taken, _) => "it was taken away".into(),
                    (GoneCause::AgentEnded, Some(status)) => format!("it ended with status {status}"),
                    (GoneCause::AgentEnded, None) => "it ended".into(),
                },
            },
            // what ends by itself stays listed until we drop it: somebody else removed this one
            None => Fact::Lost {
                cause: GoneCause::Taken,
                detail: "it was removed".into(),
            },
        }
    }
}
