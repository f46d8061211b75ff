//! Background tasks: none detached, none missing unnoticed, each ended within a deadline.

use crate::{Metrics, Ports, lease::Leased};
use futures_util::{StreamExt, stream::BoxStream};
use lab_core::port::{Entropy, StoreError};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// The reconciler may be inside a runtime call, which a slow engine answers in seconds; what it does is repeatable.
const TASKS_SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Hubs seal the recording's last chunk: one upload of about 2 MiB at most each (`CHUNK_BYTES`), in parallel.
pub(crate) const HUBS_SHUTDOWN_MAX: Duration = Duration::from_secs(15);

/// The longest that [`crate::App::run`] takes after its `cancel`: tasks and hubs end side by side.
pub const SHUTDOWN_MAX: Duration = HUBS_SHUTDOWN_MAX;
const _: () = assert!(TASKS_SHUTDOWN_MAX.as_secs() <= SHUTDOWN_MAX.as_secs());

/// What has expired is dropped this often; nothing waits for it.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// Lets what is under way end, for `most` at the longest, and cuts the rest short: how many that were.
pub(crate) async fn end_within<T: 'static>(most: Duration, work: &mut JoinSet<T>) -> usize {
    let ended = tokio::time::timeout(most, async { while work.join_next().await.is_some() {} }).await;
    let left = if ended.is_ok() { 0 } else { work.len() };
    work.shutdown().await;
    left
}

/// A background task that ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum TaskDied {
    #[error("background task {name} ended by itself")]
    Ended { name: &'static str },
    #[error("a background task panicked")]
    Panicked {
        #[source]
        source: JoinError,
    },
}

/// The process's background tasks.
pub(crate) struct Background {
    cancel: CancellationToken,
    /// Ends the tasks; a child of `cancel`, so that a dead task ends the others too.
    stop: CancellationToken,
    tasks: JoinSet<&'static str>,
}

impl Background {
    pub(crate) fn new(cancel: &CancellationToken) -> Self {
        Self {
            cancel: cancel.clone(),
            stop: cancel.child_token(),
            tasks: JoinSet::new(),
        }
    }

    /// Starts a task that runs until its token is cancelled.
    pub(crate) fn start<F>(&mut self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = task(self.stop.clone());
        self.tasks.spawn(async move {
            work.await;
            name
        });
    }

    /// Waits for the end that was asked for, or for the first task that dies before it.
    pub(crate) async fn until_cancelled(&mut self) -> Result<(), TaskDied> {
        tokio::select! {
            () = self.cancel.cancelled() => Ok(()),
            Some(ended) = self.tasks.join_next() => match ended {
                // it may have seen the cancellation before we did
                Ok(_) if self.cancel.is_cancelled() => Ok(()),
                Ok(name) => Err(TaskDied::Ended { name }),
                Err(source) => Err(TaskDied::Panicked { source }),
            },
        }
    }

    /// Ends all tasks. What is not done in time is aborted: every step of theirs may be repeated by the next process.
    pub(crate) async fn end(mut self) -> Result<(), TaskDied> {
        self.stop.cancel();
        let mut first = Ok(());
        let joined = tokio::time::timeout(TASKS_SHUTDOWN_MAX, async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(source) = ended
                    && first.is_ok()
                {
                    first = Err(TaskDied::Panicked { source });
                }
            }
        });
        if joined.await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len(),
                "background tasks did not end in time and were aborted"
            );
        }
        self.tasks.shutdown().await;
        first
    }
}

/// A random part of a pause ("full jitter"): those who failed at once do not come back at once.
pub(crate) fn part_of(most: Duration, entropy: &dyn Entropy) -> Duration {
    let [a, b, c, d, ..] = entropy.bytes32();
    let part = f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX);
    most.mul_f64(part)
}

/// Waits for a step of the shutdown, but not for ever.
pub(crate) async fn within(step: &'static str, most: Duration, work: impl Future<Output = ()>) {
    if tokio::time::timeout(most, work).await.is_err() {
        tracing::warn!(step, "shutdown step did not end in time");
    }
}

/// Looks at once when another process changed something.
pub(crate) async fn listen(mut hints: BoxStream<'static, ()>, intent: Arc<Notify>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            hint = hints.next() => match hint {
                Some(()) => intent.notify_one(),
                // the timers go on without
                None => return stop.cancelled().await,
            },
        }
    }
}

/// Drops used launch marks, tickets and logins that have expired, takes what is left off grants that ended, and counts the ledger again; one process at a time.
pub(crate) async fn sweep(ports: Ports, metrics: Metrics, holder: String, stop: CancellationToken) {
    let mut lease = Leased::new("sweep", holder);
    loop {
        tokio::select! {
            () = stop.cancelled() => return lease.release(&ports).await,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        match lease.held(&ports).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                tracing::warn!(code = error.code(), "could not sweep");
                continue;
            }
        }
        match ports.store.sweep(ports.clock.now()).await {
            Ok(rows) => tracing::debug!(rows, "dropped what had expired"),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                code = error.code(),
                "could not sweep"
            ),
        }
        if let Err(error) = expire(&ports, &stop).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not end grants");
        }
        match ledger_is_right(&ports).await {
            Ok(true) => {}
            Ok(false) => {
                metrics.errors_total.with_label_values(&["ledger-drift"]).inc();
                tracing::error!(
                    "the ledger's sums are not those of its entries: somebody wrote to the database by hand"
                );
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "could not count the ledger"),
        }
    }
}

/// Books what is left on grants that ended as breakage, some hundred grants at a time.
async fn expire(ports: &Ports, stop: &CancellationToken) -> Result<(), StoreError> {
    let now = ports.clock.now();
    while !stop.is_cancelled() {
        let seconds = ports.store.grants_expire(now).await?;
        if seconds == 0 {
            break;
        }
        tracing::info!(seconds, "time ended unused");
    }
    Ok(())
}

/// Whether the sums that are kept are those of the entries. What changed while they were counted is counted the next time.
async fn ledger_is_right(ports: &Ports) -> Result<bool, StoreError> {
    let before = ports.store.ledger_sums().await?;
    let counted = ports.store.ledger_recount().await?;
    let after = ports.store.ledger_sums().await?;
    Ok(before != after || (counted == before && counted.total == 0))
}
