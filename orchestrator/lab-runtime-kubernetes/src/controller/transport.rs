//! What every request of the controller passes, so that no caller can forget it:
//!
//! ```text
//!  request ─► fence (writes: do we lead?) ─► ?timeout= (the API server gives up when we do) ─► API server
//!  answer  ◄─ Retry-After into the status ◄─ count ◄─ deadline ◄──────────────────────────────────┘
//! ```

use super::{
    error::{ControllerError, Fenced, Late},
    fence::Fence,
    metrics::Metrics,
};
use crate::requests::verb;
use http::{HeaderMap, Method, Request, Response, Uri, header::RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
    core::{Status, response::StatusDetails},
};
use std::{path::Path, sync::Arc, time::Duration};
use tower::{BoxError, service_fn};

/// Until the head of an answer to a read is there: a LIST of 500 objects of 20 KiB is made within a second.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Silence of a watch after which its connection counts as dead. API servers send a bookmark about every 60 s.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// A body that explains an error is a few hundred bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// A client of the cluster of this kubeconfig file; without one, of `KUBECONFIG`, `~/.kube/config` or the pod we are in.
///
/// It repeats nothing by itself: waiting inside a request would hide it from the queue and outlast the lease.
///
/// # Errors
/// When no cluster is named anywhere, or its certificates cannot be read. The cluster is not asked.
pub async fn cluster_client(kubeconfig: Option<&Path>) -> Result<Client, ControllerError> {
    let settings = |e: &dyn std::error::Error| ControllerError::Settings(format!("no cluster can be found: {e}"));
    let mut config = match kubeconfig {
        None => Config::infer().await.map_err(|e| settings(&e))?,
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|e| settings(&e))?;
            let options = KubeConfigOptions::default();
            Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(|e| settings(&e))?
        }
    };
    config.default_retry = false;
    config.read_timeout = Some(SILENCE_MAX);
    Client::try_from(config).map_err(|e| settings(&e))
}

/// Everything that requests pass.
struct Gate {
    inner: Client,
    fence: Fence,
    write_within: Duration,
    metrics: Arc<Metrics>,
}

/// `inner`, with the gate before it. Leases pass the fence, as they are what moves it.
pub(crate) fn guarded(inner: Client, fence: Fence, write_within: Duration, metrics: Arc<Metrics>) -> Client {
    let namespace = inner.default_namespace().to_owned();
    let gate = Arc::new(Gate {
        inner,
        fence,
        write_within,
        metrics,
    });
    let service = service_fn(move |request: Request<Body>| {
        let gate = Arc::clone(&gate);
        async move { gate.pass(request).await }
    });
    Client::new(service, namespace)
}

impl Gate {
    async fn pass(&self, mut request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let verb = verb(&request);
        let resource = resource(request.uri().path());
        let write = request.method() != Method::GET;
        if write && resource != "leases" && !self.fence.is_open() {
            return Err(Box::new(Fenced));
        }
        let within = if write { self.write_within } else { READ_WITHIN };
        if write {
            let uri = with_timeout(request.uri(), within);
            *request.uri_mut() = uri;
        }
        let answer = tokio::time::timeout(within, self.inner.send(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(kube::Error::Service(Box::new(Late(within)))));
        let code = answer.as_ref().map_or(0, |a| a.status().as_u16());
        self.metrics.request(verb, resource, code);
        explained(answer?).await
    }
}

/// To what: `/api/v1/namespaces/N/pods/…` and `/apis/GROUP/VERSION/namespaces/N/labsandboxes/…`. A closed set, as it is a label.
fn resource(path: &str) -> &'static str {
    const KNOWN: [&str; 6] = ["pods", "secrets", "networkpolicies", "labsandboxes", "events", "leases"];
    let mut parts = path.split('/').skip_while(|p| *p != "namespaces").skip(2);
    let name = parts.next().unwrap_or_default();
    KNOWN.into_iter().find(|k| *k == name).unwrap_or("other")
}

/// Tells the API server when we stop waiting: a write that is stuck in it must not be carried out when others lead.
fn with_timeout(uri: &Uri, within: Duration) -> Uri {
    let glue = if uri.query().is_some() { '&' } else { '?' };
    // whole seconds, as every version reads them; a test's shorter ones become one
    let text = format!("{uri}{glue}timeout={}s", within.as_secs().max(1));
    text.parse()
        .expect("a parameter of plain letters was added to an address")
}

/// An error's `Retry-After` is only a header, and the client shows only bodies: it is written into the status.
async fn explained(answer: Response<Body>) -> Result<Response<Body>, BoxError> {
    let Some(after) = retry_after(answer.headers()).filter(|_| answer.status().as_u16() >= 400) else {
        return Ok(answer);
    };
    let (mut parts, body) = answer.into_parts();
    let bytes = Limited::new(body, ERROR_BYTES_MAX).collect().await?.to_bytes();
    let mut status = serde_json::from_slice::<Status>(&bytes).unwrap_or_else(|_| {
        // priority and fairness answers in plain text
        Status::failure(String::from_utf8_lossy(&bytes).trim(), "TooManyRequests").with_code(parts.status.as_u16())
    });
    let details = status.details.get_or_insert_with(no_details);
    details.retry_after_seconds = details.retry_after_seconds.max(after);
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(serde_json::to_vec(&status)?)))
}

fn no_details() -> StatusDetails {
    serde_json::from_str("{}").expect("every field may be left out")
}

/// Seconds; the form with a date is not used by API servers.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use kube::{Api, api::PostParams};
    use std::sync::Mutex;
    use tokio::time::Instant;

    /// A client whose answers `answer` makes, and the addresses that were asked.
    fn client(
        fence: &Fence,
        answer: impl Fn() -> Response<Body> + Send + Sync + 'static,
    ) -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let seen = Arc::clone(&asked);
        let inner = Client::new(
            service_fn(move |request: Request<Body>| {
                seen.lock().unwrap().push(request.uri().to_string());
                let answer = answer();
                async move { Ok::<_, BoxError>(answer) }
            }),
            "labs",
        );
        let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()).unwrap());
        (guarded(inner, fence.clone(), Duration::from_secs(5), metrics), asked)
    }

    fn secret_made() -> Response<Body> {
        Response::builder()
            .status(201)
            .body(Body::from(b"{}".to_vec()))
            .unwrap()
    }

    fn open(fence: &Fence) {
        fence.open(Instant::now() + Duration::from_secs(10));
    }

    async fn create(client: Client) -> Result<(), ControllerError> {
        let secrets: Api<Secret> = Api::default_namespaced(client);
        secrets.create(&PostParams::default(), &Secret::default()).await?;
        Ok(())
    }

    #[tokio::test]
    async fn who_does_not_lead_sends_no_write() {
        let fence = Fence::default();
        let (client, asked) = client(&fence, secret_made);
        let refused = create(client.clone()).await.unwrap_err();
        assert!(matches!(refused, ControllerError::NotLeader(_)), "{refused}");
        assert!(asked.lock().unwrap().is_empty());
        open(&fence);
        create(client.clone()).await.unwrap();
        fence.close();
        create(client).await.unwrap_err();
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_api_server_is_told_when_we_give_up() {
        let fence = Fence::default();
        open(&fence);
        let (client, asked) = client(&fence, secret_made);
        create(client).await.unwrap();
        let asked = asked.lock().unwrap().clone();
        assert!(asked[0].ends_with("/namespaces/labs/secrets?&timeout=5s"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_plain_text_429_keeps_its_retry_after() {
        let fence = Fence::default();
        open(&fence);
        let (client, _) = client(&fence, || {
            let busy = Response::builder().status(429).header(RETRY_AFTER, "7");
            busy.body(Body::from(b"Too many requests, please try again later.\n".to_vec()))
                .unwrap()
        });
        let busy = create(client).await.unwrap_err();
        assert_eq!(busy.code(), "busy", "{busy}");
        assert_eq!(busy.backoff(0), Duration::from_secs(7));
    }

    #[test]
    fn labels_come_from_a_closed_set() {
        assert_eq!(resource("/api/v1/namespaces/labs/pods/lsb-1"), "pods");
        assert_eq!(
            resource("/apis/labwire.dev/v1alpha1/namespaces/labs/labsandboxes/x/status"),
            "labsandboxes"
        );
        assert_eq!(resource("/api/v1/namespaces/labs/surprise"), "other");
        assert_eq!(resource("/version"), "other");
    }
}
