//! What can run.

use super::Answer;
use crate::{
    error::ErrorView,
    extract::LabPath,
    state::HttpState,
    view::{LabSummaryView, LabView},
};
use axum::{Json, extract::State};

/// The latest version of every lab.
#[utoipa::path(
    get, path = "/api/v1/labs", operation_id = "lab_list", tag = "lab", security(("bearer" = [])),
    responses((status = 200, body = Vec<LabSummaryView>), (status = 401, body = ErrorView))
)]
pub(crate) async fn list(State(state): State<HttpState>) -> Answer<Vec<LabSummaryView>> {
    Ok(Json(state.app.lab_list().await?.iter().map(Into::into).collect()))
}

/// The latest version of a lab, without what would give it away.
#[utoipa::path(
    get, path = "/api/v1/labs/{id}", operation_id = "lab_get", tag = "lab", security(("bearer" = [])), params(("id" = String, Path, description = "the lab")),
    responses((status = 200, body = LabView), (status = 401, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn get(State(state): State<HttpState>, LabPath(id): LabPath) -> Answer<LabView> {
    Ok(Json((&state.app.lab_get(&id).await?).into()))
}
