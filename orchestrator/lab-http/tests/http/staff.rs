//! Staff sign in by OpenID Connect: every rule of the way back, broken one at a time. A real provider is in `tests/e2e/staff.rs`.

use crate::{
    kit::{Answer, Kit},
    lti::{
        keys,
        lms::{assert_refused, jwks, sign},
    },
};
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use lab_app::{Settings, launch::staff::StaffSettings};
use lab_core::{
    launch::{
        Role,
        lti::Params,
        staff::{GroupRule, SIGN_INS_A_MINUTE},
    },
    port::Clock,
};
use lab_http::HttpSettings;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

const ISSUER: &str = "https://login.example.org/realms/ens";
const KEYS: &str = "https://login.example.org/realms/ens/keys";
const TOKEN: &str = "https://login.example.org/realms/ens/token";
const USERINFO: &str = "https://login.example.org/realms/ens/userinfo";
const SECRET: &str = "hush-hush";

fn configuration() -> Value {
    json!({
        "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/auth"), "token_endpoint": TOKEN, "userinfo_endpoint": USERINFO,
        "jwks_uri": KEYS, "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
    })
}

fn rule(group: &str, role: Role, course: Option<&str>) -> GroupRule {
    GroupRule {
        group: group.into(),
        role,
        course: course.map(Into::into),
        sponsor: None,
    }
}

/// The door, and a provider that its settings name.
struct Organisation {
    kit: Kit,
}

/// A sign-in that was begun: what the provider and the browser know of it.
struct Begun {
    state: String,
    nonce: String,
    cookie: String,
    query: Params,
}

impl Organisation {
    async fn new() -> Self {
        let staff = StaffSettings {
            issuer: ISSUER.into(),
            client_id: "labwire".into(),
            client_secret: Some(SECRET.to_owned().into()),
            scopes: vec!["profile".into()],
            groups_claim: "groups".into(),
            roles: vec![
                rule("/ens-ospf", Role::Teacher, Some("net-101")),
                rule("/tutors-web", Role::Coach, Some("web")),
                rule("/ops", Role::Operations, None),
            ],
        };
        let decides = Settings {
            staff: Some(staff),
            public_url: "https://labs.example.org".into(),
            ..Settings::default()
        };
        let door = HttpSettings {
            public_url: "https://labs.example.org".into(),
            ..HttpSettings::default()
        };
        let kit = Kit::deciding(door, decides).await;
        let organisation = Self { kit };
        organisation.configured(&configuration());
        organisation.kit.platform.answers(KEYS, 200, jwks("k1", keys::FIRST));
        organisation
    }

    fn configured(&self, configuration: &Value) {
        let at = format!("{ISSUER}/.well-known/openid-configuration");
        self.kit.platform.answers(&at, 200, configuration.to_string());
    }

    async fn begin(&self) -> Begun {
        let answer = self.kit.get("/staff/login", None).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{ISSUER}/auth?")), "{location}");
        let set = answer.header("set-cookie");
        assert!(
            set.starts_with("__Host-staff-") && set.ends_with("Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax")
        );
        let query = Params::parse(location.split_once('?').unwrap().1).unwrap();
        let of = |name: &str| query.get(name).unwrap_or_default().to_owned();
        Begun {
            state: of("state"),
            nonce: of("nonce"),
            cookie: set.split(';').next().unwrap().to_owned(),
            query,
        }
    }

    fn claims(&self, nonce: &str) -> Value {
        let now = self.kit.clock.now().secs();
        json!({
            "iss": ISSUER, "sub": "42", "aud": "labwire", "nonce": nonce, "iat": now, "exp": now + 300,
            "name": "Prof. Curie", "groups": ["/physics", "/ens-ospf"],
        })
    }

    fn tokens(&self, id_token: &str) {
        let body = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": id_token});
        self.kit.platform.answers(TOKEN, 200, body.to_string());
    }

    async fn back(&self, cookie: &str, query: &str) -> Answer {
        let request = Request::get(format!("/staff/callback?{query}"))
            .header(header::HOST, "labs.example.org")
            .header(header::COOKIE, cookie);
        self.kit.send(request.body(Body::empty()).unwrap()).await
    }

    async fn arrive(&self, begun: &Begun, id_token: &str) -> Answer {
        self.tokens(id_token);
        self.back(&begun.cookie, &format!("code=c1&state={}", begun.state))
            .await
    }

    /// A whole sign-in with one change to what the provider says.
    async fn sign_in(&self, change: impl FnOnce(&mut Value)) -> Answer {
        let begun = self.begin().await;
        let mut claims = self.claims(&begun.nonce);
        change(&mut claims);
        self.arrive(&begun, &sign("k1", keys::FIRST, &claims)).await
    }

    async fn login_of(&self, arrived: &Answer) -> Value {
        assert_eq!(arrived.status, StatusCode::SEE_OTHER, "{}", arrived.text);
        let token = arrived
            .header("location")
            .strip_prefix("/launch?token=")
            .expect("a link");
        let signed = self.kit.post("/api/v1/launch", None, json!({ "token": token })).await;
        assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
        signed.json()
    }
}

#[tokio::test]
async fn a_group_becomes_a_role_and_the_provider_is_asked_by_the_book() {
    let ens = Organisation::new().await;
    let begun = ens.begin().await;
    let of = |name: &str| begun.query.get(name).unwrap_or_default();
    assert_eq!((of("response_type"), of("client_id")), ("code", "labwire"));
    assert_eq!((of("scope"), of("code_challenge_method")), ("openid profile", "S256"));
    assert_eq!(of("redirect_uri"), "https://labs.example.org/staff/callback");
    let token = sign("k1", keys::FIRST, &ens.claims(&begun.nonce));
    let arrived = ens.arrive(&begun, &token).await;
    let signed = ens.login_of(&arrived).await;
    let login = &signed["login"];
    assert_eq!(
        (&login["role"], &login["course"], &login["name"]),
        (&json!("teacher"), &json!("net-101"), &json!("Prof. Curie"))
    );
    let end = ens.kit.clock.now().plus(Duration::from_hours(12)).secs();
    assert_eq!(signed["ends_at"], json!(end), "as of any login of staff");
    let requests = ens.kit.platform.requests();
    let asked = requests
        .iter()
        .find(|r| r.url == TOKEN)
        .expect("the code was exchanged");
    let form = Params::parse(&asked.body).unwrap();
    assert_eq!(
        (form.get("grant_type"), form.get("code")),
        (Some("authorization_code"), Some("c1"))
    );
    let verifier = form.get("code_verifier").unwrap();
    assert!(
        verifier.len() >= 43 && !begun.cookie.contains(verifier),
        "the browser does not have it"
    );
    assert!(
        form.get("client_secret").is_none(),
        "the secret goes by Basic, as nothing else was said"
    );
    assert!(
        asked
            .headers
            .iter()
            .any(|(name, value)| *name == "authorization" && value.starts_with("Basic "))
    );
    let discoveries = |r: &&lab_core::port::PlatformRequest| r.url.ends_with("openid-configuration");
    assert_eq!(
        requests.iter().filter(discoveries).count(),
        1,
        "what is known is not asked again"
    );
}

#[tokio::test]
async fn groups_that_the_token_does_not_tell_are_asked_of_userinfo() {
    let ens = Organisation::new().await;
    let told = json!({"sub": "42", "groups": ["/ops"], "name": "Ops"});
    ens.kit.platform.answers(USERINFO, 200, told.to_string());
    let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("groups"));
    let arrived = ens.sign_in(without).await;
    let signed = ens.login_of(&arrived).await;
    assert_eq!(
        (&signed["login"]["role"], &signed["login"]["course"]),
        (&json!("operations"), &json!(""))
    );
    let other = json!({"sub": "43", "groups": ["/ops"]});
    ens.kit.platform.answers(USERINFO, 200, other.to_string());
    assert_refused(&ens.sign_in(without).await, "staff-token-claims");
}

#[tokio::test]
async fn every_claim_that_is_wrong_is_refused_with_its_own_code() {
    let ens = Organisation::new().await;
    let wrong: [(&str, &str, Value); 7] = [
        (
            "iss",
            "staff-token-issuer",
            json!("https://login.example.org/realms/other"),
        ),
        ("aud", "staff-token-audience", json!("another")),
        ("aud", "staff-token-audience", json!(["labwire", "another"])),
        ("exp", "staff-token-expired", json!(ens.kit.clock.now().secs() - 61)),
        ("nonce", "staff-token-nonce", json!("another")),
        ("sub", "staff-token-claims", json!("a\nb")),
        ("groups", "staff-no-role", json!(["/ENS-OSPF", "<b>"])),
    ];
    for (claim, code, value) in wrong {
        let page = ens.sign_in(|claims| claims[claim] = value.clone()).await;
        assert_refused(&page, code);
        assert!(
            !page.text.contains("<b>") && !page.text.contains(SECRET),
            "{}",
            page.text
        );
    }
    let page = ens
        .sign_in(|claims| drop(claims.as_object_mut().unwrap().remove("nonce")))
        .await;
    assert_refused(&page, "staff-token-nonce");
    let page = ens.sign_in(|claims| claims["groups"] = json!(["/students"])).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        page.text.contains("<code>/students</code>") && page.text.contains("staff_login.roles"),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn only_the_providers_own_key_signs() {
    let ens = Organisation::new().await;
    // unsigned, though the provider says that it could
    let begun = ens.begin().await;
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&ens.claims(&begun.nonce)));
    assert_refused(&ens.arrive(&begun, &unsigned).await, "staff-token-algorithm");
    // with the client's secret
    let begun = ens.begin().await;
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &ens.claims(&begun.nonce), &key).unwrap();
    assert_refused(&ens.arrive(&begun, &token).await, "staff-token-algorithm");
    // with a stranger's key under a name that is known
    let begun = ens.begin().await;
    let token = sign("k1", keys::SECOND, &ens.claims(&begun.nonce));
    assert_refused(&ens.arrive(&begun, &token).await, "staff-token-signature");
    // no token, and something that is none
    let begun = ens.begin().await;
    ens.kit.platform.answers(
        TOKEN,
        200,
        json!({"access_token": "at", "token_type": "Bearer"}).to_string(),
    );
    let page = ens.back(&begun.cookie, &format!("code=c&state={}", begun.state)).await;
    assert_refused(&page, "staff-token-missing");
    let begun = ens.begin().await;
    assert_refused(&ens.arrive(&begun, "not.a.token").await, "staff-answer-unreadable");
}

#[tokio::test]
async fn a_key_that_the_provider_changed_is_asked_for() {
    let ens = Organisation::new().await;
    ens.begin().await;
    ens.kit.platform.answers(KEYS, 200, jwks("k2", keys::SECOND));
    ens.kit.clock.advance(Duration::from_secs(6));
    let begun = ens.begin().await;
    let token = sign("k2", keys::SECOND, &ens.claims(&begun.nonce));
    let arrived = ens.arrive(&begun, &token).await;
    ens.login_of(&arrived).await;
}

#[tokio::test]
async fn a_state_counts_once_in_its_own_browser_for_ten_minutes() {
    let ens = Organisation::new().await;
    let begun = ens.begin().await;
    let other = ens.begin().await;
    let token = sign("k1", keys::FIRST, &ens.claims(&begun.nonce));
    let query = format!("code=c1&state={}", begun.state);
    ens.tokens(&token);
    for cookie in ["", other.cookie.as_str(), &begun.cookie.replace('=', "=x")] {
        assert_refused(&ens.back(cookie, &query).await, "staff-other-browser");
    }
    assert_eq!(ens.back(&begun.cookie, &query).await.status, StatusCode::SEE_OTHER);
    assert_refused(&ens.back(&begun.cookie, &query).await, "staff-state-used");
    for query in ["code=c1&state=made-up", "code=c1", "code=c1&state="] {
        assert_refused(&ens.back(&begun.cookie, query).await, "staff-state-unknown");
    }
    assert_refused(&ens.back(&begun.cookie, "code=%zz").await, "staff-request-unreadable");
    ens.kit.clock.advance(Duration::from_secs(600));
    assert_refused(
        &ens.back(&other.cookie, &format!("code=c&state={}", other.state)).await,
        "staff-state-unknown",
    );
}

#[tokio::test]
async fn a_provider_that_refuses_or_is_away_is_a_page_with_its_code() {
    let ens = Organisation::new().await;
    let begun = ens.begin().await;
    let page = ens
        .back(&begun.cookie, &format!("error=access_denied&state={}", begun.state))
        .await;
    assert_refused(&page, "staff-provider-refused");
    let begun = ens.begin().await;
    let mixed = format!("code=c&state={}&iss=https%3A%2F%2Fevil.example.org", begun.state);
    assert_refused(&ens.back(&begun.cookie, &mixed).await, "staff-token-issuer");
    let begun = ens.begin().await;
    ens.kit
        .platform
        .answers(TOKEN, 400, json!({"error": "invalid_grant"}).to_string());
    let query = format!("code=c&state={}", begun.state);
    assert_refused(&ens.back(&begun.cookie, &query).await, "staff-code-refused");
    let begun = ens.begin().await;
    ens.kit.platform.is_silent(TOKEN);
    let page = ens.back(&begun.cookie, &format!("code=c&state={}", begun.state)).await;
    assert_refused(&page, "staff-provider-unreachable");
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    ens.kit.clock.advance(Duration::from_secs(601));
    ens.configured(&json!({"issuer": "https://evil.example.org"}));
    assert_refused(&ens.kit.get("/staff/login", None).await, "staff-provider-wrong");
    ens.kit.clock.advance(Duration::from_secs(6));
    let mut plain = configuration();
    plain["token_endpoint"] = json!("http://login.example.org/token");
    ens.configured(&plain);
    assert_refused(&ens.kit.get("/staff/login", None).await, "staff-provider-wrong");
    let before = ens.kit.platform.requests().len();
    ens.configured(&configuration());
    assert_refused(&ens.kit.get("/staff/login", None).await, "staff-provider-wrong");
    assert_eq!(
        ens.kit.platform.requests().len(),
        before,
        "it is not asked at every click"
    );
    ens.kit.clock.advance(Duration::from_secs(6));
    ens.begin().await;
}

#[tokio::test]
async fn where_nothing_is_configured_nobody_is_offered_a_sign_in() {
    let kit = Kit::new().await;
    assert_eq!(kit.get("/api/v1/staff", None).await.json(), json!({}));
    let page = kit.get("/staff/login", None).await;
    assert_refused(&page, "staff-not-configured");
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_refused(
        &kit.get("/staff/callback?code=c&state=s", None).await,
        "staff-not-configured",
    );
    let ens = Organisation::new().await;
    assert_eq!(
        ens.kit.get("/api/v1/staff", None).await.json(),
        json!({"login": "/staff/login"})
    );
}

const CONFIGURATION: &str = "https://login.example.org/realms/ens/.well-known/openid-configuration";

impl Organisation {
    /// How often the provider was asked what it is.
    fn discoveries(&self) -> usize {
        let asked = self.kit.platform.requests();
        asked.iter().filter(|r| r.url == CONFIGURATION).count()
    }

    /// Sign-ins that are begun at once.
    fn begun_at_once(&self, n: usize) -> Vec<tokio::task::JoinHandle<Answer>> {
        let begin = |_| {
            let router = self.kit.router.clone();
            tokio::spawn(async move {
                let response = router.oneshot(Request::get("/staff/login").body(Body::empty()).unwrap());
                let (parts, body) = response.await.unwrap().into_parts();
                let bytes = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
                Answer {
                    status: parts.status,
                    headers: parts.headers,
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                }
            })
        };
        (0..n).map(begin).collect()
    }

    /// Waits until the provider was asked so often.
    async fn asked(&self, times: usize) {
        tokio::time::timeout(crate::kit::DEADLINE, async {
            while self.discoveries() < times {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the provider is asked");
    }
}

#[tokio::test]
async fn fifty_who_begin_at_once_ask_the_provider_once_and_all_go_on() {
    let ens = Organisation::new().await;
    let held = ens.kit.platform.holds(CONFIGURATION);
    let begun = ens.begun_at_once(50);
    ens.asked(1).await;
    // what takes long is not old already when it comes
    ens.kit.clock.advance(Duration::from_mins(20));
    drop(held);
    for answer in begun {
        assert_eq!(answer.await.unwrap().status, StatusCode::SEE_OTHER);
    }
    ens.begin().await;
    ens.kit.clock.advance(Duration::from_secs(599));
    ens.begin().await;
    assert_eq!(ens.discoveries(), 1);
    ens.kit.clock.advance(Duration::from_secs(1));
    ens.begin().await;
    assert_eq!(ens.discoveries(), 2);
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_once_in_five_seconds_and_everybody_is_told() {
    let ens = Organisation::new().await;
    ens.kit.platform.is_silent(CONFIGURATION);
    let held = ens.kit.platform.holds(CONFIGURATION);
    let begun = ens.begun_at_once(20);
    ens.asked(1).await;
    drop(held);
    for answer in begun {
        let answer = answer.await.unwrap();
        assert_refused(&answer, "staff-provider-unreachable");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    ens.kit.clock.advance(Duration::from_millis(4999));
    assert_refused(&ens.kit.get("/staff/login", None).await, "staff-provider-unreachable");
    assert_eq!(ens.discoveries(), 1);
    ens.configured(&configuration());
    ens.kit.clock.advance(Duration::from_millis(1));
    ens.begin().await;
    assert_eq!(ens.discoveries(), 2);
}

#[tokio::test]
async fn who_waits_for_anothers_question_is_served_though_the_other_goes_away() {
    let ens = Organisation::new().await;
    let held = ens.kit.platform.holds(CONFIGURATION);
    let mut begun = ens.begun_at_once(3);
    ens.asked(1).await;
    let first = begun.remove(0);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(held);
    for answer in begun {
        assert_eq!(answer.await.unwrap().status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn an_address_begins_so_many_sign_ins_in_a_minute_and_others_are_not_held_up() {
    let ens = Organisation::new().await;
    let from = |address: &str| {
        let peer: std::net::SocketAddr = format!("{address}:4711").parse().unwrap();
        let mut request = Request::get("/staff/login").body(Body::empty()).unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        ens.kit.send(request)
    };
    for _ in 0..SIGN_INS_A_MINUTE {
        assert_eq!(from("192.0.2.1").await.status, StatusCode::SEE_OTHER);
    }
    let refused = from("192.0.2.1").await;
    assert_refused(&refused, "staff-pace");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(from("192.0.2.2").await.status, StatusCode::SEE_OTHER);
    ens.kit.clock.advance(Duration::from_mins(1));
    assert_eq!(from("192.0.2.1").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn who_may_be_several_things_says_as_what_and_each_link_is_a_tab_of_its_own() {
    let ens = Organisation::new().await;
    let page = ens
        .sign_in(|claims| claims["groups"] = json!(["/ops", "/tutors-web", "/ens-ospf", "/physics"]))
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert_eq!(page.header("cache-control"), "no-store");
    let tokens: Vec<&str> = page
        .text
        .split("href=\"/launch?token=")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let mut signed = Vec::new();
    for token in &tokens {
        let opened = ens.kit.post("/api/v1/launch", None, json!({ "token": token })).await;
        assert_eq!(opened.status, StatusCode::OK, "{}", opened.text);
        let login = opened.json()["login"].clone();
        signed.push((login["role"].clone(), login["course"].clone()));
    }
    assert_eq!(
        signed,
        [
            (json!("teacher"), json!("net-101")),
            (json!("coach"), json!("web")),
            (json!("operations"), json!("")),
        ],
        "in the order of the rules"
    );
    assert!(page.text.contains("Tuteur · Coach : web"), "{}", page.text);
    let again = ens
        .kit
        .post("/api/v1/launch", None, json!({ "token": tokens[0] }))
        .await;
    assert_eq!(again.code(), "launch-already-used");
}

#[tokio::test]
async fn a_choice_is_open_for_five_minutes() {
    let ens = Organisation::new().await;
    // and half a minute, by which clocks may differ
    for (after, status) in [(330, StatusCode::OK), (331, StatusCode::UNAUTHORIZED)] {
        let page = ens
            .sign_in(|claims| claims["groups"] = json!(["/ops", "/ens-ospf"]))
            .await;
        let token = page.text.split("href=\"/launch?token=").nth(1).unwrap();
        let token = token.split('"').next().unwrap();
        ens.kit.clock.advance(Duration::from_secs(after));
        let opened = ens.kit.post("/api/v1/launch", None, json!({ "token": token })).await;
        assert_eq!(opened.status, status, "after {after} s");
    }
}
