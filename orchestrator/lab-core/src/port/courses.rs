//! What is stored of courses: their runs, and who is in them. Part of [`super::Store`], in a trait of its own.

use super::StoreError;
use crate::{
    CourseId, LabId, SiteId, Subject, Timestamp,
    courses::{
        Completion, CourseClass, CourseRun, CourseSeries, Enrolled, Enrolment, Extension, IndicatorRule, LabGrade, Site,
    },
    entitlement::{Bilingual, Plan},
};
use async_trait::async_trait;

/// People to enrol, all or none.
#[derive(Clone, Debug)]
pub struct EnrolRequest {
    pub course: CourseId,
    /// All of that course.
    pub people: Vec<Enrolment>,
    /// The plans they name: a grant of each is issued to whom it names, once ([`crate::courses::plan_grant`]).
    pub plans: Vec<Plan>,
    /// Sites whose kind the list says.
    pub sites: Vec<Site>,
    pub at: Timestamp,
}

/// See the module's doc.
#[async_trait]
pub trait CourseStore: Send + Sync + 'static {
    /// Makes or changes a course's run, its title included. From then on [`super::Store::admit`] goes by it; a click whose transaction was under way
    /// may still go by the old one.
    async fn run_put(&self, run: &CourseRun) -> Result<(), StoreError>;
    async fn run_get(&self, course: &CourseId) -> Result<Option<CourseRun>, StoreError>;
    /// By course.
    async fn run_list(&self) -> Result<Vec<CourseRun>, StoreError>;
    /// Gives a learner longer, or sets when that ends anew.
    async fn extension_put(&self, extension: &Extension) -> Result<(), StoreError>;
    /// By person.
    async fn extension_list(&self, course: &CourseId) -> Result<Vec<Extension>, StoreError>;

    /// Schedules a class, or changes the one of its course and lab that begins then.
    async fn class_put(&self, class: &CourseClass) -> Result<(), StoreError>;
    /// Takes a class off; whether it was there.
    async fn class_remove(&self, course: &CourseId, lab: &LabId, starts_at: Timestamp) -> Result<bool, StoreError>;
    /// Classes that end after `after`, of one course or all, those that begin first first, at most [`crate::courses::CLASSES_MAX`].
    async fn class_list(&self, course: Option<&CourseId>, after: Timestamp) -> Result<Vec<CourseClass>, StoreError>;

    /// Says what kind of place a site is, or says it anew.
    async fn site_put(&self, site: &Site) -> Result<(), StoreError>;
    /// Sites whose kind somebody said, by name.
    async fn site_list(&self) -> Result<Vec<Site>, StoreError>;
    /// Says in whose name labs are shown to a site's learners, or says it anew; none takes it back.
    async fn brand_put(&self, site: &SiteId, brand: Option<&Bilingual>) -> Result<(), StoreError>;
    /// By site.
    async fn brand_list(&self) -> Result<Vec<(SiteId, Bilingual)>, StoreError>;
    /// The brand for a learner of a course: of the site that its list has them at, else of where their newest lab time was given that has one, else of
    /// who holds the course.
    async fn brand_of(&self, course: &CourseId, subject: &Subject) -> Result<Option<Bilingual>, StoreError>;

    /// Adds people to a course, or changes what is written of them, and gives each the grant of their plan, in one transaction. The same again
    /// changes nothing. Refused when the course would have more than [`crate::courses::ENROLMENTS_MAX`].
    async fn enrol(&self, request: &EnrolRequest) -> Result<Enrolled, StoreError>;
    /// Who is in a course, by person.
    async fn enrolment_list(&self, course: &CourseId) -> Result<Vec<Enrolment>, StoreError>;
    /// The courses somebody is in, by course.
    async fn enrolments_of(&self, subject: &Subject) -> Result<Vec<Enrolment>, StoreError>;
    /// Everybody a course knows of: listed, given lab time, or with a run of a lab. By name.
    async fn known_in(&self, course: &CourseId) -> Result<Vec<Subject>, StoreError>;
    /// What the checks of a course's learners are worth, lab by lab, over all runs ([`crate::grading::grade_of`]). By person, then lab; labs without
    /// points, and runs in which nothing was checked, are none.
    async fn course_grades(&self, course: &CourseId) -> Result<Vec<LabGrade>, StoreError>;
    /// When a course's learners were done with each lab ([`crate::courses::completed_at`]). By person, then lab; without test runs.
    async fn course_completions(&self, course: &CourseId) -> Result<Vec<Completion>, StoreError>;
    /// Says what counts as what in a course, or says it anew.
    async fn rule_put(&self, course: &CourseId, rule: &IndicatorRule) -> Result<(), StoreError>;
    async fn rule_get(&self, course: &CourseId) -> Result<Option<IndicatorRule>, StoreError>;
    /// Makes a series of these courses, whatever it was before; of none, there is no such series any more.
    async fn series_put(&self, series: &CourseSeries) -> Result<(), StoreError>;
    /// By name.
    async fn series_list(&self) -> Result<Vec<CourseSeries>, StoreError>;
    /// Takes somebody out of a course; whether they were in it. Their grants and sessions stay.
    async fn unenrol(&self, course: &CourseId, subject: &Subject) -> Result<bool, StoreError>;
}
