//! The whole door over fakes: requests without sockets, and a server with them.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use lab_app::{App, Metrics, Ports, Settings, entitlement::make_codes, launch::Key, launch::Keyring};
use lab_core::{
    GrantId, LaunchId, Timestamp, VoucherBatchId,
    entitlement::{Bilingual, Grant, Plan, VoucherBatch},
    journal::{Event, Record},
    lab::LabVersion,
    launch::{LaunchClaims, Role},
    port::{Blobs, ChunkAppend, Clock, Store},
};
use lab_http::{Bounds, HttpSettings, router, serve_bounded};
use lab_testkit::{FakeBlobs, FakeEntropy, FakePlatform, FakeRuntime, FakeStore, ManualClock};
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const COURSE: &str = "net-101";
pub const LAB: &str = "ping";
pub const SPONSOR: &str = "esp";
/// What a fake says when it fails on purpose; must never leave.
pub const PRIVATE: &str = "planned failure";
/// No test waits longer than this for anything.
pub const DEADLINE: Duration = Duration::from_secs(20);

const LAB_FILE: &str = "labwire: 1
id: ping
title: {en: Ping, fr: Ping}
summary: {en: Two hosts., fr: Deux machines.}
image: labwire/secret-image:1
files: [{path: /lab/secret.txt, content: secret-content}]
terminals:
  - {id: h1, kind: shell, command: [/bin/sh]}
  - {id: h2, kind: shell, command: [/bin/sh]}
start: [/lab/start]
checks:
  - {id: reach, title: {en: Reach, fr: Joindre}, points: 5, command: [/lab/secret-check]}
time: {planned: 30m, max: 2h, idle: 30m}
";

pub struct Kit {
    pub app: Arc<App>,
    pub router: Router,
    pub store: Arc<FakeStore>,
    pub runtime: Arc<FakeRuntime>,
    pub blobs: Arc<FakeBlobs>,
    pub clock: Arc<ManualClock>,
    pub platform: Arc<FakePlatform>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Kit {
    pub async fn new() -> Self {
        Self::with(HttpSettings::default()).await
    }

    pub async fn with(settings: HttpSettings) -> Self {
        Self::deciding(settings, Settings::default()).await
    }

    pub async fn deciding(settings: HttpSettings, decides: Settings) -> Self {
        let clock = Arc::new(ManualClock::default());
        let (store, blobs) = (Arc::new(FakeStore::default()), Arc::new(FakeBlobs::default()));
        let runtime = Arc::new(FakeRuntime::new(clock.clone()));
        let platform = Arc::new(FakePlatform::default());
        let ports = Ports {
            store: store.clone(),
            runtime: runtime.clone(),
            blobs: blobs.clone(),
            clock: clock.clone(),
            platform: platform.clone(),
            mail: Arc::new(lab_core::port::NoMail),
            entropy: Arc::new(FakeEntropy::default()),
        };
        let metrics = Metrics::register(&settings.registry).unwrap();
        let key = Key {
            id: "k1".into(),
            secret: "0123456789abcdef0123456789abcdef".to_owned().into(),
        };
        let app = App::new(ports, decides, Keyring::new(&[key]).unwrap(), metrics);
        let kit = Self {
            router: router(app.clone(), settings),
            app,
            store,
            runtime,
            blobs,
            clock,
            platform,
        };
        kit.furnish().await;
        kit
    }

    /// One lab, one plan with labs, one without, and an hour for `ana`.
    async fn furnish(&self) {
        let now = self.clock.now();
        self.store
            .lab_publish(&LabVersion::parse("ping.yaml", LAB_FILE.as_bytes()).unwrap(), now)
            .await
            .unwrap();
        for (id, labs) in [("QUALIFYING", true), ("DISCOVERY", false)] {
            let name = Bilingual {
                en: id.into(),
                fr: id.into(),
            };
            let plan = Plan {
                labs,
                seconds: 3600,
                ..Plan::new(id, name)
            };
            self.store.plan_put(&plan).await.unwrap();
        }
        let grant = Grant {
            id: GrantId(self.app.fresh_uuid()),
            subject: "ana".into(),
            course: COURSE.into(),
            plan: "QUALIFYING".into(),
            seconds: 3600,
            priority: 0,
            effective_at: now,
            expires_at: now.plus(Duration::from_hours(30 * 24)),
            created_at: now,
            source: "manual".into(),
            sponsor: None,
        };
        self.store.grant_issue(&grant).await.unwrap();
    }

    pub fn claims(&self, subject: &str, role: Role) -> LaunchClaims {
        let now = self.clock.now().secs();
        LaunchClaims {
            aud: Settings::default().installation,
            jti: LaunchId(self.app.fresh_uuid()),
            iat: now,
            exp: now + 300,
            sub: subject.into(),
            name: Some(format!("name of {subject}")),
            role,
            course: COURSE.into(),
            lab: (role == Role::Learner).then(|| LAB.into()),
            plan: None,
            sponsor: (role == Role::Sponsor).then(|| SPONSOR.into()),
        }
    }

    pub fn link(&self, claims: &LaunchClaims) -> String {
        self.app.keyring().sign(claims)
    }

    /// A bearer, by the front door.
    pub async fn sign_in(&self, subject: &str, role: Role) -> String {
        let token = self.link(&self.claims(subject, role));
        let answer = self
            .post("/api/v1/launch", None, serde_json::json!({ "token": token }))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let bearer = answer.json()["bearer"].as_str().unwrap().to_owned();
        if role == Role::Learner {
            self.told(&bearer).await;
        }
        bearer
    }

    /// A learner reads the notice.
    pub async fn told(&self, bearer: &str) {
        let notice = self.get("/api/v1/notice", Some(bearer)).await.json();
        let answer = self
            .post(
                "/api/v1/notice",
                Some(bearer),
                serde_json::json!({ "version": notice["version"] }),
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }

    /// ana's session, started by the front door, with her bearer.
    pub async fn session(&self) -> (String, String) {
        let bearer = self.sign_in("ana", Role::Learner).await;
        let answer = self
            .post("/api/v1/sessions", Some(&bearer), serde_json::json!({ "lab": LAB }))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        (answer.json()["id"].as_str().unwrap().to_owned(), bearer)
    }

    /// A voucher of a batch of its own; its code.
    pub async fn voucher(&self, seconds: i64) -> String {
        let (ports, now) = (self.app.ports(), self.clock.now());
        let mut made = make_codes(ports.entropy.as_ref(), self.app.keyring(), 1);
        let (code, hash) = made.remove(0);
        let batch = VoucherBatch {
            id: VoucherBatchId(self.app.fresh_uuid()),
            label: "test".into(),
            course: COURSE.into(),
            plan: "QUALIFYING".into(),
            seconds,
            valid_days: 30,
            priority: 0,
            created_at: now,
            expires_at: now.plus(Duration::from_hours(24)),
            key: self.app.keyring().first_id().into(),
            sponsor: None,
        };
        self.store.voucher_create(&batch, &[hash]).await.unwrap();
        code.printed()
    }

    pub async fn ticket(&self, session: &str, bearer: &str) -> String {
        let body = serde_json::json!({ "scope": "session", "session": session, "writer": "18446744073709551615" });
        let answer = self.post("/api/v1/tickets", Some(bearer), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["ticket"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str, bearer: Option<&str>) -> Answer {
        self.call(Method::GET, path, bearer, None).await
    }

    pub async fn post(&self, path: &str, bearer: Option<&str>, body: Value) -> Answer {
        self.call(Method::POST, path, bearer, Some(body)).await
    }

    pub async fn call(&self, method: Method, path: &str, bearer: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8080");
        if let Some(bearer) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(
            request
                .body(body.map_or_else(Body::empty, |b| Body::from(b.to_string())))
                .unwrap(),
        )
        .await
    }

    /// What a POST answers, byte for byte.
    pub async fn posted(&self, path: &str, bearer: &str, body: Value) -> Vec<u8> {
        let request = Request::post(path)
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        to_bytes(response.into_body(), 16 * 1024 * 1024).await.unwrap().to_vec()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// The same router behind a real listener.
    pub async fn serve(&self, connections_max: usize) -> Server {
        Server::start(self.router.clone(), connections_max, CancellationToken::new()).await
    }

    pub async fn serve_by(&self, bounds: Bounds) -> Server {
        Server::bounded(self.router.clone(), bounds, CancellationToken::new()).await
    }

    /// Makes a recording of one chunk: these outputs. Its journal.
    pub async fn record(&self, session: &str, outputs: &[(u16, &[u8])]) -> Vec<u8> {
        let id = session.parse().unwrap();
        let mut journal = BytesMut::new();
        for (n, (terminal, bytes)) in outputs.iter().enumerate() {
            let event = Event::Output(Bytes::copy_from_slice(bytes));
            Record {
                terminal: *terminal,
                time_us: n as u64 * 1000,
                offset: 0,
                event,
            }
            .encode(&mut journal);
        }
        let head = self.store.recording_open(id, self.now()).await.unwrap();
        self.blobs.put("chunk", journal.clone().freeze()).await.unwrap();
        let chunk = ChunkAppend {
            session: id,
            epoch: 1,
            start: 0,
            end: journal.len() as u64,
            chain: head.chain.extend(0, &journal),
            key: "chunk".into(),
            last_us: 1000,
            at: self.now(),
        };
        self.store.recording_append(&chunk).await.unwrap();
        journal.to_vec()
    }

    /// The bytes of an answer that is no text.
    pub async fn bytes(&self, path: &str, bearer: &str) -> Vec<u8> {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        to_bytes(response.into_body(), 16 * 1024 * 1024).await.unwrap().to_vec()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// A server on a port of its own.
pub struct Server {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub async fn start(router: Router, connections_max: usize, stop: CancellationToken) -> Self {
        let bounds = Bounds {
            connections_max,
            ..Bounds::default()
        };
        Self::bounded(router, bounds, stop).await
    }

    pub async fn bounded(router: Router, bounds: Bounds, stop: CancellationToken) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve_bounded(listener, router, bounds, stop.clone()));
        Self { address, stop, task }
    }

    /// Stops it; fails when a task of it does not end by itself.
    pub async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .expect("the server ends")
            .unwrap()
            .unwrap();
    }
}
