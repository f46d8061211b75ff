//! Codes that give lab time.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Signed},
    state::HttpState,
    view::{RedeemRequest, RedeemedView},
};
use axum::{Json, extract::State, http::StatusCode};
use lab_core::entitlement::{Redeemed, VoucherRefusal};

/// Redeems a voucher for the learner who is signed in; the same code again gives nothing more, and says what it gave.
#[utoipa::path(
    post, path = "/api/v1/vouchers/redeem", operation_id = "voucher_redeem", tag = "entitlement", security(("bearer" = [])),
    request_body = RedeemRequest,
    responses(
        (status = 200, body = RedeemedView), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView, description = "`voucher-unknown`"),
        (status = 409, body = ErrorView, description = "`voucher-used`, `voucher-expired` (with `until`), `voucher-revoked`, `voucher-pot-empty`, `voucher-seated`, `voucher-other-course` (with `course`), `voucher-course-closed` (with `since`, `title`, `zone`)"),
        (status = 429, body = ErrorView, description = "`voucher-guesses`: too many wrong codes (with `until`)")
    )
)]
pub(crate) async fn redeem(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<RedeemRequest>,
) -> Answer<RedeemedView> {
    redeemed(state.app.voucher_redeem(&login, &request.code).await?)
}

/// What became of a code.
pub(super) fn redeemed(redeemed: Redeemed) -> Answer<RedeemedView> {
    match redeemed {
        Redeemed::Granted {
            grant,
            plan,
            seconds,
            expires_at,
            new,
        } => Ok(Json(RedeemedView {
            grant: grant.to_string(),
            plan: plan.to_string(),
            seconds,
            expires_at: expires_at.secs(),
            new,
        })),
        Redeemed::Refused(refusal) => Err(refused(&refusal)),
    }
}

fn refused(refusal: &VoucherRefusal) -> ApiError {
    let status = match refusal {
        VoucherRefusal::Unknown => StatusCode::NOT_FOUND,
        VoucherRefusal::Guesses { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::CONFLICT,
    };
    let error = ApiError::new(status, refusal.code(), refusal.to_string());
    match refusal {
        VoucherRefusal::Guesses { again_at: at } | VoucherRefusal::Expired { at } => error.with("until", at.secs()),
        VoucherRefusal::CourseClosed { title, closed_at, zone } => {
            let error = error.with("since", closed_at.secs()).with("title", title.as_str());
            match zone {
                Some(zone) => error.with("zone", zone.as_str()),
                None => error,
            }
        }
        VoucherRefusal::OtherCourse { course } => error.with("course", course.as_str()),
        VoucherRefusal::Unknown
        | VoucherRefusal::Used
        | VoucherRefusal::Revoked
        | VoucherRefusal::PotEmpty
        | VoucherRefusal::Seated => error,
    }
}
