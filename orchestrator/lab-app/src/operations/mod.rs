//! What operations see of the whole installation, and the one thing they decide for all of it: whether new launches are taken.
//!
//! ```text
//!   runtime: sandbox list ── at most once in two seconds, whoever asks ──► counts by phase, age, node
//!   store: aggregates (states, failures, leases, pause) ──────────────────► as they are now
//!   this process: recorders ──────────────────────────────────────────────► the worst first
//!   recordings' storage: quarantine ── at most once in a minute ──────────► by session
//!   store: what has had its time ── at most once in a minute ─────────────► by class
//! ```
//! Beside the seven stages: nothing here changes a session. No answer grows with the number of sessions.

mod overview;
mod pause;
mod quarantine;
mod recent;
mod retention;
mod sandboxes;

pub use overview::{ALWAYS_HELD, FAILURES_OF, LAGS_SHOWN, Overview, Recorders};
pub use quarantine::{QUARANTINED_SHOWN, Quarantine, Quarantined};
pub use retention::RetentionState;
pub use sandboxes::{AGE_BOUNDS, NodeCount, PhaseCount, Sandboxes};

use lab_core::operations::LaunchPause;
use recent::Recent;
use std::sync::Arc;

/// What was asked lately.
#[derive(Default)]
pub(crate) struct Operations {
    sandboxes: Recent<Result<Arc<Sandboxes>, &'static str>>,
    paused: Recent<Option<LaunchPause>>,
    quarantine: Recent<Result<Arc<Quarantine>, &'static str>, { quarantine::LOOK_EVERY.as_secs() }>,
    retention: Recent<Result<Arc<RetentionState>, &'static str>, { retention::LOOK_EVERY.as_secs() }>,
}
