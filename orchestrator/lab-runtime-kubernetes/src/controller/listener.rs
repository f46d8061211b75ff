//! `/metrics`, `/healthz` and `/readyz` of the controller.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Encoder, Registry, TextEncoder};
use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A scraper, a kubelet and a person.
const CONNECTIONS_MAX: usize = 16;
/// A request is one line.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Not ready when the API server has not answered for so long: ten looks at the lease.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// How the controller is, for its probes.
#[derive(Clone, Debug)]
pub struct Health {
    heard: Arc<Mutex<Option<Instant>>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { heard: Arc::default() }
    }

    /// The API server answered.
    pub(crate) fn heard(&self) {
        *self.heard.lock().expect("nobody panics while holding it") = Some(Instant::now());
    }

    /// Whether the API server answers: leading or waiting to lead, this process could do its work.
    pub fn ready(&self) -> bool {
        let heard = *self.heard.lock().expect("nobody panics while holding it");
        heard.is_some_and(|at| at.elapsed() < SILENT_MAX)
    }
}

/// Answers until `stop`.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    health: Health,
    stop: CancellationToken,
) -> io::Result<()> {
    let (tasks, places) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted?.0,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (registry, health, stop) = (registry.clone(), health.clone(), stop.clone());
        tasks.spawn(async move {
            let answer = service_fn(|request| {
                let answer = answer(&request, &registry, &health);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .serve_connection(TokioIo::new(stream), answer);
            tokio::select! {
                // how it ended is the peer's affair
                _ = connection => {}
                () = stop.cancelled() => {}
            }
            drop(place);
        });
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

fn answer(request: &Request<Incoming>, registry: &Registry, health: &Health) -> Response<Full<Bytes>> {
    let known = *request.method() == Method::GET || *request.method() == Method::HEAD;
    match request.uri().path() {
        "/metrics" if known => {
            let mut text = Vec::new();
            match TextEncoder::new().encode(&registry.gather(), &mut text) {
                Ok(()) => respond(StatusCode::OK, text),
                Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            }
        }
        "/healthz" if known => respond(StatusCode::OK, "alive\n"),
        "/readyz" if known && health.ready() => respond(StatusCode::OK, "ready\n"),
        "/readyz" if known => respond(StatusCode::SERVICE_UNAVAILABLE, "the API server does not answer\n"),
        _ => respond(StatusCode::NOT_FOUND, "try /metrics, /healthz or /readyz\n"),
    }
}

fn respond(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")
        .body(Full::new(body.into()))
        .expect("a status and a plain header make an answer")
}
