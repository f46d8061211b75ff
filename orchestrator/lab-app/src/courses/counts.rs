//! How courses went, in counts: a run's five numbers, when its learners were done with each lab, and the courses that it is compared with. Nobody is named.

use crate::{App, AppError};
use lab_core::{
    CourseId, Subject, Timestamp,
    courses::{
        CourseSeries, CourseTable, IndicatorRule, Indicators, LabGrade, LabProgression, SERIES_COURSES_MAX, funnel,
        progression, weeks,
    },
    launch::{Login, Role},
    port::{Store, StoreError},
};
use std::collections::{BTreeMap, BTreeSet};

/// A run in counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCounts {
    pub course: CourseId,
    /// What counted as what; none: nobody said it, and only enrolled and started are numbers of their own.
    pub rule: Option<IndicatorRule>,
    /// The rule names no labs of the grade: those of both weeks are, and all that anybody has a result of.
    pub all_labs: bool,
    pub indicators: Indicators,
    /// Who had a check run.
    pub started: BTreeSet<Subject>,
}

/// One course of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunnelStep {
    pub course: CourseId,
    /// Who started it.
    pub started: u64,
    /// Of them, who started all courses before it too.
    pub left: u64,
}

/// Courses beside each other, and one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesCounts {
    pub name: String,
    /// Those whose rule somebody said.
    pub table: CourseTable,
    /// The others.
    pub without_rule: Vec<CourseId>,
    pub funnel: Vec<FunnelStep>,
}

/// What the page of a course's teacher or manager shows.
#[derive(Clone, Debug, PartialEq)]
pub struct CourseCounts {
    pub run: RunCounts,
    /// See [`lab_core::courses::weeks`].
    pub dates: Vec<Timestamp>,
    pub progression: Vec<LabProgression>,
    /// Every series that the course is in.
    pub series: Vec<SeriesCounts>,
}

/// Counts a run, by `rule` or the one that is kept for it.
///
/// # Errors
/// The store's.
pub async fn run_counts(
    store: &dyn Store,
    course: &CourseId,
    rule: Option<IndicatorRule>,
) -> Result<RunCounts, StoreError> {
    let known: BTreeSet<Subject> = store.known_in(course).await?.into_iter().collect();
    let grades = store.course_grades(course).await?;
    let rule = match rule {
        Some(rule) => Some(rule),
        None => store.rule_get(course).await?,
    };
    let all_labs = rule.as_ref().is_some_and(|rule| rule.labs.is_empty());
    let rule = rule.map(|rule| whole(rule, &grades));
    let started: BTreeSet<Subject> = grades.iter().map(|g| g.subject.clone()).collect();
    let indicators = rule.as_ref().map_or_else(
        || Indicators {
            enrolled: (&known | &started).len() as u64,
            started: started.len() as u64,
            ..Indicators::default()
        },
        |rule| Indicators::of(&known, &grades, rule),
    );
    Ok(RunCounts {
        course: course.clone(),
        rule,
        all_labs,
        indicators,
        started,
    })
}

/// A rule that names no labs of the grade has those of both weeks, and all that anybody has a result of.
fn whole(mut rule: IndicatorRule, grades: &[LabGrade]) -> IndicatorRule {
    if rule.labs.is_empty() {
        let weeks = rule.first_week.iter().chain([&rule.second_week]);
        let results = grades.iter().map(|g| &g.lab);
        rule.labs = weeks.chain(results).cloned().collect();
    }
    rule
}

/// Runs of courses in a table and in their order. `known`: runs that were counted already, and where those that are counted now are kept.
///
/// # Errors
/// The store's.
pub async fn series_counts(
    store: &dyn Store,
    series: CourseSeries,
    known: &mut BTreeMap<CourseId, RunCounts>,
) -> Result<SeriesCounts, StoreError> {
    let mut runs = Vec::with_capacity(series.courses.len());
    for course in series.courses.into_iter().take(SERIES_COURSES_MAX) {
        let run = match known.get(&course) {
            Some(run) => run.clone(),
            None => run_counts(store, &course, None).await?,
        };
        known.insert(course, run.clone());
        runs.push(run);
    }
    let started: Vec<BTreeSet<Subject>> = runs.iter().map(|r| r.started.clone()).collect();
    let step = |(run, left): (&RunCounts, u64)| FunnelStep {
        course: run.course.clone(),
        started: run.started.len() as u64,
        left,
    };
    let funnel = runs.iter().zip(funnel(&started)).map(step).collect();
    let (ruled, bare): (Vec<_>, Vec<_>) = runs.into_iter().partition(|r| r.rule.is_some());
    Ok(SeriesCounts {
        name: series.name,
        table: CourseTable {
            courses: ruled.into_iter().map(|r| (r.course, r.indicators)).collect(),
        },
        without_rule: bare.into_iter().map(|r| r.course).collect(),
        funnel,
    })
}

impl App {
    /// How the login's course went. Of other courses only those are told that operations put into a series with it.
    ///
    /// # Errors
    /// `not-allowed` to anyone but teachers and managers of a course.
    pub async fn course_counts(&self, login: &Login) -> Result<CourseCounts, AppError> {
        if !matches!(login.role, Role::Teacher | Role::Manager) {
            return Err(AppError::not_allowed("these are a course's teachers' and managers'"));
        }
        let (store, course) = (self.ports.store.as_ref(), &login.course);
        let run = run_counts(store, course, None).await?;
        let opens_at = store.run_get(course).await?.and_then(|r| r.opens_at);
        let dates = weeks(opens_at, self.now());
        let progression = progression(&store.course_completions(course).await?, &dates);
        let mut known = BTreeMap::from([(course.clone(), run.clone())]);
        let mut series = Vec::new();
        for one in store.series_list().await? {
            if one.courses.contains(course) {
                series.push(series_counts(store, one, &mut known).await?);
            }
        }
        Ok(CourseCounts {
            run,
            dates,
            progression,
            series,
        })
    }
}
