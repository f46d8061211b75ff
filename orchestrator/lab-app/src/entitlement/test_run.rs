//! Test runs: a link by which somebody who answers for labs tries one as its learner. What such a link starts is admitted like any click; its
//! limits are the store's ([`lab_core::entitlement::test_run_refusal`]).

use crate::{App, AppError};
use lab_core::{
    CourseId, LabId, LaunchId,
    entitlement::TEST_RUN_COURSE,
    launch::{LaunchClaims, Login},
    port::AuditEvent,
};
use std::time::Duration;

/// The page opens the link at once; a minute is for a slow one, as at a sign-in.
const LINK_VALID: Duration = Duration::from_mins(1);

/// The line of the audit log that a link to a test run leaves; detail: the lab.
pub const TEST_RUN_ACTION: &str = "test-run";

impl App {
    /// A launch link's token for a test run of a lab: good once, for a minute. Audited before it is made.
    ///
    /// # Errors
    /// `not-allowed` to who does not answer for labs, learners above all; not found for a lab that is not published.
    pub async fn test_run_link(&self, login: &Login, lab: &LabId) -> Result<String, AppError> {
        if !login.role.tries_labs() {
            return Err(AppError::not_allowed(
                "labs are tried by their authors, teachers and operations",
            ));
        }
        let lab = self.lab_get(lab).await?.file.id;
        let now = self.now();
        let event = AuditEvent {
            at: now,
            actor: login.subject.clone(),
            actor_name: login.name.clone(),
            role: login.role,
            action: TEST_RUN_ACTION.into(),
            session: None,
            course: Some(CourseId(TEST_RUN_COURSE.into())),
            about: None,
            detail: lab.to_string(),
        };
        self.ports.store.audit_append(&event).await?;
        let claims = LaunchClaims {
            aud: self.settings.installation.clone(),
            jti: LaunchId(self.fresh_uuid()),
            iat: now.secs(),
            exp: now.plus(LINK_VALID).secs(),
            sub: login.subject.clone(),
            name: Some(login.name.clone()),
            role: login.role,
            course: login.course.clone(),
            lab: None,
            plan: None,
            sponsor: None,
        };
        tracing::info!(lab.id = %lab, role = login.role.name(), "link to a test run");
        Ok(self.keyring.sign(&claims.to_test_run(lab)))
    }
}
