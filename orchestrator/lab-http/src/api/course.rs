//! A course, as its teachers see it.

use super::Answer;
use crate::{error::ErrorView, extract::Signed, state::HttpState, view::CoursePeopleView};
use axum::{Json, extract::State};

/// Everybody of the course, asked of its learning platform now and not kept; who has opened no lab yet is among them. Written down as seen.
#[utoipa::path(
    get, path = "/api/v1/course/people", operation_id = "course_people", tag = "lti", security(("bearer" = [])),
    responses(
        (status = 200, body = CoursePeopleView), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 503, body = ErrorView, description = "`members-unavailable`: the platform does not list them now")
    )
)]
pub(crate) async fn people(State(state): State<HttpState>, Signed(login): Signed) -> Answer<CoursePeopleView> {
    Ok(Json(state.app.course_people(&login).await?.into()))
}
