//! Links become bearers.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::Body,
    guard::Bearer,
    state::HttpState,
    view::{LaunchRequest, RotatedView, SignedView},
};
use axum::{Extension, Json, extract::State};

/// Presents a launch link's token, once.
#[utoipa::path(
    post, path = "/api/v1/launch", operation_id = "launch", tag = "launch", request_body = LaunchRequest,
    responses((status = 200, body = SignedView), (status = 401, body = ErrorView, description = "`launch-…`: why the link opens nothing"))
)]
pub(crate) async fn launch(State(state): State<HttpState>, Body(request): Body<LaunchRequest>) -> Answer<SignedView> {
    Ok(Json(state.app.launch(&request.token).await?.into()))
}

/// A new bearer for the same tab.
#[utoipa::path(
    post, path = "/api/v1/token/rotate", operation_id = "token_rotate", tag = "launch", security(("bearer" = [])),
    responses((status = 200, body = RotatedView), (status = 401, body = ErrorView))
)]
pub(crate) async fn rotate(
    State(state): State<HttpState>,
    Extension(Bearer(old)): Extension<Bearer>,
) -> Answer<RotatedView> {
    let signed = state.app.rotate(&old).await.map_err(|e| match e.kind() {
        // replaced by a quicker request of the same tab, between the guard and here
        lab_core::port::ErrorKind::Denied => ApiError::not_signed_in(),
        _ => e.into(),
    })?;
    Ok(Json(RotatedView {
        expires_at: signed.login.expires_at.secs(),
        ends_at: signed.ends_at.map(lab_core::Timestamp::secs),
        bearer: signed.bearer,
    }))
}
