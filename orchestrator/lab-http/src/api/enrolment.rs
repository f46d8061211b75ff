//! A course's lab time: vouchers and grants.

use super::{Answer, voucher::redeemed};
use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Signed},
    state::HttpState,
    view::{
        BatchMakeRequest, BatchRevokeRequest, BatchView, GrantView, GrantsRequest, MadeBatchView, RedeemForRequest,
        RedeemedView,
    },
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

/// Batches of the login's course, newest first.
#[utoipa::path(
    get, path = "/api/v1/vouchers", operation_id = "voucher_batches", tag = "entitlement", security(("bearer" = [])),
    responses((status = 200, body = Vec<BatchView>), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn batches(State(state): State<HttpState>, Signed(login): Signed) -> Answer<Vec<BatchView>> {
    let batches = state.app.voucher_batches(&login).await?;
    Ok(Json(batches.into_iter().map(Into::into).collect()))
}

/// Makes a batch for the login's course. Its codes are in this answer, and nowhere else.
#[utoipa::path(
    post, path = "/api/v1/vouchers", operation_id = "voucher_make", tag = "entitlement", security(("bearer" = [])),
    request_body = BatchMakeRequest,
    responses((status = 200, body = MadeBatchView), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn make(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<BatchMakeRequest>,
) -> Answer<MadeBatchView> {
    let (batch, codes) = state.app.voucher_batch_make(&login, &request.try_into()?).await?;
    Ok(Json(MadeBatchView::new(&batch, &codes)))
}

/// Withdraws a batch: what was redeemed stays, the rest is worthless.
#[utoipa::path(
    post, path = "/api/v1/vouchers/{id}/revoke", operation_id = "voucher_revoke", tag = "entitlement", security(("bearer" = [])),
    params(("id" = String, Path, description = "the batch")), request_body = BatchRevokeRequest,
    responses((status = 204, description = "withdrawn"), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn revoke(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Path(id): Path<String>,
    Body(request): Body<BatchRevokeRequest>,
) -> Result<StatusCode, ApiError> {
    let id = id.parse().map_err(|_| ApiError::invalid("id: must be a UUID"))?;
    state.app.voucher_batch_revoke(&login, id, &request.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Redeems a code for a learner of the login's course.
#[utoipa::path(
    post, path = "/api/v1/vouchers/redeem-for", operation_id = "voucher_redeem_for", tag = "entitlement", security(("bearer" = [])),
    request_body = RedeemForRequest,
    responses(
        (status = 200, body = RedeemedView), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView), (status = 409, body = ErrorView), (status = 429, body = ErrorView, description = "as of `voucher_redeem`")
    )
)]
pub(crate) async fn redeem_for(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<RedeemForRequest>,
) -> Answer<RedeemedView> {
    redeemed(
        state
            .app
            .voucher_redeem_for(&login, &request.learner, &request.code)
            .await?,
    )
}

/// What a learner was given in the login's course, and what is left of it.
#[utoipa::path(
    post, path = "/api/v1/grants/show", operation_id = "grants_show", tag = "entitlement", security(("bearer" = [])),
    request_body = GrantsRequest,
    responses((status = 200, body = Vec<GrantView>), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn grants(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<GrantsRequest>,
) -> Answer<Vec<GrantView>> {
    let grants = state.app.grants_of(&login, &request.learner).await?;
    Ok(Json(grants.iter().map(Into::into).collect()))
}
