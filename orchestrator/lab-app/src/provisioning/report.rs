//! Pools and queue, as operations see them.

use super::{Capacity, LIVE_MAX, Turn, kept_pools, turns};
use crate::{App, AppError};
use lab_core::{
    CourseId, LabId, SessionId, Timestamp,
    port::{Session, SessionFilter},
    provisioning::{PoolClass, PoolSandbox, PoolSettings, PoolState, occupied, open_classes, wanted},
};
use std::{collections::HashMap, time::Duration};

/// Sessions of the queue that are told one by one; who is further behind is counted. A page shows some dozens.
pub const QUEUE_SHOWN_MAX: usize = 200;

/// One lab's pool.
#[derive(Clone, Debug)]
pub struct PoolReport {
    pub settings: PoolSettings,
    /// How many should be warm now.
    pub wanted: usize,
    /// Places of open classes that nobody has taken yet.
    pub reserved: usize,
    /// By state; all of them are there.
    pub states: HashMap<PoolState, usize>,
    /// Of the ready one that waits longest.
    pub oldest_ready: Option<Duration>,
    /// The class that is on, or the next one.
    pub class: Option<PoolClass>,
}

/// Who waits, and for what.
#[derive(Clone, Debug)]
pub struct QueueReport {
    pub sandboxes_max: usize,
    /// Of sessions and pools, with those that are being taken down.
    pub occupied: usize,
    /// Of pools.
    pub warm: usize,
    /// Everyone who waits.
    pub length: usize,
    /// In their order, [`QUEUE_SHOWN_MAX`] at most.
    pub waiting: Vec<Waits>,
}

/// One who waits. No name: operations need none to see that somebody waits too long.
#[derive(Clone, Debug)]
pub struct Waits {
    pub session: SessionId,
    pub lab: LabId,
    pub course: CourseId,
    /// From 1.
    pub place: u32,
    pub requested_at: Timestamp,
    /// When their turn comes at the latest, as far as deadlines tell.
    pub by: Option<Timestamp>,
}

impl App {
    /// Every pool of the settings and of scheduled classes, and those of labs that are not in them any more while they drain.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn pools_report(&self) -> Result<Vec<PoolReport>, AppError> {
        let now = self.now();
        // sessions matter to classes that are on only: a page asks every few seconds, and there may be thousands of them
        let mut pools = kept_pools(&self.ports, &self.settings).await?;
        let (live, rows) = if open_classes(&pools, &[], now).is_empty() {
            (Vec::new(), self.ports.store.pool_list().await?)
        } else {
            self.live_and_pool().await?
        };
        for row in &rows {
            if !pools.iter().any(|p| p.lab == row.lab) {
                pools.push(PoolSettings {
                    lab: row.lab.clone(),
                    reserve: 0,
                    max: 0,
                    timetable: Vec::new(),
                });
            }
        }
        let classes = open_classes(&pools, &live, now);
        let report = |settings: PoolSettings| {
            let of: Vec<&PoolSandbox> = rows.iter().filter(|r| r.lab == settings.lab).collect();
            let count = |state| of.iter().filter(|r| r.state == state).count();
            let ready = of.iter().filter(|r| r.state == PoolState::Ready);
            let next = settings.timetable.iter().filter(|c| now < c.until);
            PoolReport {
                wanted: wanted(&settings, classes.get(&settings.lab)),
                reserved: classes.get(&settings.lab).map_or(0, |c| c.left),
                states: PoolState::ALL.iter().map(|s| (*s, count(*s))).collect(),
                oldest_ready: ready.filter_map(|r| r.ready_at).min().map(|at| now.since(at)),
                class: next.min_by_key(|c| c.from).copied(),
                settings,
            }
        };
        Ok(pools.into_iter().map(report).collect())
    }

    /// The queue, as the reconciler would order it now.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn queue_report(&self) -> Result<QueueReport, AppError> {
        let counts = self.ports.store.session_counts().await?;
        let in_states = |states: &[&str]| -> usize {
            let of = counts.iter().filter(|c| states.contains(&c.state.as_str()));
            of.map(|c| usize::try_from(c.count).unwrap_or(usize::MAX)).sum()
        };
        if in_states(&["requested", "queued"]) == 0 {
            // nobody waits: the counts say all there is, without a row for each of thousands of sessions
            let pool = self.ports.store.pool_list().await?;
            let with_sandbox = in_states(&["provisioning", "ready", "frozen", "stopping"]);
            return Ok(QueueReport {
                sandboxes_max: self.settings.sandboxes_max,
                occupied: with_sandbox + pool.iter().filter(|r| r.state != PoolState::Claimed).count(),
                warm: pool.iter().filter(|r| r.is_warm()).count(),
                length: 0,
                waiting: Vec::new(),
            });
        }
        let (live, pool) = self.live_and_pool().await?;
        let pools = kept_pools(&self.ports, &self.settings).await?;
        let capacity = Capacity {
            now: self.now(),
            sandboxes_max: self.settings.sandboxes_max,
            live: &live,
            pool: &pool,
            pools: &pools,
        };
        let turns = turns(&capacity);
        let mut waiting: Vec<Waits> = live
            .iter()
            .filter_map(|s| match turns.get(&s.id) {
                Some(Turn::Later { place, by }) => Some(Waits {
                    session: s.id,
                    lab: s.lab.clone(),
                    course: s.course.clone(),
                    place: *place,
                    requested_at: s.requested_at,
                    by: *by,
                }),
                _ => None,
            })
            .collect();
        let length = waiting.len();
        waiting.sort_unstable_by_key(|w| w.place);
        waiting.truncate(QUEUE_SHOWN_MAX);
        Ok(QueueReport {
            sandboxes_max: self.settings.sandboxes_max,
            occupied: occupied(&live, &pool),
            warm: pool.iter().filter(|r| r.is_warm()).count(),
            length,
            waiting,
        })
    }

    async fn live_and_pool(&self) -> Result<(Vec<Session>, Vec<PoolSandbox>), AppError> {
        let filter = SessionFilter {
            live: true,
            limit: LIVE_MAX,
            ..SessionFilter::default()
        };
        let live = self.ports.store.session_list(&filter).await?;
        Ok((live, self.ports.store.pool_list().await?))
    }
}
