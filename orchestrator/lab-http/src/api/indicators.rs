//! How a course went, for those who answer for it.

use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Params, Signed},
    state::HttpState,
    view::{CourseCountsView, IndicatorRuleRequest, IndicatorsQuery},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use lab_app::{
    AppError,
    courses::{CourseCounts, funnel_csv, indicators_csv, progression_csv},
};
use lab_core::courses::CourseTable;

/// The course's five numbers, when its learners were done with each lab, and the courses that operations put into a series with it: counts, and nobody is
/// named. All as JSON, or one table as CSV.
#[utoipa::path(
    get, path = "/api/v1/indicators", operation_id = "indicators_show", tag = "metering", security(("bearer" = [])), params(IndicatorsQuery),
    responses(
        (status = 200, body = CourseCountsView, description = "or `text/csv` with `csv`"), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView, description = "no such table")
    )
)]
pub(crate) async fn show(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<IndicatorsQuery>,
) -> Result<Response, ApiError> {
    let counts = state.app.course_counts(&login).await?;
    let Some(which) = q.csv else {
        return Ok(Json(CourseCountsView::from(counts)).into_response());
    };
    let text = table(&counts, &which, q.series.as_deref()).ok_or_else(|| AppError::not_found("the table"))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"labwire-course.csv\"",
        ),
    ];
    Ok((headers, text).into_response())
}

/// Says what counts as what in the login's course.
#[utoipa::path(
    post, path = "/api/v1/indicators/rule", operation_id = "indicators_rule", tag = "metering", security(("bearer" = [])),
    request_body = IndicatorRuleRequest,
    responses((status = 204, description = "kept"), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn rule(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<IndicatorRuleRequest>,
) -> Result<StatusCode, ApiError> {
    state.app.rule_set(&login, &request.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn table(counts: &CourseCounts, which: &str, series: Option<&str>) -> Option<String> {
    let series = || counts.series.iter().find(|s| Some(s.name.as_str()) == series);
    let run = &counts.run;
    match which {
        "indicators" => Some(indicators_csv(&CourseTable {
            courses: vec![(run.course.clone(), run.indicators)],
        })),
        "progression" => Some(progression_csv(&run.course, &counts.progression, &counts.dates)),
        "courses" => Some(indicators_csv(&series()?.table)),
        "funnel" => Some(funnel_csv(&series()?.funnel)),
        _ => None,
    }
}
