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
use lab_core::{SessionId, recording::ExportFormat};

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
        (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView, description = "`recordings-busy`: too many are being read")
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
    let bytes = state
        .app
        .recordings()
        .journal_read(&login.subject, id, from, to)
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// One terminal of it as a file, or its whole journal, made while it is read: an answer that breaks off is not whole.
#[utoipa::path(
    get, path = "/api/v1/sessions/{id}/recording/export", operation_id = "recording_export", tag = "recording", security(("bearer" = [])),
    params(("id" = String, Path, description = "the session"), ExportQuery),
    responses(
        (status = 200, content((String = "application/x-asciicast"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"))),
        (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView),
        (status = 503, body = ErrorView, description = "`recordings-busy`: too many are being read")
    )
)]
pub(crate) async fn export(
    State(state): State<HttpState>,
    Signed(login): Signed,
    SessionPath(id): SessionPath,
    Params(q): Params<ExportQuery>,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&q)?;
    state.app.replay_open(&login, id, "export").await?;
    let recordings = state.app.recordings();
    let pieces = match asked {
        Asked::Journal => recordings.export_journal(&login.subject, id).await?,
        Asked::Terminal(format, terminal) => recordings.export(&login.subject, id, format, terminal).await?,
    };
    // its beginning was answered with 200: what goes wrong from here on breaks the answer off, which no client takes for a whole one
    let metrics = state.app.metrics().clone();
    let pieces = pieces.inspect_err(move |error| {
        metrics.errors_total.with_label_values(&[error.code()]).inc();
        tracing::error!(session.id = %id, code = error.code(), %error, "an export ended before its end");
    });
    let headers = [
        (header::CONTENT_TYPE, asked.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, asked.disposition(id)),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// What an export is of.
enum Asked<'a> {
    Journal,
    Terminal(ExportFormat, &'a str),
}

impl<'a> Asked<'a> {
    fn of(q: &'a ExportQuery) -> Result<Self, ApiError> {
        if q.format == "journal" {
            return match &q.terminal {
                None => Ok(Self::Journal),
                Some(_) => Err(ApiError::invalid("terminal: a journal has all of them; leave it out")),
            };
        }
        let format = ExportFormat::from_name(&q.format)
            .ok_or_else(|| ApiError::invalid("format: must be asciicast-v2, asciicast-v3, text or journal"))?;
        let terminal = q.terminal.as_deref();
        let terminal = terminal.ok_or_else(|| ApiError::invalid("terminal: say which, as terminal=r1"))?;
        Ok(Self::Terminal(format, terminal))
    }

    fn media_type(&self) -> &'static str {
        match self {
            Self::Journal => "application/octet-stream",
            Self::Terminal(format, _) => format.media_type(),
        }
    }

    fn disposition(&self, session: SessionId) -> String {
        let file = match self {
            Self::Journal => "all.journal".to_owned(),
            Self::Terminal(format, terminal) => {
                let ending = if *format == ExportFormat::Text { "txt" } else { "cast" };
                // the terminal is one of the lab's here, which the export has held; its name is the lab author's, so only plain letters of it
                let plain = terminal.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
                format!("{}.{ending}", plain.collect::<String>())
            }
        };
        format!("attachment; filename=\"labwire-{session}-{file}\"")
    }
}
