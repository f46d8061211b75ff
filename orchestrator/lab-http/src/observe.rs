//! Around every request: its id, its span, its numbers, its time limit, and the one line when it failed. Never a query string,
//! a body or a token: those hold launch links, tickets and what learners type.

use crate::{
    error::{ApiError, Failure},
    state::HttpState,
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use std::time::{Duration, Instant};
use tracing::{Instrument, field};

/// To the answer's first byte: an export's body may take as long as its reader. The slowest is the index of the longest recording: 1 GiB
/// decoded at 200 MB/s, five seconds; four times that where others read too, and a half again.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// What the door counts. Labels are routes of our table, status classes, methods and close codes: closed sets.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    /// Open sockets by kind.
    pub sockets: IntGaugeVec,
    /// Ended sockets by kind and close code.
    pub closes: IntCounterVec,
}

impl HttpMetrics {
    /// Makes and registers them; fails only when they are registered twice.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("labwire_http_requests_total", "Requests answered"),
            &["route", "method", "status"],
        )?;
        let seconds = HistogramVec::new(
            // 5 ms is an answer from SQLite, 2.5 s a launch under load, 30 s the limit
            HistogramOpts::new("labwire_http_request_seconds", "Time to answer")
                .buckets(vec![0.005, 0.02, 0.1, 0.5, 2.5, 10.0, 30.0]),
            &["route"],
        )?;
        let sockets = IntGaugeVec::new(Opts::new("labwire_http_sockets", "Open WebSockets"), &["kind"])?;
        let closes = IntCounterVec::new(
            Opts::new("labwire_http_socket_closes_total", "Ended WebSockets by close code"),
            &["kind", "code"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(sockets.clone()))?;
        registry.register(Box::new(closes.clone()))?;
        Ok(Self {
            requests,
            seconds,
            sockets,
            closes,
        })
    }
}

/// The middleware.
pub(crate) async fn observe(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    // the pattern, never the address itself
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    let method = method_label(request.method());
    let is_api = route.starts_with("/api/") || !matches!(*request.method(), Method::GET | Method::HEAD);
    let id = request_id(&request);
    let span = tracing::info_span!(
        "http", %route, method, request.id = %id, session.id = field::Empty, lab.id = field::Empty, status = field::Empty
    );
    let mut response = async {
        match tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", "the answer took too long").into_response()
            }
        }
    }
    .instrument(span.clone())
    .await;
    let status = response.status();
    span.record("status", status.as_u16());
    span.in_scope(|| report(&state, &response));
    state
        .metrics
        .requests
        .with_label_values(&[route.as_str(), method, class(status)])
        .inc();
    state
        .metrics
        .seconds
        .with_label_values(&[route.as_str()])
        .observe(started.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    if is_api {
        // answers hold bearers, tickets and people's work
        headers
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
    headers.insert(
        REQUEST_ID,
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("-")),
    );
    response
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The proxy's id when it is plain, so that one id runs through all logs; or else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|v| v.to_str().ok());
    let plain = |v: &&str| (1..=64).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    given
        .filter(plain)
        .map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

fn report(state: &HttpState, response: &Response) {
    let Some(failure) = response.extensions().get::<Failure>() else {
        return;
    };
    state
        .app
        .metrics()
        .errors_total
        .with_label_values(&[failure.code])
        .inc();
    let private = failure.private.as_deref().unwrap_or_default();
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => tracing::warn!(code = failure.code, private, "a part did not answer"),
        s if s.is_server_error() => tracing::error!(code = failure.code, private, "request failed"),
        _ => tracing::debug!(code = failure.code, private, "request refused"),
    }
}

/// A panic in a handler, told like every other failure of ours.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that CatchPanicLayer asks for"
)]
pub(crate) fn panicked(what: Box<dyn std::any::Any + Send>) -> Response {
    let text = what
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| what.downcast_ref::<&str>().copied());
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "bug",
        "something is wrong on our side; it has been noted",
    )
    .private(format!("panic: {}", text.unwrap_or("of no text")))
    .into_response()
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
