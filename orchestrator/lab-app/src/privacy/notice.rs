//! Told once a version, before anything is provisioned. The store's `admit` refuses whoever was not.

use crate::{App, AppError};
use lab_core::{
    Timestamp,
    entitlement::GrantBalance,
    launch::{Login, Role},
    port::ErrorKind,
    privacy::{Acknowledgement, Notice, NoticeVersion},
};

/// What a login is told, and whether it was.
#[derive(Clone, Debug)]
pub struct Told {
    pub notice: Notice,
    pub version: NoticeVersion,
    /// Missing: not this version, not yet. Only learners are asked.
    pub acknowledged_at: Option<Timestamp>,
    /// Nothing but the notice is between this learner and a lab: a page may show it at once, and spare them a refusal.
    pub due: bool,
}

impl App {
    /// The notice of this installation, and when this learner was told it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn notice(&self, login: &Login) -> Result<Told, AppError> {
        let notice = self.settings.notice.clone();
        let version = notice.version();
        let acknowledged_at = match login.role {
            Role::Learner => self.ports.store.notice_acknowledged(&login.subject, &version).await?,
            Role::Teacher
            | Role::Coach
            | Role::Author
            | Role::Enrolment
            | Role::Manager
            | Role::Sponsor
            | Role::Operations => None,
        };
        let due = acknowledged_at.is_none() && self.could_start(login).await?;
        Ok(Told {
            notice,
            version,
            acknowledged_at,
            due,
        })
    }

    /// Whether this is a learner whose grants and link include labs. Who only discovers is not asked, and nothing is kept of them.
    async fn could_start(&self, login: &Login) -> Result<bool, AppError> {
        if login.role != Role::Learner {
            return Ok(false);
        }
        if login.is_test_run() {
            return Ok(true);
        }
        match self.plan_has_labs(login).await {
            Ok(()) => {}
            Err(AppError::Entitlement(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let (store, now) = (&self.ports.store, self.now());
        let (plans, grants) = (
            store.plan_list().await?,
            store.grant_list(&login.subject, Some(&login.course)).await?,
        );
        let with_labs = |g: &GrantBalance| plans.iter().any(|p| p.id == g.grant.plan && p.labs);
        Ok(grants.iter().any(|g| g.is_valid(now) && with_labs(g)))
    }

    /// Keeps that a learner was told; the first time counts.
    ///
    /// # Errors
    /// `notice-changed` when it was another version; `not-allowed` to anyone but learners.
    pub async fn notice_acknowledge(&self, login: &Login, version: &str) -> Result<Told, AppError> {
        if login.role != Role::Learner {
            return Err(AppError::not_allowed("the notice is for learners"));
        }
        let notice = self.settings.notice.clone();
        let current = notice.version();
        if version != current.as_str() {
            let message = format!("version: this installation tells {current} now; read it again");
            return Err(AppError::refused(ErrorKind::Conflict, "notice-changed", message));
        }
        let ack = Acknowledgement {
            subject: login.subject.clone(),
            version: current.clone(),
            at: self.now(),
        };
        let at = self.ports.store.notice_acknowledge(&ack).await?;
        Ok(Told {
            notice,
            version: current,
            acknowledged_at: Some(at),
            due: false,
        })
    }
}
