//! Who looked at a learner's labs, told to that learner.

use crate::{App, AppError};
use lab_core::{
    launch::{Login, Role},
    privacy::Look,
};

impl App {
    /// Who watched, replayed, helped with, stopped or took along the work of the learner who asks, in the login's course; newest first,
    /// below the look `before`.
    ///
    /// # Errors
    /// `not-allowed` to anyone but learners.
    pub async fn looks(&self, login: &Login, before: Option<i64>) -> Result<Vec<Look>, AppError> {
        if login.role != Role::Learner {
            return Err(AppError::not_allowed("each learner sees who looked at their own labs"));
        }
        let (subject, course) = (&login.subject, &login.course);
        Ok(self.ports.store.looks(subject, Some(course), before).await?)
    }
}
