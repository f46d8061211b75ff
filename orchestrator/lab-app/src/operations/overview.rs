//! One picture of the installation.

use super::{Quarantine, RetentionState, Sandboxes, sandboxes};
use crate::{App, AppError, recording::Lag};
use futures_util::FutureExt;
use lab_core::{
    Timestamp,
    operations::{FailureCount, LaunchPause, LeaseReport, StateCount},
    port::{Lease, POOL_LEASE},
};
use std::{sync::Arc, time::Duration};

/// Failures are counted over so long: since the same hour of yesterday's class.
pub const FAILURES_OF: Duration = Duration::from_hours(24);

/// Recorders shown: those beyond are better off than each of these.
pub const LAGS_SHOWN: usize = 20;

/// A runtime lists thousands of sandboxes in well under a second; one that needs longer is shown as not answering.
const LIST_WITHIN: Duration = Duration::from_secs(5);

/// Work that somebody must do at all times. Other leases are taken for a moment now and then (`sweep`), and lapse in between.
pub const ALWAYS_HELD: [&str; 3] = ["meter", POOL_LEASE, "provisioning"];

/// See [`App::overview`].
#[derive(Clone, Debug)]
pub struct Overview {
    pub at: Timestamp,
    pub paused: Option<LaunchPause>,
    /// Sessions that are not over, by state.
    pub sessions: Vec<StateCount>,
    /// Or the code of why the runtime does not say.
    pub sandboxes: Result<Arc<Sandboxes>, &'static str>,
    /// Of the last [`FAILURES_OF`], most frequent first.
    pub failures: Vec<FailureCount>,
    pub recorders: Recorders,
    /// Uploads that were moved aside, of every process; or the code of why the storage does not say.
    pub quarantine: Result<Arc<Quarantine>, &'static str>,
    /// What has had its time and is still here, and what went; or the code of why the store does not say.
    pub retention: Result<Arc<RetentionState>, &'static str>,
    /// With each of [`ALWAYS_HELD`], also when nobody ever held it.
    pub leases: LeaseReport,
}

/// The recorders of the process that was asked; those of others are in the leases, by holder.
#[derive(Clone, Debug)]
pub struct Recorders {
    /// That process, as leases name it.
    pub holder: String,
    pub recorders: usize,
    /// Journal taken from agents and not yet durable, of all of them.
    pub lag_bytes: i64,
    /// Those that are behind, worst first, at most [`LAGS_SHOWN`].
    pub worst: Vec<Lag>,
}

impl App {
    /// The installation in counts: five statements, at most one list of the runtime in two seconds, and in a minute one of the quarantine
    /// and five statements of what has had its time, whatever runs.
    ///
    /// # Errors
    /// The store does not answer. A runtime or a storage that does not is part of the picture.
    pub async fn overview(&self) -> Result<Overview, AppError> {
        let (store, at) = (&self.ports.store, self.now());
        let slow = async { tokio::join!(self.sandboxes(), self.quarantine(), self.retention()) };
        let ((sandboxes, quarantine, retention), stored) = tokio::join!(slow, async {
            Ok::<_, AppError>((
                store.launches_paused().await?,
                store.session_counts().await?,
                store.failure_counts(at.minus(FAILURES_OF)).await?,
                store.lease_report(at).await?,
            ))
        });
        let (paused, sessions, failures, mut leases) = stored?;
        for name in ALWAYS_HELD {
            if !leases.tasks.iter().any(|l| l.name == name) {
                leases.tasks.push(Lease {
                    name: name.to_owned(),
                    holder: String::new(),
                    epoch: 0,
                    expires_at: at,
                });
            }
        }
        let (worst, recorders) = self.metrics.recorder_lags.worst(LAGS_SHOWN);
        Ok(Overview {
            at,
            paused,
            sessions,
            sandboxes,
            failures,
            recorders: Recorders {
                holder: self.settings.holder.clone(),
                recorders,
                lag_bytes: self.metrics.recorder_lag_bytes.get(),
                worst,
            },
            quarantine,
            retention,
            leases,
        })
    }

    async fn sandboxes(&self) -> Result<Arc<Sandboxes>, &'static str> {
        let (runtime, clock) = (Arc::clone(&self.ports.runtime), Arc::clone(&self.ports.clock));
        let ask = || {
            async move {
                let at = clock.now();
                match tokio::time::timeout(LIST_WITHIN, runtime.sandbox_list()).await {
                    Ok(Ok(list)) => Ok(Arc::new(sandboxes::Sandboxes::count(&list, at))),
                    Ok(Err(error)) => Err(error.code()),
                    Err(_) => Err("runtime-slow"),
                }
            }
            .boxed()
        };
        self.operations
            .sandboxes
            .get(self.ports.clock.monotonic_us(), ask)
            .await
    }
}
