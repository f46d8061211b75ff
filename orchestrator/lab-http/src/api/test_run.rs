//! Labs tried by those who answer for them.

use super::Answer;
use crate::{
    error::ErrorView,
    extract::{Body, Signed},
    state::HttpState,
    view::{StartRequest, TestRunView},
};
use axum::{Json, extract::State};
use lab_core::LabId;

/// A link by which the caller tries a lab as its learner, in a tab of its own: no plan pays, and no grade comes of it. Good once, for a minute.
#[utoipa::path(
    post, path = "/api/v1/test-runs", operation_id = "test_run_link", tag = "session", security(("bearer" = [])), request_body = StartRequest,
    responses((status = 200, body = TestRunView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn link(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<StartRequest>,
) -> Answer<TestRunView> {
    let token = state.app.test_run_link(&login, &LabId::from(request.lab)).await?;
    Ok(Json(TestRunView {
        link: format!("/launch?token={token}"),
    }))
}
