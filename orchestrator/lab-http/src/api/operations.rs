//! The whole installation: what it does, and whether it takes new launches.

use super::Answer;
use crate::{
    error::ErrorView,
    extract::{Body, Signed},
    state::HttpState,
    view::{OverviewView, PauseRequest, PausedView},
};
use axum::{Json, extract::State};

/// Sandboxes, machines, failures, recorders and leases in counts, and whether launches are paused.
#[utoipa::path(
    get, path = "/api/v1/operations", operation_id = "operations_overview", tag = "operations", security(("bearer" = [])),
    responses((status = 200, body = OverviewView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn overview(State(state): State<HttpState>) -> Answer<OverviewView> {
    Ok(Json(state.app.overview().await?.into()))
}

/// Refuses new launches from now on, in the whole installation; or says another reason. Labs that run go on, so do those that wait
/// in the queue, and pools stay warm.
#[utoipa::path(
    post, path = "/api/v1/operations/pause", operation_id = "operations_pause", tag = "operations", security(("bearer" = [])), request_body = PauseRequest,
    responses((status = 200, body = PausedView), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn pause(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<PauseRequest>,
) -> Answer<PausedView> {
    let paused = state
        .app
        .launches_pause(&login, &request.reason, request.minutes)
        .await?;
    Ok(Json(PausedView {
        paused: paused.map(Into::into),
    }))
}

/// Takes new launches again; a repeat changes nothing.
#[utoipa::path(
    post, path = "/api/v1/operations/resume", operation_id = "operations_resume", tag = "operations", security(("bearer" = [])),
    responses((status = 200, body = PausedView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn resume(State(state): State<HttpState>, Signed(login): Signed) -> Answer<PausedView> {
    let paused = state.app.launches_resume(&login).await?;
    Ok(Json(PausedView {
        paused: paused.map(Into::into),
    }))
}
