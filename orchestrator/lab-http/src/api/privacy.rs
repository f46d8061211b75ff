//! What people are told, who looked, and one person's all. Who is meant stands in bodies, not in addresses: those are in every proxy's log.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Params, Signed},
    state::HttpState,
    view::{
        AcknowledgeRequest, EraseRequest, ErasedView, LookView, LooksQuery, NoticeView, PeopleQuery, PersonRequest,
        PersonSummaryView, PersonView,
    },
};
use axum::{
    Json,
    body::Body as Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use lab_core::Subject;

/// What is recorded, who may see it, how long it is kept, and whether this learner was told.
#[utoipa::path(
    get, path = "/api/v1/notice", operation_id = "notice", tag = "privacy", security(("bearer" = [])),
    responses((status = 200, body = NoticeView), (status = 401, body = ErrorView))
)]
pub(crate) async fn notice(State(state): State<HttpState>, Signed(login): Signed) -> Answer<NoticeView> {
    Ok(Json(state.app.notice(&login).await?.into()))
}

/// Keeps that this learner was told this version; a repeat changes nothing. No lab starts before. It is no consent.
#[utoipa::path(
    post, path = "/api/v1/notice", operation_id = "notice_acknowledge", tag = "privacy", security(("bearer" = [])),
    request_body = AcknowledgeRequest,
    responses(
        (status = 200, body = NoticeView), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 409, body = ErrorView, description = "`notice-changed`: it says something else now")
    )
)]
pub(crate) async fn acknowledge(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<AcknowledgeRequest>,
) -> Answer<NoticeView> {
    Ok(Json(
        state.app.notice_acknowledge(&login, &request.version).await?.into(),
    ))
}

/// Who looked at the labs of the learner who asks, newest first, 500 at most; `before` is the `id` of the last one that was told.
#[utoipa::path(
    get, path = "/api/v1/looks", operation_id = "looks", tag = "privacy", security(("bearer" = [])), params(LooksQuery),
    responses((status = 200, body = Vec<LookView>), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn looks(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<LooksQuery>,
) -> Answer<Vec<LookView>> {
    let looks = state.app.looks(&login, q.before).await?;
    Ok(Json(looks.into_iter().map(Into::into).collect()))
}

/// People whose id or name has `text` in it, last seen first, 1000 at most.
#[utoipa::path(
    get, path = "/api/v1/people", operation_id = "people", tag = "privacy", security(("bearer" = [])), params(PeopleQuery),
    responses((status = 200, body = Vec<PersonSummaryView>), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn people(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<PeopleQuery>,
) -> Answer<Vec<PersonSummaryView>> {
    let (people, _) = state.app.people(&login)?;
    let found = people.list(q.text.as_deref().unwrap_or_default()).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// How much is here of a person.
#[utoipa::path(
    post, path = "/api/v1/people/show", operation_id = "person_show", tag = "privacy", security(("bearer" = [])), request_body = PersonRequest,
    responses((status = 200, body = PersonView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn show(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<PersonRequest>,
) -> Answer<PersonView> {
    let (people, _) = state.app.people(&login)?;
    Ok(Json(people.show(&Subject(request.subject)).await?.into()))
}

/// All of a person as one ZIP. Audited, and shown to them among those who looked.
#[utoipa::path(
    post, path = "/api/v1/people/export", operation_id = "person_export", tag = "privacy", security(("bearer" = [])), request_body = PersonRequest,
    responses(
        (status = 200, content((Vec<u8> = "application/zip"))), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 404, body = ErrorView)
    )
)]
pub(crate) async fn export(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<PersonRequest>,
) -> Result<Response, ApiError> {
    let (people, by) = state.app.people(&login)?;
    let pieces = people.export(&Subject(request.subject), &by).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/zip"),
        // without the name: it would be in a list of downloads
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"labwire-person.zip\"",
        ),
    ];
    Ok((headers, Bytes::from_stream(pieces)).into_response())
}

/// Forgets a person: recordings and names go, the ledger stays under a random name. `confirm` is their id once more.
#[utoipa::path(
    post, path = "/api/v1/people/erase", operation_id = "person_erase", tag = "privacy", security(("bearer" = [])), request_body = EraseRequest,
    responses(
        (status = 200, body = ErasedView), (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView),
        (status = 409, body = ErrorView, description = "`person-live`: a lab of theirs is not over")
    )
)]
pub(crate) async fn erase(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<EraseRequest>,
) -> Answer<ErasedView> {
    let (people, by) = state.app.people(&login)?;
    if request.confirm != request.subject {
        return Err(ApiError::invalid(
            "confirm: must be the same as subject; nothing was erased",
        ));
    }
    Ok(Json(people.erase(&Subject(request.subject), &by).await?.into()))
}
