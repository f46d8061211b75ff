//! How courses went, in counts.

use lab_app::courses::{CourseCounts, FunnelStep, SeriesCounts};
use lab_core::{
    LabId,
    courses::{IndicatorRule, Indicators, LabProgression, percent},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

/// What to answer with.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IndicatorsQuery {
    /// `indicators`, `progression`, or with `series` `courses` or `funnel`: that table as CSV instead of all as JSON.
    pub csv: Option<String>,
    /// Which series, with `csv=courses` and `csv=funnel`.
    pub series: Option<String>,
}

/// Learners of a run, in counts, and what they are a share of, in per cent; a share of nothing is none.
#[derive(Serialize, ToSchema)]
pub struct IndicatorsView {
    /// None where several courses are one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub course: Option<String>,
    pub enrolled: u64,
    pub started: u64,
    pub diligent: u64,
    pub success: u64,
    pub diligent_success: u64,
    pub shares: SharesView,
}

/// See `IndicatorsView`.
#[derive(Serialize, ToSchema)]
pub struct SharesView {
    pub started_of_enrolled: Option<f64>,
    pub diligent_of_enrolled: Option<f64>,
    pub success_of_enrolled: Option<f64>,
    pub diligent_of_started: Option<f64>,
    pub diligent_success_of_diligent: Option<f64>,
}

impl From<[Option<f64>; 5]> for SharesView {
    fn from([started, diligent, success, kept, diligent_success]: [Option<f64>; 5]) -> Self {
        Self {
            started_of_enrolled: started,
            diligent_of_enrolled: diligent,
            success_of_enrolled: success,
            diligent_of_started: kept,
            diligent_success_of_diligent: diligent_success,
        }
    }
}

fn shown(course: Option<String>, run: &Indicators) -> IndicatorsView {
    IndicatorsView {
        course,
        enrolled: run.enrolled,
        started: run.started,
        diligent: run.diligent,
        success: run.success,
        diligent_success: run.diligent_success,
        shares: run.shares().map(percent).into(),
    }
}

/// What counts as what.
#[derive(Serialize, ToSchema)]
pub struct IndicatorRuleView {
    /// Who did all of these, and `second_week`, is diligent.
    pub first_week: Vec<String>,
    pub second_week: String,
    /// Labs of the course's grade.
    pub labs: Vec<String>,
    /// Nobody named them: they are those of both weeks, and all that anybody has a result of.
    pub all_labs: bool,
    /// With so many per cent of it a learner has succeeded.
    pub pass_percent: u8,
}

impl IndicatorRuleView {
    fn new(r: IndicatorRule, all_labs: bool) -> Self {
        let ids = |labs: BTreeSet<LabId>| labs.into_iter().map(|l| l.0).collect();
        Self {
            first_week: ids(r.first_week),
            second_week: r.second_week.0,
            labs: ids(r.labs),
            all_labs,
            pass_percent: r.pass_percent,
        }
    }
}

/// `POST /indicators/rule`: what counts as what from now on, and for what was done before too.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndicatorRuleRequest {
    /// Who did all of these, and `second_week`, is diligent.
    pub first_week: Vec<String>,
    pub second_week: String,
    /// Labs of the course's grade; those of both weeks, and all that anybody has a result of, when none is named.
    #[serde(default)]
    pub labs: Vec<String>,
    /// With so many per cent of it a learner has succeeded.
    pub pass_percent: u8,
}

impl From<IndicatorRuleRequest> for IndicatorRule {
    fn from(r: IndicatorRuleRequest) -> Self {
        let ids = |labs: Vec<String>| labs.into_iter().map(LabId).collect();
        Self {
            first_week: ids(r.first_week),
            second_week: LabId(r.second_week),
            labs: ids(r.labs),
            pass_percent: r.pass_percent,
        }
    }
}

/// Learners who were done with a lab, by when.
#[derive(Serialize, ToSchema)]
pub struct ProgressionView {
    pub lab: String,
    pub total: u64,
    /// Before the first of `dates`, from each to the next, and from the last on.
    pub within: Vec<u64>,
}

impl From<LabProgression> for ProgressionView {
    fn from(p: LabProgression) -> Self {
        Self {
            lab: p.lab.0,
            total: p.total,
            within: p.within,
        }
    }
}

/// One course of a sequence.
#[derive(Serialize, ToSchema)]
pub struct FunnelView {
    pub course: String,
    /// Who started it.
    pub started: u64,
    /// Of them, who started all before it too.
    pub left: u64,
    /// Of who started the first, in per cent.
    pub of_first: Option<f64>,
}

/// Courses beside each other, and one after another.
#[derive(Serialize, ToSchema)]
pub struct SeriesView {
    pub name: String,
    pub courses: Vec<IndicatorsView>,
    /// Of each share, unweighted: a small course counts as much as a large one. Of the number of enrolled there is none.
    pub mean: SharesView,
    /// As if all were one course: somebody in two of them counts twice.
    pub all: IndicatorsView,
    /// Courses that nobody has said what counts in.
    pub without_rule: Vec<String>,
    pub funnel: Vec<FunnelView>,
}

impl From<SeriesCounts> for SeriesView {
    fn from(s: SeriesCounts) -> Self {
        let first = s.funnel.first().map_or(0, |f| f.left);
        let step = |f: FunnelStep| FunnelView {
            course: f.course.0,
            started: f.started,
            left: f.left,
            of_first: percent((f.left, first)),
        };
        Self {
            name: s.name,
            mean: s.table.means().into(),
            all: shown(None, &s.table.sum()),
            courses: s
                .table
                .courses
                .iter()
                .map(|(course, run)| shown(Some(course.to_string()), run))
                .collect(),
            without_rule: s.without_rule.into_iter().map(|c| c.0).collect(),
            funnel: s.funnel.into_iter().map(step).collect(),
        }
    }
}

/// How a course went.
#[derive(Serialize, ToSchema)]
pub struct CourseCountsView {
    pub run: IndicatorsView,
    /// None: nobody has said what counts, and only `enrolled` and `started` are numbers of their own.
    pub rule: Option<IndicatorRuleView>,
    /// Ends of the run's weeks, Unix seconds.
    pub dates: Vec<i64>,
    pub progression: Vec<ProgressionView>,
    pub series: Vec<SeriesView>,
}

impl From<CourseCounts> for CourseCountsView {
    fn from(c: CourseCounts) -> Self {
        Self {
            run: shown(Some(c.run.course.to_string()), &c.run.indicators),
            rule: c.run.rule.map(|rule| IndicatorRuleView::new(rule, c.run.all_labs)),
            dates: c.dates.into_iter().map(lab_core::Timestamp::secs).collect(),
            progression: c.progression.into_iter().map(Into::into).collect(),
            series: c.series.into_iter().map(Into::into).collect(),
        }
    }
}
