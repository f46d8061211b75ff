//! What takes long for a pool sandbox: each piece is a task of its own, repeatable, and ends with a [`Done`] for the pools' task.

use super::step::sandbox_spec;
use crate::{Ports, terminal::look_at_agent};
use lab_core::{
    lab::LabVersion,
    port::{RuntimeError, SandboxSpec, SandboxStatus},
    provisioning::{POOL_AGE_MAX, PoolSandbox},
};
use std::time::Duration;

/// What is done with a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Make,
    Look,
    Drop,
}

/// How it ended.
pub(super) enum Done {
    Listed {
        asked_us: u64,
        result: Result<Vec<SandboxStatus>, RuntimeError>,
    },
    Made {
        row: PoolSandbox,
        result: Result<(), RuntimeError>,
    },
    /// When its lab was ready, by the agent's clock; nothing while it is not, or its agent does not answer.
    Looked { row: PoolSandbox, ready_us: Option<u64> },
    Dropped {
        row: PoolSandbox,
        result: Result<(), RuntimeError>,
    },
}

/// As for a session, but that it may wait for [`POOL_AGE_MAX`] before its learner's time begins.
pub(super) fn spec(row: &PoolSandbox, lab: &LabVersion, grace: Duration) -> SandboxSpec {
    let cold = sandbox_spec(row.sandbox, row.session, lab, grace);
    SandboxSpec {
        deadline_secs: cold.deadline_secs + POOL_AGE_MAX.as_secs(),
        ..cold
    }
}

pub(super) async fn list(ports: Ports) -> Done {
    let asked_us = ports.clock.monotonic_us();
    Done::Listed {
        asked_us,
        result: ports.runtime.sandbox_list().await,
    }
}

pub(super) async fn make(ports: Ports, row: PoolSandbox, spec: SandboxSpec) -> Done {
    let result = ports.runtime.sandbox_ensure(&spec).await;
    Done::Made { row, result }
}

pub(super) async fn look(ports: Ports, row: PoolSandbox) -> Done {
    let welcome = look_at_agent(&ports, row.sandbox).await;
    Done::Looked {
        ready_us: welcome.and_then(|w| w.ready_us),
        row,
    }
}

pub(super) async fn remove(ports: Ports, row: PoolSandbox) -> Done {
    let result = ports.runtime.sandbox_drop(row.sandbox).await;
    Done::Dropped { row, result }
}
