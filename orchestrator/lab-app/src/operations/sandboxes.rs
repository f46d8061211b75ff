//! The runtime's list, counted. Pure.

use lab_core::{
    Timestamp,
    port::{SandboxPhase, SandboxStatus},
};
use std::{collections::BTreeMap, time::Duration};

/// Upper bounds of the ages that are told apart; older than the last is the last column. A sandbox that starts is ready within the
/// first; classes last one to four hours; what is older than those is worth a look.
pub const AGE_BOUNDS: [Duration; 4] = [
    Duration::from_mins(1),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(4),
];

/// Sandboxes by phase, age and machine, as the runtime listed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandboxes {
    /// When it was asked.
    pub at: Timestamp,
    /// In the order of a sandbox's life; phases that nothing is in are left out.
    pub phases: Vec<PhaseCount>,
    /// By name; last those that are on none (yet), or whose runtime has one machine only.
    pub nodes: Vec<NodeCount>,
}

/// Sandboxes in one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseCount {
    /// `waiting`, `starting`, `running`, `gone`.
    pub phase: &'static str,
    /// With `waiting`: for what, a [`lab_core::port::WaitReason`]'s code.
    pub waiting: Option<&'static str>,
    /// By age: under each of [`AGE_BOUNDS`], and the rest.
    pub ages: [u64; AGE_BOUNDS.len() + 1],
}

impl PhaseCount {
    /// Of every age.
    pub fn count(&self) -> u64 {
        self.ages.iter().sum()
    }
}

/// Sandboxes of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCount {
    pub node: Option<String>,
    /// Not running yet, for whatever reason.
    pub starting: u64,
    pub running: u64,
    /// Ended and not removed yet.
    pub gone: u64,
}

impl Sandboxes {
    /// Counts a list that was asked for at `at`.
    pub(super) fn count(list: &[SandboxStatus], at: Timestamp) -> Self {
        let mut phases: BTreeMap<_, PhaseCount> = BTreeMap::new();
        let mut nodes: BTreeMap<_, NodeCount> = BTreeMap::new();
        for sandbox in list {
            let (order, phase, waiting) = match &sandbox.phase {
                SandboxPhase::Starting { waiting: Some(w) } => (0, "waiting", Some(w.reason.code())),
                SandboxPhase::Starting { waiting: None } => (1, "starting", None),
                SandboxPhase::Running => (2, "running", None),
                SandboxPhase::Gone { .. } => (3, "gone", None),
            };
            let row = phases.entry((order, waiting)).or_insert(PhaseCount {
                phase,
                waiting,
                ages: Default::default(),
            });
            row.ages[age(at.since(sandbox.created_at))] += 1;
            let node = &sandbox.node;
            // false sorts first: what has a machine before what has none
            let row = nodes.entry((node.is_none(), node)).or_insert_with(|| NodeCount {
                node: node.clone(),
                starting: 0,
                running: 0,
                gone: 0,
            });
            match order {
                0 | 1 => row.starting += 1,
                2 => row.running += 1,
                _ => row.gone += 1,
            }
        }
        Self {
            at,
            phases: phases.into_values().collect(),
            nodes: nodes.into_values().collect(),
        }
    }
}

/// The column of an age.
fn age(age: Duration) -> usize {
    AGE_BOUNDS.iter().take_while(|bound| **bound <= age).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::{
        SandboxId, SessionId,
        port::{GoneCause, WaitReason, Waiting},
    };
    use uuid::Uuid;

    fn sandbox(phase: SandboxPhase, age_secs: u64, node: Option<&str>) -> SandboxStatus {
        SandboxStatus {
            id: SandboxId(Uuid::nil()),
            session: SessionId(Uuid::nil()),
            phase,
            created_at: Timestamp::from_secs(1_000_000).minus(Duration::from_secs(age_secs)),
            node: node.map(str::to_owned),
            node_away: false,
        }
    }

    #[test]
    fn every_sandbox_is_in_one_phase_one_age_and_on_one_machine() {
        let waits = |reason| SandboxPhase::Starting {
            waiting: Some(Waiting {
                reason,
                detail: "0/3 nodes are available".into(),
            }),
        };
        let gone = SandboxPhase::Gone {
            status: None,
            cause: GoneCause::Taken,
            at: None,
        };
        let list = [
            sandbox(SandboxPhase::Running, 59, Some("b")),
            sandbox(SandboxPhase::Running, 60, Some("a")),
            sandbox(SandboxPhase::Running, 14_400, Some("a")),
            sandbox(SandboxPhase::Starting { waiting: None }, 0, Some("a")),
            sandbox(waits(WaitReason::Quota), 700, None),
            sandbox(waits(WaitReason::Capacity), 5, None),
            sandbox(gone, 3600, Some("b")),
        ];
        let counted = Sandboxes::count(&list, Timestamp::from_secs(1_000_000));
        let phases: Vec<_> = counted.phases.iter().map(|p| (p.phase, p.waiting, p.ages)).collect();
        assert_eq!(
            phases,
            [
                ("waiting", Some("capacity"), [1, 0, 0, 0, 0]),
                ("waiting", Some("quota"), [0, 0, 1, 0, 0]),
                ("starting", None, [1, 0, 0, 0, 0]),
                ("running", None, [1, 1, 0, 0, 1]),
                ("gone", None, [0, 0, 0, 1, 0]),
            ]
        );
        let nodes: Vec<_> = counted
            .nodes
            .iter()
            .map(|n| (n.node.as_deref(), n.starting, n.running, n.gone))
            .collect();
        assert_eq!(nodes, [(Some("a"), 1, 2, 0), (Some("b"), 0, 1, 1), (None, 2, 0, 0)]);
        assert_eq!(
            counted.phases.iter().map(PhaseCount::count).sum::<u64>(),
            list.len() as u64
        );
    }
}
