//! Who I am and what I may use.

use super::Answer;
use crate::{error::ErrorView, extract::Signed, state::HttpState, view::MeView};
use axum::{Json, extract::State};

/// The login with its grants and all plans.
#[utoipa::path(
    get, path = "/api/v1/me", operation_id = "me", tag = "launch", security(("bearer" = [])),
    responses((status = 200, body = MeView), (status = 401, body = ErrorView))
)]
pub(crate) async fn me(State(state): State<HttpState>, Signed(login): Signed) -> Answer<MeView> {
    Ok(Json(state.app.me(&login).await?.into()))
}
