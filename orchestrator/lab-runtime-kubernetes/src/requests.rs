//! Requests of `labwire serve` to the API server, counted where none can pass uncounted. The controller counts its own, by resource too
//! (`controller/transport.rs`).

use http::{Method, Request};
use kube::{Client, client::Body};
use prometheus::{IntCounterVec, Opts, Registry, register_int_counter_vec_with_registry};
use tower::service_fn;

/// `inner`, counted as `labwire_kubernetes_requests_total`.
///
/// # Errors
/// The registry has such a metric already.
pub(crate) fn counted(inner: Client, registry: &Registry) -> Result<Client, prometheus::Error> {
    let name = "labwire_kubernetes_requests_total";
    let help = "Requests of serve to the API server, by verb and status; code 0: no answer";
    let requests: IntCounterVec =
        register_int_counter_vec_with_registry!(Opts::new(name, help), &["verb", "code"], registry)?;
    let namespace = inner.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (inner, requests) = (inner.clone(), requests.clone());
        async move {
            let mut count = Counted {
                requests,
                verb: verb(&request),
                code: 0,
            };
            let answer = inner.send(request).await;
            count.code = answer.as_ref().map_or(0, |a| a.status().as_u16());
            answer
        }
    });
    Ok(Client::new(service, namespace))
}

/// Counts when it goes: a request whose caller does not wait any longer was sent all the same.
struct Counted {
    requests: IntCounterVec,
    verb: &'static str,
    code: u16,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let code = self.code.to_string();
        self.requests.with_label_values(&[self.verb, &code]).inc();
    }
}

/// What is done, in Kubernetes' words.
pub(crate) fn verb(request: &Request<Body>) -> &'static str {
    match *request.method() {
        Method::GET if request.uri().query().is_some_and(|q| q.contains("watch=true")) => "watch",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;
    use k8s_openapi::api::core::v1::Secret;
    use kube::{Api, api::DeleteParams};
    use std::time::Duration;
    use tower::BoxError;

    /// Answers deletions by 404, and nothing else, ever.
    fn server() -> Client {
        let service = service_fn(|request: Request<Body>| async move {
            if request.method() != Method::DELETE {
                std::future::pending::<()>().await;
            }
            let body = br#"{"kind":"Status","status":"Failure","message":"not there","reason":"NotFound","code":404}"#;
            Ok::<_, BoxError>(Response::builder().status(404).body(Body::from(body.to_vec()))?)
        });
        Client::new(service, "labs")
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_is_counted_by_verb_and_code_also_one_that_nobody_waited_for() {
        let registry = Registry::new();
        let client = counted(server(), &registry).unwrap();
        let secrets: Api<Secret> = Api::default_namespaced(client);
        for _ in 0..2 {
            secrets.delete("a", &DeleteParams::default()).await.unwrap_err();
        }
        let late = tokio::time::timeout(Duration::from_secs(10), secrets.get("a")).await;
        assert!(late.is_err());
        let families = registry.gather();
        let mut counts: Vec<_> = families[0]
            .get_metric()
            .iter()
            .map(|m| {
                let labels: Vec<_> = m.get_label().iter().map(|l| l.value().to_owned()).collect();
                (labels.join(" "), m.get_counter().get_value())
            })
            .collect();
        counts.sort_by(|a, b| a.0.cmp(&b.0));
        // labels by name: code, verb
        assert_eq!(counts, [("0 get".to_owned(), 1.0), ("404 delete".to_owned(), 2.0)]);
    }
}
