//! Operations set a platform up from the page: add, look up what to paste, read why a launch was refused.

use super::lms::Lms;
use crate::kit::Kit;
use axum::http::StatusCode;
use lab_core::launch::Role;
use serde_json::{Value, json};

const ADD: &str = "/api/v1/operations/lti/add";

#[tokio::test]
async fn a_shared_secret_is_made_and_shown_once() {
    let kit = Kit::new().await;
    let op = kit.sign_in("op", Role::Operations).await;
    let fun = json!({"name": "fun", "key": "imt-net101", "plan": "QUALIFYING"});
    let added = kit.post(ADD, Some(&op), fun.clone()).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    let secret = added.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 64, "256 bits");
    let passport = format!("fun:imt-net101:{secret}");
    assert!(added.json()["guides"][0]["path"].to_string().contains(&passport));
    let changed = kit.post(ADD, Some(&op), fun).await;
    assert_eq!(
        (changed.status, &changed.json()["secret"]),
        (StatusCode::OK, &Value::Null)
    );
    for path in ["/api/v1/operations/lti", "/api/v1/operations/lti/guides?name=fun"] {
        let seen = kit.get(path, Some(&op)).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
        assert!(!seen.text.contains(&secret), "{path}");
    }
    let written = kit.get("/api/v1/audit", Some(&op)).await.text;
    assert!(written.contains("lti-add") && !written.contains(&secret), "{written}");
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named_with_its_remedy() {
    let kit = Kit::new().await;
    let op = kit.sign_in("op", Role::Operations).await;
    for (body, said) in [
        (json!({"name": "x"}), "key, moodle, issuer: give one of them"),
        (
            json!({"name": "x", "key": "k", "moodle": "https://m"}),
            "give one of them",
        ),
        (json!({"name": "x", "moodle": "https://m"}), "client_id: is missing"),
        (
            json!({"name": "x", "issuer": "https://m", "client_id": "c", "auth_url": "https://m", "token_url": "https://m"}),
            "keys_url: is missing",
        ),
        (json!({"name": "X y", "key": "k"}), "use 1 to 63 of a-z"),
        (
            json!({"name": "x", "key": "k", "plan": "GOLD"}),
            "plan GOLD does not exist",
        ),
        (
            json!({"name": "x", "moodle": "moodle.example.org", "client_id": "c"}),
            "begins with https://",
        ),
        (json!({"name": "x", "key": "k", "colour": "red"}), "colour"),
    ] {
        let refused = kit.post(ADD, Some(&op), body.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(refused.text.contains(said), "{body}: {}", refused.text);
    }
    assert_eq!(
        kit.get("/api/v1/operations/lti", Some(&op)).await.json()["registrations"],
        json!([])
    );
    let unknown = kit.get("/api/v1/operations/lti/guides?name=none", Some(&op)).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_moodle_needs_its_address_and_client_id_and_a_second_one_is_refused() {
    let kit = Kit::new().await;
    let op = kit.sign_in("op", Role::Operations).await;
    let moodle = |name: &str| json!({"name": name, "moodle": "https://moodle.example.org/", "client_id": "aB3", "deployment": "7"});
    let added = kit.post(ADD, Some(&op), moodle("moodle")).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text);
    assert_eq!(
        added.json()["registration"]["platform"],
        json!("https://moodle.example.org")
    );
    assert_eq!(added.json()["secret"], Value::Null);
    let twice = kit.post(ADD, Some(&op), moodle("other")).await;
    assert_eq!(
        (twice.status, twice.code()),
        (StatusCode::CONFLICT, "registration-taken".to_owned())
    );
    assert!(
        twice.text.contains("registration moodle has the same platform"),
        "{}",
        twice.text
    );
    let guides = kit
        .get("/api/v1/operations/lti/guides?name=moodle&lab=ping", Some(&op))
        .await
        .json();
    let fields = guides["guides"][1]["fields"].to_string();
    assert!(
        fields.contains("http://localhost:8080/lti/jwks") && fields.contains("/lti/labs/"),
        "{fields}"
    );
    let no_lab = kit
        .get("/api/v1/operations/lti/guides?name=moodle&lab=none", Some(&op))
        .await;
    assert_eq!(no_lab.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_refused_launch_is_shown_step_by_step_in_both_languages() {
    let lms = Lms::new().await;
    lms.launch(|claims| claims["nonce"] = json!("another")).await;
    let op = lms.kit.sign_in("op", Role::Operations).await;
    let seen = lms.kit.get("/api/v1/operations/lti", Some(&op)).await.json();
    let attempt = &seen["attempts"][0];
    assert_eq!(
        (&attempt["name"], &attempt["code"]),
        (&json!("edx"), &json!("lti-nonce"))
    );
    let outcomes: Vec<_> = attempt["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes.len(), 15);
    assert_eq!(
        (outcomes[6], outcomes[7], outcomes[8]),
        ("passed", "failed", "not-reached")
    );
    assert_ne!(attempt["remedy"]["en"], attempt["remedy"]["fr"]);
}

#[tokio::test]
async fn each_platform_is_shown_with_its_last_launch_and_a_launch_that_nearly_was_its_own() {
    let lms = Lms::new().await;
    let op = lms.kit.sign_in("op", Role::Operations).await;
    let seen = async || {
        let all = lms.kit.get("/api/v1/operations/lti", Some(&op)).await.json();
        all["seen"][0].clone()
    };
    let none = seen().await;
    assert_eq!((&none["name"], &none["standing"]), (&json!("edx"), &json!("unseen")));
    assert_eq!(
        (&none["launched_at"], &none["near_miss"], &none["refused"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    lms.launch(|_| ()).await;
    let taken = seen().await;
    assert_eq!(taken["standing"], json!("taken"));
    assert!(taken["launched_at"].as_i64().is_some(), "{taken}");
    // the same platform, by a client id that nobody has
    let near = lms.kit.get(&format!("/lti/login?iss={}&login_hint=h&client_id=client-2&target_link_uri=http%3A%2F%2Flocalhost%3A8080%2Flti%2Flaunch",
        super::lms::ISSUER.replace(':', "%3A").replace('/', "%2F")), None).await;
    assert_eq!(near.status, StatusCode::BAD_REQUEST, "{}", near.text);
    let missed = seen().await;
    assert_eq!(missed["standing"], json!("refused-since"));
    assert_eq!(missed["near_miss"]["code"], json!("lti-platform-unknown"));
    assert_eq!(missed["near_miss"]["platform"], json!(super::lms::ISSUER));
    assert_eq!(missed["refused"], Value::Null, "it was nobody's");
}

#[tokio::test]
async fn the_page_cannot_make_its_user_the_teacher_of_a_course_or_the_keys_of_a_platform() {
    let lms = Lms::new().await;
    let op = lms.kit.sign_in("op", Role::Operations).await;
    lms.sign_in(&lms.launch(|_| ()).await).await;
    let theirs = json!({"issuer": super::lms::ISSUER, "client_id": "client-1", "auth_url": "https://lms.example.org/auth?tenant=1",
        "token_url": "https://lms.example.org/token", "keys_url": super::lms::JWKS, "deployment": "1"});
    let with = |name: &str, changed: &[(&str, &str)]| {
        let mut body = theirs.clone();
        body["name"] = json!(name);
        for (field, value) in changed {
            body[*field] = json!(value);
        }
        body
    };
    for (body, code) in [
        // a key of one's own for a course that is there
        (
            json!({"name": "x", "key": "x", "course": "lms.example.org#course-v1:IMT+NET"}),
            "on-the-machine",
        ),
        // one's own keys for a platform that is there
        (
            with("edx", &[("keys_url", "https://evil.example/keys")]),
            "on-the-machine",
        ),
        // … and under another name
        (
            with("x", &[("client_id", "c2"), ("keys_url", "https://evil.example/keys")]),
            "registration-taken",
        ),
    ] {
        let refused = lms.kit.post(ADD, Some(&op), body.clone()).await;
        assert_eq!(refused.code(), code, "{body}: {}", refused.text);
    }
    let course = json!({"name": "y", "course": "lms.example.org#course-v1:IMT+NET"});
    let refused = lms.kit.post("/api/v1/operations/lti/invite", Some(&op), course).await;
    assert_eq!(refused.code(), "on-the-machine", "{}", refused.text);
    // what stays as it is signed may be changed, and a further block of the same platform added
    for body in [
        with("edx", &[("plan", "QUALIFYING")]),
        with("block-2", &[("client_id", "c2")]),
    ] {
        let taken = lms.kit.post(ADD, Some(&op), body.clone()).await;
        assert!(taken.status.is_success(), "{body}: {}", taken.text);
    }
}
