//! The reconciler's task: what wakes it, one activation, and what operations bring back.

use super::{
    LabCache, SessionHubs,
    facts::Facts,
    kept_pools,
    memory::Memory,
    operation::{self, Done},
    queue::{self, Capacity},
    step::{QUEUE_SEEN_EVERY, Step},
};
use crate::{AppError, Metrics, Ports, Settings, lease::Leased};
use futures_util::{StreamExt, stream};
use lab_core::{
    SandboxId, SessionId,
    port::{ErrorKind, Session, SessionFilter},
    provisioning::{PoolSandbox, is_waiting},
};
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Live sessions looked at: far over any `sandboxes_max`; it bounds the queue's memory (a session is about 600 bytes).
pub(crate) const LIVE_MAX: u32 = 100_000;
/// A sandbox without a session is left alone so long: its session may be of a process whose write we have not read yet.
const ORPHAN_AGE: Duration = Duration::from_secs(10);
/// The timer alone never activates more often than this.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Operations get so long to end at shutdown; the next process repeats what did not.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// See the [module's doc](super). One per installation, by lease.
pub struct Reconciler<H: SessionHubs> {
    pub(super) ports: Ports,
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) hubs: Arc<H>,
    intent: Arc<Notify>,
    lease: Leased,
    pub(super) labs: LabCache,
    pub(super) memory: HashMap<SessionId, Memory>,
    pub(super) facts: Facts,
    operations: JoinSet<Done>,
    /// Sessions whose sandbox is being made, and those being taken down: each kind has its own bound.
    pub(super) making: HashSet<SessionId>,
    pub(super) stopping: HashSet<SessionId>,
    orphans: HashSet<SandboxId>,
    listing: bool,
    /// Monotonic time at which the runtime is asked for its list again.
    list_due_us: u64,
    /// A list came in that orphans were not looked for in yet.
    pub(super) list_fresh: bool,
    /// The last activation could do nothing: the store is away, or another process has the lease.
    idle: bool,
}

impl<H: SessionHubs> Reconciler<H> {
    /// A reconciler that knows nothing yet; its first activation reads everything.
    pub fn new(ports: Ports, settings: Settings, metrics: Metrics, hubs: Arc<H>, intent: Arc<Notify>) -> Self {
        let lease = Leased::new("provisioning", settings.holder.clone());
        Self {
            ports,
            settings,
            metrics,
            hubs,
            intent,
            lease,
            labs: LabCache::default(),
            memory: HashMap::new(),
            facts: Facts::default(),
            operations: JoinSet::new(),
            making: HashSet::new(),
            stopping: HashSet::new(),
            orphans: HashSet::new(),
            listing: false,
            list_due_us: 0,
            list_fresh: false,
            idle: false,
        }
    }

    /// Runs until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let (intent, changed) = (Arc::clone(&self.intent), self.hubs.changed());
        let mut watch = self.ports.runtime.sandbox_watch();
        loop {
            self.activate_counted().await;
            let pause = self.pause();
            tokio::select! {
                () = stop.cancelled() => break,
                () = intent.notified() => {}
                () = changed.notified() => {}
                hint = watch.next() => match hint {
                    Some(()) => self.list_due_us = 0,
                    // the runtime went away: the timer looks again, and the next turn subscribes again
                    None => watch = self.subscribe_later(),
                },
                Some(done) = self.operations.join_next() => self.absorb(done),
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.drain().await;
        self.lease.release(&self.ports).await;
        self.gauge_nothing();
    }

    /// The runtime's hints again, after one period: a runtime that is away would end them at once, each time.
    fn subscribe_later(&self) -> stream::BoxStream<'static, ()> {
        let (runtime, pause) = (Arc::clone(&self.ports.runtime), self.settings.reconcile_every);
        stream::once(async move {
            tokio::time::sleep(pause).await;
            runtime.sandbox_watch()
        })
        .flatten()
        .boxed()
    }

    /// Time until something is due by itself.
    fn pause(&self) -> Duration {
        if self.idle {
            return self.settings.reconcile_every;
        }
        let now_us = self.ports.clock.monotonic_us();
        let retries = self.memory.values().filter_map(Memory::retry_us);
        let list = (!self.listing).then_some(self.list_due_us);
        let due = retries.chain(list).min().unwrap_or(u64::MAX);
        // what is due may wait for room (operations are bounded), whose end wakes us by itself
        Duration::from_micros(due.saturating_sub(now_us))
            .max(PAUSE_MIN)
            .min(self.settings.reconcile_every)
    }

    async fn activate_counted(&mut self) {
        let result = self.activate().await;
        self.idle |= result.is_err();
        let outcome = match result {
            Ok(()) => "ok",
            Err(error) => {
                self.count(&error);
                error.code()
            }
        };
        self.metrics.reconcile_total.with_label_values(&[outcome]).inc();
    }

    /// Compares intent with fact once, and acts on the difference. An error of one session does not keep it from the others.
    ///
    /// # Errors
    /// Only what concerns all of them: the store does not answer.
    pub async fn activate(&mut self) -> Result<(), AppError> {
        while let Some(done) = self.operations.try_join_next() {
            self.absorb(done);
        }
        let leads = self.lease.held(&self.ports).await;
        if !matches!(leads, Ok(true)) {
            self.gauge_nothing();
        }
        self.idle = !leads?;
        if self.idle {
            return self.mirror().await;
        }
        // read before the sessions: the session of each hub was in the store before it
        let here = self.hubs.here();
        // read after the list that is looked at, so that every sandbox in it had its session in the store before
        let filter = SessionFilter {
            live: true,
            limit: LIVE_MAX,
            ..SessionFilter::default()
        };
        let live = self.ports.store.session_list(&filter).await?;
        // after the sessions: a click in between took its sandbox from the pool, whose row is kept for a while
        let pool = self.ports.store.pool_list().await?;
        let pools = kept_pools(&self.ports, &self.settings).await?;
        self.note_pages(&live).await?;
        self.gauge(&live);
        self.drop_orphans(&live, &pool);
        let turns = queue::turns(&Capacity {
            now: self.ports.clock.now(),
            sandboxes_max: self.settings.sandboxes_max,
            live: &live,
            pool: &pool,
            pools: &pools,
        });
        let ids: HashSet<SessionId> = live.iter().map(|s| s.id).collect();
        self.memory.retain(|id, memory| memory.busy || ids.contains(id));
        // oldest first, so that bounded operations are started in the order of the clicks
        for session in live.into_iter().rev() {
            let turn = turns.get(&session.id).copied();
            match self.step(Step { session, turn }).await {
                Ok(()) => {}
                // somebody else was quicker (a learner's stop, the meter): the next activation reads what they made of it
                Err(error) if error.kind() == ErrorKind::Conflict => self.intent.notify_one(),
                Err(error) => self.count(&error),
            }
        }
        for (id, _) in here {
            let busy = self.memory.get(&id).is_some_and(|m| m.busy);
            if !busy
                && !ids.contains(&id)
                && let Err(error) = self.close_stray(id).await
            {
                self.count(&error);
            }
        }
        self.ask_list();
        Ok(())
    }

    /// Closes a hub whose session was not among the live ones: one that is over, whose hub an attach made again while it was closed.
    pub(super) async fn close_stray(&mut self, id: SessionId) -> Result<(), AppError> {
        match self.ports.store.session_get(id).await? {
            Some(session) if session.state.is_over() => self.over(&session),
            // made after the list was read
            Some(_) => {}
            None => self.release(id),
        }
        Ok(())
    }

    /// Notes which sessions that wait have a page open in this process. Every replica does, for its own.
    pub(super) async fn note_pages(&self, live: &[Session]) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        let unseen = |s: &&Session| is_waiting(s) && now.since(s.active_at) >= QUEUE_SEEN_EVERY;
        let unseen: Vec<SessionId> = live.iter().filter(unseen).map(|s| s.id).collect();
        if unseen.is_empty() {
            return Ok(());
        }
        let here = self.hubs.here().into_iter().filter(|(_, watched)| *watched);
        let here: HashSet<SessionId> = here.map(|(id, _)| id).collect();
        for id in unseen.into_iter().filter(|id| here.contains(id)) {
            self.ports.store.session_touch(id, Some(now), None).await?;
        }
        Ok(())
    }

    /// Waits until no operation is under way, activating after each. For tests and orderly ends, not for the loop.
    pub async fn settle(&mut self) -> Result<(), AppError> {
        self.activate().await?;
        while let Some(done) = self.operations.join_next().await {
            self.absorb(done);
            self.activate().await?;
        }
        Ok(())
    }

    fn gauge(&self, live: &[Session]) {
        self.metrics.sessions.reset();
        for session in live {
            self.metrics.sessions.with_label_values(&[session.state.name()]).inc();
        }
        let waiting = live.iter().filter(|s| is_waiting(s)).count();
        self.metrics.queue_sessions.set(waiting as i64);
    }

    /// Who does not lead, or cannot know whether it does, has no number of the installation: the leader's is the one.
    fn gauge_nothing(&self) {
        self.metrics.sessions.reset();
        self.metrics.queue_sessions.set(0);
    }

    pub(super) fn count(&self, error: &AppError) {
        self.metrics.errors_total.with_label_values(&[error.code()]).inc();
        tracing::warn!(
            error = error as &dyn std::error::Error,
            code = error.code(),
            "reconciling"
        );
    }

    /// Asks the runtime for its list when it is due, without waiting for the answer.
    pub(super) fn ask_list(&mut self) {
        let now_us = self.ports.clock.monotonic_us();
        if self.listing || now_us < self.list_due_us {
            return;
        }
        self.listing = true;
        self.list_due_us = now_us + self.settings.reconcile_every.as_micros() as u64;
        self.start(operation::list(self.ports.clone()));
    }

    /// Drops sandboxes that neither a live session nor a pool has, once per list.
    fn drop_orphans(&mut self, live: &[Session], pool: &[PoolSandbox]) {
        if !std::mem::take(&mut self.list_fresh) {
            return;
        }
        let now = self.ports.clock.now();
        let sessions = live.iter().map(|s| s.sandbox);
        let wanted: HashSet<SandboxId> = sessions.chain(pool.iter().map(|r| r.sandbox)).collect();
        let orphans: Vec<SandboxId> = self
            .facts
            .sandboxes()
            .filter(|s| !wanted.contains(&s.id) && !self.orphans.contains(&s.id))
            // of a session that is being discarded now
            .filter(|s| !self.memory.get(&s.session).is_some_and(|m| m.busy))
            .filter(|s| now.since(s.created_at) > ORPHAN_AGE)
            .map(|s| s.id)
            .collect();
        for sandbox in orphans {
            tracing::info!(sandbox.id = %sandbox, "dropping a sandbox that no session and no pool has");
            self.orphans.insert(sandbox);
            self.start(operation::drop_orphan(self.ports.clone(), sandbox));
        }
    }

    pub(super) fn start(&mut self, operation: impl Future<Output = Done> + Send + 'static) {
        self.operations.spawn(operation);
    }

    /// Takes in how an operation ended. One that panicked takes the reconciler with it.
    fn absorb(&mut self, done: Result<Done, JoinError>) {
        let done = done.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        let now_us = self.ports.clock.monotonic_us();
        match done {
            Done::Listed { asked_us, result } => {
                self.listing = false;
                match result {
                    Ok(list) => {
                        self.facts.take(asked_us, list);
                        self.list_fresh = true;
                    }
                    Err(error) => {
                        self.facts.outage = true;
                        self.count(&error.into());
                    }
                }
            }
            Done::Ensured { session, at_us, result } => {
                self.making.remove(&session);
                let memory = self.memory.entry(session).or_default();
                memory.busy = false;
                match result {
                    Ok(()) => {
                        memory.succeeded();
                        memory.since_us = Some(at_us);
                    }
                    Err(error) => self.ensure_failed(session, error, now_us),
                }
            }
            Done::Stopped { session, result } => {
                self.stopping.remove(&session);
                let memory = self.memory.entry(session).or_default();
                memory.busy = false;
                memory.lab_stopped = true;
                match result {
                    Ok(over) => self.over(&over),
                    Err(error) => {
                        memory.failed(now_us, error.public());
                        self.count(&error);
                    }
                }
            }
            Done::Closed { session } => {
                self.memory.remove(&session);
            }
            Done::Discarded { session, result } => {
                self.memory.remove(&session);
                if let Err(error) = result {
                    self.count(&error.into());
                }
            }
            Done::Cleared { session, result } => {
                let memory = self.memory.entry(session).or_default();
                memory.busy = false;
                if let Err(error) = result {
                    // what is in the way is found, and removed or used, when the sandbox is made
                    memory.failed(now_us, error.to_string());
                    self.count(&error.into());
                }
            }
            Done::OrphanDropped { sandbox, result } => {
                self.orphans.remove(&sandbox);
                if let Err(error) = result {
                    self.count(&error.into());
                }
            }
        }
    }

    /// Tells a session's browsers that it is over, and closes its hub.
    pub(super) fn over(&mut self, session: &Session) {
        tracing::info!(session.id = %session.id, state = session.state.name(), reason = session.state.reason(), "over");
        self.tell(session, None, false);
        self.memory.entry(session.id).or_default().busy = true;
        self.start(operation::close(Arc::clone(&self.hubs), session.id));
        // its place is free: who waits for it need not wait for the timer
        self.intent.notify_one();
    }

    async fn drain(&mut self) {
        let operations = crate::tasks::end_within(DRAIN_MAX, &mut self.operations).await;
        if operations > 0 {
            tracing::warn!(operations, "operations cut short; the next process repeats them");
        }
    }
}
