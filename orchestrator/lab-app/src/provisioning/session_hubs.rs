//! What provisioning and metering need of the hubs, and no more; tests give them a scripted one.

use crate::terminal::{HubStatus, Hubs};
use async_trait::async_trait;
use lab_core::{SessionId, terminal::ToBrowser};
use std::{collections::HashSet, sync::Arc};
use tokio::sync::Notify;

/// The hubs of this process, seen from the reconciler and the meter.
#[async_trait]
pub trait SessionHubs: Send + Sync + 'static {
    /// Starts following the session's agent, unless it is followed already.
    fn ensure(&self, session: SessionId);
    /// After the session is over: finish the recording, close the browsers.
    async fn drop_hub(&self, session: SessionId);
    /// Sessions with a hub in this process, and whether somebody looks at them here, or did lately.
    fn here(&self) -> Vec<(SessionId, bool)>;
    /// Nobody looks here any more: seal what was recorded, close the hub. The session goes on.
    async fn release(&self, session: SessionId);
    /// What its agent said last; none when no hub was started.
    fn status(&self, session: SessionId) -> Option<HubStatus>;
    /// Woken when some status changed.
    fn changed(&self) -> Arc<Notify>;
    /// News for every browser of the session; the last of a kind is kept for those that come later.
    fn tell(&self, session: SessionId, news: ToBrowser);
    /// Whether anything is kept for those that come later.
    fn keeps_news(&self) -> bool;
    /// Forgets what is kept of sessions that are not `live`, by a list that was asked for at this monotonic time; what was told since
    /// stays.
    fn forget_told(&self, live: &HashSet<SessionId>, asked_us: u64);
    /// Asks the agent to stop the lab's processes where they are, or to let them go on. [`HubStatus::frozen`] tells when it was told.
    fn freeze(&self, session: SessionId, frozen: bool);
    /// Asks the agent to end the lab and waits until its last record is durable; returns soon when there is no agent.
    async fn stop_lab(&self, session: SessionId, reason: &str);
}

#[async_trait]
impl SessionHubs for Hubs {
    fn ensure(&self, session: SessionId) {
        Hubs::ensure(self, session);
    }
    async fn drop_hub(&self, session: SessionId) {
        Hubs::drop_hub(self, session).await;
    }
    fn here(&self) -> Vec<(SessionId, bool)> {
        Hubs::here(self)
    }
    async fn release(&self, session: SessionId) {
        Hubs::release(self, session).await;
    }
    fn status(&self, session: SessionId) -> Option<HubStatus> {
        Hubs::status(self, session)
    }
    fn changed(&self) -> Arc<Notify> {
        Hubs::changed(self)
    }
    fn tell(&self, session: SessionId, news: ToBrowser) {
        Hubs::tell(self, session, news);
    }
    fn keeps_news(&self) -> bool {
        Hubs::keeps_news(self)
    }
    fn forget_told(&self, live: &HashSet<SessionId>, asked_us: u64) {
        Hubs::forget_told(self, live, asked_us);
    }
    fn freeze(&self, session: SessionId, frozen: bool) {
        Hubs::freeze(self, session, frozen);
    }
    async fn stop_lab(&self, session: SessionId, reason: &str) {
        Hubs::stop_lab(self, session, reason).await;
    }
}
