//! A change that has begun is finished. hyper drops a handler when its browser hangs up; between two steps of a launch that would
//! burn a link and sign nobody in. So what changes something runs as a task of its own, joined at shutdown like the sockets.
//!
//! Nobody is waited for in such a task: its body is read before it begins, within a time and a length. Otherwise who sends half of one
//! would hold a task and a connection's place for as long as they like.

use crate::{error::ApiError, routes::BODY_BYTES_MAX, serve::Serving};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use futures_util::StreamExt;
use std::time::Duration;
use tracing::Instrument;

/// From the last header to the last byte of a body, of which there are at most 64 KiB: 6.5 KB a second, half of what a phone on EDGE sends.
/// Of all of it and not of each piece, or a byte every few seconds would hold a place for a day.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The middleware. Without a server around it (a test's single call) there is nobody who could hang up.
pub(crate) async fn finish(body_within: Duration, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let request = match whole(request, body_within).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    match request.extensions().get::<Serving>().cloned() {
        Some(serving) => match serving.tasks.spawn(next.run(request).in_current_span()).await {
            Ok(response) => response,
            // told like a panic that happened right here
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        },
        None => next.run(request).await,
    }
}

/// The same request with its body here, or the answer to one that does not come.
async fn whole(request: Request, within: Duration) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let refused = match tokio::time::timeout(within, read(body)).await {
        Ok(Ok(body)) => return Ok(Request::from_parts(parts, body)),
        Ok(Err(e)) => ApiError::invalid("the body could not be read").private(e.to_string()),
        Err(_) => ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-late",
            "the body of the request did not come in time",
        ),
    };
    let mut response = refused.into_response();
    // what comes of it later is not another request
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    Err(response)
}

/// Everything, or of what is too long so much that it shows: the handler's own limit says so in its own words.
async fn read(body: Body) -> Result<Body, axum::Error> {
    let (mut pieces, mut all) = (body.into_data_stream(), BytesMut::new());
    while all.len() <= BODY_BYTES_MAX
        && let Some(piece) = pieces.next().await
    {
        all.extend_from_slice(&piece?);
    }
    Ok(Body::from(all.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, middleware::from_fn, routing::post};
    use std::sync::Arc;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_browser_that_hangs_up_does_not_stop_what_it_began() {
        let (begun, go, done) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
        );
        let handler = {
            let (begun, go, done) = (begun.clone(), go.clone(), done.clone());
            move || async move {
                begun.notify_one();
                go.notified().await;
                done.notify_one();
            }
        };
        let router = Router::new()
            .route("/", post(handler))
            .layer(from_fn(|request, next| finish(BODY_WITHIN, request, next)));
        let serving = Serving::alone();
        let request = Request::post("/")
            .extension(serving.clone())
            .body(Body::empty())
            .unwrap();
        let mut call = Box::pin(router.oneshot(request));
        tokio::select! {
            _ = &mut call => panic!("it waits for us"),
            () = begun.notified() => {}
        }
        drop(call);
        go.notify_one();
        tokio::time::timeout(Duration::from_secs(10), done.notified())
            .await
            .expect("it went on");
        serving.tasks.close();
        serving.tasks.wait().await;
    }
}
