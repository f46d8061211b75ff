//! Warm pools and the queue.

use lab_app::provisioning::{PoolReport, QueueReport, Waits};
use lab_core::provisioning::PoolState;
use serde::Serialize;
use utoipa::ToSchema;

/// One lab's warm pool.
#[derive(Serialize, ToSchema)]
pub struct PoolView {
    pub lab: String,
    /// Ready at any time, where there is room.
    pub reserve: u32,
    /// Never more warm at once.
    pub max: u32,
    /// How many should be warm now.
    pub wanted: usize,
    /// Places of open classes that nobody has taken yet.
    pub reserved: usize,
    pub making: usize,
    pub ready: usize,
    /// Taken a moment ago; a session's from then on.
    pub claimed: usize,
    pub draining: usize,
    /// How long the oldest ready one has waited, seconds.
    pub oldest_ready_s: Option<u64>,
    /// The class that is on, or the next one.
    pub class: Option<PoolClassView>,
}

/// A class of a pool's timetable.
#[derive(Serialize, ToSchema)]
pub struct PoolClassView {
    /// When its sandboxes begin to be kept; Unix seconds.
    pub opens: i64,
    /// Unix seconds.
    pub from: i64,
    /// Unix seconds.
    pub until: i64,
    pub ready: u32,
}

impl From<PoolReport> for PoolView {
    fn from(p: PoolReport) -> Self {
        let count = |state| p.states.get(&state).copied().unwrap_or(0);
        Self {
            reserve: p.settings.reserve,
            max: p.settings.max,
            wanted: p.wanted,
            reserved: p.reserved,
            making: count(PoolState::Making),
            ready: count(PoolState::Ready),
            claimed: count(PoolState::Claimed),
            draining: count(PoolState::Draining),
            oldest_ready_s: p.oldest_ready.map(|d| d.as_secs()),
            class: p.class.map(|c| PoolClassView {
                opens: c.opens().secs(),
                from: c.from.secs(),
                until: c.until.secs(),
                ready: c.ready,
            }),
            lab: p.settings.lab.0,
        }
    }
}

/// Who waits for a sandbox.
#[derive(Serialize, ToSchema)]
pub struct QueueView {
    pub sandboxes_max: usize,
    /// Sandboxes of sessions and pools, with those that are being taken down.
    pub occupied: usize,
    /// Of them, kept warm.
    pub warm: usize,
    /// Everyone who waits.
    pub length: usize,
    /// In their order; at most 200.
    pub waiting: Vec<WaitingView>,
}

/// A session that waits for its turn.
#[derive(Serialize, ToSchema)]
pub struct WaitingView {
    pub session: String,
    pub lab: String,
    pub course: String,
    /// 1 is next.
    pub place: u32,
    /// The click; Unix seconds.
    pub requested_at: i64,
    /// When the turn comes at the latest, as far as deadlines tell; Unix seconds.
    pub by: Option<i64>,
}

impl From<Waits> for WaitingView {
    fn from(w: Waits) -> Self {
        Self {
            session: w.session.to_string(),
            lab: w.lab.0,
            course: w.course.0,
            place: w.place,
            requested_at: w.requested_at.secs(),
            by: w.by.map(lab_core::Timestamp::secs),
        }
    }
}

impl From<QueueReport> for QueueView {
    fn from(q: QueueReport) -> Self {
        Self {
            sandboxes_max: q.sandboxes_max,
            occupied: q.occupied,
            warm: q.warm,
            length: q.length,
            waiting: q.waiting.into_iter().map(Into::into).collect(),
        }
    }
}
