//! What goes around every answer: security headers, caching, compression, origins, ids, metrics.

use crate::kit::Kit;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use lab_core::launch::Role;
use lab_http::HttpSettings;
use prometheus::Registry;
use serde_json::json;

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let kit = Kit::new().await;
    for path in [
        "/",
        "/lab",
        "/launch?token=x",
        "/nothing",
        "/api/v1/me",
        "/api/v1/nothing",
        "/healthz",
        "/openapi.json",
    ] {
        let answer = kit.get(path, None).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}: {policy}"
        );
        assert!(
            policy.contains("frame-ancestors 'self'") && policy.contains("base-uri 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{path}");
        // browsers complain of a feature that they do not know, on every page
        assert!(!answer.header("permissions-policy").contains("bluetooth"), "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn answers_with_tokens_are_not_stored_and_hashed_files_are_kept() {
    let kit = Kit::new().await;
    let token = kit.link(&kit.claims("ana", Role::Learner));
    let launch = kit.post("/api/v1/launch", None, json!({ "token": token })).await;
    assert_eq!(launch.header("cache-control"), "no-store");
    assert_eq!(kit.get("/api/v1/me", None).await.header("cache-control"), "no-store");
    let index = kit.get("/", None).await;
    assert_eq!(
        (index.status, index.header("cache-control")),
        (StatusCode::OK, "no-cache")
    );
    let again = Request::get("/")
        .header("if-none-match", index.header("etag"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(kit.send(again).await.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn an_unknown_address_is_told_so_in_its_own_way() {
    let kit = Kit::new().await;
    let page = kit.get("/nothing/here", None).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("Cette page n’existe pas") && page.text.contains("There is no such page"));
    let api = kit.get("/api/v1/nothing", None).await;
    assert_eq!((api.status, api.code().as_str()), (StatusCode::NOT_FOUND, "not-found"));
    let method = kit.call(Method::DELETE, "/api/v1/me", None, None).await;
    assert_eq!(
        (method.status, method.code().as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
    );
    assert_eq!(kit.get("/../Cargo.toml", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        kit.get("/lab.html", None).await.status,
        StatusCode::NOT_FOUND,
        "a page has one address"
    );
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let kit = Kit::new().await;
    let from = |origin: &str| {
        Request::post("/api/v1/launch")
            .header("host", "localhost:8080")
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(Body::from("{\"token\":\"x\"}"))
            .unwrap()
    };
    for foreign in ["https://evil.example", "null"] {
        let answer = kit.send(from(foreign)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::FORBIDDEN, "foreign-origin")
        );
    }
    assert_eq!(
        kit.send(from("http://localhost:8080")).await.code(),
        "launch-malformed",
        "our own page gets to the launch"
    );
}

#[tokio::test]
async fn metrics_name_routes_and_never_ids_and_are_not_for_everyone() {
    let settings = HttpSettings {
        metrics_token: Some("metrics-token".to_owned().into()),
        registry: Registry::new(),
        ..HttpSettings::default()
    };
    let kit = Kit::with(settings).await;
    let (session, bearer) = kit.session().await;
    kit.get(&format!("/api/v1/sessions/{session}"), Some(&bearer)).await;
    kit.get("/some/where?ticket=abc", None).await;
    assert_eq!(kit.get("/metrics", None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(kit.get("/metrics", Some("wrong")).await.status, StatusCode::FORBIDDEN);
    let metrics = kit.get("/metrics", Some("metrics-token")).await;
    let line = "labwire_http_requests_total{method=\"GET\",route=\"/api/v1/sessions/{id}\",status=\"2xx\"} 1";
    assert!(metrics.text.contains(line), "{}", metrics.text);
    assert!(
        metrics.text.contains("labwire_errors_total{code=\"not-allowed\"}"),
        "failures are counted by code"
    );
    assert!(
        !metrics.text.contains(&session) && !metrics.text.contains("ticket") && !metrics.text.contains("/some/where")
    );
}

#[tokio::test]
async fn metrics_without_a_token_are_for_this_machine() {
    let kit = Kit::new().await;
    assert_eq!(
        kit.get("/metrics", None).await.status,
        StatusCode::FORBIDDEN,
        "no peer address, no metrics"
    );
}

#[tokio::test]
async fn a_plain_request_id_is_kept_and_a_strange_one_is_not() {
    let kit = Kit::new().await;
    let with = |id: &str| {
        Request::get("/healthz")
            .header("x-request-id", id)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(kit.send(with("abc-123")).await.header("x-request-id"), "abc-123");
    assert_ne!(kit.send(with("a b\"{}")).await.header("x-request-id"), "a b\"{}");
}

#[tokio::test]
async fn a_replica_that_never_met_its_neighbours_gets_nobody_and_says_why() {
    let kit = Kit::new().await;
    kit.store.faults.always("ping", lab_testkit::Strike::Before);
    kit.runtime.faults.always("health", lab_testkit::Strike::Before);
    let ready = kit.get("/readyz", None).await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        ready.json(),
        json!({"ready": false, "reasons": ["store-unavailable", "runtime-unavailable"]})
    );
    assert_eq!(kit.get("/healthz", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn neighbours_that_go_later_are_told_and_send_nobody_away() {
    let kit = Kit::new().await;
    let ready = async || kit.get("/readyz", None).await;
    assert_eq!(ready().await.json(), json!({"ready": true, "reasons": []}));
    kit.store.faults.always("ping", lab_testkit::Strike::Before);
    kit.runtime.faults.always("health", lab_testkit::Strike::Before);
    let told = json!({"ready": true, "reasons": ["store-unavailable", "runtime-unavailable"]});
    let answer = lab_testkit::contract::runtime::eventually("the next look", async || {
        let answer = ready().await;
        (answer.json() == told).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, StatusCode::OK);
    kit.store.faults.mend("ping");
    kit.runtime.faults.mend("health");
    lab_testkit::contract::runtime::eventually("they are back", async || {
        (ready().await.json() == json!({"ready": true, "reasons": []})).then_some(())
    })
    .await;
}
