//! The accept loop. Ours because `axum::serve` offers neither the header deadline nor the buffer size nor a bound.

use crate::error::ApiError;
use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// From accept, or from the answer before, to the last header of a request. Also ends idle kept-alive connections, so that a
/// bounded number of them cannot lock everyone else out.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Without a byte taken for so long, whoever asked for an answer does not read it: at 64 kbit/s a full buffer of the kernel's (some 200 KB) drains by
/// a packet of 1.4 KB every fifth of a second. Of sockets too: who reads again opens another, and is told what it missed.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);
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
    /// The connection's place among `connections_max`, held as long as anyone holds this. A probe is answered without one.
    _place: Option<Arc<OwnedSemaphorePermit>>,
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
            _place: Some(Arc::new(place)),
        }
    }
}

/// Connections and sockets at once. 4096 sockets of at most 100 KB are 400 MB.
pub const CONNECTIONS_MAX: usize = 4096;
/// Connections that wait for one of those places; further ones wait in the kernel's queue. At most 16 KiB of headers of each, 16 MiB. They are
/// here and not all in that queue so that a probe among them is found and answered: a full server is alive and ready, and must not be
/// restarted for being full, which would bring all of its sockets to the next one.
const WAITING_MAX: usize = 1024;
/// A request waits so long for a place before it is told that there is none: as long as a page waits for a socket to open.
const PLACE_WITHIN: Duration = Duration::from_secs(10);
/// What is answered without a place, to machines: small, and with no socket behind it.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// A connection's right to be here: a place, or for the time being one to wait for it.
struct Right {
    places: Arc<Semaphore>,
    place: OnceLock<Arc<OwnedSemaphorePermit>>,
    waiting: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Right {
    /// Of a connection that was just accepted: a place when one is free. None is kept for who has not come yet, since others may wait for it.
    fn new(places: &Arc<Semaphore>, waiting: OwnedSemaphorePermit) -> Self {
        let place = places.clone().try_acquire_owned().ok();
        Self {
            places: places.clone(),
            waiting: Mutex::new(place.is_none().then_some(waiting)),
            place: place.map(Arc::new).map(OnceLock::from).unwrap_or_default(),
        }
    }

    /// Its place, waited for if need be. None: none became free in time, or the server stops.
    async fn place(&self, stop: &CancellationToken) -> Option<Arc<OwnedSemaphorePermit>> {
        if let Some(place) = self.place.get() {
            return Some(place.clone());
        }
        let found = tokio::select! {
            found = tokio::time::timeout(PLACE_WITHIN, self.places.clone().acquire_owned()) => found.ok()?.ok()?,
            () = stop.cancelled() => return None,
        };
        let place = self.place.get_or_init(|| Arc::new(found)).clone();
        // somebody else may wait now
        drop(self.waiting.lock().expect("no holder panics").take());
        Some(place)
    }
}

/// Marks a request that found no place in time.
#[derive(Clone)]
struct Full;

/// The middleware: whoever found no place is told so, with the headers and numbers of every answer.
pub(crate) async fn placed(request: Request, next: Next) -> Result<Response, ApiError> {
    if request.extensions().get::<Full>().is_some() {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "full",
            "this server has no place free",
        ));
    }
    Ok(next.run(request).await)
}

/// What keeps one peer from being everybody's trouble.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections and sockets at once.
    pub connections_max: usize,
    /// See `WRITE_STALL_MAX`; for tests, which wait for it.
    pub write_stall_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            write_stall_max: WRITE_STALL_MAX,
        }
    }
}

/// Serves until `cancel`, then lets answers and sockets finish, at most [`DRAIN_WITHIN`]. `router` is [`crate::router`]'s.
pub async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) -> io::Result<()> {
    serve_bounded(listener, router, Bounds::default(), cancel).await
}

/// [`serve`] with other bounds.
///
/// # Errors
/// None so far: what fails in accepting is tried again.
///
/// # Panics
/// Never: the semaphores are closed by nobody.
pub async fn serve_bounded(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    cancel: CancellationToken,
) -> io::Result<()> {
    let (places, waiting) = (
        Arc::new(Semaphore::new(bounds.connections_max)),
        Arc::new(Semaphore::new(WAITING_MAX)),
    );
    let tasks = TaskTracker::new();
    loop {
        // a right to wait here first: who finds none waits in the kernel's queue, costing us nothing
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = async {
                let waits = waiting.clone().acquire_owned().await.expect("the semaphore is never closed");
                (listener.accept().await, waits)
            } => accepted,
        };
        match accepted {
            (Ok((stream, peer)), waits) => {
                let door = Door {
                    router: router.clone(),
                    stop: cancel.clone(),
                    tasks: tasks.clone(),
                    right: Right::new(&places, waits),
                    write_stall_max: bounds.write_stall_max,
                };
                tasks.spawn(connection(stream, peer, Arc::new(door)));
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

/// What one connection's requests go through.
struct Door {
    router: Router,
    stop: CancellationToken,
    tasks: TaskTracker,
    right: Right,
    write_stall_max: Duration,
}

impl Door {
    async fn answer(&self, mut request: Request) -> Response {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let place = if reads && PROBES.contains(&request.uri().path()) {
            self.right.place.get().cloned()
        } else {
            let place = self.right.place(&self.stop).await;
            if place.is_none() {
                request.extensions_mut().insert(Full);
            }
            place
        };
        let placeless = place.is_none();
        request.extensions_mut().insert(Serving {
            stop: self.stop.clone(),
            tasks: self.tasks.clone(),
            _place: place,
        });
        let Ok(mut response) = self.router.clone().oneshot(request).await;
        if placeless {
            // who is kept alive here keeps another one waiting outside
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, door: Arc<Door>) {
    // a keystroke's echo is one small segment: it must not wait for the acknowledgement of the one before
    let _ = stream.set_nodelay(true);
    let (stop, write_stall_max) = (door.stop.clone(), door.write_stall_max);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let door = door.clone();
        async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(BUFFER_BYTES);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_stall_max));
    let stream = TokioIo::new(Box::pin(stream));
    let mut connection = pin!(builder.serve_connection(stream, service).with_upgrades());
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
