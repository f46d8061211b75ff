//! Work that must be done by one process of an installation at a time.

use crate::{AppError, Ports};
use lab_core::port::Lease;
use std::time::Duration;

/// Another process takes over so long after this one died: what a click waits at most for a reconciler that was killed. Clocks of
/// replicas may differ by some of it; what two holders write at once is told apart by revisions and epochs, not by time.
const TTL: Duration = Duration::from_secs(6);
/// Renewed after a third, so that two lost renewals do no harm.
const RENEW_AFTER: Duration = Duration::from_secs(2);

/// A lease with more than this left is not renewed yet.
const FRESH: Duration = TTL.saturating_sub(RENEW_AFTER);

/// A lease that is taken and renewed when it is asked about.
pub(crate) struct Leased {
    name: &'static str,
    holder: String,
    held: Option<Lease>,
}

impl Leased {
    pub(crate) fn new(name: &'static str, holder: String) -> Self {
        Self {
            name,
            holder,
            held: None,
        }
    }

    /// Whether the work is ours now.
    pub(crate) async fn held(&mut self, ports: &Ports) -> Result<bool, AppError> {
        let now = ports.clock.now();
        let fresh = |l: &Lease| now.plus(FRESH) < l.expires_at;
        if !self.held.as_ref().is_some_and(fresh) {
            self.held = ports.store.lease_take(self.name, &self.holder, now, TTL).await?;
        }
        Ok(self.held.is_some())
    }

    /// The fencing token of the lease that [`Leased::held`] found ours.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.held.as_ref().map(|l| l.epoch)
    }

    /// Lets another process go on at once.
    pub(crate) async fn release(&mut self, ports: &Ports) {
        if let Some(lease) = self.held.take()
            && let Err(error) = ports.store.lease_release(&lease).await
        {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                lease = self.name,
                "lease not released; it expires"
            );
        }
    }
}
