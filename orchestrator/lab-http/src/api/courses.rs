//! A course's people, for its teachers and operations. Who is meant stands in bodies, not in addresses: those are in every proxy's log.

use super::Answer;
use crate::{
    error::ErrorView,
    extract::{Body, Params, Signed},
    state::HttpState,
    view::{EnrolmentView, LearnerRequest, LearnerView, LearnersQuery},
};
use axum::{Json, extract::State};
use lab_core::{CourseId, Subject};

/// Who is listed in a course, by id. A teacher's own; operations name one.
#[utoipa::path(
    get, path = "/api/v1/learners", operation_id = "learners", tag = "courses", security(("bearer" = [])), params(LearnersQuery),
    responses(
        (status = 200, body = Vec<EnrolmentView>), (status = 400, body = ErrorView), (status = 401, body = ErrorView),
        (status = 403, body = ErrorView)
    )
)]
pub(crate) async fn list(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<LearnersQuery>,
) -> Answer<Vec<EnrolmentView>> {
    let people = state.app.learner_list(&login, q.course.map(CourseId)).await?;
    Ok(Json(
        people.iter().map(|e| EnrolmentView::of(e, &login.subject)).collect(),
    ))
}

/// One learner in a course: plan, time left, sessions with their checks, who looked. Operations are not told what checks printed.
#[utoipa::path(
    post, path = "/api/v1/learners/show", operation_id = "learner_show", tag = "courses", security(("bearer" = [])),
    request_body = LearnerRequest,
    responses(
        (status = 200, body = LearnerView), (status = 400, body = ErrorView), (status = 401, body = ErrorView),
        (status = 403, body = ErrorView), (status = 404, body = ErrorView)
    )
)]
pub(crate) async fn show(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<LearnerRequest>,
) -> Answer<LearnerView> {
    let (course, subject) = (request.course.map(CourseId), Subject(request.subject));
    let learner = state.app.learner_show(&login, course, &subject).await?;
    Ok(Json(LearnerView::of(learner, &login.subject)))
}
