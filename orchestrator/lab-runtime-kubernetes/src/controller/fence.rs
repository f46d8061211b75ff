//! Who lost the lease does not write any more.
//!
//! Another controller takes over when *it* has seen the lease unchanged for `duration` (15 s), counted on its own clock from a moment after our
//! last renewal reached the API server. We count from before we *sent* that renewal, so our count ends first, whatever the clocks say:
//!
//! ```text
//!  renewal sent      last write may start                  others may take over, at the earliest
//!  │ 0 s             │ 10 s = duration − write             │ 15 s = duration
//!  ├─────────────────┼─────────────────────────────────────┤
//!                    └── it ends within write = 5 s: the client gives up, and the API server was told the same (`?timeout=5s`)
//! ```
//! Renewing every 3 s leaves room for three failures before writes pause. The margin for clocks that run at different speeds is the time a
//! renewal takes to arrive; a millisecond is one part in 15,000, and quartz is ten times better.

use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;

/// Shared between the election, which moves it, and every request, which asks it. Closed at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fence {
    /// Until when a write may start.
    until: Arc<Mutex<Option<Instant>>>,
}

impl Fence {
    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().expect("nobody panics while holding it")
    }

    /// Open for writes that start before `until`.
    pub fn open(&self, until: Instant) {
        *self.until() = Some(until);
    }

    /// Closed at once.
    pub fn close(&self) {
        *self.until() = None;
    }

    /// Whether a write may start now.
    pub fn is_open(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_fence_closes_by_itself() {
        let fence = Fence::default();
        assert!(!fence.is_open(), "nobody leads at first");
        fence.open(Instant::now() + Duration::from_secs(10));
        assert!(fence.is_open());
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert!(fence.is_open());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(!fence.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_fence_stays_closed_until_the_next_term() {
        let fence = Fence::default();
        fence.open(Instant::now() + Duration::from_secs(10));
        fence.close();
        assert!(!fence.is_open());
    }
}
