//! How far a course's learners are.

use super::Answer;
use crate::{
    error::ErrorView,
    extract::{Params, Signed},
    state::HttpState,
    view::{ProgressPageView, ProgressQuery},
};
use axum::{Json, extract::State};

/// The learners of the login's course who started a lab, by their ids: when, which lab now, its checks, when last at work. Written
/// down as seen.
#[utoipa::path(
    get, path = "/api/v1/progress", operation_id = "progress_show", tag = "metering", security(("bearer" = [])), params(ProgressQuery),
    responses((status = 200, body = ProgressPageView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn show(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<ProgressQuery>,
) -> Answer<ProgressPageView> {
    let after = q.after.map(Into::into);
    Ok(Json(state.app.progress(&login, after.as_ref()).await?.into()))
}
