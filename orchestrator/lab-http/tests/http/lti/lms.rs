//! A learning platform that speaks LTI 1.3, and a browser between it and us.

use super::{forms, keys};
use crate::kit::{Answer, Kit};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lab_core::{
    launch::lti::{Jwks, Kind, Params, Registration, RegistrationId, percent_encode},
    port::{Clock, LtiStore},
};
use lab_http::HttpSettings;
use serde_json::{Value, json};
use std::net::SocketAddr;

pub const ISSUER: &str = "https://lms.example.org";
pub const JWKS: &str = "https://lms.example.org/keys";
pub const TARGET: &str = "http://localhost:8080/lti/labs/ping";
pub const CLAIM: &str = "https://purl.imsglobal.org/spec/lti/claim/";

pub type Pair = (&'static str, &'static str);

/// A set of one key, as Open edX publishes it: without `alg` and `use`.
pub fn jwks(kid: &str, key: Pair) -> String {
    json!({"keys": [{"kty": "RSA", "key_ops": ["verify"], "kid": kid, "n": key.1, "e": "AQAB"}]}).to_string()
}

/// A registration of the platform, by name and client.
pub fn registration(name: &str, client_id: &str) -> Registration {
    Registration {
        id: RegistrationId(name.into()),
        course: None,
        plan: Some("QUALIFYING".into()),
        created_at: lab_testkit::ManualClock::START,
        kind: Kind::Platform {
            issuer: ISSUER.into(),
            client_id: client_id.into(),
            auth_url: "https://lms.example.org/auth?tenant=1".into(),
            token_url: "https://lms.example.org/token".into(),
            token_audience: None,
            jwks: Jwks::Url(JWKS.into()),
            deployments: vec!["1".into()],
        },
    }
}

/// The door, and a platform that is registered there as `edx`.
pub struct Lms {
    pub kit: Kit,
}

/// A launch that was begun: what the platform and the browser know of it.
pub struct Begun {
    pub state: String,
    pub nonce: String,
    pub cookie: String,
    pub answer: Answer,
}

impl Lms {
    pub async fn new() -> Self {
        Self::with(HttpSettings::default()).await
    }

    pub async fn with(settings: HttpSettings) -> Self {
        let kit = Kit::with(settings).await;
        kit.store
            .lti_registration_put(&registration("edx", "client-1"))
            .await
            .unwrap();
        kit.platform.answers(JWKS, 200, jwks("k1", keys::FIRST));
        Self { kit }
    }

    /// The same, with the key `fun` by which the platform launches, or launched, by LTI 1.1 ([`super::forms`]).
    pub async fn with_key(course: Option<&str>, plan: Option<&str>) -> Self {
        let lms = Self::new().await;
        let fun = Registration {
            id: RegistrationId("fun".into()),
            course: course.map(Into::into),
            plan: plan.map(Into::into),
            created_at: lab_testkit::ManualClock::START,
            kind: Kind::Consumer {
                key: "fun".into(),
                secret: forms::SECRET.into(),
            },
        };
        lms.kit.store.lti_registration_put(&fun).await.unwrap();
        lms
    }

    /// The platform sends the browser here.
    pub async fn begin(&self, more: &str) -> Begun {
        let answer = self.initiate(&format!("client_id=client-1{more}")).await;
        let location = answer.header("location");
        let query = location.split_once('?').map_or("", |(_, q)| q).to_owned();
        let query = Params::parse(&query).unwrap();
        let of = |name: &str| query.get(name).unwrap_or_default().to_owned();
        Begun {
            state: of("state"),
            nonce: of("nonce"),
            cookie: answer
                .header("set-cookie")
                .split(';')
                .next()
                .unwrap_or_default()
                .to_owned(),
            answer,
        }
    }

    pub async fn initiate(&self, more: &str) -> Answer {
        let target = percent_encode(TARGET);
        let path = format!(
            "/lti/login?iss={}&login_hint=u%261&lti_message_hint=m%2B1&target_link_uri={target}&{more}",
            percent_encode(ISSUER)
        );
        self.kit.get(&path, None).await
    }

    /// Posts a form as the platform's page would, from the platform's origin.
    pub async fn post(&self, path: &str, cookie: &str, form: &str) -> Answer {
        self.post_from(ISSUER, path, cookie, form).await
    }

    /// Posts a form as a page of `origin` would.
    pub async fn post_from(&self, origin: &str, path: &str, cookie: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::HOST, "localhost:8080")
            .header(header::ORIGIN, origin)
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.kit.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// What the platform says of a learner.
    pub fn claims(&self, nonce: &str) -> Value {
        let now = self.kit.clock.now().secs();
        json!({
            "iss": ISSUER, "sub": "8f1b-ada", "aud": "client-1", "azp": "client-1", "nonce": nonce, "iat": now, "exp": now + 3600,
            (format!("{CLAIM}version")): "1.3.0",
            (format!("{CLAIM}message_type")): "LtiResourceLinkRequest",
            (format!("{CLAIM}deployment_id")): "1",
            (format!("{CLAIM}target_link_uri")): TARGET,
            (format!("{CLAIM}resource_link")): {"id": "block-v1:x"},
            (format!("{CLAIM}roles")): ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
            (format!("{CLAIM}context")): {"id": "course-v1:IMT+NET", "title": "Réseaux"},
        })
    }

    /// The platform's answer, signed.
    pub async fn arrive(&self, begun: &Begun, token: &str) -> Answer {
        let form = format!("state={}&id_token={token}", percent_encode(&begun.state));
        self.post("/lti/launch", &begun.cookie, &form).await
    }

    /// A whole launch with one change to what the platform says.
    pub async fn launch(&self, change: impl FnOnce(&mut Value)) -> Answer {
        let begun = self.begin("").await;
        let mut claims = self.claims(&begun.nonce);
        change(&mut claims);
        self.arrive(&begun, &sign("k1", keys::FIRST, &claims)).await
    }

    /// Presents the link that a launch ended in; who is signed in.
    pub async fn sign_in(&self, launched: &Answer) -> Value {
        assert_eq!(launched.status, StatusCode::SEE_OTHER, "{}", launched.text);
        let token = launched
            .header("location")
            .strip_prefix("/launch?token=")
            .expect("it leads to a link");
        let signed = self.kit.post("/api/v1/launch", None, json!({ "token": token })).await;
        assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
        signed.json()
    }
}

/// As if it came over a connection from there.
pub fn come_from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::new(address.parse().unwrap(), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// An `id_token` by RS256.
pub fn sign(kid: &str, key: Pair, claims: &Value) -> String {
    let header = Header {
        kid: Some(kid.into()),
        ..Header::new(Algorithm::RS256)
    };
    let key = EncodingKey::from_rsa_der(&STANDARD.decode(key.0).unwrap());
    jsonwebtoken::encode(&header, claims, &key).unwrap()
}

/// Fails unless the page is a refusal of that code, in both languages, and tells nothing of what is kept secret.
pub fn assert_refused(page: &Answer, code: &str) {
    assert!(
        page.status.is_client_error() || page.status.is_server_error(),
        "{code}: {page:?}"
    );
    assert!(
        page.text.contains(&format!("<code>{code}</code>")),
        "{code}: {}",
        page.text
    );
    assert!(
        page.text.contains("lang=\"fr\"") && page.text.contains("<p lang=\"en\">"),
        "{}",
        page.text
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
}
