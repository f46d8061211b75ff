//! Who may see what. What a login may not know exists is "not there".

use super::looked::counts;
use crate::launch::Opened;
use crate::{
    App, AppError,
    live::WallUpdate,
    terminal::{FromHub, ToHub, Viewer},
};
use lab_core::{
    CourseId, SessionId,
    entitlement::Feature,
    launch::{Login, Reach, Role, TicketScope},
    port::{AuditEvent, ErrorKind, Session},
    provisioning::SessionState,
};
use tokio::sync::mpsc;

/// What a replay is called in the audit log.
const REPLAY: &str = "replay";

/// Whether the login may know that the session exists.
pub(crate) fn may_know(login: &Login, session: &Session) -> bool {
    match login.role.reach() {
        Reach::Nobodys => false,
        Reach::Own => owns(login, session),
        Reach::Course => login.course == session.course,
        Reach::All => true,
    }
}

/// The session's own learner.
pub(crate) fn owns(login: &Login, session: &Session) -> bool {
    login.role == Role::Learner && login.subject == session.subject && login.course == session.course
}

impl App {
    /// The session, if the login may know it.
    pub(crate) async fn session_for(&self, login: &Login, id: SessionId) -> Result<Session, AppError> {
        match self.ports.store.session_get(id).await? {
            Some(session) if may_know(login, &session) => Ok(session),
            _ => Err(AppError::not_found("the session")),
        }
    }

    /// The session, if the login may see its terminals: its learner and who helps in the course, never operations.
    pub(crate) async fn session_for_terminals(&self, login: &Login, id: SessionId) -> Result<Session, AppError> {
        let session = self.session_for(login, id).await?;
        if !login.role.sees_terminals() {
            return Err(AppError::not_allowed("your role does not see terminals"));
        }
        Ok(session)
    }

    /// Attaches a WebSocket to its session. A teacher's look is logged before anything is shown.
    ///
    /// # Errors
    /// `session-over` for a session that has nothing to attach to any more; not found as for [`App::ticket`].
    pub async fn attach(&self, opened: &Opened) -> Result<(mpsc::Sender<ToHub>, mpsc::Receiver<FromHub>), AppError> {
        let TicketScope::Session { session: id } = opened.scope else {
            return Err(AppError::refused(
                ErrorKind::Invalid,
                "ticket-scope",
                "this ticket opens a wall, not a session",
            ));
        };
        let login = &opened.login;
        let session = self.session_for_terminals(login, id).await?;
        if session.state.is_over() {
            return Err(AppError::refused(
                ErrorKind::Conflict,
                "session-over",
                "the session is over",
            ));
        }
        let owner = owns(login, &session);
        if !owner {
            self.plan_includes(&session, Feature::Observe).await?;
            self.audit_append(login, "view", Some(id), "live").await?;
        }
        let may_type = owner || self.plan_includes(&session, Feature::Coached).await.is_ok();
        let viewer = Viewer {
            login: login.id,
            subject: login.subject.clone(),
            name: login.name.clone(),
            role: login.role,
            owner,
            may_type,
            writer: opened.writer,
        };
        let ends = self.hubs.attach(id, viewer).await?;
        if session.state.is_usable() {
            // any replica serves anyone: this one may not have met the session's agent yet
            self.hubs.ensure(id);
        }
        // it may have ended between the two reads; a hub for it would then have nobody to end it
        let over = |state: &SessionState| state.is_over();
        if self.ports.store.session_get(id).await?.is_none_or(|s| over(&s.state)) {
            self.hubs.drop_hub(id).await;
        }
        Ok(ends)
    }

    /// Subscribes a WebSocket to its course's wall.
    ///
    /// # Errors
    /// `ticket-scope` for a session's ticket.
    pub async fn watch_wall(&self, opened: &Opened) -> Result<mpsc::Receiver<WallUpdate>, AppError> {
        let TicketScope::Wall { course } = &opened.scope else {
            return Err(AppError::refused(
                ErrorKind::Invalid,
                "ticket-scope",
                "this ticket opens a session, not a wall",
            ));
        };
        self.audit_write(&opened.login, "view", (None, Some(course.clone())), "wall")
            .await?;
        Ok(self.wall.subscribe(course.clone()))
    }

    /// Authorises reading a recording, and logs it when it is somebody else's. `action` is `replay` or `export`; ask once per
    /// opening, not per range.
    ///
    /// # Errors
    /// Not found, `not-allowed` for operations, or `not-in-plan`.
    pub async fn replay_open(&self, login: &Login, id: SessionId, action: &'static str) -> Result<Session, AppError> {
        let session = self.replay_allowed(login, id).await?;
        if !owns(login, &session) {
            self.audit_append(login, action, Some(id), "").await?;
            if action == REPLAY {
                let now = self.now();
                self.looked.put((login.id, id), now, now);
            }
        }
        Ok(session)
    }

    /// The session, if the login may read its recording. Of a lab that runs the recording grows while it is read: somebody else watches it then.
    async fn replay_allowed(&self, login: &Login, id: SessionId) -> Result<Session, AppError> {
        let session = self.session_for_terminals(login, id).await?;
        self.plan_includes(&session, Feature::Recorded).await?;
        if !session.state.is_over() && !owns(login, &session) {
            self.plan_includes(&session, Feature::Observe).await?;
        }
        Ok(session)
    }

    /// Refuses what the session's plan does not include. A plan that is gone includes everything, as before there were features.
    ///
    /// # Errors
    /// `not-in-plan`.
    pub(crate) async fn plan_includes(&self, session: &Session, feature: Feature) -> Result<(), AppError> {
        let plans = self.ports.store.plan_list().await?;
        if plans.iter().any(|p| p.id == session.plan && !p.has(feature)) {
            let message = format!(
                "the learner's plan {} does not include this ({})",
                session.plan,
                feature.code()
            );
            return Err(AppError::refused(ErrorKind::Denied, "not-in-plan", message));
        }
        Ok(())
    }

    /// Authorises a read of a part of a recording. Of somebody else's a line of the audit log says that this person replays it, from
    /// [`App::replay_open`] or from here: nothing is shown before there is one.
    ///
    /// # Errors
    /// As [`App::replay_open`].
    pub async fn replay_read(&self, login: &Login, id: SessionId) -> Result<Session, AppError> {
        let session = self.replay_allowed(login, id).await?;
        let (look, now) = ((login.id, id), self.now());
        if owns(login, &session) || self.looked.has(look, now) {
            return Ok(session);
        }
        // it may have been opened through another replica
        let last = self.ports.store.audit_last(id, &login.subject, REPLAY).await?;
        let at = if let Some(at) = last.filter(|at| counts(*at, now)) {
            at
        } else {
            self.audit_append(login, REPLAY, Some(id), "").await?;
            now
        };
        self.looked.put(look, at, now);
        Ok(session)
    }

    /// Writes down what a person did to another's session.
    pub(crate) async fn audit_append(
        &self,
        login: &Login,
        action: &str,
        session: Option<SessionId>,
        detail: &str,
    ) -> Result<(), AppError> {
        self.audit_write(login, action, (session, None), detail).await
    }

    /// The same, of a session or of a whole course.
    pub(crate) async fn audit_write(
        &self,
        login: &Login,
        action: &str,
        (session, course): (Option<SessionId>, Option<CourseId>),
        detail: &str,
    ) -> Result<(), AppError> {
        let event = AuditEvent {
            at: self.now(),
            actor: login.subject.clone(),
            actor_name: login.name.clone(),
            role: login.role,
            action: action.to_owned(),
            session,
            course,
            about: None,
            detail: detail.to_owned(),
        };
        Ok(self.ports.store.audit_append(&event).await?)
    }

    /// Who looked. Of a session: its learner, the course's teachers, operations. Of everything: operations.
    ///
    /// # Errors
    /// Not found, or `not-allowed`.
    pub async fn audit(&self, login: &Login, session: Option<SessionId>) -> Result<Vec<AuditEvent>, AppError> {
        match session {
            Some(id) => {
                self.session_for(login, id).await?;
            }
            None if login.role == Role::Operations => {}
            None => {
                return Err(AppError::not_allowed("name a session; the whole log is for operations"));
            }
        }
        Ok(self.ports.store.audit_list(session).await?)
    }
}
