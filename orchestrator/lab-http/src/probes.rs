//! For machines: alive, ready, metrics.

use crate::{error::ApiError, guard::bearer, state::HttpState};
use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use lab_core::limits::JOURNAL_UNDURABLE_BYTES_MAX;
use prometheus::TextEncoder;
use secrecy::ExposeSecret;
use serde::Serialize;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use utoipa::ToSchema;

/// A part that has not answered by then does not answer.
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long an answer of `/readyz` is good: anyone may ask, the store and the runtime are asked once a second.
const PROBE_KEEP: Duration = Duration::from_secs(1);

/// What is known of the neighbours.
#[derive(Default)]
pub(crate) struct Readiness {
    /// The last look, and when it was.
    last: Option<(Instant, ReadyView)>,
    /// All of them have answered once: a replica that was set up wrongly never gets learners.
    met: bool,
}

/// Whether this process is one to send people to.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReadyView {
    pub ready: bool,
    /// Public codes of what is wrong, also while ready.
    pub reasons: Vec<String>,
}

/// The process runs; with a second line while new launches are paused, which is no illness: `/readyz` does not know of it.
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "probes", responses((status = 200, description = "alive, and why launches are paused if they are")))]
pub(crate) async fn healthz(State(state): State<HttpState>) -> String {
    match state.app.paused_lately().await {
        None => "alive\n".to_owned(),
        Some(pause) => format!("alive\nlaunches paused since {}: {}\n", pause.since, pause.reason),
    }
}

/// The store and the runtime have answered since the start, and this process is to stay.
///
/// A neighbour that is away *later* is among the reasons and changes nothing: replicas share their database, cluster and
/// recordings, so all of them would go at once, and with nobody ready nobody could look at a running lab, or be told why a launch
/// waits.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "probes", responses((status = 200, body = ReadyView), (status = 503, body = ReadyView)))]
pub(crate) async fn readyz(State(state): State<HttpState>) -> Response {
    let kept = state
        .readiness
        .lock()
        .expect("no holder of this lock panics")
        .last
        .clone();
    let view = match kept {
        // known without asking anyone, and at once
        _ if state.settings.draining.is_cancelled() => ReadyView {
            ready: false,
            reasons: vec!["draining".to_owned()],
        },
        Some((at, view)) if at.elapsed() < PROBE_KEEP => view,
        _ => {
            let seen = look(&state).await;
            let mut known = state.readiness.lock().expect("no holder of this lock panics");
            known.met |= seen.all_answer;
            let view = ReadyView {
                ready: known.met,
                reasons: seen.reasons,
            };
            known.last = Some((Instant::now(), view.clone()));
            view
        }
    };
    let status = if view.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(view)).into_response()
}

struct Seen {
    all_answer: bool,
    reasons: Vec<String>,
}

async fn look(state: &HttpState) -> Seen {
    let ports = state.app.ports();
    let store = async {
        match tokio::time::timeout(PROBE_TIME_MAX, ports.store.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(e.code()),
            Err(_) => Some("store-unavailable"),
        }
    };
    let runtime = async {
        match tokio::time::timeout(PROBE_TIME_MAX, ports.runtime.health()).await {
            Ok(Ok(_)) => None,
            Ok(Err(e)) => Some(e.code()),
            Err(_) => Some("runtime-unavailable"),
        }
    };
    let (store, runtime) = tokio::join!(store, runtime);
    let all_answer = store.is_none() && runtime.is_none();
    let behind = state.app.metrics().recorder_lag_bytes.get() > JOURNAL_UNDURABLE_BYTES_MAX as i64;
    let reasons = [store, runtime, behind.then_some("recorder-behind")]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    Seen { all_answer, reasons }
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "probes", responses((status = 200, description = "Prometheus text"), (status = 403)))]
pub(crate) async fn metrics(State(state): State<HttpState>, request: Request) -> Result<Response, ApiError> {
    if !may_read_metrics(&state, &request) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not-allowed",
            "metrics are for this machine, or for who has the metrics token",
        ));
    }
    // sets the gauge: who pauses tells the database, not this process
    state.app.paused_lately().await;
    let text = TextEncoder::new()
        .encode_to_string(&state.settings.registry.gather())
        .map_err(|e| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", "metrics cannot be written").private(e.to_string())
        })?;
    Ok((
        [
            (header::CONTENT_TYPE, prometheus::TEXT_FORMAT),
            (header::CACHE_CONTROL, "no-store"),
        ],
        text,
    )
        .into_response())
}

fn may_read_metrics(state: &HttpState, request: &Request) -> bool {
    if let Some(token) = &state.settings.metrics_token {
        // hashes compare in constant time, whatever the lengths
        return bearer(request.headers())
            .is_some_and(|given| blake3::hash(given.as_bytes()) == blake3::hash(token.expose_secret().as_bytes()));
    }
    // a proxy on this machine is not a reader on this machine
    let proxied = ["forwarded", "x-forwarded-for"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    !proxied && peer.is_some_and(|ConnectInfo(a)| a.ip().to_canonical().is_loopback())
}
