//! Replays.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Params, SessionPath, Signed},
    state::HttpState,
    view::{ExportQuery, JournalQuery, RecordingView},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use lab_core::recording::ExportFormat;

/// The index of a recording. Asking for it is a replay, and is logged as one when it is somebody else's.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/recording", operation_id = "recording_index", tag = "recording", security(("bearer" = [])), params(("id" = String, Path, description = "the session")),
    responses(
        (status = 200, body = RecordingView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView, description = "`recordings-busy`: too many are being read")
    )
)]
pub(crate) async fn index(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
) -> Answer<RecordingView> {
    state.app.replay_open(&login, id, "replay").await?;
    let recordings = state.app.recordings();
    // the head first: a recording that grows between the two is then longer than its head says, never shorter
    let head = recordings.head(id).await?;
    let index = recordings.index(&login.subject, id).await?;
    Ok(Json(RecordingView::new(&head, index)))
}

/// Journal bytes `[from, to)` of it. Of somebody else's it is a replay too: what the index did not log is logged here.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/recording/journal", operation_id = "recording_journal", tag = "recording", security(("bearer" = [])),
    params(("id" = String, Path, description = "the session"), JournalQuery),
    responses(
        (status = 200, content((Vec<u8> = "application/octet-stream"))), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView)
    )
)]
pub(crate) async fn journal(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
    Params(q): Params<JournalQuery>,
) -> Result<Response, ApiError> {
    state.app.replay_read(&login, id).await?;
    let (from, to) = (q.from.unwrap_or(0), q.to.unwrap_or(u64::MAX));
    if from > to {
        return Err(ApiError::invalid(format!("from: {from} is after to: {to}")));
    }
    let bytes = state.app.recordings().journal_read(id, from, to).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// One terminal of it as a file, made while it is read: an answer that breaks off is not whole.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/recording/export", operation_id = "recording_export", tag = "recording", security(("bearer" = [])),
    params(("id" = String, Path, description = "the session"), ExportQuery),
    responses(
        (status = 200, content((String = "application/x-asciicast"), (String = "text/plain"))), (status = 400, body = ErrorView),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView, description = "`recordings-busy`: too many are being read")
    )
)]
pub(crate) async fn export(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
    Params(q): Params<ExportQuery>,
) -> Result<Response, ApiError> {
    let format = ExportFormat::from_name(&q.format)
        .ok_or_else(|| ApiError::invalid("format: must be asciicast-v2, asciicast-v3 or text"))?;
    state.app.replay_open(&login, id, "export").await?;
    let recordings = state.app.recordings();
    let pieces = recordings.export(&login.subject, id, format, &q.terminal).await?;
    // its beginning was answered with 200: what goes wrong from here on breaks the answer off, which no client takes for a whole one
    let metrics = state.app.metrics().clone();
    let pieces = pieces.inspect_err(move |error| {
        metrics.errors_total.with_label_values(&[error.code()]).inc();
        tracing::error!(session.id = %id, code = error.code(), %error, "an export ended before its end");
    });
    let ending = if format == ExportFormat::Text { "txt" } else { "cast" };
    // the terminal is one of the lab's here, which the export has held; its name is the lab author's, so only plain letters of it
    let plain: String = q
        .terminal
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    let name = format!("attachment; filename=\"labwire-{id}-{plain}.{ending}\"");
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
