//! What a person may ask of a running session. It changes intent only; the reconciler carries it out.

use crate::{App, AppError, entitlement::stop_reason};
use lab_core::{
    SessionId, Timestamp,
    launch::Login,
    port::{ErrorKind, Session, Store, StoreError, Transition},
    provisioning::{EndReason, SessionEvent},
};

/// Tries of a transition that somebody else was quicker at; each lost race means the session moved on, and it has 7 states.
const RACES_MAX: usize = 8;

impl App {
    /// Asks for the session's end; a repeat changes nothing.
    ///
    /// # Errors
    /// Not found when it is not there or the login may not know it.
    pub async fn session_stop(&self, login: &Login, id: SessionId) -> Result<Session, AppError> {
        let session = self.session_for(login, id).await?;
        let reason = stop_reason(login, &session);
        let cause = if reason == EndReason::LearnerStopped {
            "learner".to_owned()
        } else {
            self.audit_append(login, "stop", Some(id), "").await?;
            format!("{}:{}", login.role.name(), login.name)
        };
        let stopped = request_stop(self.ports.store.as_ref(), session, reason, &cause, self.now()).await?;
        self.intent.notify_one();
        Ok(stopped)
    }
}

/// Moves a session towards its end, unless it is on its way there; reads again when another writer was quicker.
pub async fn request_stop(
    store: &dyn Store,
    mut session: Session,
    reason: EndReason,
    cause: &str,
    at: Timestamp,
) -> Result<Session, StoreError> {
    for _ in 0..RACES_MAX {
        let event = SessionEvent::Stop(reason);
        if session.state.next(event.clone()).is_err() {
            return Ok(session);
        }
        let (id, expect) = (session.id, session.revision);
        let t = Transition {
            session: id,
            expect,
            event,
            at,
            cause: cause.to_owned(),
            ready: None,
        };
        match store.session_transition(&t).await {
            Err(e) if e.kind() == ErrorKind::Conflict => {
                session = store.session_get(id).await?.ok_or(StoreError::NotFound {
                    what: "session",
                    id: id.to_string(),
                })?;
            }
            other => return other,
        }
    }
    Ok(session)
}
