//! A course, as its teachers see it.

use lab_app::launch::lti::{CoursePeople, CoursePerson};
use serde::Serialize;
use utoipa::ToSchema;

/// The people of a course.
#[derive(Serialize, ToSchema)]
pub struct CoursePeopleView {
    /// Whether the course's platform lists them, as far as a teacher's launch told.
    pub offered: bool,
    /// Not: there are more than the 5,000 that are read.
    pub complete: bool,
    /// By name, then id.
    pub people: Vec<CoursePersonView>,
}

/// One of them.
#[derive(Serialize, ToSchema)]
pub struct CoursePersonView {
    pub subject: String,
    /// Only when the platform tells.
    pub name: Option<String>,
    pub role: String,
    /// Labs of this course that they opened.
    pub sessions: u32,
    /// Unix seconds of the last one.
    pub last_at: Option<i64>,
}

impl From<CoursePerson> for CoursePersonView {
    fn from(p: CoursePerson) -> Self {
        Self {
            subject: p.subject.0,
            name: p.name,
            role: p.role.name().to_owned(),
            sessions: p.sessions,
            last_at: p.last_at.map(lab_core::Timestamp::secs),
        }
    }
}

impl From<CoursePeople> for CoursePeopleView {
    fn from(c: CoursePeople) -> Self {
        Self {
            offered: c.offered,
            complete: c.complete,
            people: c.people.into_iter().map(Into::into).collect(),
        }
    }
}
