//! The pools' task: keeps as many sandboxes warm as [`pool_plan`] says.
//!
//! ```text
//!   store: rows, sessions, versions ─┐              ┌─► rows (store, under the lease's epoch)
//!   runtime: sandbox list ───────────┼─► pool_plan ─┴─► work: sandbox made, agent looked at, sandbox dropped
//!   agents: ready?  ─────────────────┘
//! ```
//! Like the reconciler it takes no input but time, reads everything again, and acts on the difference. One per installation, by
//! lease; a process that lost it writes nothing any more, and what it still had under way is harmless: a sandbox made late has
//! no row and is an orphan, one dropped late was draining. Nothing here is remembered that a restart would miss.

use super::{
    LIVE_MAX, LabCache,
    facts::{Fact, Facts},
    kept_pools,
    pool_work::{self, Done, Kind},
    step::READY_GRACE,
};
use crate::{AppError, Metrics, Ports, Settings, launch::mint::uuid7, lease::Leased, tasks::end_within};
use lab_core::{
    LabDigest, LabId, SandboxId, SessionId,
    lab::LabVersion,
    port::{ErrorKind, POOL_LEASE, PoolChange, PoolWrite, RuntimeError, SessionFilter},
    provisioning::{DrainReason, PoolAction, PoolLook, PoolSandbox, PoolSettings, PoolState, pool_plan},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often a pool is looked at: what a claimed sandbox's successor waits before it is begun.
const TICK: Duration = Duration::from_secs(1);
/// Looks that follow the end of a piece of work are at least so far apart.
const TICK_MIN: Duration = Duration::from_millis(100);
/// Sandboxes of pools made at once: half of what learners' sessions may, who come first.
const MAKING_MAX: usize = 2;
/// Sandboxes dropped at once, and agents looked at: both mostly wait.
const DROPPING_MAX: usize = 8;
/// See [`DROPPING_MAX`].
const LOOKING_MAX: usize = 8;
/// An agent is looked at again after a quarter of the time its lab has had so far, within these: a lab that is up in two
/// seconds is ready half a second later, a machine that boots for a minute is asked twenty times.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// After a failure a lab's pool is not grown for so long, doubled with each further one …
const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// … up to this: an image that is built at last is used within five minutes.
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// Work gets so long to end at shutdown; the next process repeats what did not.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// See the module's doc.
pub struct Pools {
    ports: Ports,
    settings: Settings,
    metrics: Metrics,
    lease: Leased,
    labs: LabCache,
    facts: Facts,
    listing: bool,
    list_due_us: u64,
    work: JoinSet<Done>,
    /// What is done with a sandbox now.
    busy: HashMap<SandboxId, Kind>,
    memory: HashMap<SandboxId, Memory>,
    pauses: HashMap<LabId, Pause>,
    /// Of the settings and of scheduled classes, as of the last look.
    kept: Vec<PoolSettings>,
}

/// What is known of one sandbox. Times are of the monotonic clock, microseconds.
#[derive(Default)]
struct Memory {
    /// Made, or found to be there, then.
    since_us: Option<u64>,
    /// Last seen not running yet.
    starting_us: Option<u64>,
    /// Its agent is looked at again then.
    look_us: u64,
    failed: Option<DrainReason>,
}

struct Pause {
    failures: u32,
    until_us: u64,
}

impl Pools {
    /// Pools that know nothing yet; the first tick reads everything.
    pub fn new(ports: Ports, settings: Settings, metrics: Metrics) -> Self {
        Self {
            lease: Leased::new(POOL_LEASE, settings.holder.clone()),
            ports,
            settings,
            metrics,
            labs: LabCache::default(),
            facts: Facts::default(),
            listing: false,
            list_due_us: 0,
            work: JoinSet::new(),
            busy: HashMap::new(),
            memory: HashMap::new(),
            pauses: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.tick().await {
                self.count(&error);
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(TICK) => {}
                Some(done) = self.work.join_next() => {
                    self.absorb(done).await;
                    tokio::time::sleep(TICK_MIN).await;
                }
            }
        }
        let work = end_within(DRAIN_MAX, &mut self.work).await;
        if work > 0 {
            tracing::warn!(work, "pool work cut short; the next process repeats it");
        }
        self.lease.release(&self.ports).await;
        self.metrics.pool_sandboxes.reset();
    }

    /// Looks at everything once, and starts what is to be done.
    ///
    /// # Errors
    /// The store does not answer, or another process has taken the pools over.
    pub async fn tick(&mut self) -> Result<(), AppError> {
        while let Some(done) = self.work.try_join_next() {
            self.absorb(done).await;
        }
        let leads = self.lease.held(&self.ports).await;
        if !matches!(leads, Ok(true)) {
            self.metrics.pool_sandboxes.reset();
        }
        if !leads? {
            return Ok(());
        }
        let filter = SessionFilter {
            live: true,
            limit: LIVE_MAX,
            ..SessionFilter::default()
        };
        let live = self.ports.store.session_list(&filter).await?;
        let rows = self.ports.store.pool_list().await?;
        self.kept = kept_pools(&self.ports, &self.settings).await?;
        self.gauge(&rows);
        if rows.is_empty() && self.kept.is_empty() {
            return Ok(());
        }
        let latest = self.latest().await?;
        self.look_at_facts(&rows).await?;
        let failed = self.memory.iter().filter_map(|(id, m)| Some((*id, m.failed?)));
        let plan = pool_plan(&PoolLook {
            now: self.ports.clock.now(),
            sandboxes_max: self.settings.sandboxes_max,
            pools: &self.kept,
            rows: &rows,
            live: &live,
            latest: &latest,
            paused: &self.paused(),
            failed: &failed.collect(),
        });
        for action in plan {
            self.act(action).await?;
        }
        for row in &rows {
            self.attend(row).await?;
        }
        self.ask_list();
        Ok(())
    }

    /// Waits until nothing is under way, looking again after each. For tests and orderly ends, not for the loop.
    ///
    /// # Errors
    /// As [`Pools::tick`].
    pub async fn settle(&mut self) -> Result<(), AppError> {
        self.tick().await?;
        while let Some(done) = self.work.join_next().await {
            self.absorb(done).await;
            self.tick().await?;
        }
        Ok(())
    }

    fn gauge(&self, rows: &[PoolSandbox]) {
        self.metrics.pool_sandboxes.reset();
        for pool in &self.kept {
            for state in PoolState::ALL {
                let n = rows.iter().filter(|r| r.lab == pool.lab && r.state == *state).count();
                let gauge = &self.metrics.pool_sandboxes;
                gauge
                    .with_label_values(&[pool.lab.as_str(), state.name()])
                    .set(n as i64);
            }
        }
    }

    async fn latest(&self) -> Result<HashMap<LabId, LabDigest>, AppError> {
        let mut latest = HashMap::new();
        for pool in &self.kept {
            if let Some(version) = self.ports.store.lab_latest(&pool.lab).await? {
                latest.insert(pool.lab.clone(), version.digest);
            }
        }
        Ok(latest)
    }

    fn paused(&self) -> HashSet<LabId> {
        let now_us = self.ports.clock.monotonic_us();
        let paused = self.pauses.iter().filter(|(_, p)| now_us < p.until_us);
        paused.map(|(lab, _)| lab.clone()).collect()
    }

    /// Finds the warm ones that will not serve, before the plan is made.
    async fn look_at_facts(&mut self, rows: &[PoolSandbox]) -> Result<(), AppError> {
        let ids: HashSet<SandboxId> = rows.iter().map(|r| r.sandbox).collect();
        self.memory
            .retain(|id, _| ids.contains(id) || self.busy.contains_key(id));
        let now_us = self.ports.clock.monotonic_us();
        for row in rows.iter().filter(|r| r.is_warm()) {
            let memory = self.memory.entry(row.sandbox).or_default();
            if row.state == PoolState::Ready {
                // after a restart: it was there before we looked
                memory.since_us.get_or_insert(now_us);
            }
            let Some(since_us) = memory.since_us.filter(|_| memory.failed.is_none()) else {
                continue;
            };
            match self.facts.of(row.sandbox, since_us) {
                Fact::Lost { detail, .. } => {
                    tracing::warn!(sandbox.id = %row.sandbox, lab.id = %row.lab, detail, "a pool sandbox is gone");
                    memory.failed = Some(DrainReason::Lost);
                    // one that ends before it is ready would end again
                    if row.state == PoolState::Making {
                        self.pause(&row.lab);
                    }
                    continue;
                }
                Fact::Starting { asked_us, .. } => memory.starting_us = Some(asked_us),
                Fact::Here | Fact::Unknown => {}
            }
            let runs_since_us = memory.starting_us.unwrap_or(since_us);
            let Some(lab) = self.labs.get(&self.ports, &row.digest).await? else {
                continue;
            };
            let within = Duration::from_secs(lab.file.ready_within.secs) + READY_GRACE;
            if row.state == PoolState::Making && now_us.saturating_sub(runs_since_us) > within.as_micros() as u64 {
                tracing::warn!(sandbox.id = %row.sandbox, lab.id = %row.lab, "a pool sandbox did not become ready");
                self.memory.entry(row.sandbox).or_default().failed = Some(DrainReason::NotReady);
                self.pause(&row.lab);
            }
        }
        Ok(())
    }

    /// Carries out one action of the plan; what the store refuses is planned again by the next tick.
    async fn act(&mut self, action: PoolAction) -> Result<(), AppError> {
        match action {
            PoolAction::Make { lab, digest, reserved } => {
                let id = uuid7(self.ports.clock.as_ref(), self.ports.entropy.as_ref());
                let row = PoolSandbox {
                    sandbox: SandboxId(id),
                    session: SessionId(id),
                    lab,
                    digest,
                    state: PoolState::Making,
                    made_at: self.ports.clock.now(),
                    ready_at: None,
                    ready_us: None,
                    claimed_at: None,
                    reason: None,
                };
                let sandboxes_max = u32::try_from(self.settings.sandboxes_max).unwrap_or(u32::MAX);
                let make = PoolChange::Make {
                    row: row.clone(),
                    sandboxes_max,
                    reserved,
                };
                if self.write(make).await? {
                    self.attend(&row).await?;
                }
            }
            PoolAction::Drain { sandbox, reason } => {
                if self.write(PoolChange::Drain { sandbox, reason }).await? {
                    tracing::info!(sandbox.id = %sandbox, reason = reason.code(), "draining a pool sandbox");
                    self.metrics
                        .pool_drained_total
                        .with_label_values(&[reason.code()])
                        .inc();
                }
            }
            PoolAction::Forget { sandbox } => {
                let at = self.ports.clock.now();
                self.write(PoolChange::Forget { sandbox, at }).await?;
            }
        }
        Ok(())
    }

    async fn write(&self, change: PoolChange) -> Result<bool, AppError> {
        // no epoch: the lease is not ours, and 0 is nobody's
        let epoch = self.lease.epoch().unwrap_or(0);
        Ok(self.ports.store.pool_write(&PoolWrite { epoch, change }).await?)
    }

    /// Starts what a row needs next, one thing at a time. A row is as it was read: one that was drained since is found draining
    /// by the next tick, and work on it does no harm until then.
    async fn attend(&mut self, row: &PoolSandbox) -> Result<(), AppError> {
        let id = row.sandbox;
        if self.busy.contains_key(&id) {
            return Ok(());
        }
        let now_us = self.ports.clock.monotonic_us();
        let memory = self.memory.entry(id).or_default();
        let kind = match row.state {
            PoolState::Draining => Kind::Drop,
            PoolState::Making if memory.failed.is_some() || now_us < memory.look_us => return Ok(()),
            PoolState::Making if memory.since_us.is_some() => Kind::Look,
            PoolState::Making => Kind::Make,
            PoolState::Ready | PoolState::Claimed => return Ok(()),
        };
        let most = match kind {
            Kind::Make => MAKING_MAX,
            Kind::Look => LOOKING_MAX,
            Kind::Drop => DROPPING_MAX,
        };
        if self.busy.values().filter(|k| **k == kind).count() >= most {
            return Ok(());
        }
        match kind {
            Kind::Make => {
                let Some(lab) = self.labs.get(&self.ports, &row.digest).await? else {
                    return Ok(());
                };
                self.start_make(row, &lab);
            }
            Kind::Look => drop(self.work.spawn(pool_work::look(self.ports.clone(), row.clone()))),
            Kind::Drop => drop(self.work.spawn(pool_work::remove(self.ports.clone(), row.clone()))),
        }
        self.busy.insert(id, kind);
        Ok(())
    }

    fn start_make(&mut self, row: &PoolSandbox, lab: &Arc<LabVersion>) {
        let spec = pool_work::spec(row, lab, self.settings.freeze_grace);
        self.work.spawn(pool_work::make(self.ports.clone(), row.clone(), spec));
    }

    /// Takes in how a piece of work ended. One that panicked takes the task with it.
    async fn absorb(&mut self, done: Result<Done, JoinError>) {
        let done = done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let now_us = self.ports.clock.monotonic_us();
        let result = match done {
            Done::Listed { asked_us, result } => {
                self.listing = false;
                match result {
                    Ok(list) => self.facts.take(asked_us, list),
                    Err(error) => self.count(&error.into()),
                }
                return;
            }
            Done::Made { row, result } => {
                self.busy.remove(&row.sandbox);
                self.made(&row, result, now_us);
                Ok(())
            }
            Done::Looked { row, ready_us } => {
                self.busy.remove(&row.sandbox);
                self.looked(&row, ready_us, now_us).await
            }
            Done::Dropped { row, result } => {
                self.busy.remove(&row.sandbox);
                self.dropped(&row, result).await
            }
        };
        if let Err(error) = result {
            self.count(&error);
        }
    }

    fn made(&mut self, row: &PoolSandbox, result: Result<(), RuntimeError>, now_us: u64) {
        let memory = self.memory.entry(row.sandbox).or_default();
        let Err(error) = result else {
            memory.since_us = Some(now_us);
            return;
        };
        if error.kind() == ErrorKind::Unavailable {
            // the engine is away: the row waits for it
            memory.look_us = now_us + PAUSE_FIRST.as_micros() as u64;
        } else {
            memory.failed = Some(DrainReason::Refused);
        }
        self.pause(&row.lab);
        self.count(&error.into());
    }

    async fn looked(&mut self, row: &PoolSandbox, ready_us: Option<u64>, now_us: u64) -> Result<(), AppError> {
        if let Some(ready_us) = ready_us {
            let (sandbox, at) = (row.sandbox, self.ports.clock.now());
            self.write(PoolChange::Ready { sandbox, at, ready_us }).await?;
            self.pauses.remove(&row.lab);
            return Ok(());
        }
        let memory = self.memory.entry(row.sandbox).or_default();
        let had = Duration::from_micros(now_us.saturating_sub(memory.since_us.unwrap_or(now_us)));
        let again = (had / 4).clamp(LOOK_AGAIN.0, LOOK_AGAIN.1);
        memory.look_us = now_us + again.as_micros() as u64;
        Ok(())
    }

    async fn dropped(&mut self, row: &PoolSandbox, result: Result<(), RuntimeError>) -> Result<(), AppError> {
        result?;
        let (sandbox, at) = (row.sandbox, self.ports.clock.now());
        self.write(PoolChange::Forget { sandbox, at }).await?;
        self.memory.remove(&row.sandbox);
        Ok(())
    }

    fn pause(&mut self, lab: &LabId) {
        let now_us = self.ports.clock.monotonic_us();
        let pause = self.pauses.entry(lab.clone()).or_insert(Pause {
            failures: 0,
            until_us: 0,
        });
        let long = PAUSE_FIRST.saturating_mul(1 << pause.failures.min(16)).min(PAUSE_MAX);
        pause.failures += 1;
        pause.until_us = now_us + long.as_micros() as u64;
    }

    fn ask_list(&mut self) {
        let now_us = self.ports.clock.monotonic_us();
        if self.listing || now_us < self.list_due_us {
            return;
        }
        self.listing = true;
        self.list_due_us = now_us + self.settings.reconcile_every.as_micros() as u64;
        self.work.spawn(pool_work::list(self.ports.clone()));
    }

    fn count(&self, error: &AppError) {
        self.metrics.errors_total.with_label_values(&[error.code()]).inc();
        tracing::warn!(
            error = error as &dyn std::error::Error,
            code = error.code(),
            "keeping pools"
        );
    }
}
