//! Recorded demonstrations, for plans without labs.

use crate::{
    error::{ApiError, ErrorView},
    extract::LabPath,
    state::HttpState,
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

/// A solved lab's console as asciicast v2.
#[utoipa::path(
    get, path = "/api/v1/demo/{lab}", operation_id = "demo_get", tag = "lab", security(("bearer" = [])), params(("lab" = String, Path, description = "the lab")),
    responses((status = 200, content((String = "application/x-asciicast"))), (status = 401, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn get(State(state): State<HttpState>, LabPath(lab): LabPath) -> Result<Response, ApiError> {
    let cast = state.demos.get(lab.as_str()).cloned().ok_or_else(ApiError::not_found)?;
    Ok(([(header::CONTENT_TYPE, "application/x-asciicast")], cast).into_response())
}
