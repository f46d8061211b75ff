//! Between a controller and its API server: answers that are late, refused, lost, or the last ones.

use http::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

/// What becomes of one request.
pub enum Fate {
    Pass,
    /// It is carried out this much later.
    Slow(Duration),
    /// It is not carried out, and answered so.
    Refused {
        status: u16,
        retry_after: Option<u32>,
    },
    /// It is carried out, and its answer is lost.
    AnswerLost,
}

type Plan = dyn Fn(&Request<Body>, usize) -> Fate + Send + Sync;

/// Faults by plan; the plan is given each request and the number of requests like it before.
#[derive(Clone)]
pub struct Faults {
    plan: Arc<Plan>,
    /// After so many writes the process is as good as dead.
    writes_left: Option<Arc<AtomicUsize>>,
    /// It is.
    pub dead: CancellationToken,
}

impl Faults {
    pub fn none() -> Self {
        Self::planned(|_, _| Fate::Pass)
    }

    pub fn planned(plan: impl Fn(&Request<Body>, usize) -> Fate + Send + Sync + 'static) -> Self {
        Self {
            plan: Arc::new(plan),
            writes_left: None,
            dead: CancellationToken::new(),
        }
    }

    /// The `writes`-th write is carried out, and nothing happens any more: no answer, no further request. Leases do not count.
    pub fn dies_after(writes: usize) -> Self {
        Self {
            writes_left: Some(Arc::new(AtomicUsize::new(writes))),
            ..Self::none()
        }
    }
}

/// `inner` with faults.
pub fn faulty(inner: Client, faults: Faults) -> Client {
    let seen = Arc::new(AtomicUsize::new(0));
    let namespace = inner.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (inner, faults, seen) = (inner.clone(), faults.clone(), Arc::clone(&seen));
        async move { pass(inner, faults, &seen, request).await }
    });
    Client::new(service, namespace)
}

async fn pass(
    inner: Client,
    faults: Faults,
    seen: &AtomicUsize,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    if faults.dead.is_cancelled() {
        std::future::pending::<()>().await;
    }
    let lease = request.uri().path().contains("/leases");
    let last = !lease
        && request.method() != Method::GET
        && faults
            .writes_left
            .as_ref()
            .is_some_and(|left| left.fetch_sub(1, Ordering::SeqCst) == 1);
    let fate = if lease {
        Fate::Pass
    } else {
        (faults.plan)(&request, seen.fetch_add(1, Ordering::SeqCst))
    };
    match fate {
        Fate::Pass => {}
        Fate::Slow(by) => tokio::time::sleep(by).await,
        Fate::Refused { status, retry_after } => {
            let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
            if let Some(seconds) = retry_after {
                answer = answer.header("retry-after", seconds);
            }
            let body = serde_json::json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "by plan", "reason": "Planned", "code": status,
            });
            return Ok(answer.body(Body::from(serde_json::to_vec(&body)?))?);
        }
        Fate::AnswerLost => {
            inner.send(request).await?;
            return Err("the answer was lost, by plan".into());
        }
    }
    let answer = inner.send(request).await?;
    if last {
        faults.dead.cancel();
        std::future::pending::<()>().await;
    }
    Ok(answer)
}
