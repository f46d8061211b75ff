//! The accept loop. Ours because `axum::serve` offers neither the header deadline nor the buffer size nor a bound.

use axum::{Router, extract::ConnectInfo, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// From accept, or from the answer before, to the last header of a request. Also ends idle kept-alive connections, so that a
/// bounded number of them cannot lock everyone else out.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Read buffer of a connection: headers of at most this size. 16 KiB holds a 4 KiB launch token and all of a browser's headers.
const BUFFER_BYTES: usize = 16 * 1024;
/// Sockets and answers have this long after `cancel`; the hub's goodbye comes first in it.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// After an accept that failed for want of descriptors: long enough that some are free again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a handler that outlives its request (a WebSocket) takes along.
#[derive(Clone)]
pub(crate) struct Serving {
    /// The server stops.
    pub stop: CancellationToken,
    /// Joined before `serve` returns.
    pub tasks: TaskTracker,
    /// The connection's place among `connections_max`, held as long as anyone holds this.
    _place: Arc<OwnedSemaphorePermit>,
}

#[cfg(test)]
impl Serving {
    /// A place on a server of its own.
    pub fn alone() -> Self {
        let place = Arc::new(Semaphore::new(1))
            .try_acquire_owned()
            .expect("a fresh semaphore has a permit");
        Self {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            _place: Arc::new(place),
        }
    }
}

/// Connections and sockets at once; further ones wait in the kernel's queue. 4096 sockets of at most 100 KB are 400 MB.
pub const CONNECTIONS_MAX: usize = 4096;

/// Serves until `cancel`, then lets answers and sockets finish, at most [`DRAIN_WITHIN`]. `router` is [`crate::router`]'s.
pub async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) -> io::Result<()> {
    serve_bounded(listener, router, CONNECTIONS_MAX, cancel).await
}

/// [`serve`] with another bound.
///
/// # Panics
/// Never: the semaphore is closed by nobody.
pub async fn serve_bounded(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    cancel: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    loop {
        // a place first: who finds none waits in the kernel's queue, costing us nothing
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = async {
                let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
                (listener.accept().await, place)
            } => accepted,
        };
        match accepted {
            (Ok((stream, peer)), place) => {
                let serving = Serving {
                    stop: cancel.clone(),
                    tasks: tasks.clone(),
                    _place: Arc::new(place),
                };
                tasks.spawn(connection(stream, peer, router.clone(), serving));
            }
            (Err(error), _) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!(left = tasks.len(), "connections were cut at shutdown");
    }
    Ok(())
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, serving: Serving) {
    // a keystroke's echo is one small segment: it must not wait for the acknowledgement of the one before
    let _ = stream.set_nodelay(true);
    let stop = serving.stop.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(serving.clone());
        router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(BUFFER_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // peers that hang up, or speak something else: theirs, and many on a public address
        tracing::debug!(%error, "connection ended");
    }
}
