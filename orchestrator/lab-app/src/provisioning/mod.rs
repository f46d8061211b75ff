//! Stage 3, provisioning: sessions (intent, in the store) are brought together with sandboxes (fact, in the runtime).
//!
//! ```text
//!   store: live sessions ──┐                             ┌─► transitions (store)
//!   runtime: sandbox list ─┼─► Reconciler::activate ─────┼─► operations: sandbox made, lab stopped and dropped, orphan dropped
//!   hubs: what agents say ─┘    (one decision a session) └─► news for the browsers (hubs)
//!        ▲                                                        │
//!        └────────────── woken by: intent, hubs, runtime's watch, an operation that ended, the timer
//! ```
//! One task owns it. It takes no input but being woken: it reads everything again and acts on the difference, so a lost or
//! doubled wake-up costs a delay and never a sandbox. What takes long is an *operation*: a task of its own, at most one a session,
//! joined by the reconciler. An operation that failed is not retried by itself; the next activation finds the same
//! difference and tries again, after a pause that doubles for that session alone.
//!
//! Beside it, [`Pools`] keeps sandboxes warm for the next clicks: a click that finds one ready skips the queue and the making.
//!
//! A session that ends goes through `Stopping` always, also when its sandbox vanished: only there it is settled, so a process
//! that dies between two steps leaves a `Stopping` session to the next one, which repeats them all without harm.

mod command;
mod facts;
mod labs;
mod memory;
mod mirror;
mod operation;
mod pool_work;
mod pools;
mod queue;
mod reconciler;
mod report;
mod session_hubs;
mod step;

use crate::{Ports, Settings};
use lab_core::{
    LabId,
    courses::with_classes,
    port::StoreError,
    provisioning::{PoolSettings, open_classes},
};

pub use command::request_stop;
pub(crate) use labs::LabCache;
pub use pools::Pools;
pub use queue::{Capacity, Turn, turns};
pub(crate) use reconciler::LIVE_MAX;
pub use reconciler::Reconciler;
pub use report::{PoolReport, QUEUE_SHOWN_MAX, QueueReport, Waits};
pub use session_hubs::SessionHubs;
pub use step::AGENT_AWAY_MAX;

/// Whether sandboxes of a lab are kept warm now.
pub(crate) async fn has_pool(ports: &Ports, settings: &Settings, lab: &LabId) -> Result<bool, StoreError> {
    if settings.pools.iter().any(|p| p.lab == *lab) {
        return Ok(true);
    }
    let kept = kept_pools(ports, settings).await?;
    Ok(open_classes(&kept, &[], ports.clock.now()).contains_key(lab))
}

/// The pools of the settings, with the courses' scheduled classes that are not over.
async fn kept_pools(ports: &Ports, settings: &Settings) -> Result<Vec<PoolSettings>, StoreError> {
    let classes = ports.store.class_list(None, ports.clock.now()).await?;
    Ok(with_classes(&settings.pools, &classes))
}
