//! Who looked.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Params, Signed},
    state::HttpState,
    view::{AuditQuery, AuditView},
};
use axum::{Json, extract::State};

/// Views, replays, help, stops and exports of a session, newest first; its learner may ask too. Without a session, also who paused
/// launches.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "audit_list", tag = "operations", security(("bearer" = [])), params(AuditQuery),
    responses((status = 200, body = Vec<AuditView>), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn list(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<AuditQuery>,
) -> Answer<Vec<AuditView>> {
    let session = q
        .session
        .map(|s| s.parse().map_err(|_| ApiError::invalid("session: must be a UUID")))
        .transpose()?;
    Ok(Json(
        state
            .app
            .audit(&login, session)
            .await?
            .into_iter()
            .map(Into::into)
            .collect(),
    ))
}
