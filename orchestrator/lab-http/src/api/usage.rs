//! What was used and billed.

use crate::{
    error::{ApiError, ErrorView},
    extract::{Params, Signed},
    state::HttpState,
    view::{UsageQuery, UsageView},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use lab_app::entitlement::UsageFilter;
use lab_core::{csv::cell, metering::UsageRow};
use std::fmt::Write;

/// Settled sessions: of everything for operations, of the own course for teachers.
#[utoipa::path(
    get, path = "/api/v1/usage", operation_id = "usage_list", tag = "metering", security(("bearer" = [])), params(UsageQuery),
    responses(
        (status = 200, content((Vec<UsageView> = "application/json"), (String = "text/csv"))),
        (status = 401, body = ErrorView), (status = 403, body = ErrorView)
    )
)]
pub(crate) async fn list(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Params(q): Params<UsageQuery>,
) -> Result<Response, ApiError> {
    let as_csv = match q.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(ApiError::invalid("format: must be json or csv")),
    };
    let filter = UsageFilter {
        course: q.course.map(Into::into),
        subject: q.subject.map(Into::into),
        lab: q.lab.map(Into::into),
    };
    let rows = state.app.usage(&login, filter).await?;
    if !as_csv {
        return Ok(Json(rows.into_iter().map(UsageView::from).collect::<Vec<_>>()).into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"labwire-usage.csv\"",
        ),
    ];
    Ok((headers, csv(&rows)).into_response())
}

fn csv(rows: &[UsageRow]) -> String {
    let mut out = String::from(
        "session,subject,course,lab,requested_at,sandbox_seconds,billed_seconds,unbilled_seconds,unbilled_reason,refunded_seconds\r\n",
    );
    for r in rows {
        let reason = r.unbilled_reason.as_deref().unwrap_or_default();
        write!(
            out,
            "{},{},{},{},{},{},{},{},{},{}\r\n",
            r.session,
            cell(r.subject.as_str()),
            cell(r.course.as_str()),
            cell(r.lab.as_str()),
            r.requested_at,
            r.sandbox_seconds,
            r.billed_seconds,
            r.unbilled_seconds,
            cell(reason),
            r.refunded_seconds
        )
        .expect("writing to a String cannot fail");
    }
    out
}
