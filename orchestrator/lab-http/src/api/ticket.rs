//! Tickets: WebSockets of a browser cannot carry a bearer, and a bearer in an address would be logged.

use super::Answer;
use crate::{
    error::{ApiError, ErrorView},
    extract::{Body, Signed},
    state::HttpState,
    view::{TicketRequest, TicketView},
};
use axum::{Json, extract::State};

/// A ticket for one WebSocket, good once and for 30 seconds.
#[utoipa::path(
    post, path = "/api/v1/tickets", operation_id = "ticket_create", tag = "terminal", security(("bearer" = [])), request_body = TicketRequest,
    responses((status = 200, body = TicketView), (status = 401, body = ErrorView), (status = 403, body = ErrorView), (status = 404, body = ErrorView))
)]
pub(crate) async fn create(
    State(state): State<HttpState>,
    Signed(login): Signed,
    Body(request): Body<TicketRequest>,
) -> Answer<TicketView> {
    let (scope, writer) = request.open().map_err(ApiError::invalid)?;
    let (ticket, expires_at) = state.app.ticket(&login, scope, writer).await?;
    Ok(Json(TicketView {
        ticket,
        expires_at: expires_at.secs(),
    }))
}
