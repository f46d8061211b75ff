//! The whole controller against an API server of this process, hour after hour of it in a moment: what it asks for when something stays broken.

use super::*;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;
use tower::{BoxError, service_fn};

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// One object, and nothing that ever changes by itself.
struct Api {
    state: Mutex<State>,
}

struct State {
    object: Value,
    /// How changes of the object are refused, if they are.
    objects: Option<(u16, &'static str)>,
    /// How pods are refused.
    pods: (u16, &'static str, Option<u32>),
    asked: Vec<(Instant, Method, &'static str)>,
    /// Reason and note of each event.
    events: Vec<(String, String)>,
}

impl Api {
    fn new(object: &crate::api::LabSandbox, pods: (u16, &'static str, Option<u32>)) -> Arc<Self> {
        let state = State {
            object: serde_json::to_value(object).unwrap(),
            objects: None,
            pods,
            asked: Vec::new(),
            events: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        let service = service_fn(move |request: Request<Body>| {
            let api = Arc::clone(&api);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                Ok::<_, BoxError>(api.answer(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or(""), &body))
            }
        });
        Client::new(service, "labs")
    }

    /// When each of these was asked.
    fn asked(&self, method: &Method, resource: &str) -> Vec<Instant> {
        let state = self.state();
        let asked = state.asked.iter().filter(|(_, m, r)| m == method && *r == resource);
        asked.map(|(at, ..)| *at).collect()
    }

    /// Everything but leases and watches.
    fn asked_in_all(&self) -> usize {
        self.state()
            .asked
            .iter()
            .filter(|(.., resource)| !["leases", "watch"].contains(resource))
            .count()
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &Value) -> Answer {
        const KINDS: [&str; 7] = [
            "labsandboxes/",
            "labsandboxes",
            "pods",
            "secrets",
            "networkpolicies",
            "events",
            "leases",
        ];
        let kind = KINDS.into_iter().find(|k| path.contains(&format!("/{k}"))).unwrap();
        let kind = if kind == "labsandboxes/" && path.ends_with("/status") {
            "status"
        } else {
            kind.trim_end_matches('/')
        };
        let watch = query.contains("watch=true");
        let mut state = self.state();
        let list = *method == Method::GET && path.ends_with(kind);
        let word = if watch || list { "watch" } else { kind };
        state.asked.push((Instant::now(), method.clone(), word));
        if watch {
            return silent();
        }
        match (method.as_str(), kind) {
            ("GET", _) if list => {
                let items = if kind == "labsandboxes" {
                    vec![state.object.clone()]
                } else {
                    Vec::new()
                };
                answer(
                    200,
                    &json!({"metadata": {"resourceVersion": "100"}, "items": items}),
                    None,
                )
            }
            ("GET", _) => refused(404, "not there", None),
            ("PATCH", "status") => {
                state.object["status"] = body["status"].clone();
                state.bump()
            }
            ("PATCH", "labsandboxes") if state.objects.is_some() => {
                let (status, message) = state.objects.expect("looked at above");
                refused(status, message, None)
            }
            ("PATCH", "labsandboxes") => {
                state.object["metadata"]["finalizers"] = body["metadata"]["finalizers"].clone();
                state.bump()
            }
            ("POST", "events") => {
                let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
                state.events.push((word("reason"), word("note")));
                answer(201, body, None)
            }
            ("PATCH", "pods") => refused(state.pods.0, state.pods.1, state.pods.2),
            _ => answer(201, body, None),
        }
    }
}

impl State {
    /// The object has a new version.
    fn bump(&mut self) -> Answer {
        let version = pod_view::version(self.object["metadata"]["resourceVersion"].as_str());
        self.object["metadata"]["resourceVersion"] = (version + 1).to_string().into();
        answer(200, &self.object, None)
    }
}

fn answer(status: u16, body: &Value, retry_after: Option<u32>) -> Answer {
    let mut answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after {
        answer = answer.header("retry-after", seconds);
    }
    let body = Full::new(Bytes::from(serde_json::to_vec(body).unwrap()));
    answer.body(body.map_err(BoxError::from).boxed_unsync()).unwrap()
}

fn refused(status: u16, message: &str, retry_after: Option<u32>) -> Answer {
    let reason = if status == 404 { "NotFound" } else { "Other" };
    let body = json!({"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": status});
    answer(status, &body, retry_after)
}

/// A watch in which nothing happens.
fn silent() -> Answer {
    let nothing = stream::pending::<Result<Frame<Bytes>, BoxError>>();
    Response::new(StreamBody::new(nothing).boxed_unsync())
}

/// Lets a controller work for so long; it leads all the time.
async fn work(api: &Arc<Api>, time: Duration) {
    let controller = Controller::new(api.client(), samples::settings(), &Registry::new()).unwrap();
    let stop = CancellationToken::new();
    tokio::select! {
        () = controller.run(stop.clone()) => panic!("it ends only when it is asked to"),
        () = tokio::time::sleep(time) => {}
    }
}

const MINUTES_10: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_is_asked_less_and_less() {
    let api = Api::new(&samples::object(), (500, "broken", None));
    work(&api, MINUTES_10).await;
    // 0.5 + 1 + 2 + 4 + 8 + 16 = 31 s for the first six waits, then one in 30 to 37.5 s: 6 + 570 / 33 ≈ 23
    let tries = api.asked(&Method::PATCH, "pods").len();
    assert!((15..=27).contains(&tries), "{tries}");
    assert_eq!(
        api.asked(&Method::POST, "secrets").len(),
        2,
        "what is made is not made again"
    );
    assert_eq!(api.asked(&Method::PATCH, "networkpolicies").len(), 1);
    assert_eq!(
        api.asked(&Method::PATCH, "status").len(),
        0,
        "that is not the sandbox's state"
    );
    let told = (
        "ReconcileFailed".to_owned(),
        "the API server failed (500): broken".to_owned(),
    );
    assert_eq!(api.state().events, [told], "one event tells `kubectl describe` why");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_refused_is_said_once_and_tried_rarely() {
    let api = Api::new(&samples::object(), (422, "spec.x: Invalid value", None));
    work(&api, MINUTES_10).await;
    // 5 + 10 + 20 + 40 + 80 + 160 + 300 s
    let tries = api.asked(&Method::PATCH, "pods").len();
    assert!((5..=8).contains(&tries), "{tries}");
    assert_eq!(api.asked(&Method::PATCH, "status").len(), 1);
    assert_eq!(api.asked(&Method::POST, "events").len(), 1);
    let status = api.state().object["status"].clone();
    assert_eq!(
        (&status["phase"], &status["reason"]),
        (&json!("Pending"), &json!("Refused"))
    );
    assert!(
        status["message"].as_str().unwrap().contains("Invalid value"),
        "{status}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_may_not_make_pods_is_told_on_the_object_in_the_api_servers_words() {
    let forbidden = "pods is forbidden: User \"controller\" cannot patch resource \"pods\"";
    let api = Api::new(&samples::object(), (403, forbidden, None));
    work(&api, MINUTES_10).await;
    let events = api.state().events.clone();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].0 == "Refused" && events[0].1.contains(forbidden),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_cannot_be_removed_says_why() {
    let mut object = samples::object();
    object.metadata.finalizers = Some(vec![apply::FINALIZER.to_owned()]);
    object.metadata.deletion_timestamp = object.metadata.creation_timestamp.clone();
    let api = Api::new(&object, (500, "not asked", None));
    api.state().objects = Some((500, "etcd is full"));
    work(&api, MINUTES_10).await;
    let told = (
        "ReconcileFailed".to_owned(),
        "the API server failed (500): etcd is full".to_owned(),
    );
    assert_eq!(api.state().events, [told]);
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_cannot_be_carried_out_costs_two_requests_for_ever() {
    let mut object = samples::object();
    object.spec.size = "enormous".into();
    let api = Api::new(&object, (500, "not asked", None));
    work(&api, Duration::from_secs(3600)).await;
    assert_eq!(api.asked(&Method::PATCH, "status").len(), 1);
    assert_eq!(api.asked(&Method::POST, "events").len(), 1);
    assert_eq!(api.asked_in_all(), 2);
    assert_eq!(api.state().object["status"]["reason"], "InvalidSpec");
}

#[tokio::test(start_paused = true)]
async fn a_busy_api_server_gets_the_time_it_asks_for() {
    let api = Api::new(&samples::object(), (429, "busy", Some(120)));
    work(&api, MINUTES_10).await;
    let tries = api.asked(&Method::PATCH, "pods");
    assert!(tries.len() >= 3, "{tries:?}");
    for pair in tries.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(120), "{tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_said_and_asked_again() {
    let api = Api::new(
        &samples::object(),
        (403, "pods \"x\" is forbidden: exceeded quota: labs", None),
    );
    work(&api, MINUTES_10).await;
    let tries = api.asked(&Method::PATCH, "pods").len();
    // 2 + 4 + 8 + 16 + 32 + 60 ...
    assert!((9..=15).contains(&tries), "{tries}");
    assert_eq!(api.asked(&Method::PATCH, "status").len(), 1);
    assert_eq!(api.state().object["status"]["reason"], "QuotaExceeded");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_writes_nothing_more() {
    let api = Api::new(&samples::object(), (500, "broken", None));
    let inner = api.client();
    let begun = Instant::now();
    // leases are answered for a minute only
    let cut = service_fn(move |request: Request<Body>| {
        let inner = inner.clone();
        async move {
            if request.uri().path().contains("/leases") && begun.elapsed() > Duration::from_secs(60) {
                return Err::<Response<Body>, BoxError>("cut off".into());
            }
            Ok(inner.send(request).await?)
        }
    });
    let settings = samples::settings();
    let controller = Controller::new(Client::new(cut, "labs"), settings.clone(), &Registry::new()).unwrap();
    tokio::select! {
        () = controller.run(CancellationToken::new()) => panic!("it ends only when it is asked to"),
        () = tokio::time::sleep(MINUTES_10) => {}
    }
    let last = *api.asked(&Method::PATCH, "pods").last().unwrap();
    let LeaseTimes { duration, write, .. } = settings.lease;
    assert!(last - begun > Duration::from_secs(30), "it wrote while it led");
    let latest = Duration::from_secs(60) + duration.saturating_sub(write);
    assert!(
        last - begun <= latest,
        "a write began {:?} after the start",
        last - begun
    );
}

#[test]
fn a_lease_too_short_for_its_writes_is_refused() {
    let client_of_nothing = || {
        Client::new(
            service_fn(|_: Request<Body>| std::future::pending::<Result<Answer, BoxError>>()),
            "labs",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let mut settings = samples::settings();
    settings.lease.write = Duration::from_secs(10);
    let refused = Controller::new(client_of_nothing(), settings, &Registry::new())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(refused.code(), "settings");
    let mut settings = samples::settings();
    settings.installation = "-".into();
    Controller::new(client_of_nothing(), settings, &Registry::new())
        .map(|_| ())
        .unwrap_err();
    Controller::new(client_of_nothing(), samples::settings(), &Registry::new())
        .map(|_| ())
        .unwrap();
}
