//! What an administration sees: whether the ledger adds up, what was told, and statements.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Params, Signed},
    state::HttpState,
    view::{AccountsView, StatementQuery, StatementView},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use lab_app::metering::{Language, StatementFormat};
use lab_core::{
    Timestamp,
    metering::{Period, StatementOf},
};

/// The last reconciliation, and the latest alerts with what became of them.
#[utoipa::path(
    get, path = "/api/v1/operations/accounts", operation_id = "operations_accounts", tag = "metering", security(("bearer" = [])),
    responses((status = 200, body = AccountsView), (status = 401, body = ErrorView), (status = 403, body = ErrorView))
)]
pub(crate) async fn show(State(state): State<HttpState>, Signed(login): Signed) -> Answer<AccountsView> {
    let (reconciled, alerts) = state.app.accounts(&login).await?;
    Ok(Json(AccountsView::new(reconciled, alerts)))
}

/// A statement of one learner, sponsor, course or site: its sums (`json`), or all of it as a file. Written down as seen.
#[utoipa::path(
    get, path = "/api/v1/operations/statement", operation_id = "operations_statement", tag = "metering", security(("bearer" = [])), params(StatementQuery),
    responses(
        (status = 200, content((StatementView = "application/json"), (String = "text/csv"), (String = "text/html"), (Vec<u8> = "application/pdf"))),
        (status = 400, body = ErrorView), (status = 401, body = ErrorView), (status = 403, body = ErrorView)
    )
)]
pub(crate) async fn statement(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<StatementQuery>,
) -> Result<Response, ApiError> {
    let of = match (q.learner, q.sponsor, q.course, q.site) {
        (Some(learner), None, None, None) => StatementOf::Learner(learner.into()),
        (None, Some(sponsor), None, None) => StatementOf::Sponsor(sponsor.into()),
        (None, None, Some(course), None) => StatementOf::Course(course.into()),
        (None, None, None, Some(site)) => StatementOf::Site(site.into()),
        _ => return Err(ApiError::invalid("learner, sponsor, course, site: give one of them")),
    };
    let period = Period {
        from: moment("from", q.from)?,
        until: moment("until", q.until)?,
    };
    let format = match q.format.as_deref() {
        None | Some("json") => None,
        Some(name) => {
            let known = StatementFormat::from_name(name).filter(|f| *f != StatementFormat::Table);
            Some(known.ok_or_else(|| ApiError::invalid("format: must be json, csv, html or pdf"))?)
        }
    };
    let language = Language::from_code(q.lang.as_deref().unwrap_or("en"));
    let language = language.ok_or_else(|| ApiError::invalid("lang: must be en or fr"))?;
    let file = state.app.statement(&login, of, period).await?;
    let Some(format) = format else {
        return Ok(Json(StatementView::from(&file)).into_response());
    };
    let name = format!("attachment; filename=\"labwire-statement.{}\"", format.name());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    // thousands of lines take a core for a moment, which terminals wait for otherwise
    let written = tokio::task::spawn_blocking(move || file.written(format, language)).await;
    let written = written.map_err(|_| ApiError::invalid("format: this statement cannot be written so"))?;
    Ok((headers, written).into_response())
}

/// Seconds of years that a calendar has: what is beyond is a slip.
const SECONDS: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

fn moment(field: &str, secs: i64) -> Result<Timestamp, ApiError> {
    if SECONDS.contains(&secs) {
        Ok(Timestamp::from_secs(secs))
    } else {
        Err(ApiError::invalid(format!(
            "{field}: {secs} is no time; write Unix seconds"
        )))
    }
}
