//! How far behind each recorder of this process is, for operations: read there, written here, nobody waits for anybody.

use lab_core::SessionId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// A recorder that is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    pub session: SessionId,
    /// Journal taken from the agent and not yet durable.
    pub bytes: u64,
    /// Age of the oldest of them. A chunk is written every quarter of a second, so below a second nothing is wrong.
    pub age: Duration,
    /// The last attempt failed: its code.
    pub error: Option<&'static str>,
}

/// What a recorder said last.
#[derive(Clone, Copy, Debug)]
struct Said {
    bytes: u64,
    since: Instant,
    error: Option<&'static str>,
}

/// Every recorder of this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lags(Arc<Mutex<HashMap<SessionId, Said>>>);

impl Lags {
    /// Recorders that are behind or fail, worst first: what fails, then the oldest bytes, then the most. At most `max` of them, and how
    /// many recorders there are at all.
    pub fn worst(&self, max: usize) -> (Vec<Lag>, usize) {
        let all = self.all();
        let mut behind: Vec<Lag> = all
            .iter()
            .filter(|(_, said)| said.bytes > 0 || said.error.is_some())
            .map(|(session, said)| Lag {
                session: *session,
                bytes: said.bytes,
                age: if said.bytes == 0 {
                    Duration::ZERO
                } else {
                    said.since.elapsed()
                },
                error: said.error,
            })
            .collect();
        let recorders = all.len();
        drop(all);
        behind.sort_by_key(|l| std::cmp::Reverse((l.error.is_some(), l.age, l.bytes, l.session)));
        behind.truncate(max);
        (behind, recorders)
    }

    /// A recorder's own entry, which goes with it.
    pub(super) fn track(&self, session: SessionId) -> Tracked {
        let tracked = Tracked {
            lags: self.clone(),
            session,
        };
        tracked.say(0, Instant::now(), None);
        tracked
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Said>> {
        self.0.lock().expect("no holder panics")
    }
}

/// See [`Lags::track`].
pub(super) struct Tracked {
    lags: Lags,
    session: SessionId,
}

impl Tracked {
    /// How much is pending, since when, and what failed last.
    pub fn say(&self, bytes: u64, since: Instant, error: Option<&'static str>) {
        self.lags.all().insert(self.session, Said { bytes, since, error });
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.lags.all().remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn the_worst_comes_first_and_what_ended_is_forgotten() {
        let lags = Lags::default();
        let id = |n| SessionId(Uuid::from_u128(n));
        let tracked: Vec<_> = (0..5).map(|n| lags.track(id(n))).collect();
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        tracked[1].say(10, start, None);
        tracked[2].say(1000, Instant::now(), None);
        tracked[3].say(0, start, Some("store-unavailable"));
        tracked[4].say(20, start, None);
        let order = |max| {
            lags.worst(max)
                .0
                .iter()
                .map(|l| l.session.0.as_u128())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(9), [3, 4, 1, 2]);
        assert_eq!(order(2), [3, 4]);
        let (worst, recorders) = lags.worst(1);
        assert_eq!(
            (worst[0].age, recorders),
            (Duration::ZERO, 5),
            "nothing is pending there"
        );
        drop(tracked);
        assert_eq!(lags.worst(9), (vec![], 0));
    }
}
