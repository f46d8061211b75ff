//! One click more time.

use super::{
    limits::{Limits, Rules},
    notice::{Said, time_notice},
};
use crate::{
    App, AppError,
    entitlement::{may_know, owns},
};
use lab_core::{
    SessionId,
    entitlement::Feature,
    launch::Login,
    port::ErrorKind,
    provisioning::SessionState,
    terminal::{TimeNotice, ToBrowser},
};
use std::time::Duration;

/// What one click adds.
pub const EXTENSION: Duration = Duration::from_mins(30);

impl App {
    /// Moves the session's deadline by [`EXTENSION`], within twice the lab's maximum and what the learner's grants allow.
    ///
    /// # Errors
    /// `not-ready`, `extension-limit` or `no-time-to-extend`; not found, or `not-allowed` to anyone but its learner and teachers.
    pub async fn session_extend(&self, login: &Login, id: SessionId) -> Result<TimeNotice, AppError> {
        let session = self.session_for_terminals(login, id).await?;
        debug_assert!(may_know(login, &session));
        let lab = self
            .ports
            .store
            .lab_version(&session.digest)
            .await?
            .ok_or_else(|| AppError::not_found("the lab"))?;
        let now = self.now();
        let plans = self.ports.store.plan_list().await?;
        let rules = Rules::of_session(&session, lab.file.time, &plans);
        let left = self.ports.store.time_left(id, now).await?;
        let not_ready = || AppError::refused(ErrorKind::Conflict, "not-ready", "only a running lab can be extended");
        let limits = Limits::of(&session, &rules, left.available, session.active_at).ok_or_else(not_ready)?;
        if session.state != SessionState::Ready {
            return Err(not_ready());
        }
        if limits.deadline >= limits.deadline_max {
            return Err(AppError::refused(
                ErrorKind::Conflict,
                "extension-limit",
                "the lab cannot run longer; start it again after it ends",
            ));
        }
        if !limits.extendable() {
            return Err(AppError::refused(
                ErrorKind::Conflict,
                "no-time-to-extend",
                "no lab time is left to extend with",
            ));
        }
        if !owns(login, &session) {
            self.plan_includes(&session, Feature::Coached).await?;
            self.audit_append(login, "help", Some(id), "extend").await?;
        }
        let deadline = limits.deadline.plus(EXTENSION).min(limits.deadline_max);
        let session = self.ports.store.session_deadline(id, deadline).await?;
        let limits = Limits::of(&session, &rules, left.available, session.active_at).ok_or_else(not_ready)?;
        let notice = time_notice(&limits, &left, now, Said::default());
        self.hubs.tell(id, ToBrowser::Time(notice.clone()));
        Ok(notice)
    }
}
