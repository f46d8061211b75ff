//! A change that has begun is finished. hyper drops a handler when its browser hangs up; between two steps of a launch that would
//! burn a link and sign nobody in. So what changes something runs as a task of its own, joined at shutdown like the sockets.

use crate::serve::Serving;
use axum::{extract::Request, http::Method, middleware::Next, response::Response};
use tracing::Instrument;

/// The middleware. Without a server around it (a test's single call) there is nobody who could hang up.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match request.extensions().get::<Serving>().cloned() {
        Some(serving) if !reads => match serving.tasks.spawn(next.run(request).in_current_span()).await {
            Ok(response) => response,
            // told like a panic that happened right here
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        },
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware::from_fn, routing::post};
    use std::{sync::Arc, time::Duration};
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
        let router = Router::new().route("/", post(handler)).layer(from_fn(finish));
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
