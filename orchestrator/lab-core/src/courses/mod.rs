//! Courses and their people, beside the seven stages: when a course's labs can be started (its *run*), and who is in it (its *enrolments*).
//!
//! A course without a run is always open, and nobody needs to be enrolled to use a link: both are what an organiser adds.

mod class;
mod indicators;
mod people;
mod progression;
mod run;
mod site;

pub use class::{CLASS_LASTS_MAX, CLASS_LEARNERS_MAX, CLASSES_MAX, CourseClass, with_classes};
pub use indicators::{IndicatorRule, Indicators, LabGrade, funnel, percent};
pub use people::{
    ENROLMENTS_MAX, Enrolled, Enrolment, EnrolmentProblem, FIELD_CHARS_MAX, FORGOTTEN_MAX, KEY_CHARS_MAX, plan_grant,
};
pub use progression::{
    Completion, CourseSeries, CourseTable, LabProgression, SERIES_COURSES_MAX, WEEKS_MAX, completed_at, progression,
    weeks,
};
pub use run::{CourseRun, Extension, Phase, RunProblem, SITE_CHARS_MAX, TITLE_CHARS_MAX};
pub use site::{Site, SiteKind};
