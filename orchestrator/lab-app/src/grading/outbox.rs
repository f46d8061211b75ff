//! The outbox's task: gives every platform that has grades due a turn.
//!
//! Like the pools it takes no input but time, and reads everything again. What it remembers (which platforms do not answer, access tokens) costs
//! a few requests when it is lost. A turn that goes on after its lease was lost writes nothing any more, and what it sends carries an older time
//! than what its successor sends.

use super::{
    send::Sender,
    turn::{Ended, Turn},
};
use crate::{
    AppError, Metrics, Ports, Settings,
    lease::Leased,
    tasks::{end_within, part_of},
};
use lab_core::{
    grading::{HELD_AFTER, retry_within},
    launch::lti::RegistrationId,
    port::{ErrorKind, GradeCounts, OUTBOX_LEASE},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long a new grade waits at most, and so how many of the same learner's become one.
const TICK: Duration = Duration::from_secs(1);

/// Platforms that are sent to at once. Each turn mostly waits; those of slow ones end after some 200 s at the latest (20 rows of 10 s).
const TURNS_MAX: usize = 32;

/// A turn that was begun may go on for so long at shutdown: a request has 10 s, most have their answer in one. What did not end is
/// repeated by the next process.
const DRAIN_MAX: Duration = Duration::from_secs(4);

/// What is known of a platform: only that it does not answer.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    /// Tries in a row that came to nothing.
    failures: u32,
    /// By the monotonic clock: not asked before.
    held_until_us: u64,
}

/// See the module's doc.
pub struct Outbox {
    ports: Ports,
    metrics: Metrics,
    lease: Leased,
    sender: Arc<Sender>,
    work: JoinSet<Ended>,
    busy: HashSet<RegistrationId>,
    /// As many as there are registrations that do not answer.
    health: HashMap<RegistrationId, Health>,
}

impl Outbox {
    /// An outbox that knows nothing yet.
    pub fn new(ports: Ports, settings: Settings, metrics: Metrics) -> Self {
        Self {
            lease: Leased::new(OUTBOX_LEASE, settings.holder),
            sender: Arc::new(Sender::new(ports.clone(), metrics.clone())),
            ports,
            metrics,
            work: JoinSet::new(),
            busy: HashSet::new(),
            health: HashMap::new(),
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
            }
        }
        let platforms = end_within(DRAIN_MAX, &mut self.work).await;
        if platforms > 0 {
            tracing::info!(platforms, "grades under way are sent again by the next process");
        }
        self.lease.release(&self.ports).await;
        self.gauge(GradeCounts::default());
    }

    /// Takes in the turns that ended, and begins those that are due.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn tick(&mut self) -> Result<(), AppError> {
        while let Some(ended) = self.work.try_join_next() {
            self.absorb(ended);
        }
        let leads = self.lease.held(&self.ports).await;
        if !matches!(leads, Ok(true)) {
            self.gauge(GradeCounts::default());
        }
        let (true, Some(epoch)) = (leads?, self.lease.epoch()) else {
            return Ok(());
        };
        let counts = self.ports.store.grade_counts().await?;
        self.gauge(counts);
        if counts.pending == 0 {
            return Ok(());
        }
        let mut due = BTreeMap::new();
        for row in self.ports.store.grade_due(self.ports.clock.now()).await? {
            let rows: &mut Vec<_> = due.entry(row.target.registration.clone()).or_default();
            rows.push(row);
        }
        let now_us = self.ports.clock.monotonic_us();
        for (registration, mut rows) in due {
            let health = self.health.get(&registration).copied().unwrap_or_default();
            if self.busy.contains(&registration) || now_us < health.held_until_us {
                continue;
            }
            if self.work.len() >= TURNS_MAX {
                break;
            }
            // one tells whether it answers again
            if health.failures >= HELD_AFTER {
                rows.truncate(1);
            }
            self.busy.insert(registration.clone());
            let turn = Turn {
                registration,
                rows,
                failures: health.failures,
                epoch,
            };
            self.work.spawn(turn.run(Arc::clone(&self.sender)));
        }
        Ok(())
    }

    /// Ticks until no turn is under way and none is due. For tests, not for the loop.
    ///
    /// # Errors
    /// As [`Outbox::tick`].
    pub async fn settle(&mut self) -> Result<(), AppError> {
        self.tick().await?;
        while let Some(ended) = self.work.join_next().await {
            self.absorb(ended);
            self.tick().await?;
        }
        Ok(())
    }

    fn absorb(&mut self, ended: Result<Ended, JoinError>) {
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        self.busy.remove(&ended.registration);
        if let Some(error) = &ended.error {
            self.count(error);
        }
        if ended.failures == 0 {
            self.health.remove(&ended.registration);
            return;
        }
        let mut pause = ended.patience.unwrap_or_default();
        if ended.failures >= HELD_AFTER {
            let most = retry_within(ended.failures - HELD_AFTER + 1);
            pause = pause.max(part_of(most, self.ports.entropy.as_ref()));
            if ended.failures == HELD_AFTER {
                tracing::warn!(registration = %ended.registration, "a platform takes no grades; it is asked with one at a time");
            }
        }
        let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        let health = Health {
            failures: ended.failures,
            held_until_us: self.ports.clock.monotonic_us().saturating_add(pause_us),
        };
        self.health.insert(ended.registration, health);
    }

    /// Of the process that leads; 0 in the others.
    fn gauge(&self, counts: GradeCounts) {
        self.metrics.grades_pending.set(counts.pending);
        self.metrics.grades_failed.set(counts.failed);
    }

    fn count(&self, error: &AppError) {
        if error.kind() == ErrorKind::Conflict {
            tracing::info!(code = error.code(), "the outbox is another process's");
            return;
        }
        self.metrics.errors_total.with_label_values(&[error.code()]).inc();
        tracing::warn!(error = error as &dyn std::error::Error, code = error.code(), "outbox");
    }
}
