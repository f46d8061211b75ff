//! Warm pools and the queue, for operations.

use super::Answer;
use crate::{
    error::ErrorView,
    state::HttpState,
    view::{PoolView, QueueView},
};
use axum::{Json, extract::State};

/// Every warm pool: how many are ready, being made, on their way out; the class that is on or next.
#[utoipa::path(
    get, path = "/api/v1/operations/pools", operation_id = "operations_pools", tag = "operations", security(("bearer" = [])),
    responses((status = 200, body = Vec<PoolView>), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn list(State(state): State<HttpState>) -> Answer<Vec<PoolView>> {
    let pools = state.app.pools_report().await?;
    Ok(Json(pools.into_iter().map(Into::into).collect()))
}

/// Who waits for a sandbox, in their order, and how many there are.
#[utoipa::path(
    get, path = "/api/v1/operations/queue", operation_id = "operations_queue", tag = "operations", security(("bearer" = [])),
    responses((status = 200, body = QueueView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn queue(State(state): State<HttpState>) -> Answer<QueueView> {
    Ok(Json(state.app.queue_report().await?.into()))
}
