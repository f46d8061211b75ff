//! What has had its time and is still here, and what went so far.

use crate::{App, Ports};
use futures_util::FutureExt;
use lab_core::privacy::{self, Due, RetentionRun};
use std::{sync::Arc, time::Duration};

/// It changes by the day; counting it reads an index from its old end.
pub(super) const LOOK_EVERY: Duration = Duration::from_mins(1);

/// By class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionState {
    pub due: Vec<Due>,
    pub runs: Vec<RetentionRun>,
}

impl App {
    /// As it was at most a minute ago; or the code of why the store does not say.
    pub(super) async fn retention(&self) -> Result<Arc<RetentionState>, &'static str> {
        let (ports, times) = (self.ports.clone(), self.settings.notice.retention.clone());
        let ask = || async move { look(&ports, &times).await.map(Arc::new) }.boxed();
        let now_us = self.ports.clock.monotonic_us();
        self.operations.retention.get(now_us, ask).await
    }
}

async fn look(ports: &Ports, times: &privacy::Retention) -> Result<RetentionState, &'static str> {
    let before = times.before(ports.clock.now());
    let due = ports.store.retention_due(&before).await.map_err(|e| e.code())?;
    let runs = ports.store.retention_runs().await.map_err(|e| e.code())?;
    Ok(RetentionState { due, runs })
}
