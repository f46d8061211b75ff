//! Courses' dates and people.

use super::{GrantView, LookView, SessionView};
use lab_app::courses::LearnerView as Learner;
use lab_core::{Subject, Timestamp, courses::Enrolment};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// `GET /learners`.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LearnersQuery {
    /// A teacher's own when missing; operations name one.
    pub course: Option<String>,
}

/// `POST /learners/show`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnerRequest {
    /// As their platform or their links name them.
    pub subject: String,
    /// A teacher's own when missing; operations name one.
    pub course: Option<String>,
}

/// What a course's organiser wrote of somebody.
#[derive(Serialize, ToSchema)]
pub struct EnrolmentView {
    pub subject: String,
    /// Empty: not known.
    pub name: String,
    pub cohort: Option<String>,
    pub site: Option<String>,
    /// Who looks after them.
    pub coach: Option<String>,
    /// Whether that is who asks.
    pub mine: bool,
    /// Their number or e-mail address elsewhere.
    pub external: Option<String>,
    pub plan: Option<String>,
    /// Unix seconds.
    pub enrolled_at: i64,
}

impl EnrolmentView {
    /// As `asker` sees it.
    pub fn of(e: &Enrolment, asker: &Subject) -> Self {
        Self {
            subject: e.subject.to_string(),
            name: e.name.clone(),
            cohort: e.cohort.clone(),
            site: e.site.clone(),
            coach: e.coach.as_ref().map(ToString::to_string),
            mine: e.coach.as_ref() == Some(asker),
            external: e.external.clone(),
            plan: e.plan.as_ref().map(ToString::to_string),
            enrolled_at: e.enrolled_at.secs(),
        }
    }
}

/// A learner in a course.
#[derive(Serialize, ToSchema)]
pub struct LearnerView {
    pub course: String,
    /// The course's title, where it has dates.
    pub title: Option<String>,
    pub subject: String,
    /// Empty: not known.
    pub name: String,
    /// Missing: no list names them.
    pub enrolment: Option<EnrolmentView>,
    /// From when on labs can be started; missing: since ever. Unix seconds, as are the next two.
    pub opens_at: Option<i64>,
    /// From when on this learner can start none; missing: never.
    pub closes_at: Option<i64>,
    /// Their own end, where it was extended.
    pub extended_until: Option<i64>,
    /// What to write the dates in.
    pub zone: Option<String>,
    pub grants: Vec<GrantView>,
    /// Seconds of lab time that can be used now.
    pub available_secs: i64,
    /// Newest first, 1000 at most.
    pub sessions: Vec<SessionView>,
    /// Who looked at them, newest first, 500 at most.
    pub looks: Vec<LookView>,
}

impl LearnerView {
    /// As `asker` sees it.
    pub fn of(l: Learner, asker: &Subject) -> Self {
        let run = l.run.as_ref();
        let extended = l.extended_until;
        Self {
            course: l.course.to_string(),
            title: run.map(|r| r.title.clone()),
            subject: l.subject.to_string(),
            name: l.name,
            enrolment: l.enrolment.as_ref().map(|e| EnrolmentView::of(e, asker)),
            opens_at: run.and_then(|r| r.opens_at).map(Timestamp::secs),
            closes_at: run.and_then(|r| r.ends_for(extended)).map(Timestamp::secs),
            extended_until: extended.map(Timestamp::secs),
            zone: run.and_then(|r| r.zone.clone()),
            grants: l.grants.iter().map(Into::into).collect(),
            available_secs: l.available_secs,
            sessions: l.sessions.into_iter().map(Into::into).collect(),
            looks: l.looks.into_iter().map(Into::into).collect(),
        }
    }
}
