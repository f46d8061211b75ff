//! Runs of labs.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Params, SessionPath, Signed},
    state::HttpState,
    view::{LabSummaryView, SessionQuery, SessionView, StartRequest, TimeView},
};
use axum::{Json, extract::State, http::StatusCode};
use lab_app::AppError;
use lab_core::{LabId, port::SessionFilter};

/// Starts the link's lab, or returns the run of it that is under way.
#[utoipa::path(
    post, path = "/api/v1/sessions", operation_id = "session_start", tag = "session", security(("bearer" = [])), request_body = StartRequest,
    responses(
        (status = 201, body = SessionView, description = "admitted"), (status = 200, body = SessionView, description = "runs already"),
        (status = 401, body = ErrorView),
        (status = 403, body = ErrorView, description = "`no-plan`, `no-labs`, `plan-withheld`, `not-attested`, `no-time`, `daily-cap`, `concurrency`, `launches-paused`, `course-not-open`, `course-closed`, `test-runs-spent` or `privacy-notice`, with `refusal` (RefusalView) and `lab` (LabSummaryView)"),
        (status = 404, body = ErrorView)
    )
)]
pub(crate) async fn start(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<StartRequest>,
) -> Result<(StatusCode, Json<SessionView>), ApiError> {
    let lab = LabId::from(request.lab);
    let started = match state.app.session_start(&login, &lab).await {
        Ok(started) => started,
        Err(refusal @ AppError::Entitlement(_)) => return Err(describe(&state, &lab, refusal).await),
        Err(e) => return Err(e.into()),
    };
    let status = if started.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let view = state.app.session_view(&login, started.session.id).await?;
    Ok((status, Json(view.into())))
}

/// A refusal with the lab it is about: the page shows what the learner would get.
async fn describe(state: &HttpState, lab: &LabId, refusal: AppError) -> ApiError {
    let error = ApiError::from(refusal);
    match state.app.lab_get(lab).await {
        Ok(version) => error.with("lab", LabSummaryView::from(&version)),
        Err(_) => error,
    }
}

/// Sessions the login may know, newest first: the own, the course's, or all.
#[utoipa::path(
    get, path = "/api/v1/sessions", operation_id = "session_list", tag = "session", security(("bearer" = [])), params(SessionQuery),
    responses((status = 200, body = Vec<SessionView>), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn list(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<SessionQuery>,
) -> Answer<Vec<SessionView>> {
    let filter = SessionFilter {
        course: q.course.map(Into::into),
        lab: q.lab.map(Into::into),
        live: q.live.is_some_and(|l| l != 0),
        ..SessionFilter::default()
    };
    Ok(Json(
        state
            .app
            .session_list(&login, filter)
            .await?
            .into_iter()
            .map(Into::into)
            .collect(),
    ))
}

/// One session with its results.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}", operation_id = "session_get", tag = "session", security(("bearer" = [])), params(("id" = String, Path, description = "the session")),
    responses((status = 200, body = SessionView), (status = 401, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn get(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
) -> Answer<SessionView> {
    Ok(Json(state.app.session_view(&login, id).await?.into()))
}

/// Asks for its end; a repeat changes nothing.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/stop", operation_id = "session_stop", tag = "session", security(("bearer" = [])), params(("id" = String, Path, description = "the session")),
    responses((status = 200, body = SessionView), (status = 401, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn stop(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
) -> Answer<SessionView> {
    state.app.session_stop(&login, id).await?;
    Ok(Json(state.app.session_view(&login, id).await?.into()))
}

/// More time, where the lab and the grants allow it.
#[utoipa::path(
    post, path = "/api/v1/sessions/{id}/extend", operation_id = "session_extend", tag = "session", security(("bearer" = [])), params(("id" = String, Path, description = "the session")),
    responses(
        (status = 200, body = TimeView), (status = 401, body = ErrorView), (status = 404, body = ErrorView),
        (status = 409, body = ErrorView, description = "`not-ready`, `extension-limit`, `no-time-to-extend`")
    )
)]
pub(crate) async fn extend(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
) -> Answer<TimeView> {
    Ok(Json(state.app.session_extend(&login, id).await?.into()))
}
