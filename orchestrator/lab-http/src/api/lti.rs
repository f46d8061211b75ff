//! Setting learning platforms up: who is registered, who waits for a yes, what to paste, and why launches were refused.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Params, Signed},
    state::HttpState,
    view::{
        GuidesView, InviteRequest, InvitedView, LtiAddRequest, LtiAddedView, LtiGuidesQuery, LtiName, LtiOverviewView,
    },
};
use axum::{Json, extract::State, http::StatusCode};
use lab_core::launch::{Login, lti::RegistrationId};

/// Registrations, invitations, and the latest refused launches with their steps. Secrets are in none of it.
#[utoipa::path(
    get, path = "/api/v1/operations/lti", operation_id = "operations_lti", tag = "lti", security(("bearer" = [])),
    responses((status = 200, body = LtiOverviewView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn overview(State(state): State<HttpState>, Signed(login): Signed) -> Answer<LtiOverviewView> {
    shown(&state, &login).await
}

async fn shown(state: &HttpState, login: &Login) -> Answer<LtiOverviewView> {
    let overview = state.app.lti_overview(login).await?;
    let now = state.app.ports().clock.now();
    Ok(Json(LtiOverviewView::new(&overview, now)))
}

/// Registers a platform, or changes the registration of that name. A shared secret that is made is in the answer, and never shown again.
#[utoipa::path(
    post, path = "/api/v1/operations/lti/add", operation_id = "operations_lti_add", tag = "lti", security(("bearer" = [])), request_body = LtiAddRequest,
    responses(
        (status = 200, body = LtiAddedView), (status = 201, body = LtiAddedView),
        (status = 400, body = ErrorView, description = "`invalid-registration`: names field, value and remedy"),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 409, body = ErrorView, description = "`registration-taken`")
    )
)]
pub(crate) async fn add(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<LtiAddRequest>,
) -> Result<(StatusCode, Json<LtiAddedView>), ApiError> {
    let new = request.registration().map_err(ApiError::invalid)?;
    let (added, guides) = state.app.lti_add(&login, new).await?;
    let status = if added.new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(LtiAddedView::new(&added, guides))))
}

/// What to paste into the course, field by field.
#[utoipa::path(
    get, path = "/api/v1/operations/lti/guides", operation_id = "operations_lti_guides", tag = "lti", security(("bearer" = [])), params(LtiGuidesQuery),
    responses((status = 200, body = GuidesView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn guides(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(query): Params<LtiGuidesQuery>,
) -> Answer<GuidesView> {
    let id = RegistrationId(query.name);
    let (lab, guides) = state.app.lti_guides(&login, &id, query.lab.map(Into::into)).await?;
    Ok(Json(GuidesView::new(&lab, guides)))
}

/// Invites a platform to register itself; the address in the answer is for its administrator, and never shown again.
#[utoipa::path(
    post, path = "/api/v1/operations/lti/invite", operation_id = "operations_lti_invite", tag = "lti", security(("bearer" = [])), request_body = InviteRequest,
    responses((status = 201, body = InvitedView), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 409, body = ErrorView))
)]
pub(crate) async fn invite(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<InviteRequest>,
) -> Result<(StatusCode, Json<InvitedView>), ApiError> {
    let (course, plan) = (request.course.map(Into::into), request.plan.map(Into::into));
    let invited = state
        .app
        .lti_invite(&login, RegistrationId(request.name), course, plan)
        .await?;
    Ok((StatusCode::CREATED, Json(InvitedView::from(&invited))))
}

/// Says yes to a platform that registered itself.
#[utoipa::path(
    post, path = "/api/v1/operations/lti/approve", operation_id = "operations_lti_approve", tag = "lti", security(("bearer" = [])), request_body = LtiName,
    responses((status = 200, body = LtiOverviewView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView), (status = 409, body = ErrorView))
)]
pub(crate) async fn approve(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<LtiName>,
) -> Answer<LtiOverviewView> {
    decide(&state, &login, request, true).await
}

/// Says no to it, or takes an invitation back.
#[utoipa::path(
    post, path = "/api/v1/operations/lti/reject", operation_id = "operations_lti_reject", tag = "lti", security(("bearer" = [])), request_body = LtiName,
    responses((status = 200, body = LtiOverviewView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn reject(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<LtiName>,
) -> Answer<LtiOverviewView> {
    decide(&state, &login, request, false).await
}

/// The answer is how everything is then.
async fn decide(state: &HttpState, login: &Login, request: LtiName, yes: bool) -> Answer<LtiOverviewView> {
    state.app.lti_decide(login, &RegistrationId(request.name), yes).await?;
    shown(state, login).await
}
