//! How this installation is, for operations.

use super::Answer;
use crate::{error::ErrorView, state::HttpState, view::HealthView};
use axum::{Json, extract::State};

/// The state of this process and its neighbours.
#[utoipa::path(
    get, path = "/api/v1/health", operation_id = "health", tag = "operations", security(("bearer" = [])),
    responses((status = 200, body = HealthView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn health(State(state): State<HttpState>) -> Answer<HealthView> {
    Ok(Json(state.app.health().await.into()))
}
