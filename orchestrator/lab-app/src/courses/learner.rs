//! One learner's page: what they have, what they did, who looked. For the course's teachers, and for operations.

use crate::{App, AppError, entitlement::SessionView};
use lab_core::{
    CourseId, Subject, Timestamp,
    courses::{CourseRun, Enrolment},
    entitlement::GrantBalance,
    launch::{Login, Role},
    port::{AuditEvent, ErrorKind, SessionFilter},
    privacy::Look,
};

/// A learner in a course.
#[derive(Clone, Debug)]
pub struct LearnerView {
    pub course: CourseId,
    pub subject: Subject,
    /// Empty: nobody said one.
    pub name: String,
    /// What the organiser wrote of them.
    pub enrolment: Option<Enrolment>,
    pub run: Option<CourseRun>,
    /// Until when they may start labs, where that is later than for the others.
    pub extended_until: Option<Timestamp>,
    pub grants: Vec<GrantBalance>,
    /// Seconds they can start or go on with now.
    pub available_secs: i64,
    /// Newest first, at most 1000.
    pub sessions: Vec<SessionView>,
    /// Who looked, newest first.
    pub looks: Vec<Look>,
}

impl App {
    /// Who is in the login's course, or for operations in `course`.
    ///
    /// # Errors
    /// `not-allowed` for another course, and for learners; `invalid-request` for operations who name none.
    pub async fn learner_list(&self, login: &Login, course: Option<CourseId>) -> Result<Vec<Enrolment>, AppError> {
        let course = course_of(login, course)?;
        Ok(self.ports.store.enrolment_list(&course).await?)
    }

    /// One learner of the login's course, or for operations of `course`. Written down as seen.
    ///
    /// # Errors
    /// As [`App::learner_list`]; not found when nothing is here of them in this course.
    pub async fn learner_show(
        &self,
        login: &Login,
        course: Option<CourseId>,
        subject: &Subject,
    ) -> Result<LearnerView, AppError> {
        let course = course_of(login, course)?;
        if !login.role.sees_usage() {
            return Err(AppError::not_allowed("a learner's time is the teachers' to see"));
        }
        let store = &self.ports.store;
        let enrolments = store.enrolments_of(subject).await?;
        let enrolment = enrolments.into_iter().find(|e| e.course == course);
        let grants = store.grant_list(subject, Some(&course)).await?;
        let filter = SessionFilter {
            course: Some(course.clone()),
            subject: Some(subject.clone()),
            ..SessionFilter::default()
        };
        let sessions = self.session_list(login, filter).await?;
        if enrolment.is_none() && grants.is_empty() && sessions.is_empty() {
            return Err(AppError::not_found("this learner"));
        }
        self.audit_learner(login, &course, subject).await?;
        let now = self.now();
        let extensions = store.extension_list(&course).await?;
        let looks = store.looks(subject, Some(&course), None).await?;
        Ok(LearnerView {
            name: name(enrolment.as_ref(), &sessions),
            run: store.run_get(&course).await?,
            extended_until: extensions.into_iter().find(|e| e.subject == *subject).map(|e| e.until),
            available_secs: grants.iter().filter(|g| g.is_valid(now)).map(|g| g.available).sum(),
            looks,
            course,
            subject: subject.clone(),
            enrolment,
            grants,
            sessions,
        })
    }
}

impl App {
    /// Who reads a learner's page is among those who looked.
    async fn audit_learner(&self, login: &Login, course: &CourseId, subject: &Subject) -> Result<(), AppError> {
        let event = AuditEvent {
            at: self.now(),
            actor: login.subject.clone(),
            actor_name: login.name.clone(),
            role: login.role,
            action: "learner".into(),
            session: None,
            course: Some(course.clone()),
            about: Some(subject.clone()),
            detail: String::new(),
        };
        Ok(self.ports.store.audit_append(&event).await?)
    }
}

/// As the organiser wrote it, or as their last lab showed it.
fn name(enrolment: Option<&Enrolment>, sessions: &[SessionView]) -> String {
    let written = enrolment.map(|e| e.name.clone()).filter(|n| !n.is_empty());
    written
        .or_else(|| sessions.first().map(|s| s.session.name.clone()))
        .unwrap_or_default()
}

/// The course that a login asks about.
fn course_of(login: &Login, asked: Option<CourseId>) -> Result<CourseId, AppError> {
    match (login.role, asked) {
        (Role::Teacher | Role::Coach, asked) if asked.as_ref().is_none_or(|c| *c == login.course) => {
            Ok(login.course.clone())
        }
        (Role::Operations, Some(course)) => Ok(course),
        (Role::Operations, None) => Err(AppError::refused(
            ErrorKind::Invalid,
            "invalid-request",
            "course: must be named by operations; `labwire course ls` lists those with dates",
        )),
        (
            Role::Teacher
            | Role::Coach
            | Role::Learner
            | Role::Author
            | Role::Enrolment
            | Role::Manager
            | Role::Sponsor,
            _,
        ) => Err(AppError::not_allowed("a course's people are its teachers' to see")),
    }
}
