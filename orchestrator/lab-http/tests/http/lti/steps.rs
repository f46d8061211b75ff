//! Each step of the validation, violated.

use super::{
    keys,
    lms::{CLAIM, ISSUER, JWKS, Lms, assert_refused, jwks, sign},
};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lab_core::port::{Clock, LtiStore, Store};
use serde_json::{Value, json};
use std::time::Duration;

/// The code of the last refused launch, and its step.
async fn noted(lms: &Lms) -> (String, u8) {
    let attempts = lms.kit.store.lti_attempt_list().await.unwrap();
    attempts.first().map(|a| (a.code.clone(), a.step)).unwrap_or_default()
}

#[tokio::test]
async fn each_violated_claim_has_a_page_and_a_code_of_its_own() {
    let lms = Lms::new().await;
    let now = lms.kit.clock.now().secs();
    let cases: [(&str, Value, &str, u8); 19] = [
        ("iss", json!("https://other"), "lti-issuer", 5),
        ("aud", json!("client-2"), "lti-audience", 6),
        ("aud", json!(["client-1", "client-2"]), "lti-audience", 6),
        ("azp", json!("client-2"), "lti-audience", 6),
        ("exp", json!(now - 120), "lti-token-expired", 7),
        ("iat", json!(now + 120), "lti-token-future", 7),
        ("iat", json!(now - 700), "lti-token-old", 7),
        ("nonce", json!("another"), "lti-nonce", 8),
        ("version", json!("1.1"), "lti-version", 9),
        ("message_type", json!("LtiStartProctoring"), "lti-message-type", 10),
        ("deployment_id", json!("2"), "lti-deployment", 11),
        (
            "target_link_uri",
            json!("http://localhost:8081/lti/labs/ping"),
            "lti-target",
            12,
        ),
        ("resource_link", json!({}), "lti-resource-link", 13),
        ("sub", json!(null), "lti-subject-missing", 13),
        ("roles", json!("Learner"), "lti-roles", 14),
        ("version", json!(null), "lti-version", 9),
        ("deployment_id", json!(null), "lti-deployment", 11),
        ("nonce", json!(null), "lti-nonce", 8),
        ("resource_link", json!({"id": "x".repeat(256)}), "lti-resource-link", 13),
    ];
    for (name, value, code, step) in cases {
        let plain = ["iss", "aud", "azp", "exp", "iat", "nonce", "sub"].contains(&name);
        let claim = if plain {
            name.to_owned()
        } else {
            format!("{CLAIM}{name}")
        };
        let page = lms.launch(|claims| claims[claim.as_str()] = value.clone()).await;
        assert_refused(&page, code);
        assert_eq!(noted(&lms).await, (code.to_owned(), step), "{name}: {value}");
    }
    let good = lms.launch(|_| ()).await;
    assert_eq!(
        good.status,
        StatusCode::SEE_OTHER,
        "what was changed is what was refused: {}",
        good.text
    );
}

#[tokio::test]
async fn a_payload_that_is_no_object_is_refused_though_it_is_signed() {
    let lms = Lms::new().await;
    for payload in [json!([]), json!("claims"), json!(null)] {
        let begun = lms.begin("").await;
        let token = sign("k1", keys::FIRST, &payload);
        assert_refused(&lms.arrive(&begun, &token).await, "lti-claims");
        assert_eq!(noted(&lms).await, ("lti-claims".to_owned(), 15), "{payload}");
    }
}

#[tokio::test]
async fn who_has_no_role_is_a_learner() {
    let lms = Lms::new().await;
    let launched = lms.launch(|claims| claims[format!("{CLAIM}roles")] = json!([])).await;
    assert_eq!(launched.status, StatusCode::SEE_OTHER, "{}", launched.text);
    assert_eq!(lms.sign_in(&launched).await["login"]["role"], json!("learner"));
}

#[tokio::test]
async fn a_state_counts_once_in_its_browser_and_in_its_time() {
    let lms = Lms::new().await;
    let begun = lms.begin("").await;
    let token = sign("k1", keys::FIRST, &lms.claims(&begun.nonce));
    // another browser: a cookie of that name with something else in it
    let stranger = format!("{}=stolen", begun.cookie.split('=').next().unwrap());
    let form = format!("state={}&id_token={token}", begun.state);
    assert_refused(&lms.post("/lti/launch", &stranger, &form).await, "lti-other-browser");
    assert_eq!(
        lms.arrive(&begun, &token).await.status,
        StatusCode::SEE_OTHER,
        "a stranger spoils nothing"
    );
    assert_refused(&lms.arrive(&begun, &token).await, "lti-state-used");
    assert_eq!(noted(&lms).await.1, 1);
    // the nonce of one launch in another
    let (one, two) = (lms.begin("").await, lms.begin("").await);
    let replayed = sign("k1", keys::FIRST, &lms.claims(&one.nonce));
    assert_refused(&lms.arrive(&two, &replayed).await, "lti-nonce");
    // never begun here
    let unknown = lms
        .post("/lti/launch", &one.cookie, &format!("state=invented&id_token={token}"))
        .await;
    assert_refused(&unknown, "lti-state-unknown");
    // eleven minutes at the platform's own door
    lms.kit.clock.advance(Duration::from_mins(11));
    let late = sign("k1", keys::FIRST, &lms.claims(&one.nonce));
    assert_refused(&lms.arrive(&one, &late).await, "lti-state-unknown");
}

#[tokio::test]
async fn only_rs256_with_a_named_key_of_the_platform_is_believed() {
    let lms = Lms::new().await;
    let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    for (header, code) in [
        (json!({"alg": "none", "kid": "k1"}), "lti-token-algorithm"),
        (json!({"alg": "RS512", "kid": "k1"}), "lti-token-algorithm"),
        (json!({"kid": "k1"}), "lti-token-algorithm"),
        (json!({"alg": "RS256"}), "lti-key-id-missing"),
        (json!({"alg": "RS256", "kid": "k1"}), "lti-signature"),
    ] {
        let begun = lms.begin("").await;
        let claims = lms.claims(&begun.nonce);
        let signature = if header["alg"] == "none" {
            String::new()
        } else {
            URL_SAFE_NO_PAD.encode([7; 256])
        };
        let token = format!("{}.{}.{signature}", part(&header), part(&claims));
        assert_refused(&lms.arrive(&begun, &token).await, code);
    }
    // the public key as the secret of an HMAC
    let begun = lms.begin("").await;
    let header = Header {
        kid: Some("k1".into()),
        ..Header::new(Algorithm::HS256)
    };
    let public = EncodingKey::from_secret(jwks("k1", keys::FIRST).as_bytes());
    let forged = jsonwebtoken::encode(&header, &lms.claims(&begun.nonce), &public).unwrap();
    assert_refused(&lms.arrive(&begun, &forged).await, "lti-token-algorithm");
    // another key under the name of the right one
    let begun = lms.begin("").await;
    let other = sign("k1", keys::SECOND, &lms.claims(&begun.nonce));
    assert_refused(&lms.arrive(&begun, &other).await, "lti-signature");
    for token in ["a.b", "a.b.c.d", "@.@.@", "bm8.bm8.bm8"] {
        let begun = lms.begin("").await;
        assert_refused(&lms.arrive(&begun, token).await, "lti-token-malformed");
    }
    let begun = lms.begin("").await;
    assert_refused(&lms.arrive(&begun, "").await, "lti-parameter-missing");
}

#[tokio::test]
async fn a_platforms_new_key_is_found_and_invented_ones_cost_it_nothing() {
    let lms = Lms::new().await;
    let asked = || lms.kit.platform.requests().iter().filter(|r| r.url == JWKS).count();
    assert_eq!(lms.launch(|_| ()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(lms.launch(|_| ()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(asked(), 1, "keys are kept");
    for n in 0..5 {
        let begun = lms.begin("").await;
        let token = sign(&format!("invented-{n}"), keys::SECOND, &lms.claims(&begun.nonce));
        assert_refused(&lms.arrive(&begun, &token).await, "lti-key-unknown");
    }
    assert_eq!(asked(), 1, "not within half a minute of the last look");
    // the platform changes its key
    lms.kit.platform.answers(JWKS, 200, jwks("k2", keys::SECOND));
    lms.kit.clock.advance(Duration::from_secs(31));
    let begun = lms.begin("").await;
    let token = sign("k2", keys::SECOND, &lms.claims(&begun.nonce));
    assert_eq!(lms.arrive(&begun, &token).await.status, StatusCode::SEE_OTHER);
    assert_eq!(asked(), 2);
    assert_refused(&lms.launch(|_| ()).await, "lti-key-unknown");
    assert_eq!(noted(&lms).await, ("lti-key-unknown".to_owned(), 3));
}

#[tokio::test]
async fn while_a_platform_does_not_answer_known_keys_go_on_and_unknown_ones_say_so() {
    let lms = Lms::new().await;
    lms.kit.platform.is_silent(JWKS);
    let page = lms.launch(|_| ()).await;
    assert_refused(&page, "lti-keys-unreachable");
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    for (status, body, code) in [
        (500, "oops", "lti-keys-status"),
        (200, "<html>", "lti-keys-unreadable"),
        (404, "{\"keys\": []}", "lti-keys-status"),
    ] {
        lms.kit.platform.answers(JWKS, status, body);
        lms.kit.clock.advance(Duration::from_secs(6));
        assert_refused(&lms.launch(|_| ()).await, code);
    }
    lms.kit.platform.answers(JWKS, 200, jwks("k1", keys::FIRST));
    lms.kit.clock.advance(Duration::from_secs(6));
    assert_eq!(lms.launch(|_| ()).await.status, StatusCode::SEE_OTHER);
    lms.kit.platform.is_silent(JWKS);
    lms.kit.clock.advance(Duration::from_hours(2));
    assert_eq!(
        lms.launch(|_| ()).await.status,
        StatusCode::SEE_OTHER,
        "the keys of before"
    );
}

#[tokio::test]
async fn an_initiation_must_be_whole_of_a_registered_platform_and_for_us() {
    let lms = Lms::new().await;
    assert_refused(&lms.initiate("client_id=nobody").await, "lti-platform-unknown");
    let unknown = lms
        .kit
        .get(
            "/lti/login?iss=https://x&login_hint=u&target_link_uri=http://localhost:8080/lti/launch",
            None,
        )
        .await;
    assert_refused(&unknown, "lti-platform-unknown");
    let foreign = format!("/lti/login?iss={ISSUER}&login_hint=u&target_link_uri=https://evil.example/lti/labs/ping");
    assert_refused(&lms.kit.get(&foreign, None).await, "lti-target-foreign");
    let kept = lms.kit.store.lti_attempt_list().await.unwrap().remove(0);
    assert_eq!(
        kept.registration.unwrap().0,
        "edx",
        "it is told to whose it is: {}",
        kept.detail
    );
    // off by a slash, or by the client id: told which registration it nearly was
    for near in [
        format!("iss={ISSUER}/&client_id=client-1"),
        format!("iss={ISSUER}&client_id=client-2"),
    ] {
        let at = format!("/lti/login?{near}&login_hint=u&target_link_uri=http://localhost:8080/lti/launch");
        assert_refused(&lms.kit.get(&at, None).await, "lti-platform-unknown");
        let kept = lms.kit.store.lti_attempt_list().await.unwrap().remove(0);
        assert!(
            kept.registration.is_none() && kept.detail.contains("the registration edx has"),
            "{}",
            kept.detail
        );
    }
    assert_refused(&lms.kit.get("/lti/login?iss=x", None).await, "lti-parameter-missing");
    assert_refused(&lms.kit.get("/lti/login?iss=%ff", None).await, "lti-form-unreadable");
    let long = "x".repeat(5000);
    for too_long in [format!("lti_deployment_id={long}"), format!("client_id={long}")] {
        let page = lms.initiate(&too_long).await;
        assert_refused(&page, "lti-parameter-long");
        let kept = lms.kit.store.lti_attempt_list().await.unwrap().remove(0);
        assert!(kept.detail.len() <= 1024 && kept.code == "lti-parameter-long");
    }
    // one registration of the issuer is meant even when it is not named, two are not
    assert_eq!(lms.initiate("").await.status, StatusCode::SEE_OTHER);
    lms.kit
        .store
        .lti_registration_put(&super::lms::registration("edx-2", "client-2"))
        .await
        .unwrap();
    assert_refused(&lms.initiate("").await, "lti-client-id-missing");
    assert_eq!(lms.initiate("client_id=client-2").await.status, StatusCode::SEE_OTHER);
    // the platform says that nobody is signed in there
    let begun = lms.begin("").await;
    let form = format!("state={}&error=login_required&id_token=", begun.state);
    assert_refused(
        &lms.post("/lti/launch", &begun.cookie, &form).await,
        "lti-platform-error",
    );
}

#[tokio::test]
async fn a_form_of_ten_megabytes_is_a_page_too() {
    let lms = Lms::new().await;
    let page = lms
        .post("/lti/launch", "", &format!("id_token={}", "x".repeat(10_000_000)))
        .await;
    assert_refused(&page, "lti-form-unreadable");
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_platform_that_names_no_course_has_one_that_bears_its_own_name() {
    let lms = Lms::new().await;
    let launched = lms
        .launch(|claims| {
            claims.as_object_mut().unwrap().remove(&format!("{CLAIM}context"));
        })
        .await;
    let signed = lms.sign_in(&launched).await;
    let courses = lms.kit.store.course_list().await.unwrap();
    let course = courses.iter().find(|c| signed["login"]["course"] == json!(c.id));
    assert_eq!(course.unwrap().title, "lms.example.org");
}
