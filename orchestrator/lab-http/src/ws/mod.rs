//! Sockets. A ticket opens one; from then on two halves run side by side in one task:
//!
//! ```text
//!  browser ── inbox ──► decode, bound ──► hub's queue        (waits when full: stops reading this socket only)
//!  browser ◄─ outbox ◄─ encode, join, deflate ◄── hub's queue (a slow browser blocks this half only)
//!                pulse watches both: pings, silence, a frame nobody takes, the server's stop
//! ```
//! Nothing is queued here: a bridge holds one message per direction, and what is in the hub's bounded queues.

mod bridge;
mod bucket;
mod deflate;
mod life;
mod wall;

pub use bridge::{BridgeOptions, bridge_terminal};

use crate::{
    error::{ApiError, ErrorView},
    extract::Params,
    serve::Serving,
    state::HttpState,
};
use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
};
use lab_app::{
    AppError,
    launch::{Opened, SocketPlace},
};
use lab_core::{
    launch::{Login, TicketScope},
    limits::BROWSER_FRAME_MAX,
    port::ErrorKind,
    terminal::BROWSER_PROTOCOL,
};
use life::Close;
use serde::Deserialize;
use std::future::Future;
use tracing::Instrument;

/// Subprotocol of the wall.
const WALL_PROTOCOL: &str = "labwire.wall.v1";
/// What a socket reads at once, and what it keeps for it: 500 idle sockets at 4 KiB are 2 MiB, at tungstenite's 128 KiB 64 MiB.
/// Larger messages grow it while they last.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How a socket is opened.
#[derive(Deserialize)]
pub(crate) struct SocketQuery {
    #[serde(default)]
    ticket: String,
    /// `1`: the page asks for deflate from the first byte (a phone, a metered line).
    compress: Option<u8>,
}

/// A session's terminals, subprotocol `labwire.v1`; see `docs/protocol.md`.
#[utoipa::path(
    get, path = "/api/v1/ws", operation_id = "terminal_socket", tag = "terminal",
    params(("ticket" = String, Query, description = "from POST /tickets"), ("compress" = Option<u8>, Query, description = "1: deflate from the start")),
    responses(
        (status = 101, description = "the socket; a ticket that opens nothing is told by close code 4401"),
        (status = 400, body = ErrorView, description = "not a WebSocket request"), (status = 403, body = ErrorView, description = "another site's page")
    )
)]
pub(crate) async fn terminal_socket(
    State(state): State<HttpState>,
    Params(query): Params<SocketQuery>,
    serving: Option<Extension<Serving>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|e| not_a_socket(&e))?;
    // the ticket is taken before the upgrade, so that a failing store is an answer with a status
    let opened = open(&state, &query.ticket).await?;
    let socket = Socket {
        kind: "terminal",
        protocol: BROWSER_PROTOCOL,
        state: state.clone(),
        serving,
    };
    Ok(socket.run(upgrade, move |ws, stop| async move {
        let (opened, place) = match opened {
            Ok(opened) => opened,
            Err(close) => return life::refuse(ws, close, state.settings.pace).await,
        };
        if let TicketScope::Session { session } = &opened.scope {
            tracing::Span::current().record("session.id", tracing::field::display(session));
        }
        match state.app.attach(&opened).await {
            Ok(queues) => {
                let options = BridgeOptions {
                    pace: state.settings.pace,
                    compress: query.compress == Some(1),
                };
                bridge::run(ws, queues, options, stop, over(&state, &opened.login, &place)).await
            }
            Err(e) => life::refuse(ws, close_of(&e), state.settings.pace).await,
        }
    }))
}

/// A course's cards, subprotocol `labwire.wall.v1`; see `docs/protocol.md`.
#[utoipa::path(
    get, path = "/api/v1/wall", operation_id = "wall_socket", tag = "live", params(("ticket" = String, Query, description = "from POST /tickets")),
    responses(
        (status = 101, description = "the socket; a ticket that opens nothing is told by close code 4401"),
        (status = 400, body = ErrorView, description = "not a WebSocket request"), (status = 403, body = ErrorView, description = "another site's page")
    )
)]
pub(crate) async fn wall_socket(
    State(state): State<HttpState>,
    Params(query): Params<SocketQuery>,
    serving: Option<Extension<Serving>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|e| not_a_socket(&e))?;
    let opened = open(&state, &query.ticket).await?;
    let socket = Socket {
        kind: "wall",
        protocol: WALL_PROTOCOL,
        state: state.clone(),
        serving,
    };
    Ok(socket.run(upgrade, move |ws, stop| async move {
        let (opened, place) = match opened {
            Ok(opened) => opened,
            Err(close) => return life::refuse(ws, close, state.settings.pace).await,
        };
        match state.app.watch_wall(&opened).await {
            Ok(updates) => {
                let over = over(&state, &opened.login, &place);
                wall::run(ws, updates, state.settings.pace, stop, over).await
            }
            Err(e) => life::refuse(ws, close_of(&e), state.settings.pace).await,
        }
    }))
}

/// Takes the ticket. The outer error is an HTTP answer (a part does not answer), the inner one a close code, which is all that a
/// page can see of a socket that was refused. With it comes the person's place, which is held for as long as the socket.
async fn open(state: &HttpState, ticket: &str) -> Result<Result<(Opened, SocketPlace), Close>, ApiError> {
    match state.app.ticket_open(ticket).await {
        Ok(opened) => match state.app.socket_place(&opened.login) {
            Some(place) => Ok(Ok((opened, place))),
            None => Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "crowded",
                "you open sockets faster than they can end",
            )),
        },
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Bug) => Err(e.into()),
        Err(_) => Ok(Err(Close::with(4401, "ticket"))),
    }
}

/// Ends when somebody's socket must: its login ended, or they opened too many.
async fn over(state: &HttpState, login: &Login, place: &SocketPlace) -> Close {
    tokio::select! {
        close = signed_out(state, login) => close,
        () = place.crowded() => Close::with(4409, "crowded"),
    }
}

/// Ends when a login of staff does, or is revoked: a socket that is open asks nothing that would be refused. A learner's goes on with its session,
/// which has an end of its own.
async fn signed_out(state: &HttpState, login: &Login) -> Close {
    if !login.role.is_staff() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(state.settings.pace.login_every).await;
        if state.app.login_ended(login).await {
            return Close::with(4401, "signed-out");
        }
    }
}

/// The close code of a refusal: public codes only, never a port's words.
fn close_of(e: &AppError) -> Close {
    match (e.kind(), e.code()) {
        (_, "session-over") => Close::with(1000, "over"),
        (_, "ticket-scope") => Close::with(4401, "ticket-scope"),
        (ErrorKind::NotFound, _) => Close::with(4404, "no-such-session"),
        (ErrorKind::Denied, _) => Close::with(4403, "not-allowed"),
        (kind, code) => {
            if kind == ErrorKind::Bug {
                tracing::error!(code, private = %crate::error::chain(e), "a socket could not be attached");
            } else {
                tracing::warn!(code, private = %crate::error::chain(e), "a socket could not be attached");
            }
            Close::with(1001, "try-again")
        }
    }
}

fn not_a_socket(rejection: &WebSocketUpgradeRejection) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "not-a-websocket",
        "this address is a WebSocket; open it as one",
    )
    .private(rejection.to_string())
}

/// What every kind of socket has around it: limits, a place at shutdown, numbers.
struct Socket {
    kind: &'static str,
    protocol: &'static str,
    state: HttpState,
    serving: Option<Extension<Serving>>,
}

impl Socket {
    fn run<F, Fut>(self, upgrade: WebSocketUpgrade, drive: F) -> Response
    where
        F: FnOnce(WebSocket, tokio_util::sync::CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = u16> + Send,
    {
        let Self {
            kind,
            protocol,
            state,
            serving,
        } = self;
        let serving = serving.map(|Extension(s)| s);
        let stop = serving.as_ref().map(|s| s.stop.clone()).unwrap_or_default();
        let span = tracing::info_span!(parent: None, "socket", kind, session.id = tracing::field::Empty);
        // registered now, not in the task: a stop between here and there must wait for it
        let place = serving.as_ref().map(|s| s.tasks.token());
        socket_limits(upgrade, protocol).on_upgrade(move |ws| {
            async move {
                let gauge = state.metrics.sockets.with_label_values(&[kind]);
                gauge.inc();
                let code = drive(ws, stop).await;
                gauge.dec();
                state.metrics.closes.with_label_values(&[kind, &code.to_string()]).inc();
                drop((place, serving));
            }
            .instrument(span)
        })
    }
}

/// The limits of a socket's memory.
pub fn socket_limits(upgrade: WebSocketUpgrade, protocol: &'static str) -> WebSocketUpgrade {
    upgrade
        .protocols([protocol])
        .read_buffer_size(READ_BUFFER_BYTES)
        // every frame goes out at once; what a slow peer does not take stays with the hub
        .write_buffer_size(0)
        // one frame of ours (32 KiB of output, a 60 KiB snapshot, a wall of cards) is under way, and a ping: 1 MiB is far above
        .max_write_buffer_size(1024 * 1024)
        .max_message_size(BROWSER_FRAME_MAX)
        .max_frame_size(BROWSER_FRAME_MAX)
}
