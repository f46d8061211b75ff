//! What a replica does that does not lead: its browsers learn what the leader decided, and its hubs live as long as somebody
//! looks through them. It changes no session: all it knows is in the store, in the runtime's list, and in the words of the agents
//! that it follows.

use super::{
    SessionHubs,
    facts::Fact,
    kept_pools, operation,
    queue::{self, Capacity, Turn},
    reconciler::{LIVE_MAX, Reconciler},
};
use crate::AppError;
use lab_core::{
    SessionId,
    port::{Session, SessionFilter},
    provisioning::SessionState,
};
use std::{collections::HashMap, sync::Arc};

impl<H: SessionHubs> Reconciler<H> {
    /// Brings this process's hubs in line with what the store says of their sessions.
    pub(super) async fn mirror(&mut self) -> Result<(), AppError> {
        let here = self.hubs.here();
        self.memory
            .retain(|id, memory| memory.busy || here.iter().any(|(other, _)| other == id));
        if here.is_empty() {
            return Ok(());
        }
        let (mut live, turns) = self.intended().await?;
        // what a sandbox waits for is in no row: who leads tells its own browsers, and we look for ours
        self.list_fresh = false;
        if here
            .iter()
            .any(|(id, _)| live.get(id).is_some_and(|s| s.state == SessionState::Provisioning))
        {
            self.ask_list();
        }
        for (id, wanted) in here {
            if self.memory.get(&id).is_some_and(|m| m.busy) {
                continue;
            }
            match live.remove(&id) {
                Some(_) if !wanted => self.release(id),
                Some(session) => self.follow(&session, turns.get(&id).copied()),
                None => self.close_stray(id).await?,
            }
        }
        Ok(())
    }

    /// Live sessions, and the turns of those that wait.
    async fn intended(&self) -> Result<(HashMap<SessionId, Session>, HashMap<SessionId, Turn>), AppError> {
        let filter = SessionFilter {
            live: true,
            limit: LIVE_MAX,
            ..SessionFilter::default()
        };
        let live = self.ports.store.session_list(&filter).await?;
        self.note_pages(&live).await?;
        let pool = self.ports.store.pool_list().await?;
        let pools = kept_pools(&self.ports, &self.settings).await?;
        let turns = queue::turns(&Capacity {
            now: self.ports.clock.now(),
            sandboxes_max: self.settings.sandboxes_max,
            live: &live,
            pool: &pool,
            pools: &pools,
        });
        Ok((live.into_iter().map(|s| (s.id, s)).collect(), turns))
    }

    /// Follows the agent, and tells how the session stands.
    fn follow(&mut self, session: &Session, turn: Option<Turn>) {
        let has_sandbox = session.state.wants_sandbox() || matches!(session.state, SessionState::Stopping { .. });
        if has_sandbox {
            self.hubs.ensure(session.id);
        }
        let status = self.hubs.status(session.id).unwrap_or_default();
        let now = self.ports.clock.now();
        let memory = self.memory.entry(session.id).or_default();
        memory.waiting = match self.facts.of(session.sandbox, 0) {
            Fact::Starting { waiting, .. } => waiting.map(|w| w.reason),
            Fact::Unknown | Fact::Here | Fact::Lost { .. } => None,
        };
        memory.step("requested", session.requested_at, session.requested_at);
        memory.step("hold", session.requested_at, now);
        if has_sandbox {
            memory.step("sandbox", session.requested_at, now);
            memory.steps_of(&status, session.requested_at, now);
        }
        let away = session.state.is_usable() && !status.connected;
        self.tell(session, turn, away);
    }

    /// Nobody looks at the session here: whoever comes next starts a hub again.
    pub(super) fn release(&mut self, session: SessionId) {
        self.memory.entry(session).or_default().busy = true;
        self.start(operation::release(Arc::clone(&self.hubs), session));
    }
}
